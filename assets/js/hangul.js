// @ts-check
/**
 * Writes Hangul with the keys of the two-set layout (KS X 5002): a jamo behind a text gives the text with its last syllable
 * composed on, and the other way round a jamo is erased. The text alone says what is being composed, so there is no state.
 * Knows nothing of keyboards and fields.
 */

/** Letters in the order of Unicode's syllables (The Unicode Standard, section 3.12). */
const LEADS = [..."ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"];
const VOWELS = [..."ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"];
const TAILS = ["", ..."ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"];
const FIRST = 0xac00;
const LAST = 0xd7a3;

/** Vowels and final consonants that take two keys. @type {Record<string, string>} */
const PAIRS = {
  ...{ ㅗㅏ: "ㅘ", ㅗㅐ: "ㅙ", ㅗㅣ: "ㅚ", ㅜㅓ: "ㅝ", ㅜㅔ: "ㅞ", ㅜㅣ: "ㅟ", ㅡㅣ: "ㅢ" },
  ...{ ㄱㅅ: "ㄳ", ㄴㅈ: "ㄵ", ㄴㅎ: "ㄶ", ㄹㄱ: "ㄺ", ㄹㅁ: "ㄻ", ㄹㅂ: "ㄼ", ㄹㅅ: "ㄽ", ㄹㅌ: "ㄾ", ㄹㅍ: "ㄿ", ㄹㅎ: "ㅀ", ㅂㅅ: "ㅄ" },
};
/** @type {Record<string, string>} */
const APART = Object.fromEntries(Object.entries(PAIRS).map(([two, one]) => [one, two]));

/** @typedef {{lead: string, vowel: string, tail: string}} Syllable  "" for what is not there */

/** @param {string} letter */
export function isJamo(letter) {
  return LEADS.includes(letter) || VOWELS.includes(letter);
}

/**
 * The text with another jamo behind it.
 * @param {string} text @param {string} jamo  one of a key
 */
export function addJamo(text, jamo) {
  const rest = text.slice(0, -1);
  const last = apart(text.at(-1) ?? "");
  if (!last) return text + jamo;
  const { lead, vowel, tail } = last;
  if (!VOWELS.includes(jamo)) {
    const ended = tail ? (PAIRS[tail + jamo] ?? "") : jamo;
    return lead && vowel && ended && TAILS.includes(ended) ? rest + compose({ lead, vowel, tail: ended }) : text + jamo;
  }
  if (tail) {
    // A final consonant before a vowel belongs to the next syllable; of two the second does.
    const [stays, moves] = tail in APART ? [...(APART[tail] ?? "")] : ["", tail];
    return rest + compose({ lead, vowel, tail: stays ?? "" }) + compose({ lead: moves ?? "", vowel: jamo, tail: "" });
  }
  if (!vowel) return rest + compose({ lead, vowel: jamo, tail: "" });
  const both = PAIRS[vowel + jamo];
  return both ? rest + compose({ lead, vowel: both, tail: "" }) : text + jamo;
}

/**
 * The text without its last letter: of Hangul without its last jamo.
 * @param {string} text
 */
export function erase(text) {
  const letters = [...text];
  const last = apart(letters.pop() ?? "");
  const rest = letters.join("");
  if (!last) return rest;
  const { lead, vowel, tail } = last;
  if (tail) return rest + compose({ lead, vowel, tail: first(tail) });
  if (vowel && (lead || first(vowel))) return rest + compose({ lead, vowel: first(vowel), tail: "" });
  return rest;
}

/** The first of the two keys that a letter takes; "" if it takes one. @param {string} letter */
function first(letter) {
  return APART[letter]?.[0] ?? "";
}

/** @param {string} letter @returns {Syllable | null}  null if it is not Hangul that can be composed on */
function apart(letter) {
  const code = letter.codePointAt(0) ?? 0;
  if (code >= FIRST && code <= LAST) {
    const index = code - FIRST;
    const [lead, vowel, tail] = [Math.floor(index / 588), Math.floor((index % 588) / 28), index % 28];
    return { lead: LEADS[lead] ?? "", vowel: VOWELS[vowel] ?? "", tail: TAILS[tail] ?? "" };
  }
  if (LEADS.includes(letter)) return { lead: letter, vowel: "", tail: "" };
  return VOWELS.includes(letter) ? { lead: "", vowel: letter, tail: "" } : null;
}

/** @param {Syllable} syllable */
function compose({ lead, vowel, tail }) {
  if (!lead || !vowel) return lead || vowel;
  return String.fromCodePoint(FIRST + LEADS.indexOf(lead) * 588 + VOWELS.indexOf(vowel) * 28 + TAILS.indexOf(tail));
}
