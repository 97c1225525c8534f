// @ts-check
/**
 * What a run comes to: scores with intervals, differences, latencies, plots, every answer in a table of rows by variants.
 *
 * @import {AnswerRow, Difference, Evaluation, Percentiles, Results} from "./protocol.js"
 */
import { make } from "./dom.js";
import { attempt, button, estimate, score, section, table } from "./evaluation_page.js";
import { compareAnswers, evaluationResults, rateAnswer } from "./server.js";
import { count, milliseconds, say, sayCount } from "./texts.js";

const PAGE = 50;
const FILES = ["report.html", "summary.csv", "results.jsonl"];
const LATENCIES = /** @type {const} */ (["queue", "ttft", "tpot", "e2e"]);

/** @param {Evaluation} run */
export async function results(run) {
  const found = await evaluationResults(run.id);
  const files = FILES.map((name) => make("a", { href: `api/evaluations/${run.id}/files/${name}`, download: name }, name));
  const sums = make("div", {}, ...summary(found));
  const answers = new Answers(run, found, async () => {
    const now = await evaluationResults(run.id);
    sums.replaceChildren(...summary(now));
    answers.take(now.rows);
  });
  return [make("p", { class: "files" }, say("evaluate.files_out"), ...files), sums, answers.element];
}

/** @param {Results} found */
function summary({ summary: { scores, variants, pairs, judge, unheeded }, plots }) {
  const names = Object.keys(variants);
  const named = scores.map((name) => say(`score.${name}`));
  const parts = [];
  if (scores.length) {
    const rows = names.flatMap((name) => {
      const one = variants[name];
      const tags = Object.entries(one?.by_tag ?? {}).map(([tag, by]) => [make("span", { class: "tag" }, tag), ...scores.map((each) => estimate(by[each] ?? null))]);
      return [[make("b", {}, name), ...scores.map((each) => estimate(one?.scores[each] ?? null))], ...tags];
    });
    parts.push(make("h3", {}, say("evaluate.scores")), table([say("evaluate.column.variant"), ...named], rows, say("evaluate.scores")));
  }
  if (pairs.length) {
    const rows = pairs.map((pair) => [`${pair.first} − ${pair.second}`, say(`score.${pair.score}`), verdict(pair), signed(pair.mean), pair.low === null || pair.high === null ? "–" : `${signed(pair.low)} – ${signed(pair.high)}`, pair.p.toFixed(4), String(pair.n)]);
    const head = ["pair", "score", "verdict", "difference", "interval", "p", "n"].map((name) => say(`evaluate.column.${name}`));
    parts.push(make("h3", {}, say("evaluate.differences")), table(head, rows, say("evaluate.differences")), make("p", { class: "note" }, say("evaluate.differences_note")));
  }
  for (const [name, settings] of Object.entries(unheeded)) parts.push(make("p", { class: "failed" }, say("evaluate.unheeded", { name, settings: settings.map((each) => say(`sampling.${each}`)).join(", ") })));
  if (judge) parts.push(make("p", { class: "note" }, say("evaluate.judged", { agreed: judge.agreed, changed: judge.changed, unreadable: judge.unreadable })));
  const rows = names.map((name) => {
    const one = variants[name];
    return [name, ...LATENCIES.map((each) => percentiles(one?.latency[each])), one?.goodput ? `${one.goodput.per_second.toFixed(2)}/s` : "–", one?.tokens_per_second ? count(one.tokens_per_second) : "–", `${one?.answered} / ${one?.failed}`];
  });
  const head = [say("evaluate.column.variant"), ...LATENCIES.map((each) => say(`column.${each}`)), say("evaluate.column.goodput"), say("evaluate.column.speed"), say("evaluate.column.answered")];
  parts.push(make("h3", {}, say("evaluate.latency")), table(head, rows, say("evaluate.latency")));
  const limits = Object.values(variants).find((each) => each.goodput)?.goodput?.limits;
  if (limits) parts.push(make("p", { class: "note" }, say("evaluate.goodput", { ttft: milliseconds(limits.ttft), itl: milliseconds(limits.itl) })));
  return [...parts, make("h3", {}, say("evaluate.plots")), ...figures(plots, scores)];
}

/** @param {Percentiles | undefined} found  as p50 / p95 / p99 in ms */
function percentiles(found) {
  const { n, p50, p95, p99 } = found ?? { n: 0, p50: null, p95: null, p99: null };
  if (!n || p50 === null || p95 === null || p99 === null) return "–";
  return make("span", {}, [p50, p95, p99].map((each) => (each < 0.01 ? (each * 1000).toFixed(1) : count(each * 1000))).join(" / "), make("small", {}, `n=${n}`));
}

