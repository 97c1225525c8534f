// @ts-check
/**
 * Which stretch of time the board shows: how long a window, and whether it ends now or at a moment that somebody holds.
 * Every part of the board asks here, so that all of them speak of the same window.
 *
 * @import {BoardModel} from "./board_model.js"
 */
import { emit } from "./hub.js";
import { KEPT } from "./board_model.js";

/** Milliseconds. */
export const WINDOWS = [30_000, 60_000, 300_000];

export class View {
  window = 60_000;
  /** @type {number | null} */
  held = null;

  /** @param {BoardModel} model */
  constructor(model) {
    this.model = model;
  }

  get live() {
    return this.held === null;
  }

  get now() {
    return this.model.now(performance.now());
  }

  /** The moment at the right edge. */
  get to() {
    // What is held may meanwhile have happened longer ago than the board remembers.
    return this.held === null ? this.now : Math.max(this.held, this.now - KEPT);
  }

  get from() {
    return this.to - this.window;
  }

  /** How far back one can look, in milliseconds. */
  get depth() {
    return Math.min(KEPT, this.now);
  }

  /** @param {number} window */
  show(window) {
    this.window = window;
    emit("view", undefined);
  }

  /** @param {number} moment */
  hold(moment) {
    this.held = Math.min(this.now, Math.max(moment, this.now - this.depth));
    emit("view", undefined);
  }

  goLive() {
    this.held = null;
    emit("view", undefined);
  }
}
