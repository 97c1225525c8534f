// @ts-check
/**
 * A keyboard on the screen: English, Hangul (two-set) and signs. Writes into one field at its caret. Knows nothing of what is
 * written, nor where it goes.
 */
import { addJamo, erase, isJamo } from "./hangul.js";
import { make } from "./dom.js";
import { say } from "./texts.js";

/** @typedef {"en" | "ko" | "signs"} Layout */

/** @type {Record<Layout, {plain: string[], shifted: string[]}>} */
const LETTERS = {
  en: { plain: ["qwertyuiop", "asdfghjkl", "zxcvbnm"], shifted: ["QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM"] },
  ko: { plain: ["ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "ㅋㅌㅊㅍㅠㅜㅡ"], shifted: ["ㅃㅉㄸㄲㅆㅛㅕㅑㅒㅖ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "ㅋㅌㅊㅍㅠㅜㅡ"] },
  signs: { plain: ["1234567890", "+-*/=%&()", ":;\"'@#~"], shifted: ["1234567890", "[]{}<>|\\^", "$€£₩_`·"] },
};
const HOLD = 450;
const REPEAT = 90;

export class Keyboard {
  /** @type {Layout} */
  layout = "en";
  /** @type {Layout} */
  letters = "en";
  shifted = false;
  repeating = 0;
  element = make("div", { class: "keyboard", role: "group" });

  /**
   * @param {HTMLTextAreaElement} field
   * @param {() => void} send
   */
  constructor(field, send) {
    this.field = field;
    this.send = send;
    // A key takes no focus: the caret stays where it is.
    this.element.addEventListener("mousedown", (event) => event.preventDefault());
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.element.addEventListener(name, () => this.release());
  }

  /** @param {string} language */
  show(language) {
    this.layout = this.letters = language === "ko" ? "ko" : "en";
    this.shifted = false;
    this.draw();
  }

  draw() {
    const [first = "", second = "", third = ""] = LETTERS[this.layout][this.shifted ? "shifted" : "plain"];
    const keys = (/** @type {string} */ row) => [...row].map((letter) => this.key(letter, letter, () => this.put(letter)));
    const other = this.letters === "en" ? "ko" : "en";
    const signs = this.layout === "signs";
    this.element.setAttribute("aria-label", say("kiosk.keyboard"));
    this.element.replaceChildren(
      row(...keys(first)),
      row(...keys(second)),
      row(
        this.key("⇧", say("kiosk.key.shift"), () => this.shift(), { class: "wide", "aria-pressed": this.shifted ? "true" : "false" }),
        ...keys(third),
        this.key("⌫", say("kiosk.key.erase"), () => this.erase(), { class: "wide" }, true),
      ),
      row(
        this.switch(signs ? say(`kiosk.key.${this.letters}`) : "123", say("kiosk.key.signs"), signs ? this.letters : "signs"),
        this.switch(say(`kiosk.key.${other}`), say("kiosk.key.language"), other),
        this.key(" ", say("kiosk.key.space"), () => this.put(" "), { class: "space" }),
        this.key(",", ",", () => this.put(",")),
        this.key(".", ".", () => this.put(".")),
        this.key("?", "?", () => this.put("?")),
        this.key(say("kiosk.send"), say("kiosk.send"), () => this.send(), { class: "send", "data-action": "send" }),
      ),
    );
  }

  /**
   * @param {string} label @param {string} name @param {() => void} act
   * @param {import("./dom.js").Attributes} [attributes]
   * @param {boolean} [repeats]  while it is held
   */
  key(label, name, act, attributes = {}, repeats = false) {
    const press = (/** @type {Event} */ event) => {
      event.preventDefault();
      act();
      this.release();
      if (repeats) this.repeating = setTimeout(() => (this.repeating = setInterval(act, REPEAT)), HOLD);
    };
    // A finger acts as it lands; Enter and a screen reader only click.
    const click = (/** @type {Event} */ event) => /** @type {MouseEvent} */ (event).detail === 0 && act();
    return make("button", { type: "button", "aria-label": name, onpointerdown: press, onclick: click, ...attributes }, label);
  }

  /** A key to another layout, named by what stands on it and what it does. @param {string} label @param {string} name @param {Layout} layout */
  switch(label, name, layout) {
    return this.key(label, `${label}, ${name}`, () => this.choose(layout), { class: "wide" });
  }

  release() {
    clearTimeout(this.repeating);
    clearInterval(this.repeating);
  }

  shift() {
    this.shifted = !this.shifted;
    this.draw();
  }

  /** @param {Layout} layout */
  choose(layout) {
    this.layout = layout;
    if (layout !== "signs") this.letters = layout;
    this.shifted = false;
    this.draw();
  }

  /** @param {string} letter */
  put(letter) {
    this.change((before) => (isJamo(letter) ? addJamo(before, letter) : before + letter));
    if (this.shifted && this.layout !== "signs") this.shift();
  }

  erase() {
    const { selectionStart, selectionEnd } = this.field;
    this.change(selectionStart === selectionEnd ? erase : (before) => before);
  }

  /** Changes what stands before the caret; what is selected goes. @param {(before: string) => string} change */
  change(change) {
    const { value, selectionStart, selectionEnd, maxLength } = this.field;
    const before = change(value.slice(0, selectionStart));
    const now = before + value.slice(selectionEnd);
    if (maxLength >= 0 && now.length > maxLength) return;
    this.field.value = now;
    this.field.setSelectionRange(before.length, before.length);
    this.field.scrollTop = this.field.scrollHeight;
    this.field.dispatchEvent(new Event("input"));
  }
}

/** @param {...Node} keys */
function row(...keys) {
  return make("div", { class: "keys" }, ...keys);
}
