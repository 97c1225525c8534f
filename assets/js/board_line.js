// @ts-check
/**
 * Paints the line above the lanes, the next one at the right, and those who just fall into their lane or come back up from
 * it. Knows nothing of who they are but whether it is oneself.
 *
 * @import {Brick} from "./board_scene.js"
 * @import {Brush} from "./board_brush.js"
 * @import {Picture, Words} from "./board_drawing.js"
 */
import { brickAt, bricksFor, laneTop } from "./board_layout.js";

const WORDS = 10;

/** @param {Brush} brush @param {Words} words @param {Brick[]} line @param {Picture} picture */
export function paintLine(brush, words, line, { layout, chosen }) {
  const { scale } = layout;
  const end = brush.words(words.waiting, 0, 8 * scale, WORDS * scale);
  const bricks = bricksFor(layout, line.length);
  for (const brick of line) {
    if (brick.from !== null && brick.way < 1) continue;
    if (!brick.present && brick.to !== null) continue;
    if (brick.place > bricks.capacity - 1) break;
    const { x, y } = brickAt(layout, bricks, brick.place);
    brush.context.globalAlpha = brick.present ? brick.way : 1 - brick.way;
    brush.box(x, y, bricks.width, bricks.height, brush.colours.waiting, bricks.height / 4);
    if (brick.request.mine) mark(brush, x, y, bricks, scale);
    brush.context.globalAlpha = 1;
    if (chosen === brick.request) brush.frame(x - 1, y - 1, bricks.width + 2, bricks.height + 2, brush.colours.ink, 2 * scale, 3 * scale);
  }
  const present = line.filter((brick) => brick.present).length;
  if (present > bricks.capacity) brush.words(`+${present - bricks.capacity}`, end + 8 * scale, 8 * scale, WORDS * scale, { weight: 600 });
}

/** Between the line and the lanes. @param {Brush} brush @param {Brick} brick @param {number} count @param {Picture} picture */
export function paintOnTheWay(brush, brick, count, { layout }) {
  const lane = brick.present ? brick.from : brick.to;
  if (lane === null || brick.way >= 1 || lane >= layout.lanes) return;
  const bricks = bricksFor(layout, count);
  const corner = brickAt(layout, bricks, Math.min(brick.place, bricks.capacity - 1));
  const up = { ...corner, width: bricks.width, height: bricks.height };
  const down = { x: layout.width - 12 * layout.scale, y: laneTop(layout, lane), width: 12 * layout.scale, height: layout.row };
  const [a, b] = brick.present ? [down, up] : [up, down];
  const mix = (/** @type {keyof typeof up} */ side) => a[side] + (b[side] - a[side]) * brick.way;
  brush.box(mix("x"), mix("y"), mix("width"), mix("height"), brush.colours.waiting, 3 * layout.scale);
  if (brick.request.mine) mark(brush, mix("x"), mix("y"), { width: mix("width"), height: mix("height") }, layout.scale);
}

/** A dark core says that it is mine. @param {Brush} brush @param {number} x @param {number} y @param {{width: number, height: number}} brick @param {number} scale */
function mark({ context, colours }, x, y, { width, height }, scale) {
  context.fillStyle = colours["bar-ink"];
  context.beginPath();
  context.arc(x + width / 2, y + height / 2, Math.min(2.5 * scale, height / 3), 0, 7);
  context.fill();
}
