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
import { Watchdog } from "./watchdog.js";

const RETRY = 2000;
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

/** @type {EventSource} */
let source;
const watchdog = new Watchdog(() => {
  if (source.readyState === EventSource.CLOSED) return; // it is opened again already
  source.close();
  emit("connection", "lost");
  listen();
});

/** The browser re-connects by itself after a broken connection, but not after an answer that is no stream. */
function listen() {
  const model = new URLSearchParams(location.search).get("model") ?? "";
  const address = `api/stream?board=1&model=${encodeURIComponent(model)}`;
  const opened = new EventSource(address);
  source = opened;
  opened.onopen = () => emit("connection", "open");
  opened.onerror = () => {
    emit("connection", "lost");
    if (opened.readyState !== EventSource.CLOSED) return;
    void whyRefused(address);
    setTimeout(listen, RETRY);
  };
  watchdog.follow(opened, ["status", "board"]);
}

customElements.define("board-wall", BoardWall);
document.body.append(new BoardWall());
listen();
