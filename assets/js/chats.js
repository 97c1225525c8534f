// @ts-check
/**
 * The left column: this visitor's conversations, pinned ones first, then newest first by day; a search in them, and what can
 * be done with them. Rows are links, so that one opens in a tab of its own. What changes is drawn when the stream says so.
 *
 * @import {Chat, ChatsChanged, FoundChat} from "./protocol.js"
 */
import { addressOf, currentChat, newChat } from "./address.js";
import { icon, iconButton, make } from "./dom.js";
import { emit, on } from "./hub.js";
import { isComposing } from "./keys.js";
import { openMenu } from "./menu.js";
import { changeChat, deleteAllChats, deleteChat, importChats, restoreChats, searchChats } from "./server.js";
import { setChatsOpen } from "./status.js";
import { currentLanguage, dayName, monthName, say, sayCount } from "./texts.js";

const DAY = 86_400_000;
const ROWS = 80;
const SEARCH_PAUSE = 200;
const FORMATS = ["md", "html", "json"];

class ChatList extends HTMLElement {
  /** @type {Map<string, Chat>} */
  chats = new Map();
  /** What the search found; null while nothing is searched. @type {FoundChat[] | null} */
  found = null;
  /** The conversation whose title is being written. */
  renaming = "";
  rows = ROWS;
  searching = 0;
  offered = 0;

