// @ts-check
/**
 * What a kiosk's screen shows, and when nobody is there any more: a state and what follows it. Waiting, streaming and touching
 * count as use; without use a warning comes, and after it the visit is over. Pure: knows no page, no server and no clock.
 */

/** @typedef {"attract" | "ready" | "asking" | "waiting" | "streaming" | "answered" | "together"} Screen */
/**
 * @typedef {object} State
 * @property {Screen} screen
 * @property {number} used  when the kiosk was last used, in ms
 * @property {number | null} warned  when the warning came, while it stands
 * @property {boolean} engine  whether the engine can answer
 * @property {boolean} connected  whether the server is there
 * @property {boolean} running  whether something is being made for the visitor
 */
/** @typedef {{idle: number, warning: number}} Times  ms */
/**
 * @typedef {{type: "touch" | "begin" | "write" | "examples" | "asked" | "compare" | "over" | "tick", at: number}
 *   | {type: "text" | "ended"} | {type: "running", running: boolean}
 *   | {type: "engine", ready: boolean} | {type: "connection", open: boolean}} Change
 */

/** Who may go where, by what is done. @type {Record<string, {from: Screen[], to: Screen}>} */
const WAYS = {
  begin: { from: ["attract"], to: "ready" },
  write: { from: ["ready", "answered"], to: "asking" },
  examples: { from: ["asking", "answered", "together"], to: "ready" },
  asked: { from: ["ready", "asking", "answered"], to: "waiting" },
  text: { from: ["waiting"], to: "streaming" },
  ended: { from: ["waiting", "streaming"], to: "answered" },
  compare: { from: ["ready", "answered", "together"], to: "together" },
};
/** While these run something is being made. */
const MAKING = ["waiting", "streaming"];

/** @returns {State} */
export function atRest() {
  return { screen: "attract", used: 0, warned: null, engine: false, connected: true, running: false };
}

/**
 * The state after a change.
 * @param {State} state @param {Change} change @param {Times} times @returns {State}
 */
export function next(state, change, times) {
  const way = WAYS[change.type];
  if (way) return way.from.includes(state.screen) ? go(state, way.to, "at" in change ? change.at : state.used) : state;
  switch (change.type) {
    case "over":
      return { ...atRest(), engine: state.engine, connected: state.connected };
    case "touch":
      return state.screen === "attract" ? state : { ...state, used: change.at, warned: null };
    case "running":
      return { ...state, running: change.running };
    case "engine":
      return { ...state, engine: change.ready };
    case "connection":
      return { ...state, connected: change.open };
    case "tick":
      return elapse(state, change.at, times);
    default:
      return state;
  }
}

/** @param {State} state @param {Screen} screen @param {number} at @returns {State} */
function go(state, screen, at) {
  return { ...state, screen, used: Math.max(at, state.used), warned: null, running: MAKING.includes(screen) };
}

/** @param {State} state @param {number} at @param {Times} times @returns {State} */
function elapse(state, at, { idle, warning }) {
  if (state.screen === "attract") return state;
  if (isBusy(state)) return { ...state, used: at, warned: null };
  if (state.warned === null) return at - state.used >= idle ? { ...state, warned: at } : state;
  return at - state.warned >= warning ? { ...atRest(), engine: state.engine, connected: state.connected } : state;
}

/** Whether something is under way for the visitor; an engine that is gone makes nobody wait for ever. @param {State} state */
export function isBusy({ running, engine, connected }) {
  return running && engine && connected;
}

/** Whole seconds until the visit is over, while the warning stands. @param {State} state @param {number} at @param {Times} times */
export function secondsLeft({ warned }, at, { warning }) {
  return warned === null ? 0 : Math.max(0, Math.ceil((warned + warning - at) / 1000));
}
