// @ts-check
/**
 * The page's words and numbers in the visitor's language: the browser's, unless one was chosen here before.
 * Knows every sentence's key, not where it stands on the page.
 */
import { emit } from "./hub.js";
import { recall, remember } from "./memory.js";

const LANGUAGES = ["en", "ko"];
const REMEMBERED = "batchat.language";

/** @typedef {Record<string, string>} Sentences */
/** @type {Map<string, Sentences>} */
const loaded = new Map();

let language = chooseLanguage();
await load(language);
document.documentElement.lang = language;

export function currentLanguage() {
  return language;
}

export function otherLanguage() {
  return LANGUAGES.find((each) => each !== language) ?? language;
}

/** Shows the page in another language, from now on and in later visits. */
export async function switchLanguage() {
  await showLanguage(otherLanguage());
  remember(REMEMBERED, language);
}

/** Shows the page in this language from now on; nothing is remembered. @param {string} next */
export async function showLanguage(next) {
  await load(next);
  language = next;
  document.documentElement.lang = next;
  emit("language", next);
}

/**
 * The sentence of a key with its values filled in; the key itself where there is none.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  const sentence = loaded.get(language)?.[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}

/** The sentence of a key in a language that may not be the page's; `loadAll` comes before. @param {string} wanted @param {string} key */
export function sayIn(wanted, key) {
  return loaded.get(wanted)?.[key] ?? key;
}

/**
 * A sentence that depends on a number: `key.one`, `key.other`.
 * @param {string} key
 * @param {number} n
 */
export function sayCount(key, n) {
  return say(`${key}.${new Intl.PluralRules(language).select(n)}`, { n: count(n) });
}

/** @param {string} key */
export function hasText(key) {
  return loaded.get(language)?.[key] !== undefined;
}

/**
 * What a text of the other languages reads in this one; null if it is none of the page's.
 * @param {string} text
 */
export function translated(text) {
  for (const [other, sentences] of loaded) {
    const key = other !== language && Object.keys(sentences).find((each) => sentences[each] === text);
    if (key) return say(key);
  }
  return null;
}

/** Loads every language, so that `translated` knows them. */
export async function loadAll() {
  await Promise.all(LANGUAGES.map(load));
}

/** @param {number} n  1 -> "1st" */
export function ordinal(n) {
  const rule = new Intl.PluralRules(language, { type: "ordinal" }).select(n);
  return say(`ordinal.${rule}`, { n });
}

/** Making one takes longer than a thousand uses. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** @param {string} kind @param {Intl.NumberFormatOptions} options  the same for each use of a kind */
function numbers(kind, options) {
  const key = `${language} ${kind}`;
  const format = formats.get(key) ?? new Intl.NumberFormat(language, options);
  formats.set(key, format);
  return format;
}

/** @param {number} n */
export function count(n) {
  return numbers("whole", { maximumFractionDigits: 0 }).format(n);
}

/** A count for where there is little room: "1.2K". @param {number} n */
export function shortCount(n) {
  return numbers("compact", { notation: "compact" }).format(n);
}

/** @param {number} value  seconds to two places, without the unit */
export function hundredths(value) {
  return value.toFixed(2);
}

/** @param {number} value */
export function seconds(value) {
  return say("unit.seconds", { n: hundredths(value) });
}

/** @param {number} value */
export function wholeSeconds(value) {
  return say("unit.seconds", { n: count(Math.round(value)) });
}

/** @param {number} value  seconds */
export function milliseconds(value) {
  const ms = value * 1000;
  return say("unit.milliseconds", { n: ms < 10 ? ms.toFixed(1) : count(ms) });
}

/** @param {number} share  0..1 */
export function percent(share) {
  return numbers("percent", { style: "percent" }).format(share);
}

/** @param {number} time  Unix milliseconds -> "Thursday" */
export function dayName(time) {
  return new Intl.DateTimeFormat(language, { weekday: "long" }).format(time);
}

/** @param {number} time  Unix milliseconds -> "October 2026" */
export function monthName(time) {
  return new Intl.DateTimeFormat(language, { month: "long", year: "numeric" }).format(time);
}

function chooseLanguage() {
  // A page may ask for a language in its address (dress.js).
  const wanted = [document.documentElement.dataset.language ?? "", recall(REMEMBERED), ...navigator.languages].map((each) => each.split("-")[0] ?? "");
  return wanted.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** @param {string} wanted */
async function load(wanted) {
  if (loaded.has(wanted)) return;
  const version = document.querySelector("meta[name=batchat-version]")?.getAttribute("content") ?? "";
  const answer = await fetch(`assets/texts/${wanted}.json?v=${version}`);
  if (answer.ok) loaded.set(wanted, await answer.json());
}
