// @ts-check
/**
 * A question mark that explains: to the pointer, to the keyboard and to a finger. Knows nothing of what it explains.
 */
import { make } from "./dom.js";

let number = 0;

/** @param {string} name  what the button is called @param {string} words */
export function hint(name, words) {
  const id = `hint-${++number}`;
  const button = make("button", { type: "button", class: "hint", "aria-label": name, "aria-describedby": id, onclick: () => button.focus() }, "?");
  const away = (/** @type {Event} */ event) => {
    if (/** @type {KeyboardEvent} */ (event).key !== "Escape") return;
    event.stopPropagation();
    button.blur();
  };
  return make("span", { class: "hint-place", onkeydown: away }, button, make("span", { class: "hint-words", id, role: "tooltip" }, words));
}
