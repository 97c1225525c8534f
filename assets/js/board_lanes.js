// @ts-check
/**
 * The picture of the batch as an element: paints while something moves and somebody can see it, and tells whoever points at a
 * bar, or walks to it by keyboard, whose it is. Knows what to show from the model and the view alone.
 *
 * @import {BoardModel, Request} from "./board_model.js"
 * @import {View} from "./board_view.js"
 * @import {Scene} from "./board_scene.js"
 */
import { Brush } from "./board_brush.js";
import { Card } from "./board_card.js";
import { paint } from "./board_drawing.js";
import { barAt, brickUnder, layoutFor, onStrip, timeAt, wantedHeight } from "./board_layout.js";
import { moves, sceneAt } from "./board_scene.js";
import { walk } from "./board_walk.js";
import { make } from "./dom.js";
import { engineStatus } from "./engine.js";
import { count, say, wholeSeconds } from "./texts.js";

/** Drawn until the engine has told how many it has. */
const LANES_BEFORE = 4;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Lanes {
  scheduled = 0;
  seen = true;
  /** @type {Request | null} */
  chosen = null;
  /** Whether it was chosen by keyboard: then it stays chosen when the pointer leaves. */
  walked = false;

  /** @param {BoardModel} model @param {View} view @param {() => number} [scale] */
  constructor(model, view, scale = () => 1) {
    this.model = model;
    this.view = view;
    this.scale = scale;
    this.canvas = make("canvas", { class: "lanes", tabindex: 0, role: "application" });
    this.card = new Card();
    this.element = make("div", { class: "lanes-frame" }, this.canvas, this.card.element, this.card.spoken);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerdown", (event) => this.point(event));
    canvas.addEventListener("pointerleave", (event) => this.leave(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && this.walkBy("focus"));
    canvas.addEventListener("blur", () => this.choose(null));
    calm.addEventListener("change", () => this.wake());
    new ResizeObserver(() => this.resize()).observe(canvas);
    new IntersectionObserver(([entry]) => {
      this.seen = entry?.isIntersecting ?? true;
      if (this.seen) this.wake();
    }).observe(canvas);
  }

  get lanes() {
    return this.model.engine?.lanes || engineStatus()?.lanes || LANES_BEFORE;
  }

  /** In the page's present language and colours. */
  restyle() {
    const context = this.canvas.getContext("2d");
    if (context) this.brush = new Brush(context, this.element);
    this.words = wordsOfThePicture();
    this.wake();
  }

  /** @param {string} words */
  describe(words) {
    this.canvas.setAttribute("aria-label", say("board.picture", { words }));
  }

  resize() {
    const { canvas } = this;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    this.paint();
  }

  /** Paints soon, and again for as long as something moves. */
  wake() {
    this.element.style.setProperty("--lanes-height", `${wantedHeight(this.lanes)}px`);
    if (this.scheduled || !this.seen) return;
    this.scheduled = calm.matches ? setTimeout(() => this.frame(), 1000) : requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.scheduled = 0;
    if (!this.seen) return;
    this.paint();
    if (this.view.live && moves(this.model, this.view.to, this.view.window)) this.wake();
  }

  scene() {
    return sceneAt(this.model, this.view.to, this.view.window, calm.matches);
  }

  layout() {
    return layoutFor(this.canvas.clientWidth, this.canvas.clientHeight, this.lanes, this.scale());
  }

  paint() {
    const { canvas, brush, words, view, model } = this;
    // A drawer that is put away has no size.
    if (!canvas.clientHeight || !brush || !words) return;
    const ratio = canvas.width / canvas.clientWidth;
    const [scene, layout] = [this.scene(), this.layout()];
    brush.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const behind = view.live ? 0 : view.now - view.to;
    paint(brush, words, { scene, layout, steps: model.steps, buckets: model.engine?.buckets ?? false, behind, chosen: this.chosen });
    if (this.chosen) this.showCard(this.chosen, scene);
  }

  /** @param {PointerEvent} event */
  point({ offsetX, offsetY }) {
    const [scene, layout] = [this.scene(), this.layout()];
    const found = barAt(scene, layout, offsetX, offsetY) ?? brickUnder(scene, layout, offsetX, offsetY);
    if (!found && this.walked) return;
    this.walked = false;
    this.choose(found?.request ?? null);
    if (!found && onStrip(layout, offsetY)) this.pointAtStep(timeAt(layout, scene, offsetX), offsetX);
  }

  /** A finger that is lifted leaves what it touched. @param {PointerEvent} event */
  leave({ pointerType }) {
    if (!this.walked && pointerType !== "touch") this.choose(null);
  }

  /** @param {number} moment @param {number} x */
  pointAtStep(moment, x) {
    const step = this.model.steps.at(moment);
    if (step) this.card.showStep(step, x, this.layout());
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Escape" && this.chosen) event.stopPropagation();
    if (event.key === "Escape") return this.choose(null);
    if (this.walkBy(event.key)) event.preventDefault();
  }

  /** @param {string} key */
  walkBy(key) {
    const next = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "focus"].includes(key) && walk(this.scene(), this.chosen, key);
    if (!next) return false;
    this.walked = true;
    this.choose(next);
    this.card.say(next, this.view.to);
    return true;
  }

  /** @param {Request | null} request */
  choose(request) {
    if (!request) this.walked = false;
    if (!request) this.card.hide();
    if (request === this.chosen) return;
    this.chosen = request;
    // With motion reduced the next picture is up to a second away.
    this.paint();
  }

  /** @param {Request} request @param {Scene} scene */
  showCard(request, scene) {
    // Rows that come again are new objects.
    const present = this.model.requests.get(request.id);
    this.chosen = present ?? null;
    const bar = scene.bars.findLast((each) => each.request === present);
    const brick = scene.line.find((each) => each.request === present);
    if (!present || (!bar && !brick)) return this.card.hide();
    this.card.show(present, bar ?? null, scene, this.layout());
  }
}

/** What is written into the picture. */
function wordsOfThePicture() {
  return {
    ...{ waiting: say("board.waiting"), yours: say("board.yours"), api: say("door.api"), evaluation: say("door.evaluation"), demo: say("door.demo") },
    ...{ stopped: say("ended.aborted"), failed: say("ended.failed"), cut: say("ended.length"), steps: say("board.steps"), now: say("board.now") },
    ago: agoWords,
    step: (/** @type {number} */ running, /** @type {number} */ bucket) => say("board.bucket", { running: count(running), bucket: count(bucket) }),
  };
}

/** "45 s ago", "2:05 ago" @param {number} ms */
export function agoWords(ms) {
  const whole = Math.round(ms / 1000);
  const minutes = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return whole < 100 ? say("board.ago", { time: wholeSeconds(whole) }) : say("board.ago", { time: minutes });
}
