// @ts-check
/**
 * The system prompt and the sampling settings. Gradio holds the controls and hands their values over with its events; the
 * last ones heard are kept here for the buttons that are not Gradio's. Knows no range and no meaning: the server checks.
 *
 * @import {Sampling} from "./protocol.js"
 */
import { engineStatus } from "./engine.js";
import { emit, on } from "./hub.js";
import { say } from "./texts.js";

/** The order of the controls on the page. */
const NAMES = /** @type {const} */ (["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed", "stop"]);
const KEPT = "batchat.controls";

/** Until the model's own defaults are known. @type {Sampling} */
const USUAL = { temperature: 0.7, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1, max_tokens: null, stop: [], seed: null };

/** Milliseconds that Gradio's controls take to show what `rememberedControls` gave them. */
const SETTLED_AFTER = 500;

/** What was set in this tab before; the rest are the model's defaults, which the server knows and says sooner or later. */
let { system = "", sampling = /** @type {Partial<Sampling>} */ ({}) } = recall();
/** Until the controls show what is remembered, an empty number of theirs says 0. */
let settled = false;

/** The settings that the next request goes with. */
export function controls() {
  return { system, sampling };
}

/** All of the sampling settings as far as they are known. @returns {Sampling} */
export function allSampling() {
  return { ...defaults(), ...sampling };
}

/** What Gradio calls when a control changes, on "reset", and when the model's defaults are known. */
export const controlEvents = {
  /**
   * @param {string} systemPrompt
   * @param {...unknown} values
   */
  controlsChanged(systemPrompt, ...values) {
    hear(systemPrompt, values);
    if (settled) keep();
    emit("controls", undefined);
    return [];
  },

  /** The model's defaults, in the order of the controls. */
  defaultSampling() {
    return inOrder(defaults());
  },

  /** The model's defaults, and over them what this tab had set, also before a reload. */
  rememberedControls() {
    setTimeout(() => (settled = true), SETTLED_AFTER);
    greyOut();
    const kept = recall();
    system = kept.system ?? "";
    sampling = kept.sampling ?? {};
    emit("controls", undefined);
    return [system, ...inOrder(allSampling())];
  },
};

/**
 * @param {string} systemPrompt
 * @param {unknown[]} values
 */
function hear(systemPrompt, values) {
  if (!settled) return;
  system = systemPrompt ?? "";
  sampling = fromOrder(values);
}

/**
 * An emptied number is null for Gradio; for the model it means "the usual".
 * @param {unknown[]} values
 * @returns {Sampling}
 */
function fromOrder(values) {
  const [temperature, top_p, top_k, min_p, repetition_penalty, max_tokens, seed, stops] = values;
  const before = allSampling();
  return {
    temperature: number(temperature, before.temperature),
    top_p: number(top_p, before.top_p),
    top_k: number(top_k, before.top_k),
    min_p: number(min_p, before.min_p),
    repetition_penalty: number(repetition_penalty, before.repetition_penalty),
    max_tokens: number(max_tokens, null),
    seed: number(seed, null),
    stop: String(stops ?? "").split("\n").filter((line) => line !== ""),
  };
}

/**
 * @template T
 * @param {unknown} value
 * @param {T} otherwise
 */
function number(value, otherwise) {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

/** @param {Sampling} values */
function inOrder(values) {
  return NAMES.map((name) => (name === "stop" ? values.stop.join("\n") : values[name]));
}

function defaults() {
  return engineStatus()?.sampling ?? USUAL;
}

/** Only what differs from the model's defaults is kept, so that another model's defaults count again. */
function keep() {
  const usual = defaults();
  const own = NAMES.filter((name) => String(sampling[name]) !== String(usual[name]));
  const kept = { system, sampling: Object.fromEntries(own.map((name) => [name, sampling[name]])) };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    // Forbidden storage: the settings last until the reload.
  }
}

/** @returns {{system?: string, sampling?: Partial<Sampling>}} */
function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** Greys out the settings that the engine ignores, and says so: the style sheet below the control, its fields to a screen reader. */
function greyOut() {
  const ignored = engineStatus()?.ignored ?? [];
  for (const name of NAMES) {
    const control = document.getElementById(`sampling-${name}`);
    if (!control) continue;
    const reason = ignored.includes(name) ? say("sampling.ignored") : null;
    toggle(control, "data-ignored", reason);
    for (const field of control.querySelectorAll("input, textarea")) {
      field.toggleAttribute("disabled", reason !== null);
      toggle(field, "aria-description", reason);
    }
  }
}

/** @param {Element} element @param {string} attribute @param {string | null} value  null takes it away */
function toggle(element, attribute, value) {
  if (value === null) element.removeAttribute(attribute);
  else element.setAttribute(attribute, value);
}

/** Tells Gradio's controls what is remembered, now and whenever the model's defaults are others than before. */
export function begin() {
  let known = "";
  on("status", (status) => {
    greyOut();
    const now = JSON.stringify(status.sampling);
    if (now === known) return;
    known = now;
    document.getElementById("controls-refresh")?.click();
  });
}
