// @ts-check
/**
 * What the board's requests add up to: latencies, percentiles, histograms, goodput. Pure functions of what they are given;
 * every formula is the one that README's "The numbers" prints. Times are milliseconds.
 *
 * @import {Request} from "./board_model.js"
 */

/** @typedef {"queue" | "prefill" | "decode" | "ttft" | "tpot" | "itl" | "e2e"} Measure */
/** @typedef {Record<Measure, number | null>} Times  null where the request did not get that far */
/** @typedef {{n: number, p50: number | null, p95: number | null, p99: number | null, max: number | null}} Summary */
/** @typedef {{from: number, to: number, n: number}} Bin */
/** @typedef {{n: number, good: number, perSecond: number}} Goodput */

/** The latencies that are summed up. @type {Measure[]} */
export const MEASURES = ["queue", "ttft", "tpot", "itl", "e2e"];
/** The lower edges of a decade's bins: on a scale of ratios, so that neither the quick nor the slow ones share a single bar. */
const EDGES = [1, 1.5, 2, 3, 5, 7];

/** @param {Request} request @returns {Times} */
export function timesOf({ queued, scheduled, first, last, ended, tokens, worstItl, split }) {
  // Which token is the last one shows only at the end.
  const final = ended === null ? null : last;
  const decode = between(first, final);
  return {
    queue: split ? between(queued, scheduled) : null,
    prefill: split ? between(scheduled, first) : null,
    decode,
    ttft: between(queued, first),
    tpot: decode !== null && tokens > 1 ? decode / (tokens - 1) : null,
    itl: final !== null && tokens > 1 ? worstItl : null,
    e2e: between(queued, final),
  };
}

/**
 * Where its time went up to a moment: unlike the latencies this also says how long one has waited that never got further.
 * @param {Request} request @param {number} at
 */
export function splitOf({ queued, scheduled, first, last, ended }, at) {
  const over = Math.max(queued, Math.min(ended ?? at, at));
  const until = (/** @type {number | null} */ time) => Math.max(queued, Math.min(time ?? over, over));
  const [began, wrote] = [until(scheduled), until(first)];
  const done = ended !== null && last !== null ? Math.max(wrote, until(last)) : over;
  return { queue: began - queued, prefill: wrote - began, decode: first === null ? 0 : done - wrote };
}

/**
 * The nearest-rank percentile of ascending values: the smallest that at least `percent` of 100 do not exceed.
 * @param {number[]} ascending @param {number} percent
 */
export function percentile(ascending, percent) {
  return ascending[Math.max(0, Math.ceil((ascending.length * percent) / 100) - 1)] ?? null;
}

/** @param {number[]} values @returns {Summary} */
export function summary(values) {
  const ascending = values.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ percent) => percentile(ascending, percent);
  return { n: ascending.length, p50: at(50), p95: at(95), p99: at(99), max: ascending.at(-1) ?? null };
}

/** @param {Request[]} requests @param {Measure} measure */
export function valuesOf(requests, measure) {
  return requests.map((request) => timesOf(request)[measure]).filter((value) => value !== null);
}

/**
 * Counts per bin from the smallest value's to the largest's, the empty ones between them included. The first bin of all is
 * what took less than a millisecond.
 * @param {number[]} values @returns {Bin[]}
 */
export function histogram(values) {
  if (!values.length) return [];
  const places = values.map(binOf);
  const [low, high] = [Math.min(...places), Math.max(...places)];
  const bins = Array.from({ length: high - low + 1 }, (_, i) => ({ from: edge(low + i), to: edge(low + i + 1), n: 0 }));
  for (const place of places) /** @type {Bin} */ (bins[place - low]).n++;
  return bins;
}

/** Bin 0 begins at 0, bin 1 at 1 ms. @param {number} bin */
function edge(bin) {
  if (bin === 0) return 0;
  return (EDGES[(bin - 1) % EDGES.length] ?? 1) * 10 ** Math.floor((bin - 1) / EDGES.length);
}

/** @param {number} value */
function binOf(value) {
  let bin = 0;
  while (edge(bin + 1) <= value) bin++;
  return bin;
}

/**
 * Those that ended after `from` and not after `to`, by how: whole answers count in every latency, the others are counted apart.
 * @param {Iterable<Request>} requests @param {number} from @param {number} to
 */
export function endedWithin(requests, from, to) {
  /** @type {Record<"whole" | "aborted" | "failed", Request[]>} */
  const ended = { whole: [], aborted: [], failed: [] };
  for (const request of requests) {
    if (request.ended === null || request.ended <= from || request.ended > to) continue;
    ended[request.end === "aborted" || request.end === "failed" ? request.end : "whole"].push(request);
  }
  return ended;
}

/**
 * Requests per second that met all limits; one without gaps between tokens meets any limit of them.
 * @param {Request[]} whole @param {{ttft: number, itl: number}} limits  milliseconds
 * @param {number} duration  milliseconds @returns {Goodput}
 */
export function goodput(whole, limits, duration) {
  const good = whole.map(timesOf).filter(({ ttft, itl }) => ttft !== null && ttft <= limits.ttft && (itl ?? 0) <= limits.itl).length;
  return { n: whole.length, good, perSecond: duration > 0 ? (good * 1000) / duration : 0 };
}

/** @param {number | null} from @param {number | null} to */
function between(from, to) {
  return from === null || to === null ? null : Math.max(0, to - from);
}
