// @ts-check
/**
 * Which of several models answers: the choice, kept for this browser, and the menu. Where there is one model there is no menu.
 *
 * @import {EngineStatus, ModelChoice} from "./protocol.js"
 */
import { make } from "./dom.js";
import { emit, on } from "./hub.js";
import { say } from "./texts.js";

const KEPT = "batchat.model";

let chosen = recall();

on("status", ({ chosen: told }) => {
  // What was chosen once may be gone: the server says what it took instead.
  if (told !== undefined) chosen = told;
});

/** What requests name; empty for the usual one. */
export function chosenModel() {
  return chosen;
}

/** The same for an address, to be put behind its other parameters. */
export function modelParameter() {
  return chosen ? `&model=${encodeURIComponent(chosen)}` : "";
}

/** @param {EngineStatus | null} status */
export function modelMenu(status) {
  const models = status?.models ?? [];
  const options = models.map((model) => make("option", { value: model.key, selected: model.key === chosen }, modelName(model)));
  const choose = (/** @type {Event} */ event) => select(/** @type {HTMLSelectElement} */ (event.target).value);
  return make("select", { id: "model", class: "pill", "aria-label": say("header.models"), hidden: !options.length, onchange: choose }, ...options);
}

/** Its name, and what it is doing if it cannot answer yet. @param {ModelChoice} model */
export function modelName({ name, stage }) {
  if (stage === "failed") return say("header.model.failed", { name });
  return stage === "ready" ? name : say("header.model.not_ready", { name, stage: say(`stage.${stage}`) });
}

/** @param {string} key */
function select(key) {
  chosen = key;
  try {
    localStorage.setItem(KEPT, key);
  } catch {
    // Forbidden storage: the choice lasts until the reload.
  }
  emit("model", key);
}

function recall() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}