/** Latencies, and of one score at a time on the screen; on paper all. @param {Results["plots"]} plots @param {string[]} scores */
function figures(plots, scores) {
  const drawn = plots.map(({ kind, of, svg }) => {
    const place = make("div");
    place.innerHTML = svg; // the server's own, with every name in it escaped
    return make("figure", { "data-of": kind === "latency" ? null : of }, make("figcaption", {}, say(`evaluate.plot.${kind}`, { of: say(kind === "latency" ? `column.${of}` : `score.${of}`) })), place);
  });
  const which = choice(say("evaluate.column.score"), scores.map((each) => [each, say(`score.${each}`)]));
  const show = () => drawn.forEach((figure) => figure.classList.toggle("aside", ![undefined, which.value].includes(figure.dataset.of)));
  which.addEventListener("change", show);
  show();
  const [latencies, others] = [drawn.filter(({ dataset }) => !dataset.of), drawn.filter(({ dataset }) => dataset.of)];
  return [make("div", { class: "plots" }, ...latencies), ...(scores.length > 1 ? [make("div", { class: "filters" }, which)] : []), make("div", { class: "plots" }, ...others)];
}

/** @param {Difference} pair */
function verdict(pair) {
  return pair.shown ? say("evaluate.higher", { name: pair.mean > 0 ? pair.first : pair.second }) : say("evaluate.no_difference");
}

/** @param {number} value */
function signed(value) {
  return `${Number(value.toFixed(3)) < 0 ? "−" : "+"}${score(Math.abs(value))}`;
}

/** Rows x variants. */
class Answers {
  text = "";
  tag = "";
  only = "";
  order = "";
  pair = "";
  shown = PAGE;
  body = make("tbody");
  amount = make("p", { class: "note", role: "status" });
  more = button("", () => this.showMore());
  /** The answers to each row and repeat. @type {Map<string, AnswerRow[]>} */
  rows = new Map();
  problem = make("p", { class: "problem", role: "alert" });

  /** @param {Evaluation} run @param {Results} found @param {() => Promise<void>} onRated */
  constructor(run, found, onRated) {
    this.run = run;
    this.onRated = onRated;
    this.variants = Object.keys(found.summary.variants);
    this.take(found.rows);
    const pairs = this.variants.flatMap((first, i) => this.variants.slice(i + 1).map((second) => [JSON.stringify([first, second]), say("evaluate.diff_of", { first, second })]));
    this.pair = pairs[0]?.[0] ?? "";
    const { tags, scores } = found.summary;
    const search = make("input", { type: "search", placeholder: say("evaluate.find"), "aria-label": say("evaluate.find") });
    search.addEventListener("input", () => this.change(() => (this.text = search.value.toLowerCase())));
    const head = [say("evaluate.column.row"), ...this.variants].map((name) => make("th", { scope: "col" }, name));
    this.element = section(
      say("evaluate.answers"),
      make(
        "div",
        { class: "filters" },
        search,
        this.select("tag", [["", say("evaluate.every_tag")], ...tags.map((tag) => [tag, tag])]),
        this.select("only", ["", "different", "failed"].map((kind) => [kind, say(`evaluate.only.${kind || "all"}`)])),
        ...(pairs.length > 1 ? [this.select("pair", pairs)] : []),
        this.select("order", [["", say("evaluate.order.file")], ...scores.map((name) => [name, say("evaluate.order.score", { score: say(`score.${name}`) })])]),
      ),
      this.amount,
      make("div", { class: "sideways", role: "region", tabindex: 0, "aria-label": say("evaluate.answers") }, make("table", { class: "answers" }, make("thead", {}, make("tr", {}, ...head)), this.body)),
      this.more,
      this.problem,
    );
    this.draw();
  }

  /** What is drawn from now on. @param {AnswerRow[]} answers */
  take(answers) {
    this.rows.clear();
    for (const each of answers) {
      const key = JSON.stringify([each.row, each.repeat]);
      this.rows.set(key, [...(this.rows.get(key) ?? []), each]);
    }
  }

  /** @param {"tag" | "only" | "order" | "pair"} name @param {string[][]} choices */
  select(name, choices) {
    const select = choice(say(`evaluate.${name}.label`), choices);
    select.dataset.filter = name;
    select.addEventListener("change", () => this.change(() => (this[name] = select.value)));
    return select;
  }

  /** @param {() => void} change */
  change(change) {
    change();
    this.shown = PAGE;
    this.draw();
  }

  showMore() {
    this.shown += PAGE;
    this.draw();
  }

  draw() {
    const found = [...this.rows.values()].filter((answers) => this.wanted(answers));
    if (this.order) found.sort((a, b) => worst(a, this.order) - worst(b, this.order));
    this.amount.textContent = sayCount("evaluate.rows", found.length);
    this.body.replaceChildren(...found.slice(0, this.shown).map((answers) => this.row(answers)));
    this.more.hidden = found.length <= this.shown;
    this.more.textContent = say("table.more", { n: count(Math.max(0, found.length - this.shown)) });
  }

