// @ts-check
/**
 * The page of runs: a file of prompts is read and looked at, asked of variants, watched; below stands what it comes to.
 *
 * @import {Evaluation, ModelChoice, Preview} from "./protocol.js"
 */
import { make, setText } from "./dom.js";
import { results } from "./evaluate_results.js";
import { attempt, button, labelled, openPage, section, table } from "./evaluation_page.js";
import { actOnEvaluation, deleteEvaluation, evaluation, evaluations, previewPrompts, problemText, startEvaluation } from "./server.js";
import { count, say, sayCount, wholeSeconds } from "./texts.js";
import { VariantEditor, modelField } from "./variant_editor.js";

const LOOK_EVERY = 1000;
const SHOWN = 60;

/** The form. */
class NewRun {
  /** @type {{name: string, content: string} | null} */
  file = null;
  unread = make("p", { class: "problem", role: "alert" });
  problem = make("p", { class: "problem", role: "alert" });
  preview = make("div", { class: "preview" });
  scores = make("div", { class: "scores" });
  editor = new VariantEditor(8, (models) => this.offerJudges(models));
  repeats = make("input", { type: "number", min: 1, max: 100, value: 1, id: "repeats" });
  judged = make("input", { type: "checkbox", id: "judged" });
  judge = { name: "judge", system: "", sampling: { temperature: 0 }, model: "" };
  judgesModel = make("div");
  rubric = make("textarea", { rows: 2 });
  start = button(say("evaluate.start"), () => void this.begin(), { class: "strong", id: "start" });

  build() {
    const input = make("input", { type: "file", accept: ".jsonl,.csv,.json", id: "prompts" });
    input.addEventListener("change", () => void attempt(this.unread, () => this.read(input.files?.[0])));
    this.start.disabled = true;
    const judging = make("div", { hidden: true }, this.judgesModel, labelled(say("evaluate.rubric"), this.rubric));
    this.judged.addEventListener("change", () => (judging.hidden = !this.judged.checked));
    return section(
      say("evaluate.new"),
      make("p", { class: "note" }, say("evaluate.files")),
      labelled(say("evaluate.file"), input),
      this.unread,
      this.preview,
      make("h3", {}, say("evaluate.variants")),
      this.editor.element,
      make("h3", {}, say("evaluate.scoring")),
      this.scores,
      make("div", { class: "numbers" }, labelled(say("evaluate.repeats"), this.repeats)),
      make("label", { class: "check" }, this.judged, say("evaluate.judge")),
      judging,
      make("p", {}, this.start),
      this.problem,
    );
  }

  /** @param {File | undefined} file */
  async read(file) {
    this.file = null;
    this.start.disabled = true;
    this.preview.replaceChildren();
    if (!file) return;
    const read = { name: file.name, content: await base64(file) };
    const preview = await previewPrompts(read);
    this.file = read;
    this.start.disabled = !preview.rows;
    this.show(preview);
  }

  /** @param {Preview} preview */
  show({ rows, first, bad, tags, scores }) {
    const wrong = bad.map(({ number, reason }) => make("li", {}, say("evaluate.bad_row", { number, reason })));
    const head = ["row", "prompt", "reference", "tags"].map((name) => say(`evaluate.column.${name}`));
    const cells = first.map((row) => [row.id, cut(row.prompt), (row.reference ?? []).join(" | "), (row.tags ?? []).join(", ")]);
    this.preview.replaceChildren(
      make("p", {}, sayCount("evaluate.rows", rows), tags.length ? ` · ${tags.join(", ")}` : ""),
      bad.length ? make("details", { class: "bad", open: true }, make("summary", {}, sayCount("evaluate.bad", bad.length)), make("ul", {}, ...wrong)) : "",
      rows > first.length ? make("p", { class: "note" }, sayCount("evaluate.preview_of", first.length)) : "",
      table(head, cells, say("evaluate.preview")),
    );
    const boxes = scores.map((name) => make("label", { class: "check", title: say(`score.${name}.info`) }, make("input", { type: "checkbox", checked: true, value: name }), say(`score.${name}`)));
    this.scores.replaceChildren(...(boxes.length ? boxes : [make("p", { class: "note" }, say("evaluate.no_scores"))]));
  }

  /** @param {ModelChoice[]} models */
  offerJudges(models) {
    const field = modelField(models, "", (key) => (this.judge.model = key), say("evaluate.judges_model"));
    this.judgesModel.replaceChildren(...(field ? [field] : []));
  }

  async begin() {
    await attempt(this.problem, async () => {
      if (!this.file) return;
      const chosen = [...this.scores.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
      const judge = this.judged.checked ? { variant: this.judge, rubric: this.rubric.value } : undefined;
      const plan = { variants: this.editor.variants, scores: chosen, repeats: Number(this.repeats.value), ...(judge && { judge }) };
      const begun = await startEvaluation({ ...this.file, plan });
      location.hash = begun.id;
    });
  }
}

/** One run as it goes. */
class ShownRun {
  element = make("div", { id: "run" });
  body = make("div");
  state = make("p", { class: "state", role: "status" });
  bar = make("progress", { max: 1, value: 0 });
  problem = make("p", { class: "problem", role: "alert" });
  actions = make("p", { class: "actions" });
  timer = 0;
  shown = "";
  acts = "";
  /** The state that the list of runs has of it. */
  listed = "";

