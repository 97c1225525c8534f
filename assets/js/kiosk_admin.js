// @ts-check
/**
 * The corner of whoever looks after the kiosk: opens to a long press on the title, asks for the PIN, shows how the kiosk is.
 * Forgets the PIN when it closes.
 */
import { make, setText } from "./dom.js";
import { admin } from "./kiosk_server.js";
import { say } from "./texts.js";

const HOLD = 3000;
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
const SHOWN = /** @type {const} */ (["stage", "model", "device", "engine", "restarts", "visits", "begun", "asked", "version", "file", "digest"]);

export class Admin {
  pin = "";
  element = make("dialog", { class: "overlay admin", onclose: () => this.forget() });

  /** @param {HTMLElement} handle  what is pressed long */
  listenTo(handle) {
    let holding = 0;
    handle.addEventListener("pointerdown", () => (holding = setTimeout(() => this.open(), HOLD)));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) handle.addEventListener(name, () => clearTimeout(holding));
  }

  open() {
    this.pin = "";
    this.dots = make("p", { class: "dots", role: "status" });
    this.words = make("p", { class: "words", role: "alert" });
    const digits = DIGITS.map((digit) => this.key(digit, () => this.type(digit)));
    const pad = make("div", { class: "pad" }, ...digits, this.key("⌫", () => this.type(""), say("kiosk.key.erase")), this.key("0", () => this.type("0")), this.key(say("kiosk.admin.enter"), () => void this.ask(false)));
    this.element.setAttribute("aria-label", say("kiosk.admin.title"));
    this.element.replaceChildren(make("div", { class: "card" }, make("h1", {}, say("kiosk.admin.title")), this.dots, pad, this.words, this.closing()));
    this.type("-");
    this.element.showModal();
  }

  close() {
    this.element.close();
    this.forget();
  }

  forget() {
    this.pin = "";
    this.element.replaceChildren();
  }

  /** @param {string} digit  "" takes the last one back, "-" all */
  type(digit) {
    this.pin = digit === "-" ? "" : digit ? `${this.pin}${digit}`.slice(0, 12) : this.pin.slice(0, -1);
    setText(this.dots, "●".repeat(this.pin.length) || say("kiosk.admin.pin"));
    setText(this.words, "");
  }

  /** @param {boolean} reload  read the file again first */
  async ask(reload) {
    try {
      this.show(await admin(this.pin, reload));
      if (reload) setText(this.words, say("kiosk.admin.read"));
    } catch (error) {
      if (!reload) this.type("-");
      setText(this.words, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {Awaited<ReturnType<typeof admin>>} status */
  show(status) {
    const rows = SHOWN.map((name) => make("tr", {}, make("th", { scope: "row" }, say(`kiosk.admin.${name}`)), make("td", {}, String(status[name] ?? "–"))));
    this.words = make("p", { class: "words", role: "alert" });
    const actions = make("div", { class: "actions" }, this.key(say("kiosk.admin.file_again"), () => void this.ask(true)), this.key(say("kiosk.admin.reload"), () => location.reload()));
    this.element.firstElementChild?.replaceChildren(make("h1", {}, say("kiosk.admin.title")), make("table", {}, make("tbody", {}, ...rows)), this.words, actions, this.closing());
    this.element.querySelector("button")?.focus();
  }

  closing() {
    return this.key(say("kiosk.admin.close"), () => this.close());
  }

  /** @param {string} label @param {() => void} act @param {string} [name] */
  key(label, act, name = label) {
    return make("button", { type: "button", "aria-label": name, onclick: act }, label);
  }
}
