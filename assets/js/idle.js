// @ts-check
/**
 * Work that can wait, done piece by piece while nothing else is to do. Does not know what it is.
 */

/** Some milliseconds of a frame are left to the browser. */
const SPARE = 3;
const LATEST = 500;
const SLICE = 8;

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T) => void} act
 */
export function inIdleTime(items, act) {
  if (!items.length) return;
  whenIdle((left) => {
    do act(/** @type {T} */ (items.shift()));
    while (items.length && left() > SPARE);
    inIdleTime(items, act);
  });
}

/** Not every browser says when it is idle. @param {(left: () => number) => void} act */
function whenIdle(act) {
  if ("requestIdleCallback" in window) {
    requestIdleCallback((deadline) => act(() => deadline.timeRemaining()), { timeout: LATEST });
  } else {
    setTimeout(() => {
      const end = performance.now() + SLICE;
      act(() => end - performance.now());
    });
  }
}
