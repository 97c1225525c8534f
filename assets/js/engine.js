// @ts-check
/**
 * What the engine is doing, in words, counting the seconds while it is not ready. Draws nothing.
 *
 * @import {EngineStatus} from "./protocol.js"
 */
import { emit, on } from "./hub.js";
import { count, say, wholeSeconds } from "./texts.js";

/** @type {EngineStatus | null} */
let status = null;
let heard = 0;
let ticking = 0;

on("status", (now) => {
  status = now;
  heard = performance.now();
  if (now.stage === "ready" || now.stage === "failed") stopTicking();
  else ticking ||= setInterval(() => emit("tick", undefined), 1000);
});

export function engineStatus() {
  return status;
}

export function engineReady() {
  return status?.stage === "ready";
}

/** "loading weights, 12 s" */
export function stageWords() {
  if (!status) return say("stage.unknown");
  const words = say(`stage.${status.stage}`);
  if (status.stage === "ready" || status.stage === "failed") return words;
  return say("stage.for", { stage: words, time: wholeSeconds(status.since + (performance.now() - heard) / 1000) });
}

/** "demo model, 4 lanes" */
export function modelWords() {
  const { model, lanes } = status ?? {};
  if (!model) return stageWords();
  if (!lanes) return shortName(model);
  return say("header.model", { model: shortName(model), lanes: count(lanes) });
}

/** "vLLM 0.30.0 on CPU, context 2,048" */
export function engineWords() {
  const { engine, device, context } = status ?? {};
  if (!engine || !device) return "";
  return context ? say("header.engine", { engine, device, context: count(context) }) : say("header.engine.unknown", { engine, device });
}

/** Whether the engine lacks an ability, by its name in `EngineStatus.cannot`. @param {string} ability */
export function engineLacks(ability) {
  return status?.cannot?.includes(ability) ?? false;
}

/** What the engine cannot do or tell, or "" if there is no such thing. */
export function cannotWords() {
  const cannot = status?.cannot ?? [];
  return cannot.length ? say("header.cannot", { list: cannot.map((name) => say(`cannot.${name}`)).join(", ") }) : "";
}

/** @param {string} model  a name, a hub id or a folder */
export function shortName(model) {
  return model.split("/").filter(Boolean).at(-1) ?? model;
}

function stopTicking() {
  clearInterval(ticking);
  ticking = 0;
}
