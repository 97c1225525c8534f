// @ts-check
/**
 * The batch in eight figures. What is not known is a dash; each says by which formula it came about to whoever rests on it.
 * Of an engine that is seen from here the lanes and the line are not known: this page's own requests stand in their place.
 *
 * @import {BoardModel} from "./board_model.js"
 * @import {View} from "./board_view.js"
 */
import { endedWithin, summary, valuesOf } from "./board_statistics.js";
import { make, setText } from "./dom.js";
import { count, percent, say, seconds, shortCount } from "./texts.js";

const GAUGES = ["occupancy", "waiting", "generation", "ttft", "kv", "hits", "prompt", "preempted"];

export class Gauges {
  /** @type {Element[]} */
  values = [];
  /** @type {Element[]} */
  names = [];

  /** @param {BoardModel} model @param {View} view */
  constructor(model, view) {
    this.model = model;
    this.view = view;
  }

  build() {
    this.values = GAUGES.map(() => make("span", {}, "–"));
    this.aside = make("small");
    this.names = GAUGES.map((name) => make("span", {}, say(`gauge.${name}`)));
    const cells = GAUGES.map((name, i) => make(
      "div",
      { title: say(`gauge.${name}.title`), "data-gauge": name },
      make("b", {}, this.values[i] ?? "", name === "occupancy" ? (this.aside ?? null) : null),
      this.names[i] ?? "",
    ));
    this.draw();
    return make("div", { class: "gauges", role: "group", "aria-label": say("gauge.label") }, ...cells);
  }

  draw() {
    const { model, view } = this;
    const { whole } = endedWithin(model.requests.values(), view.from, view.to);
    const ttft = summary(valuesOf(whole, "ttft"));
    const { engine, figures } = model;
    const here = engine?.seen_from_here ?? false;
    const share = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : percent(value));
    const said = {
      occupancy: here ? count(model.running) : engine?.lanes ? `${count(model.running)}/${count(engine.lanes)}` : "–",
      waiting: model.known ? count(model.waiting) : "–",
      generation: figures ? count(figures.tps.generation) : "–",
      ttft: ttft.p95 === null ? "–" : seconds(ttft.p95 / 1000),
      kv: share(figures?.kv),
      hits: engine?.prefix_cache ? share(figures?.prefix_hits) : "–",
      prompt: figures && !here ? count(figures.tps.prompt) : "–",
      preempted: model.known && !here ? count(model.preempted) : "–",
    };
    Object.values(said).forEach((words, i) => setText(this.values[i], words));
    const occupancy = figures?.occupancy ?? null;
    setText(this.aside, occupancy === null || here ? "" : say("gauge.average", { share: percent(occupancy) }));
    this.name("occupancy", here ? "gauge.here" : "gauge.occupancy");
    this.name("waiting", here ? "gauge.sent" : "gauge.waiting");
    setText(this.names[GAUGES.indexOf("ttft")], ttft.n ? say("gauge.ttft.of", { n: shortCount(ttft.n) }) : say("gauge.ttft"));
  }

  /** @param {string} gauge @param {string} key  of its text */
  name(gauge, key) {
    const name = this.names[GAUGES.indexOf(gauge)];
    setText(name, say(key));
    if (name?.parentElement) name.parentElement.title = say(`${key}.title`);
  }
}
