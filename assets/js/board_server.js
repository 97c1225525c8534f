// @ts-check
/**
 * What the server of an engine elsewhere publishes of itself, in one sentence; that it publishes nothing, where it does not.
 *
 * @import {BoardModel} from "./board_model.js"
 */
import { make, setText } from "./dom.js";
import { count, percent, say } from "./texts.js";

export class ServerFigures {
  /** @param {BoardModel} model */
  constructor(model) {
    this.model = model;
  }

  build() {
    this.element = make("p", { class: "server-figures", hidden: true });
    return this.element;
  }

  draw() {
    if (!this.element) return;
    const elsewhere = this.model.engine?.seen_from_here ?? false;
    this.element.hidden = !elsewhere;
    if (elsewhere) setText(this.element, this.words());
  }

  words() {
    const load = this.model.figures?.server;
    if (!load) return say("server.nothing");
    /** @type {Array<["running" | "waiting" | "generation_rate" | "prompt_rate", number | null]>} */
    const counts = [["running", load.running], ["waiting", load.waiting], ["generation_rate", load.generation_rate], ["prompt_rate", load.prompt_rate]];
    const told = counts.flatMap(([name, value]) => (value === null ? [] : [say(`server.${name}`, { n: count(value) })]));
    if (load.kv_cache !== null) told.push(say("server.kv_cache", { share: percent(load.kv_cache) }));
    const whose = load.asked > 1 ? say("server.several", { n: count(load.servers), all: count(load.asked) }) : say("server.one");
    return say("server.figures", { whose, list: told.join(", ") });
  }
}
