// @ts-check
/**
 * Which requests the table shows, and in which order. Pure functions; draws nothing.
 *
 * @import {Request} from "./board_model.js"
 * @import {Measure} from "./board_statistics.js"
 */
import { timesOf } from "./board_statistics.js";

/** The table's columns, left to right. */
export const COLUMNS = /** @type {const} */ (["request", "queue", "prefill", "ttft", "tpot", "itl", "e2e", "tokens", "end"]);
/** @typedef {(typeof COLUMNS)[number]} Column */
/** @typedef {{column: Column, down: boolean}} Order */
/** @typedef {{door: string, end: string}} Filter  "" lets everything through; the door "mine" those of this visitor; the end "alive" those without one */

/** @param {Request[]} requests @param {Filter} filter */
export function filtered(requests, { door, end }) {
  return requests.filter((request) => {
    const throughDoor = !door || (door === "mine" ? request.mine : request.door === door);
    return throughDoor && (!end || (request.end ?? "alive") === end);
  });
}

/** What has no value stands at the end, whichever way. @param {Request[]} requests @param {Order} order */
export function ordered(requests, { column, down }) {
  const keyed = requests.map((request) => ({ request, key: keyOf(request, column) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null) || b.request.id - a.request.id;
    const way = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    return (down ? -way : way) || b.request.id - a.request.id;
  });
  return keyed.map(({ request }) => request);
}

/** @param {Request} request @param {Column} column */
function keyOf(request, column) {
  if (column === "request") return request.id;
  if (column === "tokens") return request.tokens;
  if (column === "end") return request.end;
  return timesOf(request)[/** @type {Measure} */ (column)];
}
