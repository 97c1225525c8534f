// @ts-check
/**
 * Who is logged in, on the strip on top, and the way out. Nothing where nobody has a name.
 */
import { make } from "./dom.js";
import { emit, on } from "./hub.js";
import { openMenu } from "./menu.js";
import { askAccount, logOut } from "./server.js";
import { say } from "./texts.js";

/** What stays in the browser after a log-out. */
const LANGUAGE = "batchat.language";

class AccountMenu extends HTMLElement {
  /** @type {string | null} */
  name = null;
  mayLogOut = false;

  connectedCallback() {
    on("language", () => this.draw());
    void this.ask();
  }

  async ask() {
    try {
      ({ name: this.name, may_log_out: this.mayLogOut } = await askAccount());
    } catch {
      return; // the stream says what is wrong
    }
    this.draw();
  }

  draw() {
    if (!this.name) return this.replaceChildren();
    const label = say("account.menu", { name: this.name });
    if (!this.mayLogOut) return this.replaceChildren(make("span", { class: "pill", title: label }, this.name));
    const menu = { type: "button", class: "pill button", "aria-label": label, "aria-haspopup": "menu" };
    this.replaceChildren(make("button", { ...menu, id: "account", onclick: () => this.open() }, this.name));
  }

  open() {
    const button = this.querySelector("button");
    if (!button) return;
    const leave = { icon: /** @type {const} */ ("leave"), words: say("account.log_out"), act: () => void this.leave() };
    openMenu(button, [leave], () => button.focus());
  }

  async leave() {
    // The stream ends with the session and may reload the page before the answer is here.
    addEventListener("pagehide", forget);
    try {
      await logOut();
      location.reload();
    } catch (error) {
      removeEventListener("pagehide", forget);
      emit("notice", error instanceof Error ? error.message : String(error));
    }
  }
}

/** What this person's page has kept in the browser is not for whoever comes next. */
function forget() {
  try {
    sessionStorage.clear();
    for (const key of Object.keys(localStorage)) if (key.startsWith("batchat.") && key !== LANGUAGE) localStorage.removeItem(key);
  } catch {
    // Forbidden storage: nothing was kept.
  }
}

export function define() {
  customElements.define("account-menu", AccountMenu);
}
