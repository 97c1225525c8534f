// @ts-check
/**
 * The variants that are to be compared, as fields; remembered in this browser. Knows what a variant is made of, not what is done
 * with it.
 *
 * @import {Variant} from "./protocol.js"
 */
import { make } from "./dom.js";
import { button, labelled, remember, remembered } from "./evaluation_page.js";
import { askStatus, offeredVariants } from "./server.js";
import { say } from "./texts.js";

const REMEMBERED = "batchat.variants";
/** The fields of a variant's sampling, each with its step. */
const NUMBERS = /** @type {const} */ ({ temperature: "0.05", top_p: "0.01", max_tokens: "1", seed: "1" });

export class VariantEditor {
  /** @type {Variant[]} */
  variants = [];
  /** The settings that the engine ignores. @type {string[]} */
  ignored = [];
  list = make("div", { class: "variants" });

  /** @param {number} atMost */
  constructor(atMost) {
    this.atMost = atMost;
    this.more = button(say("variants.add"), () => this.add(), { id: "add-variant" });
    this.element = make("div", {}, this.list, this.more);
    const kept = remembered(REMEMBERED);
    this.set(Array.isArray(kept) && kept.length > 1 ? kept : standard());
    if (!kept) void this.offer();
    void this.greyOut();
  }

  /** Once it is known what the engine ignores. */
  async greyOut() {
    this.ignored = (await askStatus().catch(() => null))?.ignored ?? [];
    if (this.ignored.length) this.draw();
  }

  /** The operator's variants, where there are any. */
  async offer() {
    const { variants } = await offeredVariants();
    if (variants.length > 1) this.set(variants);
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
    const name = make("input", { value: variant.name, maxlength: 60, "data-field": "name" });
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
    return make("fieldset", {}, make("legend", {}, say("variants.one", { n: index + 1 })), labelled(say("variants.name"), name), labelled(say("system.label"), system), make("div", { class: "numbers" }, ...numbers), remove);
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

/** @returns {Variant[]} */
function standard() {
  return [
    { name: say("variants.greedy"), system: "", sampling: { temperature: 0 } },
    { name: say("variants.sampled"), system: "", sampling: { temperature: 0.7 } },
  ];
}
