// @ts-check
/**
 * Every request of the shown window as a table: sorted by any column, filtered by door and end; a row opens where its time
 * went. Only as many rows are drawn as somebody asks for, however many there are.
 *
 * @import {BoardModel, Request} from "./board_model.js"
 * @import {Column, Filter, Order} from "./board_order.js"
 * @import {View} from "./board_view.js"
 */
import { ownerWords, requestDetails, stateWords } from "./board_details.js";
import { COLUMNS, filtered, ordered } from "./board_order.js";
import { timesOf } from "./board_statistics.js";
import { make, setText } from "./dom.js";
import { modelParameter } from "./models.js";
import { count, hundredths, say, sayCount } from "./texts.js";

const PAGE = 50;
/** @type {Partial<Record<Column, string>>} */
const UNITS = { queue: "unit.seconds", prefill: "unit.seconds", ttft: "unit.seconds", tpot: "unit.milliseconds", itl: "unit.milliseconds", e2e: "unit.seconds" };
const DOORS = ["", "mine", "page", "api", "evaluation", "demo"];
const ENDS = ["", "alive", "stop", "length", "aborted", "failed"];

export class RequestTable {
  /** @type {Order} */
  order = { column: "request", down: true };
  /** @type {Filter} */
  filter = { door: "", end: "" };
  shown = PAGE;
  /** Whose time is open. @type {Set<number>} */
  opened = new Set();
  /** @type {Map<number, {key: string, rows: Element[]}>} */
  drawn = new Map();

  /** @param {BoardModel} model @param {View} view */
  constructor(model, view) {
    this.model = model;
    this.view = view;
  }

  build() {
    this.drawn.clear();
    this.body = make("tbody");
    this.heads = COLUMNS.map((column) => this.head(column));
    this.amount = make("p", { class: "how-many", role: "status" });
    this.more = make("button", { type: "button", class: "quiet", onclick: () => this.showMore() });
    const table = make("table", { class: "requests" }, make("caption", { class: "offscreen" }, say("table.label")), make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    const filters = make("div", { class: "filters" }, this.select("door", DOORS), this.select("end", ENDS), this.amount);
    this.draw();
    return make("div", {}, filters, make("div", { class: "sideways", tabindex: 0, role: "region", "aria-label": say("table.label") }, table), this.more, downloads());
  }

  /** @param {Column} column */
  head(column) {
    const unit = UNITS[column];
    const button = make("button", { type: "button", title: say(`column.${column}.title`), onclick: () => this.sortBy(column) }, say(`column.${column}`), make("small", {}, unit ? say(unit, { n: "" }).trim() : ""));
    return make("th", { scope: "col" }, button);
  }

  /** @param {"door" | "end"} name @param {string[]} choices */
  select(name, choices) {
    const options = choices.map((choice) => make("option", { value: choice, selected: choice === this.filter[name] }, say(`table.${name}.${choice || "all"}`)));
    const select = make("select", { "aria-label": say(`table.${name}`), "data-filter": name }, ...options);
    select.addEventListener("change", () => {
      this.filter[name] = select.value;
      this.shown = PAGE;
      this.draw();
    });
    return select;
  }

  /** @param {Column} column */
  sortBy(column) {
    const down = this.order.column === column ? !this.order.down : true;
    this.order = { column, down };
    this.draw();
  }

  showMore() {
    this.shown += 2 * PAGE;
    this.draw();
  }

  draw() {
    const { view } = this;
    COLUMNS.forEach((column, i) => this.heads?.[i]?.setAttribute("aria-sort", column !== this.order.column ? "none" : this.order.down ? "descending" : "ascending"));
    const all = ordered(filtered(this.model.within(view.from, view.to), this.filter), this.order);
    const rows = all.slice(0, this.shown).flatMap((request) => this.rows(request));
    this.replace(rows.length ? rows : [make("tr", { class: "none" }, make("td", { colspan: COLUMNS.length }, say("table.none")))]);
    setText(this.amount, sayCount("table.amount", all.length));
    setText(this.more, say("table.more", { n: count(Math.max(0, all.length - this.shown)) }));
    this.more?.toggleAttribute("hidden", all.length <= this.shown);
    this.forget(all);
  }

  /** Rows that stay where they are are left alone, with whatever is focused or chosen in them. @param {Element[]} rows */
  replace(rows) {
    const { body } = this;
    if (!body || (rows.length === body.children.length && rows.every((row, i) => row === body.children[i]))) return;
    const focused = body.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
    const id = focused?.closest("tr")?.dataset.request;
    body.replaceChildren(...rows);
    if (id) /** @type {HTMLElement | null} */ (body.querySelector(`tr[data-request="${id}"] button`))?.focus({ preventScroll: true });
  }

  /** One row, and the opened one below it; made anew only when something in them changed. @param {Request} request */
  rows(request) {
    const at = this.view.to;
    const open = this.opened.has(request.id);
    const alive = request.ended === null || request.ended > at;
    const key = [stateWords(request, at), request.tokens, request.mine, request.scheduled, request.first, request.last, open, open && alive && at].join();
    const known = this.drawn.get(request.id);
    if (known?.key === key) return known.rows;
    const rows = [this.row(request, at, open), ...(open ? [openedRow(request, at)] : [])];
    this.drawn.set(request.id, { key, rows });
    return rows;
  }

  /** @param {Request} request @param {number} at @param {boolean} open */
  row(request, at, open) {
    const name = make("button", { type: "button", "aria-expanded": String(open) }, ownerWords(request), make("small", {}, `#${request.id}`));
    const cells = [...cellsOf(request), stateWords(request, at)].map((words) => make("td", {}, words));
    const attributes = { "data-request": request.id, "data-mine": request.mine, "data-end": request.end, onclick: () => this.toggle(request.id) };
    return make("tr", attributes, make("th", { scope: "row" }, name), ...cells);
  }

  /** @param {number} id */
  toggle(id) {
    if (!this.opened.delete(id)) this.opened.add(id);
    this.draw();
  }

  /** @param {Request[]} present */
  forget(present) {
    const ids = new Set(present.map(({ id }) => id));
    for (const id of this.drawn.keys()) if (!ids.has(id)) this.drawn.delete(id);
  }
}

/** @param {Request} request */
function cellsOf(request) {
  const times = timesOf(request);
  const seconds = (/** @type {number | null} */ value) => (value === null ? "–" : hundredths(value / 1000));
  const ms = (/** @type {number | null} */ value) => (value === null ? "–" : value < 10 ? value.toFixed(1) : count(value));
  return [seconds(times.queue), seconds(times.prefill), seconds(times.ttft), ms(times.tpot), ms(times.itl), seconds(times.e2e), count(request.tokens)];
}

/** @param {Request} request @param {number} at */
function openedRow(request, at) {
  return make("tr", { class: "opened" }, make("td", { colspan: COLUMNS.length }, requestDetails(request, at)));
}

function downloads() {
  const link = (/** @type {string} */ name, /** @type {string} */ address) => make("a", { href: address, download: true, title: say(`table.${name}.title`) }, say(`table.${name}`));
  return make("p", { class: "downloads" }, link("csv", `api/board/requests.csv?window=600${modelParameter()}`), link("trace", `api/board/trace?window=600${modelParameter()}`));
}
