// @ts-check
/**
 * Paints the lanes of one moment on a canvas: who waits on top, below it a row per lane over the last minute, then the time.
 * Given what to paint; knows neither where it comes from nor when to paint again.
 *
 * @import {BoardModel, Request} from "./board_model.js"
 */
import { WINDOW } from "./board_model.js";

/** @typedef {Record<"waiting" | "prefill" | "decode" | "other" | "api" | "failed" | "sunken" | "muted" | "line" | "barInk" | "hatch" | "ink", string>} Colours */
/** @typedef {{waiting: string, yours: string, api: string, stopped: string, failed: string, ago: (n: number) => string, now: string}} Words */
/**
 * @typedef {object} Layout
 * @property {number} width
 * @property {number} height
 * @property {number} top  where the lanes begin
 * @property {number} row  height of a lane
 * @property {number} gap
 * @property {number} axis  height of the time line; 0 where there is no room for it
 */

const TOP = 20;
const AXIS = 18;
const LANE = 26;
const GAP = 4;
/** However many lanes there are, the picture stays about this high. */
const LANES_AT_MOST = 300;
const BRICK = { width: 22, height: 10, gap: 4 };
const RADIUS = 4;

/** How high the picture wants to be. @param {number} lanes */
export function wantedHeight(lanes) {
  return Math.ceil(TOP + lanes * pitchFor(lanes, LANES_AT_MOST) + AXIS);
}

/** A lane with the gap below it. @param {number} lanes @param {number} room */
function pitchFor(lanes, room) {
  return Math.min(LANE + GAP, room / Math.max(1, lanes));
}

/** Many lanes are thin, and stand closer. @param {number} pitch */
function gapFor(pitch) {
  if (pitch >= 20) return GAP;
  if (pitch >= 9) return 2;
  return pitch >= 4 ? 1 : pitch / 4;
}

/** @param {number} width @param {number} height @param {number} lanes @returns {Layout} */
export function layoutFor(width, height, lanes) {
  const axis = height >= 100 ? AXIS : 0;
  const pitch = pitchFor(lanes, height - TOP - axis);
  const gap = gapFor(pitch);
  return { width, height, top: TOP, row: pitch - gap, gap, axis };
}

/**
 * Whose bar is at a point of the picture.
 * @param {BoardModel} model @param {number} at @param {Layout} layout @param {number} x @param {number} y
 * @returns {Request | undefined}
 */
export function requestAt(model, at, layout, x, y) {
  const lane = Math.floor((y - layout.top) / (layout.row + layout.gap));
  const time = at - WINDOW * (1 - x / layout.width);
  return model.inLanes(at).find((request) => request.lane === lane && (request.scheduled ?? at) <= time && (request.ended ?? at) >= time);
}

