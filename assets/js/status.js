// @ts-check
/**
 * The strip on top: name, engine, language, and on a small screen the way to the conversations; beneath it a banner when
 * the connection is lost, the engine failed or conversations are not kept. Also the line above the composer that says why something was refused.
 */
import * as account from "./account.js";
import { iconButton, make, setText } from "./dom.js";
import { cannotWords, engineStatus, engineWords, modelWords, stageWords } from "./engine.js";
import { emit, on } from "./hub.js";
import { modelMenu } from "./models.js";
import { problemText } from "./server.js";
import { otherLanguage, say, switchLanguage } from "./texts.js";

class PageHeader extends HTMLElement {
  menued = "";
  lost = false;

  connectedCallback() {
    this.draw();
    on("language", () => this.draw());
    on("status", () => this.drawEngine());
    on("tick", () => this.drawEngine());
    on("connection", (state) => this.drawConnection(state === "lost"));
    on("refused", () => this.drawConnection(false));
  }

  draw() {
    const focused = this.contains(document.activeElement) ? document.activeElement?.id : "";
    this.words = make("span", { class: "pill-words" });
    this.details = make("span", { class: "pill long" });
    this.pill = make("span", { id: "engine-status", class: "pill" }, make("i", { class: "dot" }), this.words);
    // The pill counts seconds; what is read out is the stage alone, once.
    this.stage = make("span", { class: "offscreen", role: "status" });
    this.menu = modelMenu(engineStatus());
    this.menued = "";
    this.banner = make("p", { class: "banner", role: "alert", hidden: true });
    this.unkept = make("p", { class: "banner", id: "not-kept", role: "alert", hidden: true });
    this.replaceChildren(
      iconButton("menu", say("header.chats"), { class: "icon-button only-narrow", id: "show-chats", "aria-expanded": "false", "aria-controls": "left", onclick: toggleChats }),
      make("b", { class: "brand" }, "Batchat"),
      this.menu,
      this.pill,
      this.details,
      this.stage,
      make("span", { class: "spacer" }),
      ...["evaluate", "compare"].map((page) => make("a", { class: "pill button long", href: page }, say(`pages.${page}`))),
      languageButton(),
      make("button", { type: "button", id: "show-keys", class: "pill button", "aria-label": say("keys.title"), title: say("keys.title"), "aria-haspopup": "dialog", onclick: () => emit("keys", undefined) }, "?"),
      document.createElement("account-menu"),
      this.banner,
      this.unkept,
    );
    this.drawEngine();
    if (focused) document.getElementById(focused)?.focus();
  }

  drawEngine() {
    const stage = engineStatus()?.stage ?? "unknown";
    this.pill?.setAttribute("data-stage", stage);
    setText(this.stage, say(`stage.${stage}`));
    if (this.words) this.words.textContent = stage === "ready" ? modelWords() : stageWords();
    if (this.details) this.details.textContent = engineWords();
    if (this.details) this.details.title = cannotWords();
    this.details?.toggleAttribute("hidden", !engineWords());
    this.drawMenu();
    this.drawFailure();
    this.drawHistory();
  }

  /** Anew only when it says something else: an open menu stays open. */
  drawMenu() {
    const { models, chosen } = engineStatus() ?? {};
    document.body.toggleAttribute("data-choice", Boolean(models?.length));
    const now = JSON.stringify([models, chosen]);
    if (now === this.menued || !this.menu) return;
    const menu = modelMenu(engineStatus());
    const focused = this.menu === document.activeElement;
    this.menu.replaceWith(menu);
    if (focused) menu.focus();
    this.menu = menu;
    this.menued = now;
  }

  /** Nothing is being kept: said for as long as it is so. */
  drawHistory() {
    if (!this.unkept) return;
    const failing = engineStatus()?.history === "failing";
    setText(this.unkept, failing ? say("history.failing") : "");
    this.unkept.hidden = !failing;
  }

  drawFailure() {
    if (this.lost) return this.showBanner("lost", say("connection.lost"));
    const { stage, error } = engineStatus() ?? {};
    this.showBanner("failed", stage === "failed" && error ? problemText(error) : "");
  }

  /** @param {boolean} lost */
  drawConnection(lost) {
    this.lost = lost;
    this.drawFailure();
  }

  /**
   * @param {string} kind
   * @param {string} words
   */
  showBanner(kind, words) {
    if (!this.banner) return;
    setText(this.banner, words);
    this.banner.dataset.kind = kind;
    this.banner.hidden = !words;
  }
}

class PageNotice extends HTMLElement {
  connectedCallback() {
    this.setAttribute("role", "alert");
    on("notice", (words) => this.show(words));
    on("chat", () => this.show(""));
    on("language", () => this.show(""));
  }

  /** @param {string} words */
  show(words) {
    this.replaceChildren();
    if (!words) return;
    this.append(
      make("span", {}, words),
      iconButton("close", say("notice.close"), { onclick: () => emit("notice", "") }),
    );
  }
}

function languageButton() {
  const other = otherLanguage();
  const name = say("header.other_language");
  return make("button", { type: "button", id: "language", class: "pill button", lang: other, onclick: () => void switchLanguage() }, name);
}

function toggleChats() {
  setChatsOpen(document.body.dataset.chats !== "open");
}

/** @param {boolean} open */
export function setChatsOpen(open) {
  document.body.dataset.chats = open ? "open" : "closed";
  document.getElementById("show-chats")?.setAttribute("aria-expanded", String(open));
}

export function define() {
  account.define();
  customElements.define("page-header", PageHeader);
  customElements.define("page-notice", PageNotice);
}
