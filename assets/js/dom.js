// @ts-check
/**
 * Making elements without innerHTML. Knows the icons, nothing of what they stand for.
 */

/** @typedef {Record<string, string | number | boolean | EventListener | null | undefined>} Attributes */

/**
 * An element with attributes, `on…` listeners and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Strokes on a 16 by 16 field. */
const ICONS = {
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  done: "M3 8.5l3.5 3.5L13 4.5",
  edit: "M3 13l.7-3L10.800 2.900a1.200 1.200 0 0 1 1.700 0l.6.6a1.200 1.200 0 0 1 0 1.700L6 12.300zM9.500 4.200l2.300 2.300",
  regenerate: "M13 8a5 5 0 1 1-1.600-3.700L13 5.800M13 2.500v3.300H9.700",
  previous: "M10 3.500L5.500 8l4.500 4.500",
  next: "M6 3.500L10.500 8 6 12.500",
  down: "M8 3v9.500M4 8.700L8 12.700l4-4",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  close: "M4 4l8 8M12 4l-8 8",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  play: "M5 3.300v9.400L12.500 8z",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.300 10.300L13.500 13.500",
  pin: "M6 2.500h4M6.500 2.500v4L4.500 9h7l-2-2.500v-4M8 9v4.500",
  good: "M5 7.500l2.500-5c1.200 0 1.800.8 1.500 2L8.600 6.500h3.900c.8 0 1.300.7 1.100 1.500l-1 4.200c-.2.8-.8 1.300-1.600 1.300H5zM2.500 7.500H5v6H2.500z",
  poor: "M5 8.500l2.500 5c1.200 0 1.800-.8 1.500-2l-.4-2h3.900c.8 0 1.300-.7 1.100-1.500l-1-4.200c-.2-.8-.8-1.300-1.600-1.300H5zM2.500 8.500H5v-6H2.500z",
  branch: "M5 5.500v5M5 5.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM5 13.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 5.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 5.500v1a2 2 0 0 1-2 2H7a2 2 0 0 0-2 2",
  save: "M8 2.500v7M5 6.800l3 3 3-3M3 12.500h10",
  open: "M8 10V3M5 5.800l3-3 3 3M3 12.500h10",
  leave: "M9.5 2.5h-6v11h6M6.5 8h7M11 5.5L13.5 8 11 10.5",
  remove: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.6 9h5.800l.6-9M6.800 7v4M9.200 7v4",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}

/**
 * A small button that shows an icon and says its name to a pointer that rests on it and to a screen reader.
 * @param {keyof typeof ICONS} image
 * @param {string} name
 * @param {Attributes} [attributes]
 */
export function iconButton(image, name, attributes = {}) {
  return make("button", { type: "button", class: "icon-button", title: name, "aria-label": name, ...attributes }, icon(image));
}

/**
 * Changes a text only if it is another one: what did not change is neither drawn nor read out again.
 * @param {Element | undefined} element
 * @param {string} words
 */
export function setText(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

/**
 * The same for whether it is shown: many times a second, setting what is set already costs a layout.
 * @param {HTMLElement} element
 * @param {boolean} hidden
 */
export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/**
 * Resolves once elements of all these kinds are on the page: Gradio builds it some time after the modules are loaded.
 * @param {string[]} selectors
 * @returns {Promise<void>}
 */
export function present(selectors) {
  const all = () => selectors.every((selector) => document.querySelector(selector));
  return new Promise((resolve) => {
    if (all()) return resolve();
    const watcher = new MutationObserver(() => {
      if (!all()) return;
      watcher.disconnect();
      resolve();
    });
    watcher.observe(document.body, { childList: true, subtree: true });
  });
}
