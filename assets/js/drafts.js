// @ts-check
/**
 * What was written and not yet sent, of each conversation: it is there again after a reload, and when one comes back to it.
 * Knows where it is kept, not where it is shown.
 */
import { recall, remember } from "./memory.js";

const KEPT = "batchat.drafts";
/** Conversations whose draft is kept; the one that was not touched for longest goes first. */
const MOST = 50;
/** Characters of all drafts; a browser gives a page some millions. */
const LONGEST = 500_000;

/** @param {string} chat */
export function draftOf(chat) {
  return drafts().find(([id]) => id === chat)?.[1] ?? "";
}

/** @param {string} chat @param {string} text */
export function keepDraft(chat, text) {
  const others = drafts().filter(([id]) => id !== chat);
  const all = text.trim() ? [/** @type {[string, string]} */ ([chat, text]), ...others] : others;
  let size = 0;
  const kept = all.slice(0, MOST).filter(([, draft]) => (size += draft.length) <= LONGEST);
  remember(KEPT, kept.length ? JSON.stringify(kept) : "");
}

/** The latest first. @returns {Array<[string, string]>} */
function drafts() {
  try {
    return JSON.parse(recall(KEPT) || "[]");
  } catch {
    return [];
  }
}
