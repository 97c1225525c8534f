// @ts-check
/**
 * The limits that goodput is counted against: the server's, or those that somebody typed here, kept in this browser.
 *
 * @import {Limits} from "./protocol.js"
 */

const REMEMBERED = "batchat.limits";

/** @typedef {{ttft: number, itl: number}} Milliseconds */

/** @param {Limits | null} defaults @returns {Milliseconds} */
export function limits(defaults) {
  const given = { ttft: (defaults?.ttft ?? 0.2) * 1000, itl: (defaults?.itl ?? 0.05) * 1000 };
  try {
    return { ...given, ...JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") };
  } catch {
    return given;
  }
}

/** Changes one limit; nothing, or what is no time, brings the server's back. @param {keyof Milliseconds} name @param {number} value */
export function setLimit(name, value) {
  try {
    const chosen = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}");
    if (value > 0) chosen[name] = value;
    else delete chosen[name];
    localStorage.setItem(REMEMBERED, JSON.stringify(chosen));
  } catch {
    // Storage may be forbidden: then the server's limits stay.
  }
}
