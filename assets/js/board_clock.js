// @ts-check
/**
 * What time it is on the server, as seen from here, in milliseconds. Knows nothing of requests.
 */

/** Drawn this much behind the server, so that bars grow evenly although frames come one by one. */
const BEHIND = 250;
/** The picture goes on this long without a frame; an idle server sends one a second. */
const SILENCE = 3000;
/** Two clocks that drift apart are noticed within minutes. */
const CREEP = 0.5;

export class Clock {
  /** The frame that travelled fastest tells the server's clock best. */
  offset = Infinity;
  /** The server's time in the last frame. */
  told = 0;

  /** @param {number} serverTime @param {number} now */
  observe(serverTime, now) {
    this.offset = Math.min(now - serverTime, this.offset + CREEP);
    this.told = serverTime;
  }

  /** The moment to draw. Without news it stands still: what a lost connection does not tell is not made up. @param {number} now */
  drawn(now) {
    return this.offset === Infinity ? 0 : Math.max(0, Math.min(now - this.offset - BEHIND, this.told + SILENCE));
  }
}
