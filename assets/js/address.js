// @ts-check
/**
 * Which conversation this tab shows: 128 random bits in the address, after the `#`. Knows nothing of its content.
 */
import { emit } from "./hub.js";

const ID = /^[0-9a-f]{32}$/;

let chat = fromAddress() ?? begin();

addEventListener("hashchange", () => {
  const next = fromAddress();
  if (!next || next === chat) return;
  chat = next;
  emit("chat", chat);
});

export function currentChat() {
  return chat;
}

/** Shows an empty conversation; the server hears of it with the first message. */
export function newChat() {
  showChat(newId());
}

/** @param {string} id */
export function showChat(id) {
  location.hash = id;
}

/** @param {string} id */
export function addressOf(id) {
  return `${location.pathname}${location.search}#${id}`;
}

function fromAddress() {
  const id = location.hash.slice(1);
  return ID.test(id) ? id : null;
}

/** The first conversation replaces the bare address, so that Back leaves the page as one expects. */
function begin() {
  const id = newId();
  history.replaceState(history.state, "", addressOf(id));
  return id;
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
