// @ts-check
/**
 * The latencies of the requests that ended in the shown window: a histogram, percentiles with their n, and goodput against
 * limits that one can change. What the figures mean is `board_statistics.js`'s business.
 *
 * @import {BoardModel} from "./board_model.js"
 * @import {Bin, Measure, Summary} from "./board_statistics.js"
 * @import {View} from "./board_view.js"
 */
import { measureWords } from "./board_details.js";
import { limits, setLimit } from "./board_limits.js";
import { MEASURES, endedWithin, goodput, histogram, summary, valuesOf } from "./board_statistics.js";
import { make, setText } from "./dom.js";
import { count, currentLanguage, say, sayCount } from "./texts.js";

const PERCENTILES = /** @type {const} */ (["p50", "p95", "p99"]);
/** So many bins at least, so that two values do not make two walls. */
const BINS = 12;
const LIMITS = /** @type {const} */ (["ttft", "itl"]);

export class Latency {
  /** @param {BoardModel} model @param {View} view */
  constructor(model, view) {
    this.model = model;
    this.view = view;
  }

  build() {
    this.body = make("tbody");
    this.sum = make("p", { class: "sum" });
    this.apart = make("p", { class: "apart" });
    this.fields = LIMITS.map((name) => this.field(name));
    const heads = ["measure", "histogram", ...PERCENTILES, "n"].map((name) => make("th", { scope: "col" }, say(`latency.${name}`)));
    const table = make("table", { class: "latency" }, make("caption", { class: "offscreen" }, say("latency.label")), make("thead", {}, make("tr", {}, ...heads)), this.body);
    const form = make("div", { class: "limits" }, ...this.fields.map(({ label }) => label));
    this.draw();
    return make("div", {}, table, make("section", { class: "goodput", "aria-label": say("goodput.label") }, this.sum, form, this.apart));
  }

  /** @param {(typeof LIMITS)[number]} name */
  field(name) {
    const input = make("input", { type: "number", min: 1, max: 600_000, step: "any", inputmode: "decimal", title: say(`formula.${name}`) });
    input.addEventListener("input", () => {
      setLimit(name, Number(input.value));
      this.drawGoodput();
    });
    return { name, input, label: make("label", {}, make("span", {}, say(`goodput.${name}`)), input, "ms") };
  }

  draw() {
    const ended = this.ended();
    this.body?.replaceChildren(...MEASURES.map((measure) => row(measure, valuesOf(ended.whole, measure))));
    this.drawGoodput(ended);
  }

  ended() {
    return endedWithin(this.model.requests.values(), this.view.from, this.view.to);
  }

  drawGoodput({ whole, aborted, failed } = this.ended()) {
    const wanted = limits(this.model.limits);
    for (const { name, input } of this.fields ?? []) {
      if (document.activeElement !== input) input.value = String(Math.round(wanted[name] * 10) / 10);
    }
    const { n, good, perSecond } = goodput(whole, wanted, Math.min(this.view.window, this.view.to));
    const rate = new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: 2 }).format(perSecond);
    setText(this.sum, n ? say("goodput.sum", { rate, good: count(good), n: count(n) }) : say("goodput.none"));
    setText(this.apart, say("goodput.apart", { aborted: count(aborted.length), failed: count(failed.length) }));
  }
}

/** @param {Measure} measure @param {number[]} values */
function row(measure, values) {
  const sum = summary(values);
  const cells = PERCENTILES.map((percentile) => make("td", {}, measureWords(measure, sum[percentile])));
  return make(
    "tr",
    {},
    make("th", { scope: "row", title: say(`formula.${measure}`) }, say(`term.${measure}`)),
    make("td", { class: "histogram" }, picture(measure, histogram(values), sum)),
    ...cells,
    make("td", {}, count(sum.n)),
  );
}

/** @param {Measure} measure @param {Bin[]} bins @param {Summary} sum */
function picture(measure, bins, sum) {
  const most = Math.max(1, ...bins.map(({ n }) => n));
  const bars = bins.map(({ from, to, n }) => {
    const words = say("latency.bin", { from: measureWords(measure, from), to: measureWords(measure, to), requests: sayCount("latency.requests", n) });
    return make("i", { title: words, style: `height:${n ? 12 + (88 * n) / most : 0}%` });
  });
  const fill = Math.max(0, BINS - bins.length);
  const blanks = (/** @type {number} */ some) => Array.from({ length: some }, () => make("i", { class: "blank" }));
  const label = sum.n ? say("latency.picture", { p50: measureWords(measure, sum.p50), max: measureWords(measure, sum.max) }) : say("latency.empty");
  return make("div", { class: "bins", role: "img", "aria-label": label }, ...blanks(Math.floor(fill / 2)), ...bars, ...blanks(Math.ceil(fill / 2)));
}
