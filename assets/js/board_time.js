// @ts-check
/**
 * Which stretch of time the board shows, for a person to choose: the window, pause, a slider over the last ten minutes, and
 * the way back to now.
 *
 * @import {View} from "./board_view.js"
 */
import { agoWords } from "./board_lanes.js";
import { WINDOWS } from "./board_view.js";
import { icon, make, setText } from "./dom.js";
import { say, wholeSeconds } from "./texts.js";

export class TimeControls {
  /** Whether the button shows that it is paused; not drawn yet: null. @type {boolean | null} */
  paused = null;

  /** @param {View} view */
  constructor(view) {
    this.view = view;
  }

  build() {
    const { view } = this;
    this.windows = WINDOWS.map((window) => make("button", { type: "button", onclick: () => view.show(window) }, windowWords(window)));
    this.pause = make("button", { type: "button", class: "icon-button", id: "board-pause", onclick: () => (view.live ? view.hold(view.now) : view.goLive()) });
    this.slider = make("input", { type: "range", max: 0, step: 1, "aria-label": say("board.scrub"), oninput: () => this.scrub() });
    this.live = make("button", { type: "button", class: "live", onclick: () => view.goLive() }, make("i"), say("board.live"));
    this.told = make("output", { class: "told" });
    const group = make("div", { class: "segments", role: "group", "aria-label": say("board.window") }, ...this.windows);
    this.paused = null;
    this.draw();
    return make("div", { class: "time-controls" }, group, this.pause, this.slider, this.told, this.live);
  }

  scrub() {
    const seconds = Number(this.slider?.value ?? 0);
    if (seconds === 0) this.view.goLive();
    else this.view.hold(this.view.now + seconds * 1000);
  }

  draw() {
    const { view, slider, live, told } = this;
    if (!slider) return;
    WINDOWS.forEach((window, i) => this.windows?.[i]?.setAttribute("aria-pressed", String(window === view.window)));
    const ago = Math.round((view.now - view.to) / 1000);
    slider.min = String(-Math.max(1, Math.floor(view.depth / 1000)));
    slider.value = String(view.live ? 0 : -ago);
    slider.setAttribute("aria-valuetext", view.live ? say("board.now") : agoWords(ago * 1000));
    live?.setAttribute("aria-pressed", String(view.live));
    setText(told, view.live ? "" : agoWords(ago * 1000));
    this.drawPause();
  }

  /** Replaced only when it changes, so that it keeps a press that is under way. */
  drawPause() {
    const paused = !this.view.live;
    if (this.paused === paused) return;
    this.paused = paused;
    const name = say(paused ? "board.resume" : "board.pause");
    this.pause?.setAttribute("aria-label", name);
    this.pause?.setAttribute("title", name);
    this.pause?.replaceChildren(icon(paused ? "play" : "pause"));
  }
}

/** "30 s", "5 min" @param {number} window */
export function windowWords(window) {
  return window < 100_000 ? wholeSeconds(window / 1000) : say("unit.minutes", { n: window / 60_000 });
}
