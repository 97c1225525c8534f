// @ts-check
/**
 * How much of the model's context the next prompt needs, asked of the server a moment after the last change: only it can
 * count tokens.
 *
 * @import {Budget} from "./protocol.js"
 */
import { currentChat } from "./address.js";
import { fieldText } from "./composer.js";
import { controls } from "./controls.js";
import { make } from "./dom.js";
import { engineReady } from "./engine.js";
import { on } from "./hub.js";
import { budget } from "./server.js";
import { count, say, sayCount } from "./texts.js";

/** Fast enough to follow, slow enough not to ask at every key. */
const PAUSE = 300;

/** "312 / 2,048": what the next prompt needs of the model's context. */
class ContextMeter extends HTMLElement {
  asked = 0;
  timer = 0;

  connectedCallback() {
    this.id = "meter";
    /** @type {Array<"draft" | "controls" | "messages" | "running" | "status" | "chat" | "language">} */
    const reasons = ["draft", "controls", "messages", "running", "status", "chat", "language"];
    for (const reason of reasons) on(reason, () => this.later());
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), PAUSE);
  }

  async ask() {
    const turn = ++this.asked;
    const found = engineReady() ? await budget(currentChat(), { text: fieldText(), ...controls() }).catch(() => null) : null;
    if (turn === this.asked) this.show(found);
  }

  /** @param {Budget | null} found */
  show(found) {
    if (!found) return this.replaceChildren();
    const { used, total, dropped, fits } = found;
    if (used === null && total === null) return this.replaceChildren();
    const known = used !== null && total !== null;
    this.dataset.level = !fits ? "over" : dropped > 0 || (known && used > 0.9 * total) ? "near" : "";
    const left = !fits ? say("meter.over") : dropped > 0 ? sayCount("meter.dropped", dropped) : "";
    const amount = say("meter.amount", { used: used === null ? "?" : count(used), total: total === null ? "?" : count(total) });
    this.replaceChildren(
      ...(left ? [make("span", { class: "meter-words" }, left)] : []),
      make("span", { class: "meter-amount", title: say(known ? "meter.title" : "meter.title.unknown") }, amount),
    );
  }
}

export function define() {
  customElements.define("context-meter", ContextMeter);
}
