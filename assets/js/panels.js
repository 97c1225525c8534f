// @ts-check
/**
 * The chips under the field, and the two panels that they open: the system prompt and the sampling controls. The panels are
 * Gradio's; the style sheet shows the one that the body names.
 */
import { allSampling, controls } from "./controls.js";
import { make } from "./dom.js";
import { on } from "./hub.js";
import { isComposing } from "./keys.js";
import { say } from "./texts.js";

const PANELS = { system: "system-panel", sampling: "sampling" };

/** The chips that open the two panels. */
class ComposerChips extends HTMLElement {
  connectedCallback() {
    this.draw();
    on("language", () => this.draw());
    on("controls", () => this.draw());
  }

  draw() {
    const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("data-panel") : null;
    this.replaceChildren(
      this.chip("system", say("chip.system"), controls().system.trim() !== ""),
      this.chip("sampling", say("chip.sampling", { temperature: Number(allSampling().temperature.toFixed(2)) }), false),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.querySelector(`[data-panel=${focused}]`))?.focus();
  }

  /**
   * @param {keyof typeof PANELS} panel
   * @param {string} words
   * @param {boolean} set
   */
  chip(panel, words, set) {
    return make(
      "button",
      {
        type: "button",
        class: "chip",
        "data-panel": panel,
        "data-set": set,
        "aria-expanded": String(openPanel() === panel),
        "aria-controls": PANELS[panel],
        onclick: () => {
          showPanel(openPanel() === panel ? "" : panel);
          this.draw();
        },
      },
      words,
    );
  }
}

function openPanel() {
  return document.body.dataset.panel ?? "";
}

/** @param {keyof typeof PANELS | ""} panel */
function showPanel(panel) {
  document.body.dataset.panel = panel;
  // On a touch screen the focus would bring the keyboard up over the panel.
  if (panel && matchMedia("(hover: hover)").matches) requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector(`#${PANELS[panel]} :is(textarea, input)`))?.focus());
}

/** @param {KeyboardEvent} event */
function escaped(event) {
  if (event.key === "Escape" && openPanel() && !isComposing(event)) {
    const chip = openPanel();
    showPanel("");
    for (const chips of document.querySelectorAll("composer-chips")) /** @type {ComposerChips} */ (chips).draw();
    /** @type {HTMLElement | null} */ (document.querySelector(`.chip[data-panel=${chip}]`))?.focus();
  }
}

export function define() {
  customElements.define("composer-chips", ComposerChips);
  document.addEventListener("keydown", escaped);
}
