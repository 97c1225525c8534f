// @ts-check
/**
 * Draws one message: a person's bubble, or an answer as it grows. Knows no address and sends nothing: its buttons carry a
 * `data-action` that the transcript acts on.
 *
 * Only finished blocks become HTML (blocks.js); everything else is text and stays text.
 *
 * @import {Message, Tail, TextEvent, TurnEvent} from "./protocol.js"
 */
import { Blocks, codeFrame } from "./blocks.js";
import { iconButton, make, setHidden } from "./dom.js";
import { engineLacks, engineReady, stageWords } from "./engine.js";
import { answerFooter } from "./footer.js";
import { problemText } from "./server.js";
import { ordinal, say, sayCount, wholeSeconds } from "./texts.js";

/** A message whose element is still empty, until it is drawn. @param {Message} message */
export function prepareMessage(message) {
  return message.role === "assistant" ? new Answer(message) : new Question(message);
}

/** What both kinds have: the element, the message as it is known now, and the choice between versions. */
class Drawn {
  /** @param {Message} message */
  constructor(message) {
    this.message = message;
    this.element = make("article", { class: "message", "data-role": message.role, "data-id": message.id });
  }

  get isDrawn() {
    return this.element.hasChildNodes();
  }

  /** Whether there is all that its drawing takes: the blocks of an older answer are asked for later. */
  get isWhole() {
    return this.message.blocks !== null;
  }

  /** ‹ 2 of 3 › */
  versions() {
    const { version, versions } = this.message;
    if (!(versions > 1)) return null;
    return make(
      "span",
      { class: "versions" },
      iconButton("previous", say("action.version_previous"), { "data-action": "version-previous", disabled: version <= 1 }),
      make("span", {}, say("message.version", { version, versions })),
      iconButton("next", say("action.version_next"), { "data-action": "version-next", disabled: version >= versions }),
    );
  }
}

/** What a person wrote. */
export class Question extends Drawn {
  draw() {
    this.element.setAttribute("aria-label", say("message.yours"));
    const versions = this.versions();
    this.element.replaceChildren(this.actions(), make("div", { class: "bubble" }, this.message.text), ...(versions ? [versions] : []));
  }

  actions() {
    return make(
      "div",
      { class: "actions" },
      iconButton("edit", say("action.edit"), { "data-action": "edit" }),
      iconButton("copy", say("action.copy"), { "data-action": "copy" }),
      iconButton("branch", say("action.branch"), { "data-action": "branch" }),
    );
  }

  /** The bubble becomes a field with the same words. */
  edit() {
    const field = make("textarea", { class: "edit-field", "aria-label": say("edit.label"), rows: 1 });
    field.value = this.message.text;
    const buttons = make(
      "div",
      { class: "edit-buttons" },
      make("button", { type: "button", class: "quiet", "data-action": "edit-cancel" }, say("edit.cancel")),
      make("button", { type: "button", class: "strong", "data-action": "edit-save" }, say("edit.save")),
    );
    this.element.replaceChildren(make("div", { class: "bubble editing" }, field, buttons));
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
}

/** What the model says. */
export class Answer extends Drawn {
  tail = make("div", { class: "tail" });
  tailText = document.createTextNode("");

  draw() {
    this.above = make("div", { class: "above" });
    this.blocks = new Blocks(this.tail);
    this.mark = make("p", { class: "mark", hidden: true });
    this.below = make("div", { class: "below" });
    this.element.setAttribute("aria-label", say("message.models"));
    this.element.replaceChildren(this.above, this.blocks.element, this.tail, this.mark, this.below);
    this.blocks.add(this.message.blocks ?? []);
    this.setTail(this.message.tail ?? { kind: "text", text: "" });
    this.drawState();
  }

  get ended() {
    return this.message.state === "ended";
  }

  /** @param {TurnEvent} change */
  update({ message: _, ...change }) {
    const thumb = this.message.feedback?.thumb;
    Object.assign(this.message, change);
    // A reason that was written in the field that is there: it stays, with the focus and with a press that is under way.
    if (thumb && Object.keys(change).join() === "feedback" && change.feedback?.thumb === thumb) return;
    this.drawState();
  }

  /**
   * More of the text; returns the blocks that were finished by it.
   * @param {TextEvent} event
   */
  grow({ blocks = [], tail, append }) {
    this.message.blocks = [...(this.message.blocks ?? []), ...blocks];
    const finished = this.blocks?.add(blocks) ?? [];
    if (tail) this.setTail(tail);
    if (append) this.appendTail(append);
    return finished;
  }

