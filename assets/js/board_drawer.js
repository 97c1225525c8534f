// @ts-check
/**
 * The board as a drawer on a small screen: a handle, a swipe, a tap. Beside the conversation it is always open. Knows nothing
 * of what is in it.
 */
import { make } from "./dom.js";
import { say } from "./texts.js";

/** So many pixels up or down open or close it. */
const SWIPE = 24;
const narrow = matchMedia("(max-width: 1099px)");

export class Drawer {
  open = false;

  /** @param {HTMLElement & {drawSlow: () => void}} owner */
  constructor(owner) {
    this.owner = owner;
    narrow.addEventListener("change", () => owner.drawSlow());
  }

  /** Whether what is in it can be seen. */
  get seen() {
    return this.open || !narrow.matches;
  }

  /** @param {string} controls  the id of what it holds */
  build(controls) {
    this.handle = make("button", { type: "button", class: "handle", "aria-expanded": String(this.open), "aria-controls": controls, "aria-label": say("board.handle"), onclick: () => this.toggle() }, make("i"));
    this.dragBy([this.handle]);
    return this.handle;
  }

  toggle(open = !this.open) {
    this.open = open;
    document.body.dataset.batch = open ? "open" : "closed";
    this.handle?.setAttribute("aria-expanded", String(open));
    if (open) this.owner.drawSlow();
  }

  /** These follow a finger that swipes up or down; a tap on them opens the drawer. @param {HTMLElement[]} parts */
  dragBy(parts) {
    let from = 0;
    const pressed = (/** @type {PointerEvent} */ { clientY }) => (from = clientY);
    const released = (/** @type {PointerEvent} */ event) => {
      const way = event.clientY - from;
      if (Math.abs(way) > SWIPE) this.toggle(way < 0);
      else if (event.currentTarget !== this.handle) this.toggle(true);
    };
    for (const part of parts) {
      part.onpointerdown = pressed;
      part.onpointerup = released;
    }
  }
}
