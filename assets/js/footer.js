// @ts-check
/**
 * Where an answer's time went: a bar split like the lanes, the same in words, and the formulas and the model to whoever asks.
 * Which model it was is said in the open only where there are several (`data-choice` of the page).
 *
 * @import {Source, Timing} from "./protocol.js"
 */
import { make } from "./dom.js";
import { count, milliseconds, say, sayCount, seconds } from "./texts.js";

/** @type {Array<"queue" | "prefill" | "decode">} */
const PARTS = ["queue", "prefill", "decode"];
/** The same where queue and prefill are not known apart. @type {Array<"ttft" | "decode">} */
const FEWER_PARTS = ["ttft", "decode"];

/** @param {Timing} timing @param {Source[]} sources */
export function answerFooter(timing, sources) {
  const told = formulas(timing, sources);
  const place = (/** @type {Event} */ event) => lower(/** @type {HTMLElement} */ (event.currentTarget), told);
  return make(
    "div",
    { class: "answer-footer", tabindex: 0, role: "group", "aria-label": say("footer.label"), onpointerenter: place, onfocus: place },
    splitBar(timing),
    make("span", { class: "times" }, ...partsOf(timing).map((part) => make("span", {}, say(`footer.${part}`, { time: seconds(timing[part]) })))),
    make("span", { class: "amount" }, amount(timing)),
    make("span", { class: "source", hidden: !sources.length }, sources.map(({ name }) => name).join(", ")),
    told,
  );
}

/** Near the top of the conversation there is no room above the line. @param {HTMLElement} line @param {HTMLElement} told */
function lower(line, told) {
  const above = line.getBoundingClientRect().top - (line.closest(".talk")?.getBoundingClientRect().top ?? 0);
  line.toggleAttribute("data-low", above < told.offsetHeight + 8);
}

/** @param {Timing} timing */
function partsOf(timing) {
  return timing.split ? PARTS : FEWER_PARTS;
}

/** @param {Timing} timing */
function splitBar(timing) {
  const total = timing.e2e || 1;
  const parts = partsOf(timing).map((part) => make("i", { class: part, style: `flex-grow:${(timing[part] / total) * 100}` }));
  return make("span", { class: "split", "aria-hidden": "true" }, ...parts);
}

/** "64 tokens, 70 per second"; nothing where there were none, or a server does not count them. @param {Timing} timing */
function amount(timing) {
  if (!timing.tokens) return "";
  const tokens = sayCount("footer.tokens", timing.tokens);
  const speed = timing.tokens_per_second;
  return speed === null ? tokens : say("footer.amount", { tokens, speed: speed < 10 ? speed.toFixed(1) : count(speed) });
}

/** "there · Qwen2.5 · vLLM 0.30.0" @param {Source} source */
function inFull({ name, model, engine }) {
  return [...new Set([name, model, engine])].filter(Boolean).join(" · ");
}

/** @param {Timing} timing @param {Source[]} sources */
function formulas(timing, sources) {
  const tpot = timing.tpot === null ? say("footer.none") : milliseconds(timing.tpot);
  const rows = [
    ...(timing.split ? [["queue", seconds(timing.queue)], ["prefill", seconds(timing.prefill)]] : []),
    ["decode", seconds(timing.decode)],
    ["ttft", seconds(timing.ttft)],
    ["tpot", tpot],
    ["e2e", seconds(timing.e2e)],
  ].map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, say(`term.${name}`)), make("td", {}, say(`formula.${name}`)), make("td", {}, value ?? "")));
  const notes = [...(timing.prompt_tokens ? [sayCount("footer.prompt", timing.prompt_tokens)] : []), ...(sources.length ? [say("footer.source", { source: sources.map(inFull).join(", ") })] : [])];
  return make("div", { class: "formulas", role: "tooltip" }, make("table", {}, make("tbody", {}, ...rows)), ...notes.map((note) => make("p", {}, note)));
}
