// @ts-check
/**
 * The other tabs of this browser. A browser lends one host six connections over all its tabs, and every stream holds one:
 * so a tab that was not used for longer than several others gives its own back, even if a window still shows it.
 * Knows nothing of what a stream carries.
 */

/** So many tabs used more recently than this one, and it is one too many. */
const MOST = 3;
/** Every key press is use; the others hear of it now and then. */
const TOLD_EVERY = 1000;

const me = crypto.getRandomValues(new Uint32Array(2)).join();
const others = new BroadcastChannel("batchat.tabs");
/** Those that were used since this one was. @type {Set<string>} */
const newer = new Set();
let told = -TOLD_EVERY;

/** @param {{used: () => void, crowded: () => void}} tell */
export function watchTabs({ used, crowded }) {
  others.onmessage = ({ data: { tab, gone } }) => {
    if (gone) return void newer.delete(tab);
    newer.add(tab);
    if (isCrowded()) crowded();
  };
  const use = () => {
    if (document.hidden) return;
    announce();
    used();
  };
  for (const kind of ["focus", "pointerdown", "keydown", "pageshow"]) addEventListener(kind, use, { capture: true, passive: true });
  document.addEventListener("visibilitychange", use);
  addEventListener("pagehide", () => others.postMessage({ tab: me, gone: true }));
  if (!document.hidden) announce();
}

export function isCrowded() {
  return newer.size >= MOST;
}

function announce() {
  newer.clear();
  if (performance.now() - told < TOLD_EVERY) return;
  told = performance.now();
  others.postMessage({ tab: me, gone: false });
}