  connectedCallback() {
    this.build();
    on("chats", (chats) => this.show(chats));
    on("chats_changed", (news) => this.change(news));
    on("chat", () => this.arrive());
    on("language", () => this.build());
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape") setChatsOpen(false);
    });
    document.addEventListener("click", (event) => this.closeFromOutside(event));
  }

  /** What stays while the rows come and go: a field that is being typed in must not be made anew. */
  build() {
    const words = this.field?.value ?? "";
    this.field = make("input", { type: "search", id: "chat-search", placeholder: say("chats.search"), "aria-label": say("chats.search") });
    this.field.value = words;
    this.field.addEventListener("input", () => this.searchSoon());
    this.nav = make("nav", { "aria-label": say("chats.label") });
    this.amount = make("p", { class: "found", role: "status" });
    this.bar = make("div", { class: "undo", role: "status" });
    this.file = make("input", { type: "file", accept: ".json,application/json", hidden: true, onchange: () => void this.read() });
    this.replaceChildren(
      make(
        "div",
        { class: "list-head" },
        make("button", { type: "button", id: "new-chat", onclick: begin }, `+ ${say("chats.new")}`),
        iconButton("more", say("chats.all"), { id: "all-chats", "aria-haspopup": "menu", onclick: () => this.openAllMenu() }),
      ),
      make("label", { class: "search" }, icon("search"), this.field),
      this.amount,
      this.nav,
      this.bar,
      this.file,
    );
    this.draw();
  }

  /** @param {Chat[]} chats */
  show(chats) {
    this.chats = new Map(chats.map((chat) => [chat.id, chat]));
    this.draw();
    this.nameTab();
  }

  /** @param {ChatsChanged} news */
  change({ changed, gone }) {
    for (const chat of changed) this.chats.set(chat.id, chat);
    for (const id of gone) this.chats.delete(id);
    if (this.found) this.found = this.found.filter(({ id }) => this.chats.has(id)).map((found) => ({ ...found, ...this.chats.get(found.id) }));
    this.draw();
    this.nameTab();
  }

  arrive() {
    this.draw();
    this.nameTab();
  }

  draw() {
    if (this.renaming || !this.nav || !this.amount) return;
    const focused = this.nav.contains(document.activeElement) ? document.activeElement?.getAttribute("data-key") : null;
    const groups = this.found ? [{ name: "", chats: this.found }] : byDay([...this.chats.values()]);
    this.amount.textContent = this.found ? sayCount("chats.found", this.found.length) : "";
    this.nav.replaceChildren(...this.drawGroups(groups));
    if (focused) this.focusOn(focused);
  }

  /** @param {Array<{name: string, chats: Chat[]}>} groups */
  drawGroups(groups) {
    /** @type {HTMLElement[]} */
    const drawn = [];
    let room = this.rows;
    for (const { name, chats } of groups) {
      if (room <= 0) break;
      if (name) drawn.push(make("h2", {}, name));
      drawn.push(make("ul", {}, ...chats.slice(0, room).map((chat) => this.row(chat))));
      room -= chats.length;
    }
    if (room < 0 || drawn.length < groups.length) drawn.push(make("button", { type: "button", class: "show-more", onclick: () => this.showMore() }, say("chats.show_more")));
    return drawn;
  }

  showMore() {
    this.rows += ROWS;
    this.draw();
  }

  /** @param {Chat | FoundChat} chat */
  row(chat) {
    const title = chat.title || say("chats.untitled");
    const here = chat.id === currentChat();
    const excerpt = "excerpt" in chat ? chat.excerpt : null;
    const link = make(
      "a",
      { href: addressOf(chat.id), title, "data-key": chat.id, "aria-current": here ? "page" : null },
      make("span", { class: "title" }, title),
      excerpt && make("small", {}, excerpt[0], make("mark", {}, excerpt[1]), excerpt[2]),
    );
    link.addEventListener("click", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) setChatsOpen(false);
    });
    const name = say("chats.running");
    const running = chat.running ? make("i", { class: "dot running", role: "img", title: name, "aria-label": name }) : null;
    const key = `more-${chat.id}`;
    const more = iconButton("more", say("chats.more", { title }), { "data-key": key, "aria-haspopup": "menu", onclick: () => this.openMenu(chat.id) });
    return make("li", { "data-chat": chat.id, "data-running": chat.running }, link, running, more);
  }

  /** @param {string} id */
  openMenu(id) {
    const button = this.keyed(`more-${id}`);
    const chat = this.chats.get(id);
    if (!button || !chat) return;
    const saves = FORMATS.map((format) => ({ icon: /** @type {const} */ ("save"), words: say(`chats.export.${format}`), save: exportAddress(id, format) }));
    openMenu(
      button,
      [
        { icon: "edit", words: say("chats.rename"), act: () => this.rename(id) },
        { icon: "pin", words: say(chat.pinned ? "chats.unpin" : "chats.pin"), act: () => void attempt(() => changeChat(id, { pinned: !chat.pinned })) },
        ...saves,
        { icon: "remove", words: say("chats.delete"), danger: true, act: () => void this.discard(() => deleteChat(id)) },
      ],
      () => this.focusOn(`more-${id}`),
    );
  }

  openAllMenu() {
    const button = /** @type {HTMLElement | null} */ (this.querySelector("#all-chats"));
    if (!button) return;
    openMenu(
      button,
      [
        { icon: "save", words: say("chats.all.export"), save: "api/export" },
        { icon: "open", words: say("chats.all.import"), act: () => this.file?.click() },
        { icon: "remove", words: say("chats.all.delete"), danger: true, act: () => this.ask() },
      ],
      () => button.focus(),
    );
  }

  /** The row becomes a field with the title. @param {string} id */
  rename(id) {
    const row = this.querySelector(`[data-chat="${id}"]`);
    if (!row) return;
    const field = make("input", { class: "rename", "aria-label": say("chats.rename.label"), maxlength: 200 });
    field.value = this.chats.get(id)?.title ?? "";
    this.renaming = id;
    row.replaceChildren(field);
    field.focus();
    field.select();
    field.addEventListener("blur", () => this.renamed(id, field.value));
    field.addEventListener("keydown", (event) => {
      if (isComposing(event) || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      this.renamed(id, event.key === "Enter" ? field.value : null);
      this.focusOn(`more-${id}`);
    });
  }

  /** @param {string} id @param {string | null} title  null leaves it */
  renamed(id, title) {
    if (this.renaming !== id) return;
    this.renaming = "";
    if (title !== null && title.trim() !== this.chats.get(id)?.title) void attempt(() => changeChat(id, { title }));
    this.draw();
  }

  /** Before everything is deleted. */
  ask() {
    const sure = make("button", { type: "button", class: "danger", onclick: () => void this.discard(deleteAllChats) }, say("chats.delete"));
    const keep = make("button", { type: "button", onclick: () => this.offer() }, say("chats.keep"));
    this.offer(make("span", {}, sayCount("chats.delete_all.sure", this.chats.size)), sure, keep);
    keep.focus();
  }

  /** @param {() => Promise<import("./server.js").Deletion>} remove */
  async discard(remove) {
    await attempt(async () => {
      const { deleted, undo_within } = await remove();
      if (!deleted.length) return this.offer();
      const undo = make("button", { type: "button", onclick: () => void this.bringBack(deleted) }, say("chats.undo"));
      this.offer(make("span", {}, sayCount("chats.deleted", deleted.length)), undo);
      undo.focus();
      this.offered = setTimeout(() => this.offer(), undo_within * 1000);
      if (deleted.includes(currentChat())) newChat();
    });
  }

  /** @param {string[]} chats */
  async bringBack(chats) {
    this.offer();
    await attempt(() => restoreChats(chats));
  }

  /** What can be done for a while, under the list; nothing takes it away. @param {...HTMLElement} parts */
  offer(...parts) {
    clearTimeout(this.offered);
    this.offered = 0;
    const held = this.bar?.contains(document.activeElement);
    this.bar?.replaceChildren(...parts);
    if (held && !parts.length) /** @type {HTMLElement | null} */ (this.querySelector("#all-chats"))?.focus();
  }

  searchSoon() {
    clearTimeout(this.searching);
    this.searching = setTimeout(() => void this.search(), SEARCH_PAUSE);
  }

  async search() {
    const words = this.field?.value.trim() ?? "";
    await attempt(async () => {
      const found = words ? (await searchChats(words)).chats : null;
      if (words !== this.field?.value.trim()) return; // the answer to a later question is on its way
      this.found = found;
      this.rows = ROWS;
      this.draw();
    });
  }

  /** Adds the conversations of the chosen file. */
  async read() {
    const chosen = this.file?.files?.[0];
    if (!chosen || !this.file) return;
    this.file.value = "";
    await attempt(async () => {
      const { chats } = await importChats(chosen);
      this.offer(make("span", {}, sayCount("chats.imported", chats.length)));
      this.offered = setTimeout(() => this.offer(), 5000);
    });
  }

  /** @param {string} key @returns {HTMLElement | null} */
  keyed(key) {
    return this.querySelector(`[data-key="${key}"]`);
  }

  /** @param {string} key */
  focusOn(key) {
    this.keyed(key)?.focus();
  }

  /** @param {MouseEvent} event */
  closeFromOutside(event) {
    const target = /** @type {Element} */ (event.target);
    if (document.body.dataset.chats === "open" && target.isConnected && !target.closest("#left, #show-chats, .menu")) setChatsOpen(false);
  }

  nameTab() {
    const title = this.chats.get(currentChat())?.title;
    document.title = title ? `${title} · Batchat` : "Batchat";
  }
}

