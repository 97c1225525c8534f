// @ts-check
/**
 * Work that can wait, done piece by piece while nothing else is to do. Does not know what it is.
 */

/** Some milliseconds of a frame are left to the browser. */
const SPARE = 3;
const LATEST = 500;
const SLICE = 8;

/**
 * Resolves when all is done.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => void} act
 * @returns {Promise<void>}
 */
export async function inIdleTime(items, act) {
  const rest = [...items];
  while (rest.length) {
    await whenIdle((left) => {
      do act(/** @type {T} */ (rest.shift()));
      while (rest.length && left() > SPARE);
    });
  }
}

/** Not every browser says when it is idle. @param {(left: () => number) => void} act @returns {Promise<void>} */
function whenIdle(act) {
  return new Promise((done) => {
    if ("requestIdleCallback" in window) {
      requestIdleCallback((deadline) => done(act(() => deadline.timeRemaining())), { timeout: LATEST });
    } else {
      setTimeout(() => {
        const end = performance.now() + SLICE;
        done(act(() => end - performance.now()));
      });
    }
  });
}
