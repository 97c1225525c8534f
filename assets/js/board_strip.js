// @ts-check
/**
 * Paints the engine's steps below the lanes, as high as there were sequences in them, and the time below those. A step that
 * computed a prompt has the colour of a prefill; lanes that only fill up a bucket are pale.
 *
 * @import {Brush} from "./board_brush.js"
 * @import {Column} from "./board_steps.js"
 * @import {Picture, Words} from "./board_drawing.js"
 */
import { xOf } from "./board_layout.js";

/** A strip of steps is so many pixels wide; what falls into one is put together. */
const COLUMN = 3;
const BETWEEN = 1;
const WORDS = 10;
/** Between two words of the time line. */
const TICKS = new Map([[30_000, 10_000], [60_000, 15_000], [300_000, 60_000]]);

/** @param {Brush} brush @param {Words} words @param {Picture} picture */
export function paintSteps(brush, words, { scene, layout, steps, buckets }) {
  const { left, width, label, scale, strip, stripHeight } = layout;
  brush.words(words.steps, left, label, WORDS * scale);
  const last = buckets ? steps.lastInBucket(scene.at) : null;
  if (last?.bucket) brush.words(words.step(last.running, last.bucket), width, label, WORDS * scale, { align: "right" });
  const span = (scene.window * COLUMN * scale) / (width - left);
  const unit = stripHeight / Math.max(1, layout.lanes);
  const columns = steps.columns(scene.at - scene.window, scene.at, span);
  columns.forEach((column, i) => {
    const x = Math.max(left, xOf(layout, scene, column.place * span));
    // A step that is longer than a column is one piece.
    const goesOn = column.only !== null && columns[i + 1]?.only === column.only;
    const wide = Math.min(width, xOf(layout, scene, (column.place + 1) * span)) - x + (goesOn ? 0.5 : -BETWEEN * scale);
    if (wide > 0) paintColumn(brush, column, x, wide, strip + stripHeight, unit, scale);
  });
}

/** @param {Brush} brush @param {Column} column @param {number} x @param {number} width @param {number} bottom @param {number} unit  height of one sequence @param {number} scale */
function paintColumn(brush, { running, prefill, bucket }, x, width, bottom, unit, scale) {
  const { colours } = brush;
  const height = Math.max(2 * scale, running * unit);
  if (bucket > running) paintPadding(brush, x, bottom - bucket * unit, width, (bucket - running) * unit);
  brush.box(x, bottom - height, width, height, prefill ? colours.prefill : colours.other);
}

/** @param {Brush} brush @param {number} x @param {number} y @param {number} width @param {number} height */
function paintPadding({ context, colours }, x, y, width, height) {
  context.globalAlpha = 0.35;
  context.fillStyle = colours.other;
  context.fillRect(x, y, width, height);
  context.globalAlpha = 1;
}

/** @param {Brush} brush @param {Words} words @param {Picture} picture */
export function paintAxis(brush, words, { scene, layout, behind }) {
  const { left, width, axis, scale } = layout;
  const tick = TICKS.get(scene.window) ?? scene.window;
  for (let ago = scene.window; ago >= 0; ago -= tick) {
    const align = ago === scene.window ? "left" : ago ? "center" : "right";
    const said = ago + behind < 500 ? words.now : words.ago(ago + behind);
    brush.words(said, xOf(layout, scene, scene.at - ago), axis, WORDS * scale, { align });
  }
  brush.box(left, axis - 9 * scale, width - left, 1, brush.colours.line);
}
