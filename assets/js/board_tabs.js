// @ts-check
/**
 * Several things in one place, one of them shown: tabs as the ARIA practices have them, arrow keys and all. Knows nothing of
 * what they hold.
 */
import { make } from "./dom.js";

/** @typedef {{name: string, words: () => string, build: () => HTMLElement}} Tab */

export class Tabs {
  /** @param {string} id @param {Tab[]} tabs @param {() => void} shown  called when another one is shown */
  constructor(id, tabs, shown) {
    this.id = id;
    this.tabs = tabs;
    this.shown = shown;
    this.open = tabs[0]?.name ?? "";
  }

  /** @param {string} label */
  build(label) {
    this.buttons = this.tabs.map(({ name, words }) => make("button", {
      ...{ type: "button", role: "tab", id: `${this.id}-${name}-tab`, "aria-controls": `${this.id}-${name}` },
      onclick: () => this.show(name),
    }, words()));
    this.panels = this.tabs.map(({ name, build }) => make("div", { role: "tabpanel", id: `${this.id}-${name}`, "aria-labelledby": `${this.id}-${name}-tab` }, build()));
    const list = make("div", { role: "tablist", "aria-label": label, onkeydown: (event) => this.key(/** @type {KeyboardEvent} */ (event)) }, ...this.buttons);
    this.mark();
    return make("div", { class: "tabs" }, list, ...this.panels);
  }

  /** @param {string} name */
  show(name) {
    this.open = name;
    this.mark();
    this.shown();
  }

  mark() {
    this.tabs.forEach(({ name }, i) => {
      this.buttons?.[i]?.setAttribute("aria-selected", String(name === this.open));
      this.buttons?.[i]?.setAttribute("tabindex", name === this.open ? "0" : "-1");
      this.panels?.[i]?.toggleAttribute("hidden", name !== this.open);
    });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const here = this.tabs.findIndex(({ name }) => name === this.open);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const place = (to + this.tabs.length) % this.tabs.length;
    this.show(this.tabs[place]?.name ?? this.open);
    this.buttons?.[place]?.focus();
  }
}
