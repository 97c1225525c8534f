// @ts-check
/**
 * The conversation on the page: the list of messages, and the buttons on them. Draws what the stream says and asks the
 * server for what a button means; what comes of it is drawn when the stream says so.
 *
 * @import {Message, MessagesEvent, Problem, TextEvent, TurnEvent} from "./protocol.js"
 */
import { currentChat, newChat, newId, showChat } from "./address.js";
import { followNote } from "./blocks.js";
import { sendText } from "./composer.js";
import { controls } from "./controls.js";
import { icon, make } from "./dom.js";
import { Follower } from "./follow.js";
import { emit, on } from "./hub.js";
import { isComposing, isSendKey } from "./keys.js";
import { inIdleTime } from "./idle.js";
import { Answer, Question, prepareMessage } from "./message.js";
import { Refused, blocksOf, branchChat, goOn, problemText, regenerate, sayOf, sendMessage, showVersion } from "./server.js";
import { say } from "./texts.js";
import { toggleWrap } from "./wrap.js";

const EXAMPLES = ["welcome.example.letter", "welcome.example.batching", "welcome.example.story", "welcome.example.code"];
const COPIED_FOR = 1500;
/** So many of the newest messages are drawn at once: more than a window shows. */
const DRAWN_AT_ONCE = 16;
/** Milliseconds. */
const ASKED_AGAIN_AFTER = 2000;

class ChatTranscript extends HTMLElement {
  /** @type {Map<string, Answer | Question>} */
  messages = new Map();
  /** Until the stream has told what is in the conversation, nothing is said about it. */
  known = false;
  running = false;

  connectedCallback() {
    this.build();
    on("messages", (event) => this.replaceAfter(event));
    on("text", (event) => this.grow(event));
    on("turn", (event) => this.change(event));
    on("chat", () => this.clear());
    on("refused", (problem) => this.refuse(problem));
    on("language", () => this.redraw());
    on("status", () => this.refreshWaiting());
    on("tick", () => this.refreshWaiting());
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("keydown", (event) => this.pressed(event));
    this.addEventListener("change", (event) => void this.explained(event));
    this.addEventListener("input", (event) => fit(/** @type {HTMLElement} */ (event.target)));
  }

  build() {
    this.list = make("div", { class: "col", role: "log", "aria-live": "off" });
    this.welcome = make("section", { class: "welcome", hidden: true });
    this.spoken = make("div", { class: "spoken", role: "status", "aria-live": "polite" });
    this.frame = make("div", { class: "talk", tabindex: 0, role: "region" }, this.welcome, this.list);
    this.more = make("button", { type: "button", class: "more", hidden: true });
    this.replaceChildren(this.frame, this.more, this.spoken);
    this.follower = new Follower(this.frame, this.list, this.more);
    this.name();
  }

  name() {
    for (const part of [this.frame, this.list]) part?.setAttribute("aria-label", say("transcript.label"));
    this.more?.replaceChildren(icon("down"), say("transcript.more"));
    this.drawWelcome();
  }

  /** @param {MessagesEvent} event */
  replaceAfter({ after, messages }) {
    const first = !this.known;
    this.known = true;
    const same = after === null ? this.unchanged(messages) : 0;
    const news = messages.slice(same);
    this.dropAfter(same > 0 ? (messages[same - 1]?.id ?? null) : after);
    for (const message of news) this.add(message);
    this.drawAll();
    const newest = this.answer(news.at(-1)?.id ?? "");
    if (newest && !newest.ended) this.speakState(newest);
    if (first || news.some((message) => message.state && message.state !== "ended")) this.follower?.toEnd();
    this.settle();
  }

  /**
   * How many of the first messages are shown already: a tab that comes back gets all of them again, and its reader keeps the
   * place.
   * @param {Message[]} messages
   */
  unchanged(messages) {
    const shown = [...this.messages.values()].map((drawn) => drawn.message);
    const changed = messages.findIndex((message, i) => !isSame(message, shown[i]));
    return changed < 0 ? messages.length : changed;
  }

  /** @param {string | null} after */
  dropAfter(after) {
    let drop = after === null || !this.messages.has(after);
    for (const [id, drawn] of [...this.messages]) {
      if (drop) {
        drawn.element.remove();
        this.messages.delete(id);
      }
      if (id === after) drop = true;
    }
  }

  /** @param {Message} message */
  add(message) {
    const drawn = prepareMessage(message);
    this.messages.get(message.id)?.element.remove();
    this.messages.set(message.id, drawn);
    this.list?.append(drawn.element);
  }

