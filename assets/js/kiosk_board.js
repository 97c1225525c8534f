// @ts-check
/**
 * The batch on a kiosk's screen: the lanes as the picture, one sentence, what the colours mean.
 */
import { Lanes } from "./board_lanes.js";
import { BoardModel } from "./board_model.js";
import { View } from "./board_view.js";
import { make, setText } from "./dom.js";
import { on } from "./hub.js";
import { count, say } from "./texts.js";

const LEGEND = ["waiting", "prefill", "decode", "other", "demo"];
/** How much of the past the picture shows, in ms. What is older is of no use here. */
const WINDOW = 30_000;
/** Letters beside the conversation are so high: in the picture all is as much larger as letters are on the screen. */
const LETTER = 22;

export class KioskBoard {
  model = new BoardModel(2 * WINDOW);
  view = new View(this.model);
  element = make("section", { class: "batch wall" });

  /** @param {() => number} letter  how high letters are now, in pixels */
  constructor(letter) {
    this.lanes = new Lanes(this.model, this.view, () => Math.max(1, letter() / LETTER));
    this.view.window = WINDOW;
    this.lanes.canvas.tabIndex = -1;
    on("board", (frame) => {
      this.model.apply(frame, performance.now());
      this.draw();
    });
    on("mine", (ids) => this.model.own(ids));
    on("status", () => this.draw());
    new MutationObserver(() => this.lanes.restyle()).observe(document.body, { attributeFilter: ["class"] });
  }

  /** In the present language. */
  build() {
    this.sentence = make("p", { class: "sentence" });
    const meanings = LEGEND.map((name) => make("li", {}, make("i", { class: name }), say(`legend.${name}`)));
    this.element.setAttribute("aria-label", say("board.title"));
    this.element.replaceChildren(this.sentence, this.lanes.element, make("ul", { class: "legend" }, ...meanings));
    this.draw();
  }

  /** It stands on the page now, and can know its colours. */
  shown() {
    this.lanes.restyle();
  }

  draw() {
    const { engine, running, waiting } = this.model;
    const sentence = engine?.seen_from_here ? "board.here" : "board.subtitle";
    const words = engine ? say(sentence, { running: count(running), lanes: count(engine.lanes), waiting: count(waiting) }) : say("board.nothing");
    setText(this.sentence, words);
    this.lanes.describe(words);
    this.lanes.wake();
  }

  /** Nobody's requests are the visitor's any more. */
  forget() {
    this.model.own([]);
  }
}
