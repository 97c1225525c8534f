// @ts-check
/**
 * The kiosk's screen: puts its parts together, does what the state says, and wipes everything when a visit is over. What
 * follows what is `kiosk_state.js`' to say.
 *
 * @import {Change} from "./kiosk_state.js"
 */
import { make, setText } from "./dom.js";
import { engineLacks, engineReady, engineWords, modelWords, stageWords } from "./engine.js";
import { on } from "./hub.js";
import { Admin } from "./kiosk_admin.js";
import { KioskBoard } from "./kiosk_board.js";
import { Keyboard } from "./kiosk_keyboard.js";
import { lock, unzoom } from "./kiosk_lock.js";
import { Stream, Visit } from "./kiosk_server.js";
import { letterSize, readSettings } from "./kiosk_settings.js";
import { atRest, isBusy, next, secondsLeft } from "./kiosk_state.js";
import { Talk } from "./kiosk_talk.js";
import { Together } from "./kiosk_together.js";
import { currentLanguage, loadAll, otherLanguage, say, sayCount, sayIn, showLanguage } from "./texts.js";

const LANGUAGES = ["en", "ko"];
const LOOKS = ["contrast", "large"];
const TICK = 250;
const NEXT_EXAMPLE = 6000;
const USE = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"];

class KioskScreen extends HTMLElement {
  settings = readSettings();
  times = { idle: this.settings.idle_seconds * 1000, warning: this.settings.warning_seconds * 1000 };
  state = atRest();
  /** @type {Visit | null} */
  visit = null;
  example = 0;
  touched = 0;
  stream = new Stream(() => this.change({ type: "over", at: performance.now() }));
  board = new KioskBoard(() => this.letter());
  talk = new Talk((what) => this.change({ type: what }));
  together = new Together((running) => this.change({ type: "running", running }));
  admin = new Admin();
  field = make("textarea", { class: "field", rows: 3, maxlength: this.settings.max_characters, autocomplete: "off", autocapitalize: "off", spellcheck: "false", inputmode: this.settings.keyboard ? "none" : "text" });
  keyboard = new Keyboard(this.field, () => void this.ask(this.field.value));

  connectedCallback() {
    lock();
    forgetStored();
    this.dress();
    this.build();
    for (const name of USE) addEventListener(name, () => this.used(), { capture: true, passive: true });
    addEventListener("keydown", (event) => this.pressed(event));
    addEventListener("resize", () => this.dress());
    addEventListener("pagehide", () => this.visit?.end());
    on("language", () => this.build());
    on("status", () => this.change({ type: "engine", ready: engineReady() }));
    on("connection", (state) => this.change({ type: "connection", open: state === "open" }));
    on("tick", () => this.drawNews());
    setInterval(() => this.tick(), TICK);
    setInterval(() => this.nextExample(), NEXT_EXAMPLE);
    this.stream.attract();
  }

  // What is done

  /** @param {Change} change */
  change(change) {
    const before = this.state;
    this.state = next(before, change, this.times);
    if (this.state === before) return;
    if (before.screen !== "attract" && this.state.screen === "attract") this.wipe();
    if (before.screen !== this.state.screen) this.enter();
    this.draw();
  }

  /** @param {"write" | "examples" | "asked" | "compare" | "over"} type */
  go(type) {
    this.change({ type, at: performance.now() });
  }

  /** Touching is use. While the warning stands its buttons say what it means: they must still be there when the finger is lifted. */
  used() {
    this.touched = performance.now();
    if (this.state.warned === null) this.stay();
  }

  stay() {
    this.change({ type: "touch", at: performance.now() });
  }

  tick() {
    if (this.state.screen === "attract") return this.tidy();
    this.change({ type: "tick", at: performance.now() });
    this.drawWarning();
  }

  /** Somebody has changed the looks, or opened the corner, and went on without a visit. */
  tidy() {
    const changed = this.admin.element.open || currentLanguage() !== this.settings.language || LOOKS.some((look) => document.body.classList.contains(look));
    if (changed && performance.now() - this.touched >= this.times.idle) this.undress();
  }

  /** @param {string} language */
  async begin(language) {
    if (this.state.screen !== "attract") return;
    const visit = new Visit();
    this.visit = visit;
    this.change({ type: "begin", at: performance.now() });
    await showLanguage(language);
    try {
      await this.stream.follow(visit);
    } catch {
      if (visit === this.visit) this.go("over");
    }
  }

  /** @param {string} text */
  async ask(text) {
    const visit = this.visit;
    const asked = text.trim();
    if (!asked || !visit || isBusy(this.state)) return;
    const typed = this.state.screen === "asking";
    this.field.value = "";
    this.go("asked");
    try {
      const { refusal } = await visit.ask(asked, currentLanguage());
      if (refusal && visit === this.visit) this.talk.decline(asked, refusal);
    } catch (error) {
      if (visit !== this.visit) return;
      // "Write your own" shows it again.
      if (typed) this.field.value = text;
      this.talk.decline(asked, messageOf(error));
    }
  }

