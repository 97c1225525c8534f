// @ts-check
/**
 * Paints one moment of the batch: the lanes with their bars; the line above and the steps below have painters of their own.
 * Given what to paint; knows neither where it comes from nor when to paint again.
 *
 * @import {Bar, Scene} from "./board_scene.js"
 * @import {Brush} from "./board_brush.js"
 * @import {Layout} from "./board_layout.js"
 * @import {Request} from "./board_model.js"
 * @import {Steps} from "./board_steps.js"
 */
import { laneTop, xOf } from "./board_layout.js";
import { paintLine, paintOnTheWay } from "./board_line.js";
import { paintAxis, paintSteps } from "./board_strip.js";

/** @typedef {Record<"waiting" | "yours" | "api" | "evaluation" | "demo" | "stopped" | "failed" | "cut" | "steps" | "now", string>} PlainWords */
/** @typedef {PlainWords & {ago: (ms: number) => string, step: (running: number, bucket: number) => string}} Words */
/**
 * @typedef {object} Picture
 * @property {Scene} scene
 * @property {Layout} layout
 * @property {Steps} steps
 * @property {boolean} buckets
 * @property {number} behind  how long ago the moment was, in ms; 0: it is now
 * @property {Request | null} chosen
 */

const RADIUS = 4;
const CAP = 12;
/** A lane of fewer pixels has no room for a frame. */
const THIN = 9;

/** @param {Brush} brush @param {Words} words @param {Picture} picture */
export function paint(brush, words, picture) {
  const { scene, layout } = picture;
  brush.context.clearRect(0, 0, layout.width, layout.height);
  paintRows(brush, layout);
  for (const bar of scene.bars) if (bar.lane < layout.lanes) paintBar(brush, words, bar, picture);
  paintLine(brush, words, scene.line, picture);
  if (layout.stripHeight) {
    paintSteps(brush, words, picture);
    paintAxis(brush, words, picture);
  }
  for (const brick of scene.line) paintOnTheWay(brush, brick, scene.line.length, picture);
}

/** The empty lanes. @param {Brush} brush @param {Layout} layout */
function paintRows(brush, layout) {
  const { lanes, left, width, row, scale } = layout;
  for (let lane = 0; lane < lanes; lane++) {
    const top = laneTop(layout, lane);
    brush.box(left, top, width - left, row, brush.colours.sunken, radius(layout));
    if (left) brush.words(String(lane + 1), left - 8 * scale, top + row / 2, 10 * scale, { align: "right" });
  }
}

/** @param {Brush} brush @param {Words} words @param {Bar} bar @param {Picture} picture */
function paintBar(brush, words, bar, { scene, layout, chosen }) {
  const { colours } = brush;
  const { left, scale } = layout;
  const { top, row } = rowOf(bar, layout);
  const start = Math.max(left, xOf(layout, scene, bar.from));
  const end = Math.max(start + 2, xOf(layout, scene, bar.to));
  const written = bar.first === null ? end : Math.max(start, xOf(layout, scene, bar.first));
  // However short a prefill was, it shows.
  const first = bar.first === bar.from || xOf(layout, scene, bar.from) < left - 2 ? written : Math.min(end, Math.max(written, start + 2 * scale));
  const round = radius(layout);
  const tail = bar.over ? round : 0;
  if (end > first) {
    const corners = [first > start ? 0 : round, tail, tail, first > start ? 0 : round];
    brush.box(first, top, end - first, row, ownerColour(brush, bar.request), corners);
    paintDoor(brush, bar.request, first, end, top, layout, corners);
  }
  const corner = Math.min(round, (first - start) / 2);
  if (first > start) brush.box(start, top, first - start, row, colours.prefill, [corner, end > first ? 0 : tail, end > first ? 0 : tail, corner]);
  paintEnd(brush, bar, start, end, top, layout);
  paintWords(brush, words, bar, Math.max(start, first), end, top, layout);
  if (bar.request.mine && row >= THIN) brush.frame(start + 0.5, top + 0.5, end - start - 1, row - 1, colours.ink, 1.5 * scale, round);
  if (chosen === bar.request) brush.frame(start - 1.5, top - 1.5, end - start + 3, row + 3, colours.ink, 2 * scale, round + 1);
}

