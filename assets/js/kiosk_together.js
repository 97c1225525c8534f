// @ts-check
/**
 * One at a time against together, side by side: a bar for each answer, tokens per second, seconds, and how many times as fast.
 * Every number is the server's measurement.
 *
 * @import {Comparison, Way} from "./protocol.js"
 */
import { make, setText } from "./dom.js";
import { engineLacks, engineStatus, shortName } from "./engine.js";
import { on } from "./hub.js";
import { withId } from "./server.js";
import { count, currentLanguage, say, sayCount } from "./texts.js";

/** @type {Array<"single" | "together">} */
const WAYS = ["single", "together"];
/** Before it has begun. @type {Way} */
const NOTHING = { tokens: [], spans: Array(8).fill(null), seconds: 0, rate: 0 };

export class Together {
  element = make("section", { class: "comparison", tabindex: 0 });
  /** @type {Comparison | null} */
  latest = null;

  /** @param {(running: boolean) => void} running  told whether it goes on */
  constructor(running) {
    on("together", (comparison) => {
      this.latest = comparison;
      this.draw();
      running(["reading", "single", "together"].includes(comparison.phase));
    });
  }

  /** In the present language. */
  build() {
    this.columns = WAYS.map((way) => new Column(way));
    this.verdict = make("p", { class: "verdict", role: "status" });
    this.label = make("p", { class: "fine" });
    const sides = make("div", { class: "sides" }, ...this.columns.map(({ element }) => element));
    this.element.setAttribute("aria-label", say("kiosk.together.title"));
    this.element.replaceChildren(make("h1", {}, say("kiosk.together.title")), sides, this.verdict, this.label);
    this.draw();
  }

  forget() {
    this.latest = null;
    this.build();
  }

  draw() {
    const { latest } = this;
    for (const column of this.columns ?? []) column.draw(latest);
    setText(this.verdict, latest ? verdict(latest) : say("kiosk.together.words"));
    setText(this.label, latest ? label(latest) : "");
    this.element.dataset.phase = latest?.phase ?? "";
  }
}

class Column {
  /** @type {HTMLElement[]} */
  rows = [];

  /** @param {"single" | "together"} way */
  constructor(way) {
    this.way = way;
    this.list = make("ol", { class: "rows" });
    this.rate = make("b");
    this.time = make("span");
    this.element = make("div", { class: "side", "data-way": way }, make("h2", {}, say(`kiosk.together.${way}`)), this.list, make("p", { class: "rate" }, this.rate, " ", this.time));
  }

  /** Each answer's bar, in the same time on both sides: amber while it waits, green while it has its lane. @param {Comparison | null} comparison */
  draw(comparison) {
    const { spans, seconds, rate } = comparison?.[this.way] ?? NOTHING;
    if (this.rows.length !== spans.length) {
      this.rows = spans.map(() => make("li", {}, make("i", { class: "waits" }), make("i", { class: "writes" })));
      this.list.replaceChildren(...this.rows);
    }
    const share = (/** @type {number} */ time) => `${(100 * time) / (comparison ? longest(comparison) : 1)}%`;
    this.rows.forEach((row, i) => {
      const [from, to] = spans[i] ?? [seconds, seconds];
      const [waits, writes] = row.children;
      waits?.setAttribute("style", `width:${share(from)}`);
      writes?.setAttribute("style", `width:${share(to - from)}`);
    });
    setText(this.rate, seconds ? say("kiosk.together.rate", { n: count(rate) }) : "–");
    setText(this.time, seconds ? say("unit.seconds", { n: seconds.toFixed(1) }) : "");
  }
}

/** How long the bars' field is, in seconds: as long as the slower way took, or will at its present speed. @param {Comparison} comparison */
function longest({ phase, prompts, length, single, together }) {
  const expected = phase === "single" && single.rate > 0 ? (prompts.length * length) / single.rate : 0;
  return Math.max(expected, single.seconds, together.seconds) || 1;
}

/** @param {Comparison} comparison */
function verdict({ phase, factor, error }) {
  if (error) return withId(say("kiosk.together.phase.failed"), error);
  if (factor === null) return say(`kiosk.together.phase.${phase}`);
  const n = new Intl.NumberFormat(currentLanguage(), { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(factor);
  return say("kiosk.together.factor", { n });
}

/** "paper on CPU, 4 lanes, 8 prompts of 64 tokens." An engine elsewhere does not tell its lanes, and may end an answer sooner. @param {Comparison} comparison */
function label({ phase, prompts, length, lanes, single, together, others }) {
  const { model, device } = engineStatus() ?? {};
  const sooner = phase === "done" && [...single.tokens, ...together.tokens].some((tokens) => tokens < length);
  const parts = [
    say("kiosk.together.where", { model: shortName(model ?? ""), device: engineLacks("lanes") ? say("kiosk.elsewhere") : (device ?? "") }),
    ...(engineLacks("lanes") ? [] : [say("kiosk.together.lanes", { lanes: count(lanes) })]),
    say(sooner ? "kiosk.together.work.at_most" : "kiosk.together.work", { prompts: count(prompts.length), tokens: count(length) }),
  ];
  const words = `${parts.join(", ")}. ${say("kiosk.together.measured")}`;
  return others ? `${words} ${sayCount("kiosk.together.others", others)}` : words;
}