  async show() {
    clearTimeout(this.timer);
    const id = location.hash.slice(1);
    this.shown = "";
    this.acts = "";
    this.element.replaceChildren(this.problem);
    if (id) await attempt(this.problem, () => this.look(id));
  }

  /** @param {string} id */
  async look(id) {
    clearTimeout(this.timer);
    const run = await evaluation(id).catch((error) => {
      // A look that fails is not the last one, unless there is nothing to look at.
      const isThere = id === location.hash.slice(1) && error.code !== "evaluation_not_found";
      if (isThere) this.timer = setTimeout(() => void attempt(this.problem, () => this.look(id)), 5 * LOOK_EVERY);
      throw error;
    });
    if (id !== location.hash.slice(1)) return;
    if (!this.element.contains(this.body)) this.element.replaceChildren(section(run.name, this.state, this.bar, this.actions, this.body), this.problem);
    this.draw(run);
    if (this.listed !== run.progress.state) void runs.show();
    this.listed = run.progress.state;
    const key = `${run.progress.state} ${run.progress.done}`;
    if (run.active && run.progress.state === "running") this.timer = setTimeout(() => void attempt(this.problem, () => this.look(id)), LOOK_EVERY);
    else if (run.active) this.timer = setTimeout(() => void attempt(this.problem, () => this.look(id)), 2 * LOOK_EVERY);
    if ((!run.active || run.progress.state === "paused") && this.shown !== key) {
      this.shown = key;
      this.body.replaceChildren(make("p", { class: "note" }, say("evaluate.counting")));
      this.body.replaceChildren(...(await results(run)));
    }
  }

  /** @param {Evaluation} run */
  draw(run) {
    const { state, done, total, failed, kept, rate, eta } = run.progress;
    const parts = [say(`evaluate.state.${state}`), say("evaluate.done", { done: count(done), total: count(total) })];
    if (kept && run.active) parts.push(say("evaluate.kept", { kept: count(kept) }));
    if (failed) parts.push(say("evaluate.failed", { failed: count(failed) }));
    if (rate) parts.push(say("evaluate.rate", { rate: rate.toFixed(1) }));
    if (eta !== null && rate) parts.push(say("evaluate.eta", { time: wholeSeconds(eta) }));
    setText(this.state, parts.join(" · "));
    this.bar.value = total ? (done + failed) / total : 0;
    this.bar.setAttribute("aria-label", say("evaluate.progress"));
    this.problem.textContent = run.error ? problemText(run.error) : "";
    this.drawActions(run);
  }

  /** @param {Evaluation} run */
  drawActions(run) {
    const { state } = run.progress;
    /** @type {Array<"pause" | "resume" | "cancel">} */
    const acts = state === "waiting" ? ["cancel"] : !run.active ? (state === "finished" && !run.progress.failed ? [] : ["resume"]) : state === "paused" ? ["resume", "cancel"] : ["pause", "cancel"];
    const key = `${run.id} ${state} ${acts}`;
    if (this.acts === key) return;
    this.acts = key;
    const act = (/** @type {"pause" | "resume" | "cancel"} */ name) => () =>
      void attempt(this.problem, async () => {
        await actOnEvaluation(run.id, name);
        await this.look(run.id);
      });
    this.actions.replaceChildren(...acts.map((name) => button(say(name === "resume" && state === "finished" ? "evaluate.again" : `evaluate.${name}`), act(name), { id: name })));
  }
}

/** Those that there are. */
class Runs {
  list = make("div");

  async show() {
    const { evaluations: all } = await evaluations();
    const rows = all.map((run) => [
      make("a", { href: `#${run.id}` }, run.name),
      new Date(run.created * 1000).toLocaleString(document.documentElement.lang),
      run.variants.join(", "),
      `${count(run.progress.done)} / ${count(run.progress.total)}`,
      say(`evaluate.state.${run.progress.state}`),
      button(say("evaluate.delete"), () => void this.remove(run.id)),
    ]);
    const head = ["name", "created", "variants", "answers", "state", "delete"].map((name) => (name === "delete" ? "" : say(`evaluate.column.${name}`)));
    this.list.replaceChildren(rows.length ? table(head, rows, say("evaluate.runs")) : make("p", { class: "note" }, say("evaluate.none")));
  }

  /** @param {string} id */
  async remove(id) {
    if (!confirm(say("evaluate.delete_sure"))) return;
    await deleteEvaluation(id);
    if (location.hash === `#${id}`) location.hash = "";
    await this.show();
  }
}

/** @param {string} text */
function cut(text) {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** @param {File} file @returns {Promise<string>} */
function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

const runs = new Runs();
const shown = new ShownRun();
const thumbs = make("p", {}, make("a", { href: "api/feedback.jsonl", download: "feedback.jsonl" }, say("evaluate.feedback")));
const more = make("div", { class: "unprinted" }, new NewRun().build(), section(say("evaluate.runs"), runs.list, thumbs));
openPage(say("evaluate.title"), make("p", { class: "lead" }, say("evaluate.words")), shown.element, more);
const refresh = () => void Promise.all([shown.show(), runs.show()]);
addEventListener("hashchange", () => {
  scrollTo(0, 0); // where the run is
  refresh();
});
refresh();
