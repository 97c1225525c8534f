// @ts-check
/**
 * Where things are in the picture of the batch, and what is at a point of it: the line, the lanes, the steps, the time below
 * them. Knows pixels, paints none.
 *
 * @import {Bar, Scene} from "./board_scene.js"
 */

/**
 * @typedef {object} Layout
 * @property {number} scale  1 beside the conversation, more on a wall
 * @property {number} width
 * @property {number} height
 * @property {number} lanes
 * @property {number} left  where the time begins; before it stand the lanes' numbers, where there is room for them
 * @property {number} top  where the lanes begin
 * @property {number} row  height of a lane
 * @property {number} gap
 * @property {number} label  where the strip's words stand; 0 where there is no room for a strip
 * @property {number} strip  where the steps begin
 * @property {number} stripHeight
 * @property {number} axis  where the time stands
 */

const LINE = 26;
const LANE = 30;
/** However many lanes there are, the picture beside the conversation stays about this high. */
const LANES_AT_MOST = 300;
const STRIP = { label: 20, height: 26, axis: 20 };
const BELOW = STRIP.label + STRIP.height + STRIP.axis;
/** A picture that is lower than this has room for the line and the lanes alone. */
const LOW = 110;
const BRICK = { width: 20, height: 11, gap: 4 };
/** What "waiting" takes before the line, and "+1,234". */
const BEFORE = 52;
const MORE = 40;
/** A long line stands in three rows of small bricks. */
const SMALL = { width: 4, height: 4, gap: 2, rows: 3 };

/** How high the picture wants to be. @param {number} lanes */
export function wantedHeight(lanes) {
  return Math.ceil(LINE + Math.min(lanes * LANE, LANES_AT_MOST) + BELOW);
}

/** @param {number} width @param {number} height @param {number} lanes @param {number} scale @returns {Layout} */
export function layoutFor(width, height, lanes, scale) {
  const below = height >= LOW * scale ? BELOW * scale : 0;
  const top = LINE * scale;
  const pitch = Math.max(0.5, (height - top - below) / Math.max(1, lanes));
  const gap = gapFor(pitch, scale);
  const strip = height - below + STRIP.label * scale;
  const left = scale > 1 && pitch > 12 * scale ? 26 * scale : 0;
  return {
    ...{ scale, width, height, lanes, left, top, row: pitch - gap, gap },
    ...{ label: below && height - below + 10 * scale, strip, stripHeight: below && STRIP.height * scale, axis: below && height - 8 * scale },
  };
}

/** Many lanes are thin, and stand closer. @param {number} pitch @param {number} scale */
function gapFor(pitch, scale) {
  if (pitch >= 20 * scale) return 4 * scale;
  if (pitch >= 9 * scale) return 2 * scale;
  return pitch >= 4 ? 1 : pitch / 4;
}

/** @param {Layout} layout @param {number} lane */
export function laneTop(layout, lane) {
  return layout.top + lane * (layout.row + layout.gap);
}

/** @param {Layout} layout @param {Pick<Scene, "at" | "window">} scene @param {number} time */
export function xOf({ left, width }, { at, window }, time) {
  return left + (width - left) * (1 - (at - time) / window);
}

/** @param {Layout} layout @param {Pick<Scene, "at" | "window">} scene @param {number} x */
export function timeAt({ left, width }, { at, window }, x) {
  return at - window * (1 - (x - left) / (width - left));
}

/**
 * The line's bricks: few are large and in one row, many are small and in three; room is left for the words before them, and
 * for how many more there are.
 * @param {Layout} layout @param {number} count
 */
export function bricksFor({ width, scale }, count) {
  const room = width - BEFORE * scale;
  const few = count * (BRICK.width + BRICK.gap) * scale <= room;
  const { gap, rows, ...brick } = few ? { ...BRICK, rows: 1 } : SMALL;
  const fit = (/** @type {number} */ space) => Math.floor(space / ((brick.width + gap) * scale));
  const perRow = count <= fit(room) * rows ? fit(room) : fit(room - MORE * scale);
  return { width: brick.width * scale, height: brick.height * scale, gap: gap * scale, rows, perRow, capacity: perRow * rows };
}

/**
 * The left upper corner of a place in the line, the first at the right and next to the lanes; between two places while the
 * line moves up.
 * @param {Layout} layout @param {ReturnType<typeof bricksFor>} bricks @param {number} place
 */
export function brickAt(layout, { width, height, gap, rows, perRow }, place) {
  const row = Math.min(rows - 1, Math.floor(place / perRow));
  // Whoever gets to the head of a row comes from the end of the one above; nobody needs to see that way.
  const inRow = Math.min(place - row * perRow, perRow - 1);
  return { x: layout.width - (inRow + 1) * (width + gap) + gap, y: 2 * layout.scale + (rows - 1 - row) * (height + gap) };
}

/** The bar at a point; the later one where two share a pixel. @param {Scene} scene @param {Layout} layout @param {number} x @param {number} y @returns {Bar | undefined} */
export function barAt(scene, layout, x, y) {
  const lane = Math.floor((y - layout.top) / (layout.row + layout.gap));
  return scene.bars.findLast((bar) => {
    if (bar.lane !== lane) return false;
    const [from, to] = [xOf(layout, scene, bar.from), xOf(layout, scene, bar.to)];
    return x >= Math.min(from, to - 3) && x <= Math.max(to, from + 3);
  });
}

/** The one in the line at a point. @param {Scene} scene @param {Layout} layout @param {number} x @param {number} y */
export function brickUnder({ line }, layout, x, y) {
  const bricks = bricksFor(layout, line.length);
  return line.find(({ present, place }) => {
    if (!present || place > bricks.capacity - 1) return false;
    const corner = brickAt(layout, bricks, place);
    return x >= corner.x - 1 && x <= corner.x + bricks.width + 1 && y >= corner.y - 1 && y <= corner.y + bricks.height + 1;
  });
}

/** Whether a point is on the strip of the steps. @param {Layout} layout @param {number} y */
export function onStrip({ strip, stripHeight }, y) {
  return stripHeight > 0 && y >= strip - 2 && y <= strip + stripHeight + 2;
}
