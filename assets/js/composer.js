// @ts-check
/**
 * The field and what it sends. The field is Gradio's: its events call in here with every value, and what is returned becomes
 * its content.
 */
import { currentChat } from "./address.js";
import { controlEvents, controls, hear } from "./controls.js";
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

/** What Gradio calls; each returns what its outputs get. */
export const forGradio = {
  ...controlEvents,

  /**
   * Returns the field's new content: nothing if the message was taken, the draft if not.
   * @param {string} text
   * @param {string} systemPrompt
   * @param {...unknown} values
   */
  async send(text, systemPrompt, ...values) {
    hear(systemPrompt, values);
    if (sending || !text.trim()) return text;
    sending = true;
    try {
      await sendText(text);
      emit("notice", "");
      const left = leftInField(text);
      keepDraft(currentChat(), left);
      return left;
    } catch (error) {
      emit("notice", error instanceof Error ? error.message : String(error));
      return fieldText();
    } finally {
      sending = false;
    }
  },

  async stop() {
    try {
      await stop(currentChat());
    } catch (error) {
      emit("notice", error instanceof Error ? error.message : String(error));
    }
    return [];
  },
};

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

/** What was typed while the message was on its way stays. @param {string} sent */
function leftInField(sent) {
  const now = fieldText();
  return now === sent ? "" : now;
}

/** Enter in the field, wherever Gradio put it and whenever it comes. @param {KeyboardEvent} event */
function pressed(event) {
  if (!(event.target instanceof HTMLTextAreaElement) || !event.target.closest("#message")) return;
  if (event.key !== "Enter") return;
  // Gradio listens too and knows nothing of input methods: it never hears of Enter.
  event.stopPropagation();
  if (!isSendKey(event)) return;
  event.preventDefault();
  document.getElementById("send")?.click();
}

/** On a touch screen the focus would bring the keyboard up over the page. */
function focusField() {
  if (matchMedia(DESKTOP).matches && matchMedia("(hover: hover)").matches) field()?.focus();
}

/** Gradio gives a field without a visible label no name either. */
function name() {
  field()?.setAttribute("aria-label", say("composer.message"));
}

/** As soon as this is loaded, even before Gradio has built its controls. */
export function listen() {
  document.addEventListener("keydown", pressed, { capture: true });
}

/** Once Gradio has built its controls. */
export function begin() {
  name();
  nameSliders();
  fill(fieldText() || draftOf(currentChat()));
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