  /** @param {AnswerRow[]} answers */
  wanted(answers) {
    const first = answers[0];
    if (!first) return false;
    if (this.tag && !first.tags.includes(this.tag)) return false;
    if (this.only === "different" && new Set(answers.map(({ answer }) => answer)).size < 2) return false;
    if (this.only === "failed" && !answers.some(isFailed)) return false;
    return !this.text || [first.row, first.prompt, ...answers.map(({ answer }) => answer)].some((text) => text.toLowerCase().includes(this.text));
  }

  /** @param {AnswerRow[]} answers */
  row(answers) {
    const first = answers[0];
    if (!first) return make("tr");
    const said = make("th", { scope: "row" }, make("b", {}, first.repeat ? `${first.row} (${first.repeat + 1})` : first.row), make("p", { class: "text" }, first.prompt), first.references.length ? make("p", { class: "note" }, say("evaluate.reference", { text: first.references.join(" | ") })) : null, this.difference(answers));
    const cells = this.variants.map((name) => this.cell(answers.find(({ variant }) => variant === name)));
    return make("tr", { "data-row": first.row }, said, ...cells);
  }

  /** @param {AnswerRow | undefined} answer */
  cell(answer) {
    if (!answer) return make("td", {}, "–");
    if (answer.error) return make("td", { class: "failed" }, answer.error.message);
    const scores = Object.entries(answer.scores).map(([name, value]) => `${say(`score.${name}`)} ${score(value)}`);
    const timing = answer.timing ? [`TTFT ${milliseconds(answer.timing.ttft)}`, `e2e ${milliseconds(answer.timing.e2e)}`] : [];
    return make(
      "td",
      {},
      make("p", { class: "text" }, answer.answer),
      answer.end === "length" ? make("p", { class: "note" }, say("end.length")) : null,
      make("p", { class: "note" }, [...scores, ...timing].join(" · ")),
      ...answer.notes.map((note) => make("p", { class: "failed" }, note)),
      ...answer.comments.map((comment) => make("p", { class: "note" }, comment)),
      this.rating(answer),
    );
  }

  /** Pass, fail, 1 to 5, a comment; a run is seen by one person alone, so what was said of an answer was said here. @param {AnswerRow} answer */
  rating(answer) {
    const { human_pass: passed, human_rating: rated } = answer.scores;
    const verdict = choice(say("rating.verdict"), [["", say("rating.none")], ["pass", say("rating.pass")], ["fail", say("rating.fail")]], passed === undefined ? "" : passed ? "pass" : "fail");
    const stars = choice(say("rating.stars"), [["", say("rating.stars")], ...[1, 2, 3, 4, 5].map((n) => [String(n), String(n)])], rated === undefined ? "" : String(rated * 4 + 1));
    const comment = make("input", { placeholder: say("rating.comment"), "aria-label": say("rating.comment"), maxlength: 4000, value: answer.comments[0] ?? "" });
    const done = make("span", { role: "status" });
    const save = () =>
      void attempt(this.problem, async () => {
        const { row, variant, repeat } = answer;
        await rateAnswer(this.run.id, { row, variant, repeat, passed: verdict.value ? verdict.value === "pass" : null, stars: stars.value ? Number(stars.value) : null, comment: comment.value });
        done.textContent = say("rating.saved");
        await this.onRated();
      });
    return make("details", { class: "rating" }, make("summary", {}, say("rating.rate")), verdict, stars, comment, button(say("rating.save"), save), done);
  }

  /** Of the two that are chosen above the table. @param {AnswerRow[]} answers */
  difference(answers) {
    const [first, second] = (JSON.parse(this.pair || "[]")).map((/** @type {string} */ name) => answers.find((each) => each.variant === name && !isFailed(each)));
    if (!first || !second) return null;
    const place = make("div", { class: "diff" });
    const show = () =>
      void attempt(this.problem, async () => {
        const { parts } = await compareAnswers(this.run.id, first.row, first.repeat, first.variant, second.variant);
        if (parts.every(([kind]) => kind === "same")) return place.replaceChildren(make("p", { class: "note" }, say("evaluate.same")));
        const texts = parts.map(([kind, text]) => (kind === "same" ? text : make(kind === "gone" ? "del" : "ins", {}, text)));
        place.replaceChildren(make("p", { class: "note" }, make("del", {}, first.variant), " → ", make("ins", {}, second.variant)), ...texts);
      });
    return make("div", {}, button(say("evaluate.diff"), show, { class: "quiet diff-button" }), place);
  }
}

/** @param {string} label @param {string[][]} choices  value and words of each @param {string} [chosen] */
function choice(label, choices, chosen = "") {
  return make("select", { "aria-label": label }, ...choices.map(([value, words]) => make("option", { value, selected: value === chosen }, words ?? "")));
}

/** @param {AnswerRow} answer */
function isFailed(answer) {
  return answer.error !== null;
}

/** @param {AnswerRow[]} answers @param {string} name */
function worst(answers, name) {
  return Math.min(...answers.map(({ scores }) => scores[name] ?? Infinity));
}
