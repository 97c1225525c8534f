// @ts-check
/**
 * The words on Gradio's own controls when the page's language is not the browser's: Gradio knows only the latter. Replaces
 * texts that are word for word one of the page's sentences, wherever they stand.
 */
import { loadAll, translated } from "./texts.js";

/** Gradio chose the words of its controls by the browser's language; here they follow the page's. */
export async function relabel() {
  await loadAll();
  const root = document.getElementById("composer");
  if (!root) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = /** @type {Text} */ (walker.currentNode);
    const words = translated(text.data.trim());
    if (words) text.data = words;
  }
  for (const control of root.querySelectorAll("[placeholder]")) relabelAttribute(control, "placeholder");
  for (const control of root.querySelectorAll("[aria-label]")) relabelAttribute(control, "aria-label");
  nameSliders();
}

/**
 * @param {Element} control
 * @param {string} name
 */
function relabelAttribute(control, name) {
  const words = translated(control.getAttribute(name) ?? "");
  if (words) control.setAttribute(name, words);
}

/** Gradio names a slider's two inputs in English whatever the language; here they have their label's own name. */
export function nameSliders() {
  for (const slider of document.querySelectorAll("#sampling .block:has(input[type=range])")) {
    const name = slider.querySelector("[data-testid=block-info]")?.textContent?.trim() ?? "";
    for (const input of slider.querySelectorAll("input")) input.setAttribute("aria-label", name);
  }
}
