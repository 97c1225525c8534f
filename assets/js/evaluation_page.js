// @ts-check
/**
 * What the evaluation pages have in common: the strip on top, small builders, what is remembered in this browser.
 * Knows neither runs nor comparisons.
 */
import { make } from "./dom.js";
import { on } from "./hub.js";
import { askStatus } from "./server.js";
import { otherLanguage, say, switchLanguage } from "./texts.js";

/** @typedef {import("./dom.js").Attributes} Attributes */

/**
 * Fills the page: the strip, then a column with these.
 * @param {string} title
 * @param {...Node} parts
 */
export function openPage(title, ...parts) {
  document.title = `${title} · Batchat`;
  const link = (/** @type {string} */ address, /** @type {string} */ words) => make("a", { href: address, "aria-current": location.pathname.endsWith(`/${address}`) ? "page" : null }, words);
  const engine = make("span", { class: "engine" });
  const language = make("button", { type: "button", class: "quiet", id: "language", lang: otherLanguage(), onclick: () => void switchLanguage() }, say("header.other_language"));
  const nav = make("nav", { "aria-label": say("pages.label") }, link("./", say("pages.chat")), link("evaluate", say("pages.evaluate")), link("compare", say("pages.compare")), link("board", say("pages.board")));
  document.body.append(make("header", { class: "strip" }, make("b", {}, "Batchat"), nav, engine, language), make("main", {}, make("h1", {}, title), ...parts));
  on("language", () => {
    history.replaceState(null, "", location.pathname + location.hash); // without the language that the address asked for
    setTimeout(() => location.reload()); // once the choice is remembered
  });
  void askStatus().then((status) => (engine.textContent = [status.model, status.engine, status.device].filter(Boolean).join(" · ")), () => {});
}

/**
 * A part of the page under its heading.
 * @param {string} heading
 * @param {...(Node | string | null)} children
 */
export function section(heading, ...children) {
  return make("section", {}, make("h2", {}, heading), ...children);
}

/**
 * A control with its name above it.
 * @param {string} name
 * @param {HTMLElement} control
 */
export function labelled(name, control) {
  return make("label", { class: "field" }, make("span", {}, name), control);
}

/**
 * @param {string} words
 * @param {() => void} act
 * @param {Attributes} [attributes]
 */
export function button(words, act, attributes = {}) {
  return make("button", { type: "button", class: "quiet", onclick: act, ...attributes }, words);
}

/**
 * Rows of texts or elements under a head; a wide one scrolls sideways.
 * @param {string[]} head
 * @param {Array<Array<Node | string>>} rows
 * @param {string} label
 */
export function table(head, rows, label) {
  const cells = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  return make(
    "div",
    { class: "sideways", role: "region", tabindex: 0, "aria-label": label },
    make("table", {}, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...cells)),
  );
}

/** @param {number | null | undefined} value */
export function score(value) {
  return value === null || value === undefined ? "–" : value.toFixed(3);
}

/**
 * A mean with its interval, or that there is none.
 * @param {{mean: number, low: number | null, high: number | null, n: number} | null} found
 */
export function estimate(found) {
  if (!found) return "–";
  const interval = found.low === null ? say("evaluate.no_interval") : `${score(found.low)} – ${score(found.high)}`;
  return make("span", {}, score(found.mean), make("small", {}, `${interval}, n=${found.n}`));
}

/**
 * What this browser remembers; storage may be forbidden.
 * @param {string} key
 * @returns {any}
 */
export function remembered(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} key @param {unknown} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Lost with the page; nothing else is.
  }
}

/**
 * Runs what may be refused, and says so in an element if it is.
 * @param {HTMLElement} place
 * @param {() => Promise<void>} act
 */
export async function attempt(place, act) {
  place.textContent = "";
  try {
    await act();
  } catch (error) {
    place.textContent = error instanceof Error ? error.message : String(error);
  }
}