  /** The newest messages now, the older ones when there is time. */
  drawAll() {
    const empty = [...this.messages.values()].filter((drawn) => !drawn.isDrawn);
    const older = empty.slice(0, -DRAWN_AT_ONCE);
    for (const drawn of empty.slice(-DRAWN_AT_ONCE)) {
      if (drawn.isWhole) drawn.draw();
      else older.push(drawn);
    }
    this.drawing?.abort();
    this.drawing = new AbortController();
    void this.drawOlder(older.reverse(), this.drawing.signal);
  }

  /**
   * From the newest up, some at a time; the blocks of those that came without are asked for.
   * @param {Array<Answer | Question>} older
   * @param {AbortSignal} given  up, when there is more to draw
   */
  async drawOlder(older, given) {
    while (older.length && !given.aborted) {
      const next = older.splice(0, DRAWN_AT_ONCE);
      if (!(await completed(next, given))) return;
      await inIdleTime(next, (drawn) => {
        if (drawn.element.isConnected && !drawn.isDrawn) drawn.draw();
      });
    }
  }

  /** @param {TextEvent} event */
  grow(event) {
    const answer = this.answer(event.message);
    if (!answer) return;
    for (const block of answer.grow(event)) this.speak(block.textContent ?? "");
    this.follower?.news();
  }

  /** @param {TurnEvent} event */
  change(event) {
    const answer = this.answer(event.message);
    if (!answer) return;
    const before = answer.message.state;
    answer.update(event);
    if (answer.message.state !== before) this.speakState(answer);
    this.settle();
  }

  /** @param {string} id */
  answer(id) {
    const drawn = this.messages.get(id);
    return drawn instanceof Answer ? drawn : null;
  }

  clear() {
    this.known = false;
    this.drawing?.abort();
    this.messages.clear();
    this.list?.replaceChildren();
    this.spoken?.replaceChildren();
    this.settle();
  }

  /** @param {Problem} problem */
  refuse(problem) {
    this.clear();
    const words = make("p", {}, problemText(problem));
    const away = make("button", { type: "button", class: "strong", onclick: newChat }, say("chats.new"));
    this.welcome?.replaceChildren(words, away);
    if (this.welcome) this.welcome.hidden = false;
  }

  /** After every change: is something running, is there nothing at all? */
  settle() {
    const running = [...this.messages.values()].some((drawn) => drawn instanceof Answer && !drawn.ended);
    if (running !== this.running) emit("running", running);
    this.running = running;
    if (this.welcome) this.welcome.hidden = !this.known || this.messages.size > 0;
  }

  redraw() {
    this.name();
    for (const drawn of this.messages.values()) if (drawn.isDrawn) drawn.draw();
  }

  refreshWaiting() {
    for (const drawn of this.messages.values()) {
      if (drawn instanceof Answer && drawn.message.state === "waiting") drawn.drawAbove();
    }
  }

  drawWelcome() {
    const examples = EXAMPLES.map((key) => make("button", { type: "button", "data-action": "example" }, say(key)));
    this.welcome?.replaceChildren(
      make("h1", {}, say("welcome.title")),
      make("p", {}, say("welcome.words")),
      make("div", { class: "examples" }, ...examples),
    );
  }

  /** Tells a screen reader a finished piece; earlier pieces leave, so that they are not read again. @param {string} words */
  speak(words) {
    if (!words.trim() || !this.spoken) return;
    this.spoken.append(make("p", {}, words));
    while (this.spoken.children.length > 4) this.spoken.firstChild?.remove();
  }

  /** What is being waited for, or how it ended. @param {Answer} answer */
  speakState(answer) {
    if (!answer.ended) return this.speak(answer.above?.textContent ?? "");
    this.speak(answer.tailText.data);
    this.speak(answer.mark?.firstChild?.textContent || say("message.finished"));
  }

