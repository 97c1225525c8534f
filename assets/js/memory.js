// @ts-check
/**
 * What this browser remembers of a person's choices and drafts. Storage may be forbidden (private windows, embedded pages) or
 * full: then it lasts as long as the page.
 */

/** @param {string} key */
export function recall(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key @param {string} value  nothing if empty */
export function remember(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // It is lost with the page; nothing else is.
  }
}
