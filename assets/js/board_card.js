// @ts-check
/**
 * The small card over the picture of the batch: the numbers of the request, or of the engine's step, that somebody points at.
 * What was reached by keyboard is also read out. Does not know how it was found.
 *
 * @import {Bar, Scene} from "./board_scene.js"
 * @import {Layout} from "./board_layout.js"
 * @import {Request} from "./board_model.js"
 * @import {Step} from "./board_steps.js"
 */
import { laneTop, xOf } from "./board_layout.js";
import { requestDetails, requestWords, titleWords } from "./board_details.js";
import { make, setText } from "./dom.js";
import { count, milliseconds, say, sayCount } from "./texts.js";

const GAP = 6;

export class Card {
  key = "";

  constructor() {
    this.element = make("div", { class: "card", "aria-hidden": "true", hidden: true });
    this.spoken = make("p", { class: "offscreen", role: "status" });
  }

  /** @param {Request} request @param {Bar | null} bar  null while it waits @param {Scene} scene @param {Layout} layout */
  show(request, bar, scene, layout) {
    const at = scene.at;
    // A running request's numbers change all the time; ten times a second is often enough.
    this.fill(`${request.id} ${request.tokens} ${request.ended} ${Math.floor(at / 100)}`, () => [make("b", {}, titleWords(request, at)), requestDetails(request, at)]);
    const top = bar ? laneTop(layout, bar.lane) : 0;
    const middle = bar ? (Math.max(layout.left, xOf(layout, scene, bar.from)) + xOf(layout, scene, bar.to)) / 2 : layout.width;
    this.place(middle, top, bar ? layout.row : layout.top, layout);
  }

  /** @param {Step} step @param {number} x @param {Layout} layout */
  showStep(step, x, layout) {
    this.fill(`step ${step.at}`, () => [make("span", {}, stepWords(step))]);
    this.place(x, layout.strip, layout.stripHeight, layout);
  }

  hide() {
    this.element.hidden = true;
    this.key = "";
  }

  /** @param {Request} request @param {number} at */
  say(request, at) {
    setText(this.spoken, requestWords(request, at));
  }

  /** @param {string} key @param {() => Node[]} content */
  fill(key, content) {
    if (this.key === key) return;
    this.key = key;
    this.element.replaceChildren(...content());
    this.element.hidden = false;
  }

  /** Below what it is about, or above it where there is more room; never beyond the picture's sides. @param {number} x @param {number} top @param {number} height @param {Layout} layout */
  place(x, top, height, layout) {
    const { style, offsetWidth, offsetHeight } = this.element;
    const below = top + height / 2 < layout.height / 2 || top < offsetHeight;
    style.left = `${Math.max(0, Math.min(layout.width - offsetWidth, x - offsetWidth / 2))}px`;
    style.top = `${below ? top + height + GAP : top - offsetHeight - GAP}px`;
  }
}

/** "3 running in bucket 4, 12 ms" @param {Step} step */
function stepWords({ from, at, running, prompt, bucket }) {
  const who = bucket ? say("board.bucket", { running: count(running), bucket: count(bucket) }) : sayCount("board.sequences", running);
  const what = prompt ? sayCount("board.prefilled", prompt) : "";
  return [who, what, milliseconds((at - from) / 1000)].filter(Boolean).join(", ");
}
