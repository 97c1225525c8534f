// @ts-check
/**
 * A canvas with the page's colours, patterns and type: what the painters of the board share. Knows nothing of requests.
 */

const COLOURS = /** @type {const} */ ([
  "waiting", "prefill", "decode", "other", "api", "failed", "sunken", "surface", "muted", "line", "hatch", "ink", "accent", "bar-ink",
]);
/** @typedef {Record<(typeof COLOURS)[number], string>} Colours */

/** Strokes on a field of 8 by 8, and how thick: marks that tell apart what has the same colour. */
const PATTERNS = {
  stopped: { strokes: "M-2 2L2 -2M-2 10L10 -2M6 10L10 6", weight: 1.5 },
  failed: { strokes: "M0 0L8 8M8 0L0 8", weight: 1.5 },
  evaluation: { strokes: "M0 2H8M0 6H8", weight: 0.6 },
  demo: { strokes: "M1.400 2H2.600M5.400 6H6.600", weight: 1.2 },
};

export class Brush {
  /** @type {Map<string, CanvasPattern | null>} */
  patterns = new Map();
  /** @type {Map<string, number>} */
  widths = new Map();

  /** @param {CanvasRenderingContext2D} context @param {Element} owner  whose colours and type these are */
  constructor(context, owner) {
    const style = getComputedStyle(owner);
    const value = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    this.context = context;
    this.face = value("face") || "sans-serif";
    this.colours = /** @type {Colours} */ (Object.fromEntries(COLOURS.map((name) => [name, value(name)])));
  }

  /** A box with round corners where they show. @param {number} x @param {number} y @param {number} width @param {number} height @param {string | CanvasPattern} fill @param {number | number[]} [radii] */
  box(x, y, width, height, fill, radii = 0) {
    const { context } = this;
    context.fillStyle = fill;
    if (!radii || height < 6 || width < 3) return context.fillRect(x, y, width, height);
    context.beginPath();
    context.roundRect(x, y, width, height, radii);
    context.fill();
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height @param {string} stroke @param {number} weight @param {number} [radius] */
  frame(x, y, width, height, stroke, weight, radius = 0) {
    const { context } = this;
    context.strokeStyle = stroke;
    context.lineWidth = weight;
    context.beginPath();
    context.roundRect(x, y, Math.max(0, width), Math.max(0, height), radius);
    context.stroke();
  }

  /**
   * Words in one line; returns where they end.
   * @param {string} words @param {number} x @param {number} y  their middle @param {number} size
   * @param {{fill?: string, weight?: number, align?: CanvasTextAlign}} [style]
   */
  words(words, x, y, size, { fill = this.colours.muted, weight = 400, align = "left" } = {}) {
    const { context } = this;
    context.font = this.font(size, weight);
    context.fillStyle = fill;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.fillText(words, x, y);
    return x + this.width(words, size, weight);
  }

  /** @param {string} words @param {number} size @param {number} [weight] */
  width(words, size, weight = 400) {
    const key = `${weight} ${size} ${words}`;
    const known = this.widths.get(key);
    if (known !== undefined) return known;
    // Seconds that pass make new words for ever.
    if (this.widths.size > 500) this.widths.clear();
    this.context.font = this.font(size, weight);
    const measured = this.context.measureText(words).width;
    this.widths.set(key, measured);
    return measured;
  }

  /** @param {number} size @param {number} weight */
  font(size, weight) {
    return `${weight} ${size}px ${this.face}`;
  }

  /** @param {keyof typeof PATTERNS} name @param {string} stroke @param {number} scale */
  pattern(name, stroke, scale) {
    const key = `${name} ${stroke}`;
    const known = this.patterns.get(key);
    if (known !== undefined) return known ?? stroke;
    const tile = new OffscreenCanvas(8 * scale, 8 * scale);
    const strokes = tile.getContext("2d");
    if (!strokes) return stroke;
    strokes.scale(scale, scale);
    strokes.strokeStyle = stroke;
    strokes.lineWidth = PATTERNS[name].weight;
    strokes.stroke(new Path2D(PATTERNS[name].strokes));
    const made = this.context.createPattern(tile, "repeat");
    this.patterns.set(key, made);
    return made ?? stroke;
  }
}
