// @ts-check
/**
 * Blind side by side: one prompt, answers next to each other without names, a vote, and then whose was whose. Below, what all
 * votes say.
 *
 * @import {Revealed, Standings} from "./protocol.js"
 */
import { make } from "./dom.js";
import { attempt, button, labelled, openPage, section, table } from "./evaluation_page.js";
import { compare, problemText, standings, vote } from "./server.js";
import { count, milliseconds, percent, say, sayCount } from "./texts.js";
import { VariantEditor } from "./variant_editor.js";

const LETTERS = ["A", "B", "C", "D"];

class Match {
  editor = new VariantEditor(4);
  prompt = make("textarea", { rows: 3, id: "prompt" });
  tags = make("input", { id: "tags" });
  problem = make("p", { class: "problem", role: "alert" });
  sides = make("div", { class: "sides" });
  voting = make("div", { class: "voting", hidden: true });
  /** @type {HTMLElement[]} */
  texts = [];
  id = "";
  /** @type {AbortController | null} */
  going = null;

  build() {
    this.ask = button(say("compare.ask"), () => void this.begin(), { class: "strong", id: "ask" });
    this.stop = button(say("composer.stop"), () => this.going?.abort(), { id: "stop-all", hidden: true });
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        void this.begin();
      }
    });
    return [
      section(say("compare.ask_title"), labelled(say("compare.prompt"), this.prompt), labelled(say("compare.tags"), this.tags), make("p", {}, this.ask, " ", this.stop), this.problem, this.sides, this.voting),
      make("details", { class: "part" }, make("summary", {}, say("compare.variants")), make("p", { class: "note" }, say("compare.variants_note")), this.editor.element),
    ];
  }

  async begin() {
    if (this.going || !this.prompt.value.trim()) return;
    const going = new AbortController();
    this.going = going;
    this.busy(true);
    await attempt(this.problem, async () => {
      const tags = this.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
      const events = compare({ prompt: this.prompt.value, tags, variants: this.editor.variants }, going.signal);
      for await (const event of events) this.take(event);
      this.offer();
    });
    if (going.signal.aborted) this.problem.textContent = say("compare.stopped");
    this.going = null;
    this.busy(false);
  }

  /** @param {boolean} going */
  busy(going) {
    if (this.ask) this.ask.disabled = going;
    this.stop?.toggleAttribute("hidden", !going);
    if (going) {
      this.sides.replaceChildren();
      this.voting.hidden = true;
    }
  }

  /** @param {import("./protocol.js").CompareEvent} event */
  take(event) {
    if ("id" in event) {
      this.id = event.id;
      this.texts = Array.from({ length: event.sides }, () => make("p", { class: "text", "aria-busy": "true" }));
      this.sides.replaceChildren(...this.texts.map((text, i) => make("article", { "data-side": i }, make("h3", {}, say("compare.side", { letter: LETTERS[i] ?? "" })), text)));
      return;
    }
    const text = this.texts[event.side];
    if (!text) return;
    if ("text" in event) return text.append(event.text);
    text.removeAttribute("aria-busy");
    if (event.error) text.append(problemText(event.error));
    else if (event.end === "length") text.after(make("p", { class: "note" }, say("end.length")));
  }

  offer() {
    const reason = make("input", { id: "reason", maxlength: 4000 });
    const choices = [...this.texts.map((_, i) => [String(i), say("compare.better", { letter: LETTERS[i] ?? "" })]), ["tie", say("compare.tie")], ["bad", say("compare.bad")]];
    const buttons = choices.map(([choice = "", words = ""]) => button(words, () => void attempt(this.problem, () => this.vote(choice, reason.value)), { "data-choice": choice }));
    this.voting.replaceChildren(make("p", {}, say("compare.which")), labelled(say("compare.reason"), reason), make("p", { class: "choices" }, ...buttons));
    this.voting.hidden = false;
  }

  /** @param {string} choice @param {string} reason */
  async vote(choice, reason) {
    const revealed = await vote(this.id, choice, reason);
    this.reveal(revealed, choice);
    await table_.show();
  }

  /** @param {Revealed} revealed @param {string} choice */
  reveal({ sides, void: isVoid }, choice) {
    sides.forEach((side, i) => {
      const times = side.timing ? [`TTFT ${milliseconds(side.timing.ttft)}`, `e2e ${milliseconds(side.timing.e2e)}`, sayCount("compare.tokens", side.timing.tokens)] : [];
      const card = this.sides.children[i];
      card?.querySelector("h3")?.replaceChildren(`${LETTERS[i]}: ${side.variant} `, choice === String(i) ? make("small", {}, say("compare.chosen")) : "");
      card?.classList.toggle("chosen", choice === String(i));
      card?.append(make("p", { class: "note" }, [side.model, side.engine, ...times].filter(Boolean).join(" · ")));
    });
    this.voting.replaceChildren(make("p", { role: "status", class: "thanks" }, isVoid ? say("compare.void") : say("compare.thanks")));
  }
}

class StandingsTable {
  tag = "";
  place = make("div", { id: "standings" }, make("p", { class: "note" }, say("evaluate.counting")));

  async show() {
    const found = await standings(this.tag);
    const tags = make("select", { "aria-label": say("compare.by_tag") }, ...["", ...found.tags].map((tag) => make("option", { value: tag, selected: tag === this.tag }, tag || say("evaluate.every_tag"))));
    tags.addEventListener("change", () => {
      this.tag = tags.value;
      void this.show();
    });
    this.place.replaceChildren(make("div", { class: "filters" }, tags), ...drawStandings(found));
  }
}

/** @param {Standings} found */
function drawStandings({ places, wins, votes, void: voided, shown, few }) {
  if (!votes) return [make("p", { class: "note" }, say("compare.no_votes"))];
  const rows = places.map((place) => [String(place.rank), place.name, `${count(place.strength)} `, `${count(place.low)} – ${count(place.high)}`, percent(place.score), String(place.votes)]);
  const head = ["rank", "variant", "strength", "interval", "won", "votes"].map((name) => say(`compare.column.${name}`));
  const names = places.map(({ name }) => name);
  const matrix = names.map((winner) => [winner, ...names.map((loser) => (winner === loser ? "" : String(wins.find((each) => each.winner === winner && each.loser === loser)?.wins ?? 0)))]);
  return [
    make("p", {}, sayCount("compare.votes", votes), voided ? ` · ${sayCount("compare.voided", voided)}` : ""),
    make("p", { class: "verdict" }, say(shown ? "compare.told_apart" : "compare.not_told_apart")),
    few ? make("p", { class: "note" }, say("compare.few")) : "",
    table(head, rows, say("compare.standings")),
    make("h3", {}, say("compare.matrix")),
    table([say("compare.column.against"), ...names], matrix, say("compare.matrix")),
    make("p", { class: "note" }, say("compare.formula")),
  ];
}

const table_ = new StandingsTable();
openPage(say("compare.title"), make("p", { class: "lead" }, say("compare.words")), ...new Match().build(), section(say("compare.standings"), table_.place));
void table_.show();
