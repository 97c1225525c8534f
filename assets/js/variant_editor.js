// @ts-check
/**
 * The variants that are to be compared, as fields; remembered in this browser. Knows what a variant is made of, not what is done
 * with it.
 *
 * @import {ModelChoice, Variant} from "./protocol.js"
 */
import { make } from "./dom.js";
import { button, labelled, remember, remembered } from "./evaluation_page.js";
import { askStatus, offeredVariants } from "./server.js";
import { modelName } from "./models.js";
import { say } from "./texts.js";

const REMEMBERED = "batchat.variants";
const NAME_AT_MOST = 60;
/** The fields of a variant's sampling, each with its step. */
const NUMBERS = /** @type {const} */ ({ temperature: "0.05", top_p: "0.01", max_tokens: "1", seed: "1" });

export class VariantEditor {
  /** @type {Variant[]} */
  variants = [];
  /** @type {ModelChoice[]} */
  models = [];
  /** The settings that the one engine ignores; of several each has its own, and the results say so. @type {string[]} */
  ignored = [];
  list = make("div", { class: "variants" });

  /**
   * @param {number} atMost
   * @param {(models: ModelChoice[]) => void} [onModels]  told which models there are
   */
  constructor(atMost, onModels = () => {}) {
    this.atMost = atMost;
    this.onModels = onModels;
    this.more = button(say("variants.add"), () => this.add(), { id: "add-variant" });
    this.element = make("div", {}, this.list, this.more);
    const kept = remembered(REMEMBERED);
    this.set(Array.isArray(kept) && kept.length > 1 ? kept : standard([]));
    this.offer(!kept).catch(() => {}); // the page goes on with what it has
  }

  /**
   * The models that there are and, to whoever has no variants yet, the operator's or else one for each model.
   * @param {boolean} anew
   */
  async offer(anew) {
    const [{ models = [], ignored = [] }, { variants }] = await Promise.all([askStatus(), offeredVariants()]);
    this.models = models;
    this.ignored = models.length ? [] : ignored;
    this.onModels(models);
    if (anew) this.set(variants.length > 1 ? variants : standard(models));
    else if (models.length || ignored.length) this.draw();
  }

  /** @param {Variant[]} variants */
  set(variants) {
    this.variants = variants.slice(0, this.atMost);
    this.draw();
  }

  add() {
    const name = ["A", "B", "C", "D", "E", "F", "G", "H"].find((letter) => this.variants.every((each) => each.name !== letter)) ?? "";
    this.variants.push({ name, system: "", sampling: { temperature: 0 } });
    this.changed();
    this.draw();
  }

  changed() {
    remember(REMEMBERED, this.variants);
  }

  draw() {
    this.list.replaceChildren(...this.variants.map((variant, i) => this.fields(variant, i)));
    this.more.disabled = this.variants.length >= this.atMost;
  }

  /** @param {Variant} variant @param {number} index */
  fields(variant, index) {
    const name = make("input", { value: variant.name, maxlength: NAME_AT_MOST, "data-field": "name" });
    const system = make("textarea", { rows: 2, "data-field": "system" });
    system.value = variant.system;
    name.addEventListener("input", () => this.note(() => (variant.name = name.value)));
    system.addEventListener("input", () => this.note(() => (variant.system = system.value)));
    const numbers = Object.entries(NUMBERS).map(([key, step]) => this.number(variant, /** @type {keyof typeof NUMBERS} */ (key), step));
    const remove = button(say("variants.remove"), () => {
      this.variants.splice(index, 1);
      this.changed();
      this.draw();
    });
    remove.disabled = this.variants.length < 2;
    const model = modelField(this.models, variant.model ?? "", (key) => this.note(() => (variant.model = key)));
    return make("fieldset", {}, make("legend", {}, say("variants.one", { n: index + 1 })), labelled(say("variants.name"), name), model, labelled(say("system.label"), system), make("div", { class: "numbers" }, ...numbers), remove);
  }

  /** @param {Variant} variant @param {keyof typeof NUMBERS} key @param {string} step */
  number(variant, key, step) {
    const field = make("input", { type: "number", step, min: 0, value: variant.sampling[key] ?? "", "data-field": key });
    field.addEventListener("input", () =>
      this.note(() => {
        if (field.value === "") delete variant.sampling[key];
        else variant.sampling[key] = Number(field.value);
      }),
    );
    const label = labelled(say(`sampling.${key}`), field);
    if (this.ignored.includes(key)) {
      field.disabled = true;
      label.append(make("small", {}, say("sampling.ignored")));
    }
    return label;
  }

  /** @param {() => void} change */
  note(change) {
    change();
    this.changed();
  }
}

/**
 * Which of several models answers; nothing where there is no choice.
 * @param {ModelChoice[]} models
 * @param {string} chosen  empty for the usual one, which is the first
 * @param {(key: string) => void} choose
 * @param {string} [name]
 */
export function modelField(models, chosen, choose, name = say("header.models")) {
  if (!models.length) return null;
  const gone = chosen && models.every(({ key }) => key !== chosen) ? [make("option", { value: chosen, selected: true }, say("variants.gone", { name: chosen }))] : [];
  const options = models.map((model) => make("option", { value: model.key, selected: model.key === chosen }, modelName(model)));
  const field = make("select", { "data-field": "model" }, ...gone, ...options);
  field.addEventListener("change", () => choose(field.value));
  return labelled(name, field);
}

/** @param {ModelChoice[]} models @returns {Variant[]} */
function standard(models) {
  if (models.length) return models.map(({ key, name }) => ({ name: name.slice(0, NAME_AT_MOST).replaceAll("/", " "), system: "", model: key, sampling: { temperature: 0 } }));
  return [
    { name: say("variants.greedy"), system: "", sampling: { temperature: 0 } },
    { name: say("variants.sampled"), system: "", sampling: { temperature: 0.7 } },
  ];
}
