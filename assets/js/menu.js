// @ts-check
/**
 * A small menu beside the button that opened it: one at a time, by mouse and by keyboard. Knows nothing of what its items do.
 */
import { icon, make } from "./dom.js";

/**
 * @typedef {object} Item
 * @property {Parameters<typeof icon>[0]} icon
 * @property {string} words
 * @property {() => void} [act]
 * @property {string} [save]  the address of a file that is saved instead
 * @property {boolean} [danger]
 */

const MARGIN = 8;

/**
 * @param {HTMLElement} button
 * @param {Item[]} items
 * @param {() => void} back  gives the focus back, once the menu is closed
 */
export function openMenu(button, items, back) {
  const menu = make("div", { class: "menu", role: "menu", popover: "auto", "aria-label": button.getAttribute("aria-label") });
  menu.append(...items.map((item) => entry(item, menu, back)));
  menu.addEventListener("keydown", (event) => pressed(event, menu, back));
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") menu.remove();
  });
  // Within the page's own container, where its style sheets hold.
  (document.querySelector(".gradio-container") ?? document.body).append(menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  /** @type {HTMLElement | null} */ (menu.firstElementChild)?.focus();
}

/**
 * @param {Item} item
 * @param {HTMLElement} menu
 * @param {() => void} back
 */
function entry(item, menu, back) {
  const content = [icon(item.icon), item.words];
  const shared = { role: "menuitem", tabindex: -1, class: item.danger ? "danger" : null };
  if (item.save) return make("a", { ...shared, href: item.save, download: "", onclick: () => leave(menu, back) }, ...content);
  const chosen = () => {
    leave(menu, back);
    item.act?.();
  };
  return make("button", { type: "button", ...shared, onclick: chosen }, ...content);
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} menu
 * @param {() => void} back
 */
function pressed(event, menu, back) {
  if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    return leave(menu, back);
  }
  const items = /** @type {HTMLElement[]} */ ([...menu.children]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const next = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  items[next % items.length]?.focus();
}

/** @param {HTMLElement} menu @param {() => void} back */
function leave(menu, back) {
  menu.hidePopover();
  back();
}

/** Under the button, or above it where there is no room. @param {HTMLElement} menu @param {DOMRect} button */
function place(menu, button) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(button.left, innerWidth - width - MARGIN);
  const below = button.bottom + height + MARGIN < innerHeight;
  menu.style.left = `${Math.max(MARGIN, left)}px`;
  menu.style.top = `${Math.max(MARGIN, below ? button.bottom + 2 : button.top - height - 2)}px`;
}
