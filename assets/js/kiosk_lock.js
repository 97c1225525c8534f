// @ts-check
/**
 * Keeps a visitor on the page: no menu, no dragging, nothing copied out of it, no dialog of the browser's. Zooming with two
 * fingers stays. Knows nothing of what the page shows.
 */

const NEVER = ["contextmenu", "dragstart", "drop", "copy", "cut", "auxclick", "submit"];
/** Open help, find, the address, the tools and the whole-screen switch. */
const KEYS = ["F1", "F3", "F6", "F7", "F10", "F11", "F12", "BrowserBack", "BrowserHome", "BrowserSearch", "ContextMenu"];
/** With Ctrl: zooming, and moving about in the field. */
const WITH_CONTROL = ["+", "-", "=", "0", "ArrowLeft", "ArrowRight", "Home", "End", "Backspace", "Delete", "a", "v", "z"];

export function lock() {
  for (const name of NEVER) addEventListener(name, (event) => event.preventDefault(), { capture: true });
  addEventListener("selectstart", (event) => isField(event.target) || event.preventDefault(), { capture: true });
  addEventListener("click", stayHere, { capture: true });
  addEventListener("keydown", (event) => leads(event) && event.preventDefault(), { capture: true });
}

/** Two fingers' zoom goes back to what it was. */
export function unzoom() {
  const viewport = document.querySelector("meta[name=viewport]");
  const usual = viewport?.getAttribute("content") ?? "";
  if (!viewport || (visualViewport?.scale ?? 1) === 1) return;
  viewport.setAttribute("content", `${usual},maximum-scale=1`);
  requestAnimationFrame(() => viewport.setAttribute("content", usual));
}

/** @param {MouseEvent} event */
function stayHere(event) {
  if (event.target instanceof Element && event.target.closest("a[href]")) event.preventDefault();
}

/** Whether a key leads out of the page. @param {KeyboardEvent} event */
function leads(event) {
  if (KEYS.includes(event.key)) return true;
  if (event.altKey && !event.isComposing) return true;
  return (event.ctrlKey || event.metaKey) && !WITH_CONTROL.includes(event.key.toLowerCase()) && !WITH_CONTROL.includes(event.key);
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof HTMLTextAreaElement || (target instanceof Node && target.parentElement instanceof HTMLTextAreaElement);
}
