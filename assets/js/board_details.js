// @ts-check
/**
 * One request in words and numbers: whose it is, where its time went, how it ended. For the card over the lanes, for an opened
 * row of the table and for what is read out.
 *
 * @import {Request} from "./board_model.js"
 */
import { splitOf, timesOf } from "./board_statistics.js";
import { make } from "./dom.js";
import { count, milliseconds, say, sayCount, seconds } from "./texts.js";

/** @type {Array<"queue" | "prefill" | "decode">} */
const PARTS = ["queue", "prefill", "decode"];
/** The same where queue and prefill are not known apart: the first holds both. @type {Array<"queue" | "decode">} */
const FEWER_PARTS = ["queue", "decode"];

/** @param {Request} request */
export function ownerWords({ mine, door }) {
  return mine ? say("board.yours") : say(`door.${door}`);
}

/** What a measure of some milliseconds reads: between tokens in ms, everything else in seconds. @param {string} measure @param {number | null} value */
export function measureWords(measure, value) {
  if (value === null) return "–";
  return measure === "tpot" || measure === "itl" ? milliseconds(value / 1000) : seconds(value / 1000);
}

/** Where it is at a moment, or how it ended. @param {Request} request @param {number} at */
export function stateWords({ end, ended, first, stays, waits }, at) {
  if (ended !== null && ended <= at) return say(`ended.${end ?? "stop"}`);
  if (waits.some(({ from, to }) => from <= at && (to === null || to > at))) return say("legend.waiting");
  if (stays.length === 1 && (first === null || first > at)) return say("legend.prefill");
  return say("board.decode");
}

/** "yours #12, decode" @param {Request} request @param {number} at */
export function titleWords(request, at) {
  return say("details.title", { owner: ownerWords(request), id: request.id, state: stateWords(request, at) });
}

/** All of it in one sentence. @param {Request} request @param {number} at */
export function requestWords(request, at) {
  return [titleWords(request, at), ...partsOf(request, at).map(({ words }) => words), sayCount("footer.tokens", request.tokens)].join(", ");
}

/** @param {Request} request @param {number} at */
export function requestDetails(request, at) {
  return make("div", { class: "details" }, splitBar(request, at), numbers(request, at));
}

/** Where its time went, part by part. @param {Request} request @param {number} at */
function partsOf(request, at) {
  const times = splitOf(request, at);
  return (request.split ? PARTS : FEWER_PARTS).map((part) => {
    const name = part === "queue" && !request.split ? "ttft" : part;
    return { part, ms: times[part], words: say(`footer.${name}`, { time: seconds(times[part] / 1000) }) };
  });
}

/** @param {Request} request @param {number} at */
function splitBar(request, at) {
  const parts = partsOf(request, at);
  const bar = parts.map(({ part, ms }) => make("i", { class: part, style: `flex-grow:${ms}` }));
  const words = parts.map((each) => make("span", {}, make("i", { class: each.part }), each.words));
  return make("div", {}, make("span", { class: "split", "aria-hidden": "true" }, ...bar), make("div", { class: "parts" }, ...words));
}

/** @param {Request} request @param {number} at */
function numbers(request, at) {
  const times = timesOf(request);
  const measures = /** @type {const} */ (["ttft", "tpot", "itl", "e2e"]).map((measure) => [say(`term.${measure}`), measureWords(measure, times[measure])]);
  const lane = request.stays.findLast(({ from }) => from <= at)?.lane;
  const rows = [
    ...measures,
    [say("details.prompt"), promptWords(request)],
    [say("column.tokens"), count(request.tokens)],
    [say("details.lane"), lane === undefined ? "–" : count(lane + 1)],
    [say("details.preempted"), count(Math.max(0, request.waits.length - 1))],
  ];
  return make("dl", {}, ...rows.map(([name = "", value = ""]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

/** @param {Request} request */
function promptWords({ promptTokens, cachedTokens }) {
  return cachedTokens ? say("details.cached", { n: count(promptTokens), cached: count(cachedTokens) }) : count(promptTokens);
}