  /** Why a thumb was given. @param {Event} event */
  async explained(event) {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !field.matches(".why")) return;
    const id = field.dataset.message ?? "";
    const given = this.messages.get(id)?.message.feedback;
    try {
      if (given) await sayOf(currentChat(), id, { ...given, reason: field.value });
    } catch (error) {
      emit("notice", error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const button = /** @type {Element} */ (event.target).closest("[data-action]");
    if (!(button instanceof HTMLButtonElement)) return;
    const id = button.closest(".message")?.getAttribute("data-id") ?? "";
    void this.act(button, id, button.dataset.action ?? "");
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {string} id
   * @param {string} action
   */
  async act(button, id, action) {
    const drawn = this.messages.get(id);
    try {
      if (action === "example") await sendText(button.textContent ?? "");
      else if (action === "copy-code") await copy(button, codeOf(button));
      else if (action === "wrap-code") return toggleWrap();
      else if (action === "note" || action === "note-back") return followNote(button, action);
      else if (!drawn) return;
      else if (action === "copy") await copy(button, drawn.message.text);
      else if (action === "regenerate") await regenerate(currentChat(), { message: id, ...controls() });
      else if (action === "continue") await goOn(currentChat(), { message: id, ...controls() });
      else if (action === "branch") await branch(id);
      else if (action === "thumb-up" || action === "thumb-down") await giveThumb(drawn, action === "thumb-up" ? "up" : "down");
      else if (action === "version-previous") await showVersion(currentChat(), id, drawn.message.version - 1);
      else if (action === "version-next") await showVersion(currentChat(), id, drawn.message.version + 1);
      else if (drawn instanceof Question) await this.edit(drawn, action);
      emit("notice", "");
    } catch (error) {
      emit("notice", error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * @param {Question} question
   * @param {string} action
   */
  async edit(question, action) {
    if (action === "edit-save") await this.resend(question);
    else if (action === "edit-cancel") question.draw();
    else {
      question.edit();
      fit(question.element.querySelector("textarea"));
    }
  }

  /** @param {Question} question */
  async resend(question) {
    const text = question.element.querySelector("textarea")?.value ?? "";
    if (!text.trim()) return;
    await sendMessage(currentChat(), { text, ...controls(), replaces: question.message.id });
  }

  /** In a message that is being edited, keys mean what they mean in the composer. @param {KeyboardEvent} event */
  pressed(event) {
    const field = event.target;
    if (!(field instanceof HTMLTextAreaElement)) return;
    const wanted = isSendKey(event) ? "edit-save" : event.key === "Escape" && !isComposing(event) ? "edit-cancel" : "";
    if (!wanted) return;
    event.preventDefault();
    /** @type {HTMLButtonElement | null | undefined} */ (field.closest(".editing")?.querySelector(`[data-action=${wanted}]`))?.click();
  }
}

/**
 * Asks for the blocks that some answers came without, until the server can be reached.
 * @param {Array<Answer | Question>} some
 * @param {AbortSignal} given
 * @returns {Promise<boolean>}  whether they are whole now
 */
async function completed(some, given) {
  const lacking = some.filter((drawn) => !drawn.isWhole);
  while (lacking.length && !given.aborted) {
    try {
      const { blocks } = await blocksOf(currentChat(), lacking.map(({ message }) => message.id));
      for (const { message } of lacking) message.blocks = blocks[message.id] ?? [];
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "unreachable") return false;
      await new Promise((again) => setTimeout(again, ASKED_AGAIN_AFTER));
    }
  }
  return !given.aborted;
}

/** @param {Message} one @param {Message | undefined} other */
function isSame(one, other) {
  const settled = one.role === "user" || one.state === "ended";
  const isSaidOf = JSON.stringify(one.feedback) === JSON.stringify(other?.feedback);
  return settled && isSaidOf && ["id", "text", "version", "versions", "state", "end"].every((key) => one[/** @type {"id"} */ (key)] === other?.[/** @type {"id"} */ (key)]);
}

/** The messages up to this one begin a conversation of their own, which is shown. @param {string} message */
async function branch(message) {
  const id = newId();
  await branchChat(currentChat(), message, id);
  showChat(id);
}

/** The same thumb once more takes it back. @param {Answer | Question} answer @param {"up" | "down"} thumb */
async function giveThumb({ element, message }, thumb) {
  const { feedback } = message;
  const field = /** @type {HTMLInputElement | null} */ (element.querySelector(".why"));
  const reason = field?.value ?? feedback?.reason ?? "";
  await sayOf(currentChat(), message.id, feedback?.thumb === thumb ? null : { thumb, reason });
}

/** @param {Element} button */
function codeOf(button) {
  return button.closest(".code")?.querySelector("pre")?.textContent ?? "";
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} text
 */
async function copy(button, text) {
  await toClipboard(text);
  if (button.dataset.done) return;
  const before = [...button.childNodes];
  const done = say("action.copied");
  button.dataset.done = "yes";
  button.replaceChildren(button.classList.contains("icon-button") ? icon("done") : done);
  setTimeout(() => {
    delete button.dataset.done;
    button.replaceChildren(...before);
  }, COPIED_FOR);
}

/** A page that is not served over HTTPS has no clipboard of its own: there a selection is copied, as of old. @param {string} text */
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = make("textarea", { class: "offscreen" });
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error(say("error.copy"));
}

/** A field as high as its words. @param {HTMLElement | null} field */
function fit(field) {
  if (!(field instanceof HTMLTextAreaElement)) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

export function define() {
  customElements.define("chat-transcript", ChatTranscript);
}
