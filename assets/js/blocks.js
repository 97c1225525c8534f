// @ts-check
/**
 * The finished blocks of one answer, as they come: code gets its frame, thoughts are folded, footnotes and the places that cite
 * them find each other. Only what the server made and cleaned becomes HTML. Knows nothing of turns and sends nothing.
 */
import { make } from "./dom.js";
import { say } from "./texts.js";
import { wrapButton } from "./wrap.js";

export class Blocks {
  element = make("div", { class: "blocks" });
  /** Where the next block goes: the thoughts while there are some, else the answer itself. @type {HTMLElement} */
  place = this.element;
  /** @type {HTMLDetailsElement | null} */
  thoughts = null;
  /** The footnotes by their label. @type {Map<string, HTMLElement>} */
  notes = new Map();
  /** The places that cite a footnote that has not come yet. @type {HTMLElement[]} */
  cites = [];

  /** @param {HTMLElement} tail  the unfinished end, which stays behind the last block */
  constructor(tail) {
    this.tail = tail;
  }

  /** @param {string[]} blocks  HTML of the server's @returns {HTMLElement[]}  those that are not thoughts */
  add(blocks) {
    const holder = make("template");
    holder.innerHTML = blocks.join("");
    const added = [...holder.content.children].map((block) => /** @type {HTMLElement} */ (block));
    const spoken = added.filter((block) => this.take(block));
    this.linkNotes();
    return spoken;
  }

  /** The thoughts are over, if only because the answer is. */
  settle() {
    const summary = this.thoughts?.querySelector("summary");
    if (summary) summary.textContent = say("message.thoughts");
  }

  /** @param {HTMLElement} block @returns {boolean}  whether it belongs to the answer itself */
  take(block) {
    const thought = block.dataset.thought;
    if (thought === "begin") this.beginThoughts();
    else if (thought === "end") this.endThoughts();
    else this.append(block);
    return !thought && this.place === this.element;
  }

  /** @param {HTMLElement} block */
  append(block) {
    prepareCode(block);
    this.collectNotes(block);
    if (this.tail.parentNode === this.place) this.tail.before(block.matches("pre") ? frameOf(block) : block);
    else this.place.append(block.matches("pre") ? frameOf(block) : block);
  }

  beginThoughts() {
    this.place = make("div");
    this.thoughts = make("details", { class: "thoughts" }, make("summary", {}, say("message.thinking")), this.place);
    this.element.append(this.thoughts);
    this.place.append(this.tail);
  }

  /** Where the prompt bore the tag that begins them, all so far were thoughts. */
  endThoughts() {
    if (!this.thoughts) {
      const before = [...this.element.childNodes];
      this.beginThoughts();
      this.place.prepend(...before);
    }
    this.element.after(this.tail);
    if (!this.place.hasChildNodes()) this.thoughts?.remove();
    this.place = this.element;
    this.settle();
  }

  /** @param {HTMLElement} block */
  collectNotes(block) {
    const label = block.dataset.note;
    if (label && !this.notes.has(label)) {
      this.notes.set(label, block);
      block.tabIndex = -1;
      const name = say("action.note_back");
      block.lastElementChild?.append(" ", make("button", { type: "button", class: "cite", title: name, "aria-label": name, "data-action": "note-back" }, "↩"));
    }
    this.cites.push(.../** @type {NodeListOf<HTMLElement>} */ (block.querySelectorAll("[data-cite]")));
  }

  /** A citation stays the text that it is until its footnote is there. */
  linkNotes() {
    this.cites = this.cites.filter((cite) => {
      const label = cite.dataset.cite ?? "";
      if (!this.notes.has(label)) return true;
      cite.replaceChildren(make("sup", {}, make("button", { type: "button", class: "cite", "aria-label": say("action.note", { label }), "data-action": "note" }, label)));
      return false;
    });
  }
}

/** From a citation to its footnote, and back to the first citation. @param {HTMLElement} button @param {string} action */
export function followNote(button, action) {
  const answer = button.closest(".message");
  const attribute = action === "note" ? "cite" : "note";
  const label = /** @type {HTMLElement | null} */ (button.closest(`[data-${attribute}]`))?.dataset[attribute];
  const others = /** @type {HTMLElement[]} */ ([...(answer?.querySelectorAll(action === "note" ? "[data-note]" : "[data-cite]") ?? [])]);
  const other = others.find(({ dataset }) => (action === "note" ? dataset.note : dataset.cite) === label);
  const goal = action === "note" ? other : other?.querySelector("button");
  goal?.focus({ preventScroll: true });
  goal?.scrollIntoView({ block: "center" });
}

/** Code inside a block, such as in a list, gets its frame in place. @param {HTMLElement} block */
function prepareCode(block) {
  for (const pre of block.querySelectorAll("pre")) {
    const place = document.createComment("");
    pre.replaceWith(place);
    place.replaceWith(frameOf(pre));
  }
}

/** Every code block gets a line with its language, a switch for long lines and a button that copies it. @param {HTMLElement} pre */
function frameOf(pre) {
  pre.tabIndex = 0;
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", pre.dataset.language ? say("message.code_in", { language: pre.dataset.language }) : say("message.code"));
  const copy = make("button", { type: "button", class: "code-button", "data-action": "copy-code" }, say("action.copy_code"));
  return codeFrame(pre.dataset.language ?? "", pre, wrapButton(), copy);
}

/**
 * The same frame while the code is written and after, so that nothing moves when it is finished.
 * @param {string} language
 * @param {HTMLElement} pre
 * @param {...HTMLElement} buttons
 */
export function codeFrame(language, pre, ...buttons) {
  return make("div", { class: "code" }, make("div", { class: "code-head" }, make("span", {}, language), ...buttons), pre);
}
