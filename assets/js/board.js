// @ts-check
/**
 * The batch beside the conversation: lanes as a picture, figures, the last requests as a table. Draws what the board's
 * frames say, between two frames by the clock; on a small screen it is a drawer whose closed state still shows the lanes.
 * Knows of other people's requests only what everybody may: when and how long, never what.
 *
 * @import {BoardFrame} from "./protocol.js"
 * @import {Request} from "./board_model.js"
 */
import { BoardModel, timesOf } from "./board_model.js";
import { Painter, layoutFor, requestAt, wantedHeight } from "./board_drawing.js";
import { make, setText } from "./dom.js";
import { engineStatus } from "./engine.js";
import { on } from "./hub.js";
import { count, hundredths, milliseconds, percent, say, sayCount, seconds } from "./texts.js";

const ROWS = 8;
/** So many pixels up or down open or close the drawer. */
const SWIPE = 24;
const SPOKEN_EVERY = 5000;
/** Drawn until the engine has told how many it has. */
const LANES_BEFORE = 4;
const LEGEND = ["waiting", "prefill", "decode", "other", "api", "failed", "length"];
const GAUGES = ["lanes", "speed", "ttft", "kv"];
const COLUMNS = ["request", "queue", "prefill", "decode", "ttft", "tpot", "tokens", "end"];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class BatchBoard extends HTMLElement {
  model = new BoardModel();
  spokenAt = -SPOKEN_EVERY;
  scheduled = 0;
  tableKey = "";

  connectedCallback() {
    this.build();
    on("board", (frame) => this.apply(frame));
    on("mine", (ids) => this.own(ids));
    on("status", () => this.fresh());
    on("language", () => this.build());
    calm.addEventListener("change", () => this.wake());
    new MutationObserver(() => this.recolour()).observe(document.body, { attributeFilter: ["class"] });
  }

  build() {
    const open = this.dataset.open === "yes";
    this.canvas = make("canvas", { class: "lanes", role: "img" });
    this.sub = make("p", { class: "sub" });
    this.body = make("tbody");
    this.values = GAUGES.map(() => make("b", {}, "–"));
    this.names = GAUGES.map((name) => make("span", {}, say(`board.${name}`)));
    this.handle = make("button", { type: "button", class: "handle", "aria-expanded": String(open), "aria-controls": "batch-details", "aria-label": say("board.handle"), onclick: () => this.toggle() }, make("i"));
    this.head = make("div", { class: "board-head" }, make("h2", {}, say("board.title")), this.sub);
    this.replaceChildren(this.handle, this.head, this.canvas, make("div", { id: "batch-details" }, legend(), this.gauges(), this.table()));
    this.dragging();
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    this.tableKey = "";
    this.spokenAt = -SPOKEN_EVERY;
    this.recolour();
    this.fresh();
  }

  gauges() {
    const cells = GAUGES.map((name, i) => make("div", { title: say(`board.${name}.title`) }, this.values?.[i] ?? "", this.names?.[i] ?? ""));
    return make("div", { class: "gauges" }, ...cells);
  }

  table() {
    const heads = COLUMNS.map((name) => make("th", { scope: "col", title: say(`column.${name}.title`) }, say(`column.${name}`)));
    return make("table", {}, make("caption", { class: "offscreen" }, say("board.table")), make("thead", {}, make("tr", {}, ...heads)), this.body ?? "");
  }

  get lanes() {
    return this.model.frame?.lanes || engineStatus()?.lanes || LANES_BEFORE;
  }

  /** @param {BoardFrame} frame */
  apply(frame) {
    this.model.apply(frame, performance.now() / 1000);
    this.fresh();
  }

  /** @param {number[]} ids */
  own(ids) {
    this.model.own(ids);
    this.fresh();
  }

  /** Words and figures, then the picture. */
  fresh() {
    const { frame } = this.model;
    this.canvas?.style.setProperty("--lanes-height", `${wantedHeight(this.lanes)}px`);
    setText(this.sub, subtitle(frame));
    if (this.sub) this.sub.title = frame?.seen_from_here ? say("board.here.title") : "";
    if (frame) this.drawGauges(frame);
    this.drawTable();
    this.speak();
    this.wake();
  }

  /** @param {BoardFrame} frame */
  drawGauges({ occupancy, tps, ttft_p95, ttft_n, kv }) {
    const figures = [
      occupancy === null ? "–" : percent(occupancy),
      count(tps.generation),
      ttft_p95 === null ? "–" : seconds(ttft_p95),
      kv === null ? "–" : percent(kv),
    ];
    figures.forEach((figure, i) => setText(this.values?.[i], figure));
    setText(this.names?.[2], ttft_n > 0 ? say("board.ttft.of", { n: count(ttft_n) }) : say("board.ttft"));
  }

  /** Redrawn only when one of its rows changed. */
  drawTable() {
    const last = this.model.last(ROWS);
    const key = last.map(({ id, mine }) => `${id}${mine}`).join();
    if (key === this.tableKey && key !== "") return;
    this.tableKey = key;
    const split = !this.model.frame?.seen_from_here;
    const rows = last.length ? last.map((request) => tableRow(request, split)) : [make("tr", { class: "none" }, make("td", { colspan: COLUMNS.length }, say("board.no_requests")))];
    this.body?.replaceChildren(...rows);
  }

  /** The picture in words, not so often that it would interrupt. */
  speak() {
    const now = performance.now();
    const { frame } = this.model;
    if (!this.canvas || now - this.spokenAt < SPOKEN_EVERY) return;
    this.spokenAt = now;
    const running = [...this.model.requests.values()].filter(({ scheduled, ended }) => scheduled !== null && ended === null);
    const mine = running.filter((request) => request.mine).length;
    this.canvas.setAttribute("aria-label", frame?.lanes ? `${subtitle(frame)}. ${sayCount("board.mine", mine)}` : subtitle(frame));
  }

  recolour() {
    const context = this.canvas?.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(this);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    const names = /** @type {const} */ (["waiting", "prefill", "decode", "other", "api", "failed", "sunken", "muted", "line", "hatch", "ink"]);
    const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
    const words = {
      waiting: say("board.waiting"), yours: say("board.yours"), api: say("door.api"), stopped: say("ended.aborted"),
      failed: say("ended.failed"), now: say("board.now"), ago: (/** @type {number} */ n) => say("board.ago", { n }),
    };
    this.painter = new Painter(context, /** @type {any} */ ({ ...colours, barInk: colour("bar-ink") }), words, colour("face"));
    this.wake();
  }

  resize() {
    const { canvas } = this;
    if (!canvas) return;
    const scale = devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    this.paint();
  }

  /** Paints at once, and again for as long as something moves. */
  wake() {
    if (this.scheduled) return;
    this.scheduled = calm.matches ? setTimeout(() => this.frame(), 1000) : requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.scheduled = 0;
    this.paint();
    if (this.model.moves(this.now())) this.wake();
  }

  now() {
    return this.model.now(performance.now() / 1000);
  }

  /** A bar that is pointed at says its figures. @param {PointerEvent} event */
  point({ offsetX, offsetY }) {
    const { canvas } = this;
    if (!canvas) return;
    const layout = layoutFor(canvas.clientWidth, canvas.clientHeight, this.lanes);
    const request = requestAt(this.model, this.now(), layout, offsetX, offsetY);
    canvas.title = request ? requestWords(request) : "";
  }

  paint() {
    const { canvas, painter } = this;
    // A drawer that is put away has no size.
    if (!canvas?.clientHeight || !painter) return;
    const scale = canvas.width / canvas.clientWidth;
    painter.context.setTransform(scale, 0, 0, scale, 0, 0);
    painter.paint(this.model, this.now(), this.lanes, layoutFor(canvas.clientWidth, canvas.clientHeight, this.lanes));
  }

  toggle(open = this.dataset.open !== "yes") {
    this.dataset.open = open ? "yes" : "no";
    document.body.dataset.batch = open ? "open" : "closed";
    this.handle?.setAttribute("aria-expanded", String(open));
  }

  /** The drawer follows a finger that swipes up or down; a tap on the closed one opens it. */
  dragging() {
    let from = 0;
    const pressed = (/** @type {Event} */ event) => (from = /** @type {PointerEvent} */ (event).clientY);
    const released = (/** @type {Event} */ event) => {
      const way = /** @type {PointerEvent} */ (event).clientY - from;
      if (Math.abs(way) > SWIPE) this.toggle(way < 0);
      else if (event.currentTarget !== this.handle) this.toggle(true);
    };
    for (const part of [this.handle, this.head, this.canvas]) {
      part?.addEventListener("pointerdown", pressed);
      part?.addEventListener("pointerup", released);
    }
  }
}

