// @ts-check
/**
 * One moment of the board, worked out: the bars in the lanes, the line above them, and what is on its way between the two.
 * All of it follows from the moment alone, so that a held picture and a live one are the same. Knows no pixels.
 *
 * @import {BoardModel, Request, Stay, Wait} from "./board_model.js"
 */

/** How long something takes to get from the line to its lane, or back. */
export const MOVE = 450;

/** @typedef {{request: Request, lane: number, from: number, to: number, first: number | null, last: boolean, over: boolean}} Bar */
/**
 * Somebody in the line. `place` is how many stand before; a fraction while the line moves up. `from` and `to` are lanes that
 * it comes from or goes to, `way` how far it has got.
 * @typedef {{request: Request, place: number, present: boolean, from: number | null, to: number | null, way: number}} Brick
 */
/** @typedef {{at: number, window: number, bars: Bar[], line: Brick[]}} Scene  the line's first is the next to get a lane */

/** @param {BoardModel} model @param {number} at @param {number} window @param {boolean} still  nothing is shown on its way @returns {Scene} */
export function sceneAt(model, at, window, still = false) {
  /** @type {Bar[]} */
  const bars = [];
  /** @type {Standing[]} */
  const standing = [];
  const move = still ? 0 : MOVE;
  for (const request of model.requests.values()) {
    if (request.queued > at) continue;
    for (const stay of request.stays) if (stay.from <= at && (stay.to ?? at) >= at - window) bars.push(barOf(request, stay, at));
    const wait = request.waits.findLast(({ from }) => from <= at);
    if (wait && (wait.to === null || wait.to + move > at)) standing.push(stand(request, wait, at, move));
  }
  return { at, window, bars, line: lineUp(standing) };
}

/** Whether anything will look different in a moment. @param {BoardModel} model @param {number} at @param {number} window */
export function moves(model, at, window) {
  if ((model.steps.list.at(-1)?.at ?? -Infinity) > at - window) return true;
  for (const { queued, ended, waits } of model.requests.values()) {
    if (ended === null || ended > at - window || queued > at || (waits.at(-1)?.to ?? 0) > at - MOVE) return true;
  }
  return false;
}

/** Those who wait at a moment. @param {BoardModel} model @param {number} at */
export function waitingAt(model, at) {
  const waits = (/** @type {Request} */ request) => request.waits.some(({ from, to }) => from <= at && (to === null || to > at));
  return [...model.requests.values()].filter(waits).sort(inTurn);
}

/** @param {Request} request @param {Stay} stay @param {number} at @returns {Bar} */
function barOf(request, stay, at) {
  const over = stay.to !== null && stay.to <= at;
  const first = stay === request.stays[0] && request.first !== null && request.first <= at ? request.first : null;
  // After a preemption the engine does not tell how long it computes the prompt again.
  const prefilled = stay === request.stays[0] ? first : stay.from;
  return { request, lane: stay.lane, from: stay.from, to: over ? (stay.to ?? at) : at, first: prefilled, last: stay === request.stays.at(-1) && request.waits.at(-1)?.from !== stay.to, over };
}

/** @typedef {{request: Request, wait: Wait, weight: number, present: boolean, from: number | null, to: number | null, way: number}} Standing */

/** @param {Request} request @param {Wait} wait @param {number} at @param {number} move @returns {Standing} */
function stand(request, wait, at, move) {
  const gone = wait.to !== null && wait.to <= at;
  const way = (/** @type {number} */ since) => (move ? ease(Math.min(1, (at - since) / move)) : 1);
  if (gone) {
    const to = request.stays.find(({ from }) => from === wait.to)?.lane ?? null;
    return { request, wait, weight: 1 - way(wait.to ?? at), present: false, from: null, to, way: way(wait.to ?? at) };
  }
  const from = request.stays.find(({ to }) => to === wait.from)?.lane ?? null;
  return { request, wait, weight: way(wait.from), present: true, from, to: null, way: way(wait.from) };
}

/** @param {Standing[]} standing @returns {Brick[]} */
function lineUp(standing) {
  let place = 0;
  standing.sort((a, b) => inTurn(a.request, b.request));
  return standing.map(({ request, weight, present, from, to, way }) => {
    place += weight;
    return { request, place: place - weight, present, from, to, way };
  });
}

/** First come, first served; demo requests let everybody else go first. @param {Request} a @param {Request} b */
function inTurn(a, b) {
  return Number(a.door === "demo") - Number(b.door === "demo") || a.queued - b.queued || a.id - b.id;
}

/** Sets off and arrives softly. @param {number} way  0..1 */
function ease(way) {
  return way * way * (3 - 2 * way);
}
