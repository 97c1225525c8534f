// @ts-check
/**
 * What a key press means in a field. Knows nothing of what is sent.
 */

/**
 * Enter sends, Shift+Enter breaks the line. While an input method composes a syllable (Korean, Japanese, Chinese), Enter
 * belongs to it: `isComposing`, and the key code 229 where a browser says so only there.
 * @param {KeyboardEvent} event
 */
export function isSendKey(event) {
  return event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey && !isComposing(event);
}

/** @param {KeyboardEvent} event */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}
