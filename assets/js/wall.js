// @ts-check
/**
 * The batch on a wall: the lanes as the picture, the figures, one sentence; no chat and nothing to press. Opens a stream of
 * its own that bears the board alone.
 */
import { Gauges } from "./board_gauges.js";
import { legend } from "./board_help.js";
import { Lanes } from "./board_lanes.js";
import { BoardModel } from "./board_model.js";
import { sentence } from "./board_saved.js";
import { View } from "./board_view.js";
import { make, setText } from "./dom.js";
import { engineWords, modelWords } from "./engine.js";
import { emit, on } from "./hub.js";
import { whyRefused } from "./server.js";
import { count, say } from "./texts.js";

const RETRY = 2000;
/** The server says something every 15 s at least: a stream that is silent for so long is dead, whatever the browser thinks of it. */
const SILENCE = 40_000;
const LOOK_EVERY = 5000;
/** The panel beside the conversation is this wide; on a wall everything is as much larger. */
const PANEL = 760;

class BoardWall extends HTMLElement {
  model = new BoardModel();
  view = new View(this.model);
  lanes = new Lanes(this.model, this.view, () => Math.max(1, Math.min(innerWidth / PANEL, innerHeight / 430)));
  gauges = new Gauges(this.model, this.view);
  savedKey = "";

  connectedCallback() {
    this.name = make("p", { class: "engine" });
    this.sub = make("p", { class: "sub", role: "status" });
    this.saved = make("div", { class: "saved" });
    const head = make("header", {}, make("h1", {}, "Batchat"), this.name, this.sub);
    this.replaceChildren(head, this.lanes.element, legend(false), this.gauges.build(), this.saved);
    this.lanes.canvas.tabIndex = -1;
    this.lanes.restyle();
    on("board", (frame) => {
      this.model.apply(frame, performance.now());
      this.draw();
    });
    on("connection", (state) => {
      this.dataset.connection = state;
      this.draw();
    });
    for (const news of /** @type {const} */ (["status", "tick"])) on(news, () => this.draw());
    new MutationObserver(() => this.lanes.restyle()).observe(document.body, { attributeFilter: ["class"] });
    this.draw();
  }

  draw() {
    setText(this.name, [modelWords(), engineWords()].filter(Boolean).join(" · "));
    setText(this.sub, this.subtitle());
    this.lanes.describe(this.subtitle());
    this.lanes.wake();
    this.gauges.draw();
    this.drawSaved();
  }

  drawSaved() {
    const key = JSON.stringify(this.model.saved);
    if (this.savedKey === key) return;
    this.savedKey = key;
    this.saved?.replaceChildren(sentence(this.model));
  }

  subtitle() {
    const { engine, running, waiting } = this.model;
    if (this.dataset.connection === "lost") return say("connection.lost");
    if (!engine) return say("board.nothing");
    return say(engine.seen_from_here ? "board.here" : "board.subtitle", { running: count(running), lanes: count(engine.lanes), waiting: count(waiting) });
  }
}

/** The browser re-connects by itself after a broken connection, but not after an answer that is no stream. */
function listen() {
  const model = new URLSearchParams(location.search).get("model") ?? "";
  const address = `api/stream?board=1&model=${encodeURIComponent(model)}`;
  const source = new EventSource(address);
  let heard = performance.now();
  const look = setInterval(() => {
    if (performance.now() - heard < SILENCE) return;
    clearInterval(look);
    source.close();
    emit("connection", "lost");
    listen();
  }, LOOK_EVERY);
  source.onopen = () => emit("connection", "open");
  source.onerror = () => {
    emit("connection", "lost");
    if (source.readyState !== EventSource.CLOSED) return;
    clearInterval(look);
    void whyRefused(address);
    setTimeout(listen, RETRY);
  };
  source.addEventListener("ping", () => (heard = performance.now()));
  for (const name of /** @type {const} */ (["status", "board"])) {
    source.addEventListener(name, ({ data }) => {
      heard = performance.now();
      emit(name, JSON.parse(data));
    });
  }
}

customElements.define("board-wall", BoardWall);
document.body.append(new BoardWall());
listen();