  async compare() {
    const visit = this.visit;
    if (!visit) return;
    this.together.forget();
    this.go("compare");
    this.change({ type: "running", running: true });
    try {
      await visit.compare(currentLanguage());
    } catch (error) {
      if (visit !== this.visit) return;
      this.change({ type: "running", running: false });
      setText(this.together.verdict, messageOf(error));
    }
  }

  stop() {
    this.visit?.stop().catch(() => undefined);
  }

  /** Nothing of the visitor stays: not on the server, in the page, its fields, its storage, its address or its looks. */
  wipe() {
    this.visit?.end();
    this.visit = null;
    this.talk.clear();
    this.together.forget();
    this.board.forget();
    this.field.value = this.field.defaultValue = "";
    this.example = 0;
    forgetStored();
    this.stream.attract();
    this.undress();
  }

  /** The screen as the file wants it. */
  undress() {
    this.admin.close();
    document.body.classList.remove(...LOOKS);
    unzoom();
    this.dress();
    void showLanguage(this.settings.language);
  }

  /** Any key begins, in the kiosk's own language. @param {KeyboardEvent} event */
  pressed(event) {
    if (this.state.screen === "attract" && !this.admin.element.open && ["Enter", " "].includes(event.key) && !(event.target instanceof HTMLButtonElement)) void this.begin(this.settings.language);
    if (event.target !== this.field || event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    void this.ask(this.field.value);
  }

  // What is shown

  /** How high letters are, in pixels. */
  letter() {
    return letterSize(this.settings, screen) * (document.body.classList.contains("large") ? 2 : 1);
  }

  dress() {
    document.body.classList.toggle("dark", this.settings.theme === "dark" && !document.body.classList.contains("contrast"));
    document.body.style.setProperty("--letter", `${this.letter()}px`);
    document.body.style.setProperty("--usual", `${letterSize(this.settings, screen)}px`);
  }

  /** @param {"contrast" | "large"} look */
  toggle(look) {
    document.body.classList.toggle(look);
    this.dress();
    this.build();
  }

  /** Everything in the present language. */
  build() {
    for (const part of [this.board, this.talk, this.together]) part.build();
    this.keyboard.show(currentLanguage());
    this.field.setAttribute("aria-label", say("kiosk.write"));
    this.field.placeholder = say("kiosk.placeholder");
    this.brand = make("b", { class: "brand" }, this.settings.title);
    if (this.settings.admin) this.admin.listenTo(this.brand);
    this.engineLine = make("span", { class: "fine" });
    this.news = make("p", { class: "news", role: "status" });
    this.warning = make("dialog", { class: "overlay", role: "alertdialog", "aria-label": say("kiosk.warning.title"), onclick: () => this.stay(), oncancel: () => this.stay() });
    this.main = make("main", { tabindex: -1 });
    this.foot = make("footer");
    this.replaceChildren(make("header", {}, this.brand, this.engineLine, this.switches()), this.news, this.main, this.foot, this.warning, this.admin.element);
    this.enter();
    this.draw();
  }

  switches() {
    const pressed = (/** @type {string} */ look) => String(document.body.classList.contains(look));
    return make(
      "div",
      { class: "switches" },
      button(say("kiosk.contrast"), () => this.toggle("contrast"), { "aria-pressed": pressed("contrast"), "data-action": "contrast" }),
      button(say("kiosk.large"), () => this.toggle("large"), { "aria-pressed": pressed("large"), "data-action": "large" }),
      button(say("header.other_language"), () => void showLanguage(otherLanguage()), { lang: otherLanguage(), "data-action": "language" }),
    );
  }

  /** The parts of this screen. */
  enter() {
    const { screen } = this.state;
    this.dataset.screen = screen;
    const parts = {
      attract: () => [this.poster(), this.board.element, this.beginning()],
      ready: () => [this.examples()],
      asking: () => [this.writing()],
      waiting: () => [this.talk.element, this.board.element],
      streaming: () => [this.talk.element, this.board.element],
      answered: () => [this.talk.element, this.board.element],
      together: () => [this.together.element],
    };
    const wanted = parts[screen]();
    // What stays where it is keeps its place and its scrolling.
    if (!this.main || !this.foot || (this.main.children.length === wanted.length && wanted.every((part, i) => part === this.main?.children[i]))) return this.enterFoot();
    this.main.replaceChildren(...wanted);
    if (this.board.element.isConnected) this.board.shown();
    this.enterFoot();
    if (screen === "asking") this.field.focus();
    else if (screen !== "attract") this.main.focus({ preventScroll: true });
    this.talk.follower.toEnd();
  }

  enterFoot() {
    if (this.state.screen === "attract") return this.foot?.replaceChildren();
    this.stopButton = button(say("kiosk.stop"), () => this.stop(), { class: "stop", "data-action": "stop" });
    this.foot?.replaceChildren(
      button(say("kiosk.start_over"), () => this.go("over"), { class: "over", "data-action": "over" }),
      ...this.ways(),
      this.stopButton,
    );
  }

  /** Where one can go from here. */
  ways() {
    const write = button(say("kiosk.write"), () => this.go("write"), { "data-action": "write" });
    const examples = button(say("kiosk.examples"), () => this.go("examples"), { "data-action": "examples" });
    const compare = button(say("kiosk.compare"), () => void this.compare(), { class: "showpiece", "data-action": "compare" });
    const again = button(say("kiosk.again"), () => void this.compare(), { "data-action": "again" });
    return { attract: [], ready: [compare, write], asking: [examples], waiting: [], streaming: [], answered: [examples, write], together: [examples, again] }[this.state.screen];
  }

  draw() {
    const { running, screen, engine, connected } = this.state;
    this.dataset.engine = engine && connected ? "here" : "gone";
    this.dataset.running = running ? "yes" : "no";
    if (this.stopButton) this.stopButton.disabled = !running;
    for (const each of this.foot?.querySelectorAll("[data-action=again],[data-action=examples],[data-action=write],[data-action=compare]") ?? []) /** @type {HTMLButtonElement} */ (each).disabled = running;
    this.toggleAttribute("data-attract", screen === "attract");
    this.drawNews();
    this.drawWarning();
  }

  /** The engine, and what keeps it from answering. */
  drawNews() {
    const { engine, connected } = this.state;
    setText(this.engineLine, [modelWords(), engineLacks("lanes") ? say("kiosk.elsewhere") : engineWords()].filter(Boolean).join(" · "));
    setText(this.news, connected ? (engine ? "" : say("kiosk.engine_gone", { stage: stageWords() })) : say("connection.lost"));
    if (this.news) this.news.hidden = connected && engine;
  }

  drawWarning() {
    const { warning, state } = this;
    if (!warning) return;
    if (state.warned === null) {
      warning.close();
      return warning.replaceChildren();
    }
    if (!warning.open) {
      this.countdown = make("p", { class: "countdown" });
      const stay = button(say("kiosk.warning.stay"), () => this.stay(), { class: "strong", "data-action": "stay" });
      const over = button(say("kiosk.start_over"), () => this.go("over"), { "data-action": "leave" });
      warning.replaceChildren(make("div", { class: "card" }, make("h1", {}, say("kiosk.warning.title")), this.countdown, stay, over));
      warning.showModal();
    }
    setText(this.countdown, sayCount("kiosk.warning.left", secondsLeft(state, performance.now(), this.times)));
  }

  // The screens

  /** An example question as somebody would ask it, in both languages in turn. */
  poster() {
    this.asked = make("div", { class: "bubble" });
    this.nextExample(false);
    return make("section", { class: "poster" }, make("p", { class: "lead" }, say("kiosk.lead")), this.asked);
  }

  nextExample(onwards = true) {
    if (this.state.screen !== "attract" || !this.asked) return;
    if (onwards) this.example += 1;
    const language = LANGUAGES[(this.example + LANGUAGES.indexOf(this.settings.language)) % 2] ?? "en";
    const questions = this.settings.questions[language] ?? [];
    this.asked.lang = language;
    this.asked.textContent = questions[Math.floor(this.example / 2) % questions.length] ?? "";
    this.asked.getAnimations().forEach((animation) => animation.cancel());
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.asked.animate([{ opacity: 0, translate: "0 .3em" }, { opacity: 1, translate: "0 0" }], { duration: 500, easing: "ease-out" });
  }

  /** One button in each language; wherever else one touches, the kiosk's own language begins. */
  beginning() {
    const buttons = LANGUAGES.map((language) => button(sayIn(language, "kiosk.begin"), () => void this.begin(language), { class: "strong", lang: language, "data-action": "begin" }));
    const whole = make("div", { class: "whole", onclick: () => void this.begin(this.settings.language) });
    return make("div", { class: "beginning" }, whole, ...buttons);
  }

  examples() {
    const language = currentLanguage();
    const topics = this.settings.topics[language];
    const questions = (this.settings.questions[language] ?? []).map((question) => button(question, () => void this.ask(question), { class: "question", "data-action": "ask" }));
    const words = topics ? [make("p", { class: "fine" }, say("kiosk.topics", { topics }))] : [];
    return make("section", { class: "ready" }, make("h1", {}, say("kiosk.ask")), ...words, make("div", { class: "questions", "data-count": questions.length }, ...questions));
  }

  writing() {
    const title = make("h1", {}, say("kiosk.ask"));
    if (this.settings.keyboard) return make("section", { class: "writing" }, title, this.field, this.keyboard.element);
    const send = button(say("kiosk.send"), () => void this.ask(this.field.value), { class: "strong", "data-action": "send" });
    return make("section", { class: "writing" }, title, this.field, send);
  }
}

/** @param {string} words @param {() => void} act @param {import("./dom.js").Attributes} [attributes] */
function button(words, act, attributes = {}) {
  return make("button", { type: "button", onclick: act, ...attributes }, words);
}

/** What the browser keeps for a page, and its address. */
function forgetStored() {
  localStorage.clear();
  sessionStorage.clear();
  history.replaceState(null, "", location.pathname);
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

await loadAll();
customElements.define("kiosk-screen", KioskScreen);