function begin() {
  setChatsOpen(false);
  newChat();
}

/** Does it, or says above the composer why not. @param {() => Promise<unknown>} action */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    emit("notice", error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} id @param {string} format */
function exportAddress(id, format) {
  return `api/chats/${id}/export?format=${format}&language=${currentLanguage()}`;
}

/** Pinned ones, then day by day for a week, then month by month; the latest first. @param {Chat[]} chats */
function byDay(chats) {
  /** @type {Map<string, Chat[]>} */
  const groups = new Map();
  const latest = chats.sort((one, other) => Number(other.pinned) - Number(one.pinned) || other.updated - one.updated);
  for (const chat of latest) {
    const name = chat.pinned ? say("chats.pinned") : dayOf(chat.updated * 1000);
    groups.set(name, [...(groups.get(name) ?? []), chat]);
  }
  return [...groups].map(([name, chats]) => ({ name, chats }));
}

/** @param {number} time  Unix milliseconds */
function dayOf(time) {
  const today = new Date().setHours(0, 0, 0, 0);
  if (time >= today) return say("chats.today");
  if (time >= today - DAY) return say("chats.yesterday");
  return time >= today - 6 * DAY ? dayName(time) : monthName(time);
}

export function define() {
  customElements.define("chat-list", ChatList);
}
