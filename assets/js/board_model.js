// @ts-check
/**
 * What is known of the requests on the board, and what time it is on the server. Draws nothing.
 *
 * @import {BoardFrame, Door, End, RequestRow} from "./protocol.js"
 */

/** Seconds that the board shows. */
export const WINDOW = 60;
/** Drawn this much behind the server, so that bars grow evenly although frames come one by one. */
const BEHIND = 0.25;
/** Requests that ended stay for the table after they left the picture. */
const KEPT = 24;
/** Seconds that the picture goes on without a frame; an idle server sends one a second. */
const SILENCE = 3;

/**
 * One request's life; times in the server's monotonic seconds.
 * @typedef {object} Request
 * @property {number} id
 * @property {Door} door
 * @property {boolean} mine
 * @property {number | null} lane
 * @property {number} queued
 * @property {number | null} scheduled
 * @property {number | null} first
 * @property {number | null} ended
 * @property {End | null} end
 * @property {number} promptTokens
 * @property {number} tokens
 */

/** The server's clock as seen from here: the frame that travelled fastest tells it best. */
export class Clock {
  offset = Infinity;

  /** @param {number} serverTime @param {number} now  seconds */
  observe(serverTime, now) {
    // Creeps up, so that two clocks that drift apart are noticed within minutes.
    this.offset = Math.min(now - serverTime, this.offset + 0.0005);
  }

  /** @param {number} now  seconds; what is drawn at that moment */
  drawn(now) {
    return now - this.offset - BEHIND;
  }
}

export class BoardModel {
  /** @type {Map<number, Request>} */
  requests = new Map();
  /** @type {BoardFrame | null} */
  frame = null;
  clock = new Clock();
  /** @type {Set<number>} */
  mine = new Set();

  /** @param {BoardFrame} frame @param {number} now */
  apply(frame, now) {
    // Another server has another clock.
    if (frame.full) this.clock = new Clock();
    if (frame.full) this.requests.clear();
    this.clock.observe(frame.t, now);
    this.frame = frame;
    for (const row of frame.requests) this.put(row);
    this.forgetOld(frame.t);
  }

  /** @param {RequestRow} row */
  put([id, door, lane, queued, scheduled, first, ended, end, promptTokens, tokens]) {
    this.requests.set(id, { id, mine: this.mine.has(id), door, lane, queued, scheduled, first, ended, end, promptTokens, tokens });
  }

  /** @param {number[]} ids */
  own(ids) {
    this.mine = new Set(ids);
    for (const request of this.requests.values()) request.mine = this.mine.has(request.id);
  }

  /** @param {number} now */
  forgetOld(now) {
    const kept = new Set(this.last(KEPT));
    for (const request of this.requests.values()) {
      if (request.ended !== null && request.ended < now - WINDOW - 1 && !kept.has(request)) this.requests.delete(request.id);
    }
  }

  /** The requests that ended last, newest first. @param {number} n */
  last(n) {
    const ended = [...this.requests.values()].filter((request) => request.ended !== null);
    return ended.sort((a, b) => (b.ended ?? 0) - (a.ended ?? 0)).slice(0, n);
  }

  /** Those without a lane yet at that moment, the next in line first. @param {number} at */
  waiting(at) {
    const waits = [...this.requests.values()].filter((request) => isWaiting(request, at));
    return waits.sort((a, b) => a.queued - b.queued);
  }

  /** Those that have or had a lane within the window. @param {number} at */
  inLanes(at) {
    return [...this.requests.values()].filter(({ lane, scheduled, ended }) =>
      lane !== null && scheduled !== null && scheduled <= at && (ended === null || ended > at - WINDOW));
  }

  /** The moment to draw. Without news it stands still: what a lost connection does not tell is not made up. @param {number} now */
  now(now) {
    return this.frame ? Math.min(this.clock.drawn(now), this.frame.t + SILENCE) : 0;
  }

  /** Is there anything that moves? @param {number} at */
  moves(at) {
    // What is not drawn yet, because the picture is a little behind, will be in a moment.
    return this.inLanes(at + 1).length > 0 || this.waiting(at).length > 0;
  }
}

/** @param {Request} request @param {number} at */
function isWaiting({ queued, scheduled, ended }, at) {
  return queued <= at && (scheduled === null || scheduled > at) && (ended === null || ended > at);
}

/** @param {Request} request */
export function timesOf({ queued, scheduled, first, ended, tokens }) {
  const lastToken = ended ?? null;
  const decode = first !== null && lastToken !== null ? lastToken - first : null;
  return {
    queue: (scheduled ?? lastToken ?? queued) - queued,
    prefill: scheduled !== null && first !== null ? first - scheduled : null,
    decode,
    ttft: first !== null ? first - queued : null,
    tpot: decode !== null && tokens > 1 ? decode / (tokens - 1) : null,
  };
}
