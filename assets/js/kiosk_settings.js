// @ts-check
/**
 * What the kiosk's file says to the page, and the sizes that follow from it: letters in mm, reckoned from the screen's
 * diagonal.
 */

/**
 * @typedef {object} KioskSettings
 * @property {string} title
 * @property {string} language
 * @property {"dark" | "light"} theme
 * @property {number} screen_inches
 * @property {number} letters_mm
 * @property {boolean} keyboard
 * @property {number} idle_seconds
 * @property {number} warning_seconds
 * @property {number} max_characters
 * @property {number} max_turns
 * @property {Record<string, string[]>} questions
 * @property {Record<string, string>} topics
 * @property {boolean} admin
 */

const MM_PER_INCH = 25.4;

/** @returns {KioskSettings} */
export function readSettings() {
  return JSON.parse(document.getElementById("kiosk")?.textContent ?? "{}");
}

/**
 * How high letters are, in CSS pixels: the screen's diagonal is known in both.
 * @param {KioskSettings} settings @param {{width: number, height: number}} screen
 */
export function letterSize({ screen_inches, letters_mm }, { width, height }) {
  return (Math.hypot(width, height) / (screen_inches * MM_PER_INCH)) * letters_mm;
}
