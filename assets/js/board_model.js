// @ts-check
/**
 * What is known of the requests on the board and of the engine that answers them, gathered from the server's frames. Times
 * are the server's, in milliseconds. Draws nothing and sums nothing up.
 *
 * @import {BoardFrame, Door, End, EngineFacts, Figures, Limits, RequestRow, Saved} from "./protocol.js"
 */
import { Clock } from "./board_clock.js";
import { Steps } from "./board_steps.js";

/** What the board remembers. */
export const KEPT = 600_000;

/** @typedef {{lane: number, from: number, to: number | null}} Stay  in a lane; `to` is null while it goes on */
/** @typedef {{from: number, to: number | null}} Wait  in the line; `to` is null while it goes on */
/**
 * One request's life.
 * @typedef {object} Request
 * @property {number} id
 * @property {Door} door
 * @property {boolean} mine
 * @property {number} queued
 * @property {number | null} scheduled
 * @property {number | null} first
 * @property {number | null} last
 * @property {number | null} ended
 * @property {End | null} end
 * @property {number} promptTokens
 * @property {number} tokens
 * @property {number | null} worstItl
 * @property {number | null} cachedTokens
 * @property {boolean} split  whether its queue and its prefill are known apart; `queued` to `scheduled` holds both if not
 * @property {Stay[]} stays  more than one if it was preempted
 * @property {Wait[]} waits
 */

export class BoardModel {
  /** @type {Map<number, Request>} */
  requests = new Map();
  steps = new Steps();
  clock = new Clock();
  /** @type {Set<number>} */
  mine = new Set();
  epoch = "";
  /** Whether a frame came yet. */
  known = false;
  running = 0;
  waiting = 0;
  preempted = 0;
  /** @type {EngineFacts | null} */
  engine = null;
  /** @type {Limits | null} */
  limits = null;
  /** @type {Figures | null} */
  figures = null;
  /** @type {Saved | null} */
  saved = null;

  /** @param {number} kept  for how long an ended request is remembered, in ms */
  constructor(kept = KEPT) {
    this.kept = kept;
  }

  /** @param {BoardFrame} frame @param {number} now */
  apply(frame, now) {
    if (frame.full) this.startOver(frame.epoch ?? "");
    this.clock.observe(frame.t, now);
    this.known = true;
    ({ running: this.running, waiting: this.waiting, preempted: this.preempted } = frame);
    this.engine = frame.engine ?? this.engine;
    this.limits = frame.limits ?? this.limits;
    this.figures = frame.figures ?? this.figures;
    if (frame.saved !== undefined) this.saved = frame.saved;
    for (const row of frame.requests) this.put(row);
    for (const [id, tokens] of frame.tokens) this.count(id, tokens);
    this.steps.add(frame, this.engine?.buckets ?? false, this.requests);
    this.forget(frame.t - this.kept);
  }

  /** A full frame tells everything again. Another server has another clock. @param {string} epoch */
  startOver(epoch) {
    if (epoch !== this.epoch) this.clock = new Clock();
    this.epoch = epoch;
    this.requests.clear();
    this.steps = new Steps();
  }

  /** @param {RequestRow} row */
  put([id, door, lane, queued, scheduled, first, last, ended, end, promptTokens, tokens, worstItl, cachedTokens, stayRows]) {
    const stays = staysOf({ lane, scheduled, left: leftAt(last, ended, end), stayRows });
    const waits = waitsOf(queued, stays, lane === null, ended);
    this.requests.set(id, {
      ...{ id, door, mine: this.mine.has(id), queued, scheduled, first, last, ended, end },
      ...{ promptTokens, tokens, worstItl, cachedTokens, split: !this.engine?.seen_from_here, stays, waits },
    });
  }

  /** @param {number} id @param {number} tokens */
  count(id, tokens) {
    const request = this.requests.get(id);
    if (request) request.tokens = tokens;
  }

  /** @param {number[]} ids */
  own(ids) {
    this.mine = new Set(ids);
    for (const request of this.requests.values()) request.mine = this.mine.has(request.id);
  }

  /** @param {number} before */
  forget(before) {
    this.steps.forget(before);
    for (const { id, ended } of this.requests.values()) if (ended !== null && ended < before) this.requests.delete(id);
  }

  /** Those that lived at some time after `from` and not after `to`. @param {number} from @param {number} to */
  within(from, to) {
    return [...this.requests.values()].filter(({ queued, ended }) => queued <= to && (ended === null || ended > from));
  }

  /** The moment to draw now. @param {number} now */
  now(now) {
    return this.clock.drawn(now);
  }
}

/** When it gave its lane back: with its last token, or when it was cut short. @param {number | null} last @param {number | null} ended @param {End | null} end */
function leftAt(last, ended, end) {
  return ended !== null && end !== "aborted" && end !== "failed" ? (last ?? ended) : ended;
}

/** @param {{lane: number | null, scheduled: number | null, left: number | null, stayRows: RequestRow[13]}} life @returns {Stay[]} */
function staysOf({ lane, scheduled, left, stayRows }) {
  if (stayRows) return stayRows.map(([its, from, to]) => ({ lane: its, from, to: to ?? left }));
  return lane === null || scheduled === null ? [] : [{ lane, from: scheduled, to: left }];
}

/**
 * The times before the first stay and between them, and after the last if it stands in line again; that one goes on unless
 * the end came.
 * @param {number} queued @param {Stay[]} stays @param {boolean} inLine @param {number | null} ended @returns {Wait[]}
 */
function waitsOf(queued, stays, inLine, ended) {
  const starts = [queued, ...stays.map(({ to }) => to)];
  return starts.flatMap((from, i) => {
    const next = stays[i];
    if (from === null || (!next && !inLine)) return [];
    return [{ from, to: next ? next.from : ended }];
  });
}
