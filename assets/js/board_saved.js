// @ts-check
/**
 * What continuous batching saved in the last minute: the server's figures as a sentence, three bars, and the method.
 *
 * @import {BoardModel} from "./board_model.js"
 */
import { hint } from "./board_hint.js";
import { make } from "./dom.js";
import { count, currentLanguage, say, sayCount } from "./texts.js";

/** @type {Array<"continuous" | "static" | "single">} */
const WAYS = ["continuous", "static", "single"];

export class SavedByBatching {
  key = "";

  /** @param {BoardModel} model */
  constructor(model) {
    this.model = model;
  }

  build() {
    this.content = make("div");
    this.key = "";
    this.draw();
    return make("section", { class: "saved", "aria-label": say("saved.label") }, this.content);
  }

  draw() {
    const { saved } = this.model;
    const key = JSON.stringify(saved);
    if (key === this.key) return;
    this.key = key;
    this.content?.replaceChildren(sentence(this.model), ...(saved ? [bars(saved)] : []));
  }
}

/** The sentence alone, its factor in strong letters. @param {BoardModel} model */
export function sentence({ saved }) {
  const method = hint(say("saved.how"), say("saved.method"));
  if (!saved) return make("p", { class: "none" }, say("saved.none"), " ", method);
  const [before = "", after = ""] = say("saved.sentence", { factor: "\n" }).split("\n");
  const factor = say("saved.factor", { factor: times(saved.static / saved.continuous) });
  return make("p", {}, before, make("b", {}, factor), after, " ", make("span", { class: "of" }, sayCount("saved.of", saved.n)), " ", method);
}

/** @param {import("./protocol.js").Saved} saved */
function bars(saved) {
  const longest = Math.max(...WAYS.map((way) => saved[way]));
  const rows = WAYS.map((way) => make(
    "div",
    {},
    make("dt", {}, say(`saved.${way}`)),
    make("dd", {}, make("i", { class: way, style: `width:${(saved[way] / longest) * 100}%` })),
    make("dd", { class: "number" }, say("unit.seconds", { n: saved[way].toFixed(1) })),
    make("dd", { class: "number" }, times(saved[way] / saved.continuous)),
  ));
  return make("dl", { class: "bars" }, ...rows);
}

/** "2.6×" @param {number} factor */
function times(factor) {
  return say("saved.times", { n: factor < 10 ? new Intl.NumberFormat(currentLanguage(), { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(factor) : count(factor) });
}