  /** @param {Tail} tail */
  setTail(tail) {
    this.message.tail = { ...tail };
    this.tailText = document.createTextNode(tail.text);
    this.tail.dataset.kind = tail.kind;
    this.tail.replaceChildren(tail.kind === "code" ? codeFrame("", make("pre", {}, make("code", {}, this.tailText))) : make("p", {}, this.tailText));
    this.showTail();
  }

  /** @param {string} text */
  appendTail(text) {
    this.tailText.appendData(text);
    if (this.message.tail) this.message.tail.text += text;
    this.showTail();
  }

  /** An empty tail is shown only while the model writes: it holds the caret. */
  showTail() {
    setHidden(this.tail, !this.tailText.data && this.message.state !== "decode");
  }

  drawState() {
    this.element.dataset.state = this.message.state;
    this.element.dataset.end = this.message.end ?? "";
    this.drawAbove();
    this.drawMark();
    this.drawBelow();
    this.showTail();
    if (this.ended) this.blocks?.settle();
  }

  /** What is said before the first word: what was left out, and what is being waited for. */
  drawAbove() {
    const { dropped = 0, state } = this.message;
    const left = dropped > 0 ? make("p", { class: "dropped" }, sayCount("message.dropped", dropped)) : null;
    const waiting = state === "waiting" || state === "prefill" ? make("p", { class: "waiting", "data-phase": state }, make("i"), waitingWords(this.message)) : null;
    this.above?.replaceChildren(...[left, waiting].filter((part) => part !== null));
  }

  /** How it ended, if not by itself. */
  drawMark() {
    if (!this.mark) return;
    const words = this.ended ? endWords(this.message) : "";
    const more = make("button", { type: "button", class: "go-on", "data-action": "continue", ...unlessAble("continue") }, say("action.continue"));
    this.mark.replaceChildren(...(words ? [words, " ", more] : []));
    this.mark.hidden = !words;
  }

  /** The line is there from the start, so that nothing jumps when the answer ends. */
  drawBelow() {
    if (!this.below) return;
    const { timing, sources = [] } = this.message;
    const focused = this.below.contains(document.activeElement) ? document.activeElement?.getAttribute("data-action") : null;
    this.below.replaceChildren(...(this.ended ? [timing ? answerFooter(timing, sources) : null, this.actions()] : []).filter((part) => part !== null));
    if (focused) /** @type {HTMLElement | null} */ (this.below.querySelector(`[data-action="${focused}"]`))?.focus();
  }

  actions() {
    return make(
      "div",
      { class: "actions" },
      iconButton("copy", say("action.copy"), { "data-action": "copy" }),
      iconButton("regenerate", say("action.regenerate"), { "data-action": "regenerate" }),
      iconButton("branch", say("action.branch"), { "data-action": "branch" }),
      ...this.thumbs(),
      this.versions(),
    );
  }

  /** Was it good? A pressed thumb has a field for why. */
  thumbs() {
    const given = this.message.feedback;
    const up = iconButton("good", say("feedback.up"), { "data-action": "thumb-up", "aria-pressed": String(given?.thumb === "up") });
    const down = iconButton("poor", say("feedback.down"), { "data-action": "thumb-down", "aria-pressed": String(given?.thumb === "down") });
    if (!given) return [up, down];
    const field = make("input", { class: "why", value: given.reason, maxlength: 4000, placeholder: say("feedback.why"), "aria-label": say("feedback.why"), "data-message": this.message.id });
    return [up, down, field];
  }
}

/** Greys out what the engine cannot do, and says so. @param {string} ability */
function unlessAble(ability) {
  return engineLacks(ability) ? { disabled: true, title: say("header.cannot", { list: say(`cannot.${ability}`) }) } : {};
}

/** @param {Message} message */
function waitingWords({ state, place, eta }) {
  if (state === "prefill") return say("wait.prefill");
  if (!engineReady()) return say("wait.engine", { stage: stageWords() });
  if (!place) return say("wait.unknown");
  const words = say("wait.place", { place: ordinal(place) });
  return eta === null || eta === undefined ? words : say("wait.eta", { waiting: words, time: wholeSeconds(Math.max(1, eta)) });
}

/** @param {Message} message */
function endWords({ end, error }) {
  if (error) return problemText(error);
  return end && end !== "stop" ? say(`end.${end}`) : "";
}
