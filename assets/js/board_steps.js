// @ts-check
/**
 * The engine's steps: when each was, how many sequences were in it, how many prompt tokens it computed, and in which bucket
 * it ran where the engine says so. Draws nothing.
 *
 * @import {BoardFrame} from "./protocol.js"
 * @import {Request} from "./board_model.js"
 */

/** @typedef {{from: number, at: number, running: number, prompt: number, bucket: number | null}} Step  from its beginning to its end */
/** @typedef {{place: number, running: number, prefill: boolean, bucket: number, only: Step | null}} Column  what the steps within one strip of time come to; `only` if it is a single one */

/** A longer way from one step to the next may have been a time without work. */
const PAUSE = 200;
/** So many steps back is still the same work. */
const NEARBY = 100;

export class Steps {
  /** In order of time. @type {Step[]} */
  list = [];
  /** Steps before this moment are not known. */
  since = Infinity;

  /** @param {Pick<BoardFrame, "steps" | "steps_from">} frame @param {boolean} buckets @param {Map<number, Request>} requests */
  add(frame, buckets, requests) {
    const told = read(frame, buckets, requests);
    this.since = Math.min(this.since, frame.steps_from);
    this.list.push(...told);
  }

  /** Puts older steps before those that are known. @param {Pick<BoardFrame, "steps" | "steps_from">} frame @param {boolean} buckets @param {Map<number, Request>} requests */
  addOlder(frame, buckets, requests) {
    const oldest = this.list[0]?.at ?? Infinity;
    this.list = [...read(frame, buckets, requests).filter(({ at }) => at < oldest), ...this.list];
    this.since = Math.min(this.since, frame.steps_from);
  }

  /** @param {number} before */
  forget(before) {
    const kept = this.after(before);
    // Copying all for one old step would cost more than it saves.
    if (kept > 1000) this.list = this.list.slice(kept);
    this.since = Math.max(this.since, before);
  }

  /** The index of the first step that ended after a moment. @param {number} moment */
  after(moment) {
    let [low, high] = [0, this.list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {Step} */ (this.list[middle]).at > moment) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The step that a moment falls into. @param {number} moment */
  at(moment) {
    const step = this.list[this.after(moment - 1)];
    return step && step.from <= moment ? step : null;
  }

  /** The last step that ran in a bucket and was over at a moment. @param {number} moment */
  lastInBucket(moment) {
    return this.list.slice(Math.max(0, this.after(moment) - NEARBY), this.after(moment)).findLast(({ bucket }) => bucket) ?? null;
  }

  /**
   * The steps between two moments, put together by strips of `width` ms, the tallest of each; a prefill among them shows.
   * The strips are counted from the board's birth, so that they stay what they are while the picture moves.
   * @param {number} from @param {number} to @param {number} width @returns {Column[]}
   */
  columns(from, to, width) {
    /** @type {Column[]} */
    const columns = [];
    for (let i = this.after(from); i < this.list.length; i++) {
      const step = /** @type {Step} */ (this.list[i]);
      if (step.from > to) break;
      const end = Math.max(Math.ceil(Math.min(step.at, to) / width), Math.floor(step.from / width) + 1);
      for (let place = Math.floor(Math.max(step.from, from) / width); place < end; place++) merge(columns, place, step);
    }
    return columns;
  }
}

/** @param {Column[]} columns @param {number} place @param {Step} step */
function merge(columns, place, step) {
  let column = columns.at(-1);
  // One step may end in the strip in which the next begins.
  if (column && column.place > place) column = columns.findLast((each) => each.place === place);
  if (column?.place === place) column.only = null;
  else columns.push((column = { place, running: 0, prefill: false, bucket: 0, only: step }));
  column.running = Math.max(column.running, step.running);
  column.prefill ||= step.prompt > 0;
  column.bucket = Math.max(column.bucket, step.bucket ?? 0);
}

/** @param {Pick<BoardFrame, "steps" | "steps_from">} frame @param {boolean} buckets @param {Map<number, Request>} requests @returns {Step[]} */
function read({ steps, steps_from }, buckets, requests) {
  const size = buckets ? 4 : 3;
  let before = steps_from;
  const told = [];
  for (let i = 0; i + size <= steps.length; i += size) {
    const [since = 0, running = 0, prompt = 0, bucket = null] = steps.slice(i, i + size);
    const at = before + since;
    told.push({ from: since > PAUSE ? beginning(before, at, requests) : before, at, running, prompt, bucket });
    before = at;
  }
  return told;
}

/**
 * When a step began that ended long after the one before it: at once if somebody was there then, else when the first came.
 * @param {number} before @param {number} at @param {Map<number, Request>} requests
 */
function beginning(before, at, requests) {
  let first = at;
  for (const { queued, last, ended } of requests.values()) {
    const present = queued <= before && (ended === null || (last ?? ended) > before);
    if (present) return before;
    if (queued > before) first = Math.min(first, queued);
  }
  return first;
}