export class Painter {
  /** @type {Map<string, CanvasPattern | null>} */
  patterns = new Map();

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Colours} colours
   * @param {Words} words
   * @param {string} font
   */
  constructor(context, colours, words, font) {
    this.context = context;
    this.colours = colours;
    this.words = words;
    this.font = font;
  }

  /** @param {BoardModel} model @param {number} at @param {number} lanes @param {Layout} layout */
  paint(model, at, lanes, layout) {
    const { context } = this;
    context.clearRect(0, 0, layout.width, layout.height);
    context.textBaseline = "middle";
    this.rows(lanes, layout);
    for (const request of model.inLanes(at)) this.request(request, at, layout);
    this.queue(model.waiting(at), layout);
    if (layout.axis) this.axis(layout, lanes);
  }

  /** The empty lanes. @param {number} lanes @param {Layout} layout */
  rows(lanes, layout) {
    for (let lane = 0; lane < lanes; lane++) this.box(0, laneTop(lane, layout), layout.width, layout.row, this.colours.sunken);
  }

  /** @param {Request} request @param {number} at @param {Layout} layout */
  request(request, at, layout) {
    const x = (/** @type {number} */ time) => layout.width * (1 - (at - time) / WINDOW);
    const began = request.scheduled ?? at;
    const over = request.ended !== null && request.ended <= at;
    const start = Math.max(0, x(began));
    const end = over ? x(request.ended ?? at) : layout.width;
    const top = laneTop(request.lane ?? 0, layout);
    const first = request.first !== null && request.first <= at ? x(request.first) : end;
    this.context.save();
    this.clip(start, top, Math.max(2, end - start), layout.row);
    this.decode(request, over, start, end, top, layout.row);
    // Of an engine elsewhere no prefill is known: there the first token is where the bar begins.
    if (request.first !== began) this.prefill(x(began), Math.max(first, x(began) + 2), top, layout.row);
    this.label(request, over, Math.max(start, first), end, top, layout.row);
    this.context.restore();
  }

  /**
   * @param {Request} request @param {boolean} over
   * @param {number} start @param {number} end @param {number} top @param {number} height
   */
  decode(request, over, start, end, top, height) {
    const broken = over && (request.end === "aborted" || request.end === "failed");
    const { context } = this;
    context.fillStyle = broken ? this.colours.failed : this.ownerColour(request);
    context.fillRect(start, top, end - start + 1, height);
    if (!broken) return this.mark(request, over, end, top, height);
    context.fillStyle = this.pattern(request.end === "failed" ? "cross" : "hatch") ?? this.colours.failed;
    context.fillRect(start, top, end - start + 1, height);
  }

  /** An answer that was cut at its length ends in a dark edge. @param {Request} request @param {boolean} over @param {number} end @param {number} top @param {number} height */
  mark(request, over, end, top, height) {
    if (!over || request.end !== "length") return;
    this.context.fillStyle = this.colours.ink;
    this.context.fillRect(end - 2, top, 2, height);
  }

  /** @param {number} start @param {number} end @param {number} top @param {number} height */
  prefill(start, end, top, height) {
    this.context.fillStyle = this.colours.prefill;
    this.context.fillRect(start, top, end - start, height);
  }

  /** A word in the bar where there is room for it, so that colour is never alone. @param {Request} request @param {boolean} over @param {number} start @param {number} end @param {number} top @param {number} height */
  label(request, over, start, end, top, height) {
    if (height < 12) return;
    const { context } = this;
    context.font = `600 10px ${this.font}`;
    const words = this.labelWords(request, over).find((each) => context.measureText(each).width + 10 <= end - start);
    if (!words) return;
    if (over && request.end !== "stop" && request.end !== "length") this.plate(start + 3, top, context.measureText(words).width + 6, height);
    context.fillStyle = this.colours.barInk;
    context.fillText(words, start + 6, top + height / 2 + 0.5);
  }

  /** Words on a hatch need quiet ground. @param {number} x @param {number} top @param {number} width @param {number} height */
  plate(x, top, width, height) {
    this.context.fillStyle = this.colours.failed;
    this.context.beginPath();
    this.context.roundRect(x, top + height / 2 - 7, width, 14, 3);
    this.context.fill();
  }

  /** What could be said of a bar, the longest first. @param {Request} request @param {boolean} over */
  labelWords({ mine, door, end }, over) {
    const owner = mine ? this.words.yours : door === "api" ? this.words.api : "";
    const how = over && end === "aborted" ? this.words.stopped : over && end === "failed" ? this.words.failed : "";
    return [owner && how && `${owner}, ${how}`, owner, how].filter(Boolean);
  }

  /** @param {Request} request */
  ownerColour({ mine, door }) {
    return mine ? this.colours.decode : door === "api" ? this.colours.api : this.colours.other;
  }

  /** Those who wait, the next in line at the right; mine carry a dot. @param {Request[]} waiting @param {Layout} layout */
  queue(waiting, layout) {
    const { context } = this;
    const from = this.small(this.words.waiting, 0, 7) + 10;
    const shown = waiting.slice(0, Math.floor((layout.width - from - 34) / (8 + 3)));
    const pitch = Math.min(BRICK.width + BRICK.gap, (layout.width - from - (shown.length < waiting.length ? 34 : 0)) / Math.max(1, shown.length));
    const width = pitch - Math.min(BRICK.gap, 3);
    shown.forEach((request, place) => {
      const x = layout.width - (place + 1) * pitch + (pitch - width);
      this.box(x, 2, width, BRICK.height, this.colours.waiting, 3);
      if (!request.mine) return;
      context.fillStyle = this.colours.barInk;
      context.beginPath();
      context.arc(x + width / 2, 2 + BRICK.height / 2, 2.5, 0, 7);
      context.fill();
    });
    if (shown.length < waiting.length) this.small(`+${waiting.length - shown.length}`, from, 7);
  }

  /** @param {Layout} layout @param {number} lanes */
  axis(layout, lanes) {
    const y = layout.top + lanes * (layout.row + layout.gap) + 8;
    for (const ago of [60, 45, 30, 15, 0]) {
      const x = layout.width * (1 - ago / WINDOW);
      const words = ago ? this.words.ago(ago) : this.words.now;
      this.context.textAlign = ago === 60 ? "left" : ago ? "center" : "right";
      this.small(words, x, y);
    }
    this.context.textAlign = "left";
  }

  /** Returns where the words end. @param {string} words @param {number} x @param {number} y */
  small(words, x, y) {
    this.context.font = `10px ${this.font}`;
    this.context.fillStyle = this.colours.muted;
    this.context.fillText(words, x, y);
    return x + this.context.measureText(words).width;
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height @param {string} colour @param {number} [radius] */
  box(x, y, width, height, colour, radius = RADIUS) {
    this.context.fillStyle = colour;
    this.context.beginPath();
    this.context.roundRect(x, y, width, height, Math.min(radius, height / 3));
    this.context.fill();
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  clip(x, y, width, height) {
    this.context.beginPath();
    this.context.roundRect(x, y, width, height, Math.min(RADIUS, height / 3));
    this.context.clip();
  }

  /** Slanted lines for "stopped", crossed ones for "failed". @param {"hatch" | "cross"} kind */
  pattern(kind) {
    const known = this.patterns.get(kind);
    if (known !== undefined) return known;
    const tile = new OffscreenCanvas(8, 8);
    const strokes = tile.getContext("2d");
    if (!strokes) return null;
    strokes.strokeStyle = this.colours.hatch;
    strokes.lineWidth = 1.5;
    strokes.stroke(new Path2D(kind === "hatch" ? "M-2 2L2 -2M-2 10L10 -2M6 10L10 6" : "M0 0L8 8M8 0L0 8"));
    const made = this.context.createPattern(tile, "repeat");
    this.patterns.set(kind, made);
    return made;
  }
}

/** @param {number} lane @param {Layout} layout */
function laneTop(lane, layout) {
  return layout.top + lane * (layout.row + layout.gap);
}
