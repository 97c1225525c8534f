// @ts-check
/**
 * What the board's colours and words mean: the legend, and the formulas for whoever asks.
 */
import { make } from "./dom.js";
import { say } from "./texts.js";

const LEGEND = ["waiting", "prefill", "decode", "other", "api", "demo", "evaluation", "length", "aborted", "failed"];
const TERMS = ["queue", "prefill", "decode", "ttft", "tpot", "itl", "e2e", "occupancy", "goodput", "percentile"];
const NOTES = ["lane", "steps", "population"];

/** @param {boolean} [personal]  whether there is somebody to whom requests can belong */
export function legend(personal = true) {
  const names = LEGEND.filter((name) => personal || name !== "decode");
  return make("ul", { class: "legend" }, ...names.map((name) => make("li", {}, make("i", { class: name }), say(`legend.${name}`))));
}

/** @param {boolean} buckets  whether the engine has them */
export function help(buckets) {
  const terms = TERMS.flatMap((name) => [make("dt", {}, say(`term.${name}`)), make("dd", {}, say(`formula.${name}`))]);
  const notes = [...NOTES, ...(buckets ? ["buckets"] : []), "keys"].map((name) => make("p", {}, say(`help.${name}`)));
  return make("div", { class: "help" }, ...notes, make("dl", {}, ...terms));
}
