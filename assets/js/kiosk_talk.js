// @ts-check
/**
 * The conversation on a kiosk's screen: questions, and answers as they grow, without anything to press on them and without
 * links. Draws what the stream says and tells what became of the latest answer.
 *
 * @import {Message, MessagesEvent, TextEvent} from "./protocol.js"
 */
import { make, setText } from "./dom.js";
import { Follower } from "./follow.js";
import { on } from "./hub.js";
import { Answer } from "./message.js";
import { withId } from "./server.js";
import { say } from "./texts.js";

/** Begins the names of what the page itself has put there; the server knows nothing of it. */
const OURS = "ours-";

class PlainAnswer extends Answer {
  actions() {
    return make("div");
  }

  drawMark() {
    super.drawMark();
    this.mark?.querySelector("button")?.remove();
    // Addresses and libraries' reasons are for the log: whoever stands here can but ask again.
    const { end, error = null } = this.message;
    if (end === "failed") setText(this.mark, withId(say("kiosk.failed"), error));
  }

  draw() {
    super.draw();
    this.plain();
  }

  /** @param {TextEvent} event */
  grow(event) {
    const finished = super.grow(event);
    this.plain();
    return finished;
  }

  /** Links and buttons of what is written stay as their words, if they have any. */
  plain() {
    for (const link of this.blocks?.element.querySelectorAll("a[href], button.cite") ?? []) link.replaceWith(...link.childNodes);
    for (const button of this.blocks?.element.querySelectorAll("button") ?? []) button.remove();
  }
}

export class Talk {
  /** @type {Map<string, {element: HTMLElement, answer: PlainAnswer | null}>} */
  messages = new Map();
  list = make("div", { class: "list" });
  frame = make("div", { class: "talk", tabindex: 0, role: "log", "aria-live": "off" }, this.list);
  more = make("button", { type: "button", class: "more", hidden: true });
  spoken = make("div", { class: "offscreen", role: "status" });
  element = make("section", { class: "conversation" }, this.frame, this.more, this.spoken);
  follower = new Follower(this.frame, this.list, this.more);

  /** @param {(what: "text" | "ended") => void} became */
  constructor(became) {
    this.became = became;
    on("messages", (event) => this.replaceAfter(event));
    on("text", (event) => {
      this.answer(event.message)?.grow(event);
      this.follower.news();
    });
    on("turn", (event) => {
      this.answer(event.message)?.update(event);
      this.settle();
    });
    for (const news of /** @type {const} */ (["status", "tick"])) on(news, () => this.latest()?.drawAbove());
  }

  /** In the present language. */
  build() {
    this.frame.setAttribute("aria-label", say("transcript.label"));
    this.more.textContent = say("transcript.more");
    for (const { answer } of this.messages.values()) answer?.draw();
  }

  /** @param {MessagesEvent} event */
  replaceAfter({ after, messages }) {
    let drop = after === null || !this.messages.has(after);
    for (const [id, { element }] of [...this.messages]) {
      if (drop && !id.startsWith(OURS)) {
        element.remove();
        this.messages.delete(id);
      }
      drop ||= id === after;
    }
    for (const message of messages) this.add(message);
    this.follower.toEnd();
    this.settle();
  }

  /** @param {Message} message */
  add(message) {
    const answer = message.role === "assistant" ? new PlainAnswer(message) : null;
    answer?.draw();
    this.put(message.id, answer?.element ?? question(message.text), answer);
  }

  /** @param {string} id @param {HTMLElement} element @param {PlainAnswer | null} [answer] */
  put(id, element, answer = null) {
    this.messages.get(id)?.element.remove();
    this.messages.set(id, { element, answer });
    this.list.append(element);
  }

  /** What is said instead of an answer; neither it nor the question is part of the conversation. @param {string} asked @param {string} words */
  decline(asked, words) {
    this.put(`${OURS}${this.messages.size}`, question(asked));
    this.put(`${OURS}${this.messages.size}`, make("article", { class: "message declined" }, make("p", {}, words)));
    this.spoken.textContent = words;
    this.follower.toEnd();
    this.became("ended");
  }

  /** @param {string} id */
  answer(id) {
    return this.messages.get(id)?.answer ?? null;
  }

  latest() {
    return [...this.messages.values()].findLast(({ answer }) => answer)?.answer ?? null;
  }

  /** What became of the latest answer. */
  settle() {
    const latest = this.latest();
    const { state } = latest?.message ?? {};
    if (state === "decode" || state === "ended") this.became("text");
    if (state !== "ended") return;
    this.spoken.textContent = latest?.blocks?.element.textContent ?? "";
    this.became("ended");
  }

  clear() {
    this.messages.clear();
    this.list.replaceChildren();
    this.spoken.replaceChildren();
    this.more.hidden = true;
  }
}

/** @param {string} words */
function question(words) {
  return make("article", { class: "message", "data-role": "user", "aria-label": say("message.yours") }, make("div", { class: "bubble" }, words));
}
