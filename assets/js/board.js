// @ts-check
/**
 * The batch beside the conversation: puts the board's parts together, hands them what the stream tells, and is a drawer on a
 * small screen, whose closed state still shows the lanes. Shows of other people's requests only what everybody may know: when
 * and how long, never what.
 *
 * @import {BoardFrame} from "./protocol.js"
 */
import { Demo } from "./board_demo.js";
import { Drawer } from "./board_drawer.js";
import { Gauges } from "./board_gauges.js";
import { help, legend } from "./board_help.js";
import { StepHistory } from "./board_history.js";
import { Lanes } from "./board_lanes.js";
import { Latency } from "./board_latency.js";
import { BoardModel } from "./board_model.js";
import { SavedByBatching } from "./board_saved.js";
import { NpuLines } from "./board_npus.js";
import { ServerFigures } from "./board_server.js";
import { waitingAt } from "./board_scene.js";
import { RequestTable } from "./board_table.js";
import { Tabs } from "./board_tabs.js";
import { TimeControls } from "./board_time.js";
import { View } from "./board_view.js";
import { make, setText } from "./dom.js";
import { on } from "./hub.js";
import { count, say, sayCount } from "./texts.js";

const SPOKEN_EVERY = 5000;
/** What takes many requests together is reckoned once a second. */
const SLOW = 1000;

class BatchBoard extends HTMLElement {
  model = new BoardModel();
  view = new View(this.model);
  lanes = new Lanes(this.model, this.view);
  time = new TimeControls(this.view);
  gauges = new Gauges(this.model, this.view);
  saved = new SavedByBatching(this.model);
  server = new ServerFigures(this.model);
  npus = new NpuLines(this.model);
  latency = new Latency(this.model, this.view);
  table = new RequestTable(this.model, this.view);
  demo = new Demo(this.model);
  drawer = new Drawer(this);
  history = new StepHistory(this.model, this.view, () => this.lanes.paint());
  tabs = new Tabs("batch", [
    { name: "latency", words: () => say("latency.tab"), build: () => this.latency.build() },
    { name: "requests", words: () => say("table.tab"), build: () => this.table.build() },
    { name: "help", words: () => say("help.tab"), build: () => help(this.model.engine?.buckets ?? false) },
  ], () => this.drawSlow());
  spokenAt = -SPOKEN_EVERY;
  slowAt = -SLOW;
  buckets = false;

  connectedCallback() {
    this.build();
    on("board", (frame) => this.apply(frame));
    on("mine", (ids) => this.own(ids));
    on("status", () => this.draw());
    on("view", () => this.look());
    on("language", () => this.build());
    new MutationObserver(() => this.lanes.restyle()).observe(document.body, { attributeFilter: ["class"] });
  }

  build() {
    this.sub = make("p", { class: "sub" });
    this.device = make("p", { class: "device" });
    const head = make("div", { class: "board-head" }, make("div", {}, make("h2", {}, say("board.title")), this.sub, this.server.build()), this.demo.build());
    const details = make("div", { id: "batch-details" }, this.time.build(), legend(), this.gauges.build(), this.device, this.npus.build(), this.saved.build(), this.tabs.build(say("board.more")));
    this.replaceChildren(this.drawer.build("batch-details"), head, this.lanes.element, details);
    this.drawer.dragBy([head, this.lanes.canvas]);
    this.spokenAt = -SPOKEN_EVERY;
    this.lanes.restyle();
    this.draw();
  }

  /** @param {BoardFrame} frame */
  apply(frame) {
    this.model.apply(frame, performance.now());
    const { buckets = false } = this.model.engine ?? {};
    // The help speaks of buckets only where there are some.
    if (buckets !== this.buckets) {
      this.buckets = buckets;
      this.build();
    }
    this.draw();
    if (frame.full) this.drawSlow(); // of another engine, perhaps
  }

  /** @param {number[]} ids */
  own(ids) {
    this.model.own(ids);
    this.spokenAt = -SPOKEN_EVERY;
    this.draw();
    this.drawSlow();
  }

  /** Another window or another moment. */
  look() {
    this.lanes.paint();
    this.draw();
    this.drawSlow();
  }

  draw() {
    setText(this.sub, this.subtitle());
    if (this.sub) this.sub.title = this.model.engine?.seen_from_here ? say("board.here.title") : "";
    const { device } = this.model.engine ?? {};
    setText(this.device, device ? say("board.device", { device }) : "");
    this.dataset.live = this.view.live ? "yes" : "no";
    this.demo.draw();
    this.server.draw();
    if (this.drawer.seen) this.gauges.draw();
    if (this.drawer.seen) this.npus.draw();
    this.lanes.wake();
    this.describe();
    if (performance.now() - this.slowAt >= SLOW) this.drawSlow();
  }

  /** Only what can be seen. */
  drawSlow() {
    this.slowAt = performance.now();
    if (!this.drawer.seen) return;
    this.time.draw();
    this.saved.draw();
    if (this.tabs.open === "latency") this.latency.draw();
    if (this.tabs.open === "requests") this.table.draw();
    void this.history.complete();
  }

  /** "3 of 4 lanes busy, 2 waiting", now or then. */
  subtitle() {
    const { model, view } = this;
    if (!model.engine?.lanes) return say("board.nothing"); // none has ever run
    const lanes = count(model.engine.lanes);
    const here = model.engine.seen_from_here;
    if (view.live) return say(here ? "board.here" : "board.subtitle", { running: count(model.running), lanes, waiting: count(model.waiting) });
    const busy = model.within(view.to, view.to).filter(({ stays }) => stays.some(({ from, to }) => from <= view.to && (to === null || to > view.to)));
    return say(here ? "board.here.held" : "board.subtitle.held", { running: count(busy.length), lanes, waiting: count(waitingAt(model, view.to).length) });
  }

  /** The picture in words, not so often that it would interrupt. */
  describe() {
    const now = performance.now();
    if (now - this.spokenAt < SPOKEN_EVERY) return;
    this.spokenAt = now;
    const running = [...this.model.requests.values()].filter(({ mine, scheduled, ended }) => mine && scheduled !== null && ended === null);
    this.lanes.describe(this.model.engine?.lanes ? `${this.subtitle()}. ${sayCount("board.mine", running.length)}` : this.subtitle());
  }
}

export function define() {
  customElements.define("batch-board", BatchBoard);
}
