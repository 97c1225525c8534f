// @ts-check
/**
 * The keys that work anywhere on the page, and the short list of all keys behind "?". A key that is a mere sign can be switched
 * off (WCAG 2.1.4): a voice that is taken down as typing would press it.
 */
import { newChat } from "./address.js";
import { iconButton, make } from "./dom.js";
import { on } from "./hub.js";
import { isComposing } from "./keys.js";
import { recall, remember } from "./memory.js";
import { setChatsOpen } from "./status.js";
import { say } from "./texts.js";

const REMEMBERED = "batchat.sign_key";
const MAIN = /Mac|iP(hone|ad)/.test(navigator.userAgent) ? "⌘" : "Ctrl";

/** @type {Array<[string, string[]]>} */
const KEYS = [
  ["keys.send", ["Enter"]],
  ["keys.line", ["Shift", "Enter"]],
  ["keys.close", ["Esc"]],
  ["keys.message", ["Shift", "Esc"]],
  ["keys.search", [MAIN, "K"]],
  ["keys.new", [MAIN, "Shift", "O"]],
  ["keys.help", [MAIN, "/"]],
];

/** @type {HTMLDialogElement | null} */
let list = null;

export function listen() {
  document.addEventListener("keydown", pressed);
  on("keys", openKeys);
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const act = isComposing(event) ? null : meaning(event);
  if (!act) return;
  event.preventDefault();
  act();
}

/** @param {KeyboardEvent} event */
function meaning(event) {
  const main = (event.ctrlKey || event.metaKey) && !event.altKey;
  const key = event.key.toLowerCase();
  if (main && !event.shiftKey && key === "k") return focusSearch;
  if (main && event.shiftKey && key === "o") return newChat;
  if (main && key === "/") return openKeys;
  if (event.shiftKey && key === "escape") return focusMessage;
  return key === "?" && !main && isSignOn() && !isWritten(event.target) ? openKeys : null;
}

/** @param {EventTarget | null} target */
function isWritten(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

function isSignOn() {
  return recall(REMEMBERED) !== "off";
}

function focusSearch() {
  list?.close();
  setChatsOpen(true);
  document.getElementById("chat-search")?.focus();
}

function focusMessage() {
  list?.close();
  /** @type {HTMLElement | null} */ (document.querySelector("#message textarea"))?.focus();
}

function openKeys() {
  if (list) return;
  const rows = KEYS.map(([words, keys]) => make("div", {}, make("dt", {}, say(words)), make("dd", {}, ...keys.flatMap((key, i) => [i ? " + " : null, make("kbd", {}, key)]))));
  const sign = make("input", { type: "checkbox", checked: isSignOn(), onchange: () => remember(REMEMBERED, sign.checked ? "" : "off") });
  list = make(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title", onclose: closed, onclick: (event) => event.target === list && list?.close() },
    make("div", { class: "keys-head" }, make("h2", { id: "keys-title" }, say("keys.title")), iconButton("close", say("keys.leave"), { onclick: () => list?.close() })),
    make("dl", {}, ...rows),
    make("label", {}, sign, say("keys.sign")),
  );
  // Within the page's own container, where its style sheets hold.
  (document.querySelector(".gradio-container") ?? document.body).append(list);
  list.showModal();
}

function closed() {
  list?.remove();
  list = null;
}