/** Mine is framed; where lanes are too thin for a frame it is thicker than its lane. @param {Bar} bar @param {Layout} layout */
function rowOf({ request, lane }, layout) {
  const more = request.mine && layout.row < THIN ? layout.gap : 0;
  return { top: laneTop(layout, lane) - more, row: layout.row + 2 * more };
}

/** What programs ask has one colour; a mark tells evaluation and demo apart from the API. @param {Brush} brush @param {Request} request @param {number} start @param {number} end @param {number} top @param {Layout} layout @param {number[]} corners */
function paintDoor(brush, { door }, start, end, top, { row, scale }, corners) {
  if (door !== "demo" && door !== "evaluation") return;
  brush.box(start, top, end - start, row, brush.pattern(door, brush.colours["bar-ink"], row < 10 ? scale / 2 : scale), corners);
}

/** How it ended: a dark edge where it was cut, hatched where it was stopped, crossed where it failed, amber where it was sent back. @param {Brush} brush @param {Bar} bar @param {number} start @param {number} end @param {number} top @param {Layout} layout */
function paintEnd(brush, bar, start, end, top, { row, scale }) {
  const { colours } = brush;
  if (!bar.over) return;
  const { end: how } = bar.request;
  if (!bar.last) return brush.box(Math.max(start, end - 3 * scale), top, Math.min(end - start, 3 * scale), row, colours.waiting);
  if (how === "length") return brush.box(end - 2 * scale, top, 2 * scale, row, colours.ink);
  if (how !== "aborted" && how !== "failed") return;
  const width = Math.min(end - start, CAP * scale);
  brush.box(end - width, top, width, row, colours.failed, [0, RADIUS * scale, RADIUS * scale, 0]);
  brush.box(end - width, top, width, row, brush.pattern(how === "failed" ? "failed" : "stopped", colours.surface, scale), [0, RADIUS * scale, RADIUS * scale, 0]);
}

/** A word in the bar where there is room for it, so that colour is never alone. @param {Brush} brush @param {Words} words @param {Bar} bar @param {number} start @param {number} end @param {number} top @param {Layout} layout */
function paintWords(brush, words, { request, over, last }, start, end, top, { row, scale }) {
  if (row < 12 * scale) return;
  const size = 10 * scale;
  const cap = over && last && (request.end === "aborted" || request.end === "failed") ? CAP * scale : 0;
  const fits = (/** @type {string} */ each) => brush.width(each, size, 600) + 12 * scale + cap <= end - start;
  const said = labels(words, request, over && last).find(fits);
  if (!said) return;
  const fill = request.mine || request.door !== "page" ? brush.colours["bar-ink"] : brush.colours.ink;
  // Words on a pattern need quiet ground.
  if (request.door === "demo" || request.door === "evaluation") brush.box(start + 3 * scale, top + row / 2 - 7 * scale, brush.width(said, size, 600) + 6 * scale, 14 * scale, ownerColour(brush, request), 3 * scale);
  brush.words(said, start + 6 * scale, top + row / 2 + 0.5, size, { fill, weight: 600 });
}

/** What could be said of a bar, the longest first. @param {Words} words @param {Request} request @param {boolean} over */
function labels(words, { mine, door, end }, over) {
  const owner = mine ? words.yours : door === "page" ? "" : words[door];
  const how = !over ? "" : end === "aborted" ? words.stopped : end === "failed" ? words.failed : end === "length" ? words.cut : "";
  return [owner && how && `${owner}, ${how}`, owner, how].filter(Boolean);
}

/** @param {Brush} brush @param {Request} request */
function ownerColour({ colours }, { mine, door }) {
  if (mine) return colours.decode;
  return door === "page" ? colours.other : colours.api;
}

/** @param {Layout} layout */
function radius({ row, scale }) {
  return Math.min(RADIUS * scale, row / 3);
}