/** @param {BoardFrame | null} frame */
function subtitle(frame) {
  if (!frame?.lanes) return say("board.nothing");
  const { running, lanes, waiting } = frame;
  if (frame.seen_from_here) return say("board.here", { running: count(running), waiting: count(waiting) });
  return say("board.subtitle", { running: count(running), lanes: count(lanes), waiting: count(waiting) });
}

function legend() {
  return make("ul", { class: "legend" }, ...LEGEND.map((name) => make("li", {}, make("i", { class: name }), say(`legend.${name}`))));
}

/** @param {Request} request @param {boolean} split  whether its queue and its prefill are known apart */
function tableRow(request, split) {
  const { queue, prefill, decode, ttft, tpot } = timesOf(request);
  const time = (/** @type {number | null} */ value) => (value === null ? "–" : hundredths(value));
  const cells = [owner(request), split ? time(queue) : "–", split ? time(prefill) : "–", time(decode), time(ttft), tpot === null ? "–" : milliseconds(tpot), count(request.tokens), say(`ended.${request.end ?? "stop"}`)];
  return make("tr", { "data-mine": request.mine, "data-end": request.end }, ...cells.map((words) => make("td", {}, words)));
}

/** @param {Request} request */
function owner({ mine, door }) {
  return mine ? say("board.yours") : say(`door.${door}`);
}

/** @param {Request} request */
function requestWords(request) {
  const times = timesOf(request);
  const parts = /** @type {const} */ (["queue", "prefill", "decode"]).map((part) => {
    const value = times[part];
    return value === null ? "" : say(`footer.${part}`, { time: seconds(value) });
  });
  const end = request.end ? say(`ended.${request.end}`) : "";
  return [owner(request), ...parts, sayCount("footer.tokens", request.tokens), end].filter(Boolean).join(" · ");
}

export function define() {
  customElements.define("batch-board", BatchBoard);
}
