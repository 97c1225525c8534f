// @ts-check
/**
 * Whether long lines of code are wrapped or scrolled: one choice for all code, remembered in this browser.
 */
import { make } from "./dom.js";
import { recall, remember } from "./memory.js";
import { say } from "./texts.js";

const REMEMBERED = "batchat.wrap";

document.body.dataset.wrap = recall(REMEMBERED) === "on" ? "on" : "off";

function isOn() {
  return document.body.dataset.wrap === "on";
}

export function wrapButton() {
  return make("button", { type: "button", class: "code-button wrap", "data-action": "wrap-code", "aria-pressed": String(isOn()) }, say("action.wrap_code"));
}

/** Each button shows what holds for all. */
export function toggleWrap() {
  document.body.dataset.wrap = isOn() ? "off" : "on";
  remember(REMEMBERED, document.body.dataset.wrap);
  for (const button of document.querySelectorAll(".code-button.wrap")) button.setAttribute("aria-pressed", String(isOn()));
}
