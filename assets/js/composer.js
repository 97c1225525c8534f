// @ts-check
/**
 * The field, what it sends, and what stops it. The field and the buttons are Gradio's; what is pressed is heard here, which is
 * sooner: on a slow machine Gradio shows its controls seconds before it hears them.
 */
import { currentChat } from "./address.js";
import { controls } from "./controls.js";
import { draftOf, keepDraft } from "./drafts.js";
import { emit, on } from "./hub.js";
import { isSendKey } from "./keys.js";
import { nameSliders, relabel } from "./labels.js";
import { sendMessage, stop } from "./server.js";
import { currentLanguage, say } from "./texts.js";

const DESKTOP = "(min-width: 1100px)";

let sending = false;

/** Sends words that did not come from the field. @param {string} text */
export async function sendText(text) {
  await sendMessage(currentChat(), { text, ...controls() });
}

/** Sends what is in the field, which is empty from then on; what is refused comes back, before what was typed meanwhile. */
async function send() {
  const [chat, text] = [currentChat(), fieldText()];
  if (sending || !text.trim()) return;
  sending = true;
  fill("");
  keepDraft(chat, text); // until the server has it
  try {
    await sendText(text);
    emit("notice", "");
    if (draftOf(chat) === text) keepDraft(chat, "");
  } catch (error) {
    if (currentChat() === chat) fill(text + fieldText());
    else if (draftOf(chat) !== text) keepDraft(chat, text + draftOf(chat));
    emit("notice", error instanceof Error ? error.message : String(error));
  } finally {
    sending = false;
  }
}

async function stopAnswer() {
  try {
    await stop(currentChat());
  } catch (error) {
    emit("notice", error instanceof Error ? error.message : String(error));
  }
}

/** @returns {HTMLTextAreaElement | null} */
function field() {
  return document.querySelector("#message textarea");
}

export function fieldText() {
  return field()?.value ?? "";
}

/** Gradio hears of it as if it had been typed. @param {string} text */
function fill(text) {
  const area = field();
  if (!area || area.value === text) return;
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Enter in the field, wherever Gradio put it and whenever it comes. @param {KeyboardEvent} event */
function pressed(event) {
  if (!(event.target instanceof HTMLTextAreaElement) || !event.target.closest("#message")) return;
  if (event.key !== "Enter") return;
  // Gradio listens too and knows nothing of input methods: it never hears of Enter.
  event.stopPropagation();
  if (!isSendKey(event)) return;
  event.preventDefault();
  void send();
}

/** @param {MouseEvent} event */
function clicked(event) {
  const button = /** @type {Element} */ (event.target).closest("#send, #stop");
  if (button) void (button.id === "send" ? send() : stopAnswer());
}

/** On a touch screen the focus would bring the keyboard up over the page. */
function focusField() {
  if (matchMedia(DESKTOP).matches && matchMedia("(hover: hover)").matches) field()?.focus();
}

/** Gradio gives a field without a visible label no name either. */
function name() {
  field()?.setAttribute("aria-label", say("composer.message"));
}

/**
 * As soon as this is loaded, even before Gradio has built its controls or hears them.
 * @param {Event[]} early  what was pressed before
 */
export function listen(early) {
  document.addEventListener("keydown", pressed, { capture: true });
  document.addEventListener("click", clicked);
  for (const event of early) {
    if (event instanceof KeyboardEvent) pressed(event);
    else if (event instanceof MouseEvent) clicked(event);
  }
}

/** Once Gradio has built its controls. */
export function begin() {
  name();
  nameSliders();
  if (!sending) fill(fieldText() || draftOf(currentChat()));
  focusField();
  if (!navigator.language.startsWith(currentLanguage())) void relabel();
  document.addEventListener("input", (event) => {
    if (!(/** @type {Element} */ (event.target).closest("#message"))) return;
    keepDraft(currentChat(), fieldText());
    emit("draft", undefined);
  });
  on("running", (running) => {
    document.body.dataset.turn = running ? "running" : "idle";
  });
  on("chat", (chat) => {
    fill(draftOf(chat));
    focusField();
  });
  on("language", () => {
    name();
    void relabel();
  });
}
