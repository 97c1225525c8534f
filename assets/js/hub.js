// @ts-check
/**
 * The parts of the page tell each other what happened, by name. Knows nothing of what the events mean.
 *
 * @import {Events} from "./protocol.js"
 */

/** @type {Map<string, Array<(data: any) => void>>} */
const listeners = new Map();

/**
 * @template {keyof Events} T
 * @param {T} type
 * @param {(data: Events[T]) => void} listener
 */
export function on(type, listener) {
  const known = listeners.get(type);
  if (known) known.push(listener);
  else listeners.set(type, [listener]);
}

/**
 * @template {keyof Events} T
 * @param {T} type
 * @param {Events[T]} data
 */
export function emit(type, data) {
  for (const listener of listeners.get(type) ?? []) listener(data);
}
