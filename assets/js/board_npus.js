// @ts-check
/**
 * What a metrics exporter says of the NPUs, a line each, and what a joule gave; nothing where nobody reads one.
 *
 * @import {BoardModel} from "./board_model.js"
 * @import {Npu, NpuFigures} from "./protocol.js"
 */
import { make } from "./dom.js";
import { count, hundredths, percent, say } from "./texts.js";

const GIB = 2 ** 30;

export class NpuLines {
  told = "";

  /** @param {BoardModel} model */
  constructor(model) {
    this.model = model;
  }

  build() {
    this.told = "";
    this.list = make("ul", {});
    this.sum = make("p", {});
    this.element = make("section", { class: "npus", "aria-label": say("npu.title"), hidden: true }, this.sum, this.list);
    return this.element;
  }

  /** They change every few seconds only. */
  draw() {
    const figures = this.model.figures?.npu ?? null;
    const told = JSON.stringify(figures);
    if (!this.element || told === this.told) return;
    this.told = told;
    this.element.hidden = figures === null;
    if (figures === null) return;
    this.sum?.replaceChildren(sumOf(figures));
    this.list?.replaceChildren(...figures.npus.map((npu) => make("li", npu.healthy === false ? { class: "unwell" } : {}, lineOf(npu))));
  }
}

/** @param {NpuFigures} figures */
function sumOf({ power, tokens_per_joule }) {
  const told = [say("npu.title")];
  if (power !== null) told.push(say("npu.power", { n: count(Math.round(power)) }));
  if (tokens_per_joule !== null) told.push(say("npu.tokens_per_joule", { n: hundredths(tokens_per_joule) }));
  return told.join(" · ");
}

/** @param {Npu} npu */
function lineOf({ name, card, utilization, power, temperature, memory_used, memory_total, healthy }) {
  const told = [`${name} ${card}`.trim()];
  if (healthy === false) told.push(say("npu.unwell"));
  if (utilization !== null) told.push(say("npu.utilization", { share: percent(utilization) }));
  if (power !== null) told.push(say("npu.power", { n: count(Math.round(power)) }));
  if (temperature !== null) told.push(say("npu.temperature", { n: count(Math.round(temperature)) }));
  if (memory_used !== null && memory_total !== null) told.push(say("npu.memory", { used: hundredths(memory_used / GIB), total: hundredths(memory_total / GIB) }));
  return told.join(" · ");
}
