// @ts-check
/**
 * The left column: this visitor's conversations, newest first, by day. Links, so that one opens in a tab of its own.
 *
 * @import {Chat} from "./protocol.js"
 */
import { addressOf, currentChat, newChat } from "./address.js";
import { iconButton, make } from "./dom.js";
import { emit, on } from "./hub.js";
import { deleteChat } from "./server.js";
import { setChatsOpen } from "./status.js";
import { say } from "./texts.js";

const DAY = 86_400_000;

class ChatList extends HTMLElement {
  /** @type {Chat[]} */
  chats = [];
  /** The conversation whose deletion is being asked about. */
  doubtful = "";

  connectedCallback() {
    this.draw();
    on("chats", (chats) => this.show(chats));
    on("chat", () => this.arrive());
    on("language", () => this.draw());
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape") setChatsOpen(false);
    });
    document.addEventListener("click", (event) => this.closeFromOutside(event));
  }

  /** @param {Chat[]} chats */
  show(chats) {
    this.chats = chats;
    this.draw();
    this.nameTab();
  }

  arrive() {
    this.doubtful = "";
    setChatsOpen(false);
    this.draw();
    this.nameTab();
  }

  draw() {
    const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("data-key") : null;
    const title = say("chats.new");
    this.replaceChildren(
      make("button", { type: "button", id: "new-chat", "data-key": "new", onclick: newChat }, `+ ${title}`),
      make("nav", { "aria-label": say("chats.label") }, ...this.days()),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.querySelector(`[data-key="${focused}"]`))?.focus();
  }

  days() {
    /** @type {Map<string, Chat[]>} */
    const days = new Map();
    for (const chat of this.chats) days.set(dayOf(chat), [...(days.get(dayOf(chat)) ?? []), chat]);
    return [...days].flatMap(([day, chats]) => [
      make("h2", {}, say(day)),
      make("ul", {}, ...chats.map((chat) => this.row(chat))),
    ]);
  }

  /** @param {Chat} chat */
  row(chat) {
    return make("li", { "data-running": chat.running }, ...(chat.id === this.doubtful ? this.question(chat) : this.entry(chat)));
  }

  /** @param {Chat} chat */
  entry(chat) {
    const title = chat.title || say("chats.untitled");
    const here = chat.id === currentChat();
    const link = make("a", { href: addressOf(chat.id), title, "data-key": chat.id, "aria-current": here ? "page" : null }, title);
    if (here) link.addEventListener("click", () => setChatsOpen(false));
    const running = chat.running ? make("i", { class: "dot running", role: "img", title: say("chats.running"), "aria-label": say("chats.running") }) : null;
    const remove = iconButton("remove", say("chats.delete", { title }), { "data-key": `delete-${chat.id}`, onclick: () => this.ask(chat.id) });
    return [link, ...(running ? [running] : []), remove];
  }

  /** @param {Chat} chat */
  question(chat) {
    return [
      make("span", { class: "question" }, say("chats.delete.sure")),
      make("button", { type: "button", class: "danger", "data-key": `sure-${chat.id}`, onclick: () => void this.discard(chat.id) }, say("chats.delete.yes")),
      make("button", { type: "button", onclick: () => this.ask("") }, say("chats.delete.no")),
    ];
  }

  /** @param {string} id */
  ask(id) {
    this.doubtful = id;
    this.draw();
    /** @type {HTMLElement | null} */ (this.querySelector(`[data-key="sure-${id}"]`))?.focus();
  }

  /** @param {string} id */
  async discard(id) {
    try {
      await deleteChat(id);
      this.doubtful = "";
      if (id === currentChat()) newChat();
    } catch (error) {
      emit("notice", error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {MouseEvent} event */
  closeFromOutside(event) {
    const target = /** @type {Element} */ (event.target);
    if (document.body.dataset.chats === "open" && target.isConnected && !target.closest("#left, #show-chats")) setChatsOpen(false);
  }

  nameTab() {
    const title = this.chats.find((chat) => chat.id === currentChat())?.title;
    document.title = title ? `${title} · Batchat` : "Batchat";
  }
}

/** @param {Chat} chat */
function dayOf(chat) {
  const today = new Date().setHours(0, 0, 0, 0);
  const updated = chat.updated * 1000;
  if (updated >= today) return "chats.today";
  return updated >= today - DAY ? "chats.yesterday" : "chats.earlier";
}

export function define() {
  customElements.define("chat-list", ChatList);
}
