// @ts-check
/**
 * "Show me": sends demo requests so that one person can see the batch fill, and stops them at once. How many there are the
 * server tells; it is the same for everybody who watches.
 *
 * @import {BoardModel} from "./board_model.js"
 */
import { make, setText } from "./dom.js";
import { startDemo, stopDemo } from "./server.js";
import { count, say } from "./texts.js";

const FEWEST = 4;
const MOST = 64;
const USUAL = 16;

export class Demo {
  wanted = USUAL;

  /** @param {BoardModel} model */
  constructor(model) {
    this.model = model;
  }

  build() {
    this.number = make("input", { type: "number", id: "demo-count", min: FEWEST, max: MOST, step: 1, value: this.wanted, "aria-label": say("demo.count", { from: FEWEST, to: MOST }) });
    this.show = make("button", { type: "button", class: "strong", id: "demo-start", title: say("demo.title"), onclick: () => this.start() }, say("demo.start"));
    this.stop = make("button", { type: "button", class: "quiet", id: "demo-stop", onclick: () => this.end() });
    this.problem = make("p", { class: "problem", role: "alert" });
    this.number.addEventListener("change", () => this.take());
    this.draw();
    return make("div", { class: "demo" }, this.show, this.number, this.stop, this.problem);
  }

  draw() {
    const left = this.model.figures?.demo ?? 0;
    const focused = document.activeElement;
    setText(this.stop, say("demo.stop", { n: count(left) }));
    this.stop?.toggleAttribute("hidden", left === 0);
    this.show?.toggleAttribute("hidden", left > 0);
    this.number?.toggleAttribute("hidden", left > 0);
    // Whoever pressed one of the two goes on with the other.
    if (focused === this.show && left > 0) this.stop?.focus();
    if (focused === this.stop && left === 0) this.show?.focus();
  }

  /** Whatever is typed, as many as there may be. */
  take() {
    const typed = Math.round(Number(this.number?.value) || USUAL);
    this.wanted = Math.max(FEWEST, Math.min(MOST, typed));
    if (this.number) this.number.value = String(this.wanted);
  }

  start() {
    this.take();
    return this.tell(startDemo(this.wanted));
  }

  end() {
    return this.tell(stopDemo());
  }

  /** @param {Promise<unknown>} asked */
  async tell(asked) {
    setText(this.problem, "");
    await asked.catch((/** @type {Error} */ { message }) => setText(this.problem, message));
  }
}
