// @ts-check
/**
 * Fetches the engine's older steps when somebody looks further back than the stream has told: a newcomer gets the last
 * minute's only. Asks once for the same stretch.
 *
 * @import {BoardModel} from "./board_model.js"
 * @import {View} from "./board_view.js"
 */
import { boardSteps } from "./server.js";

const AGAIN = 10_000;
/** The picture is a little behind the stream: the newcomer's minute is not quite the minute that is shown. */
const SLACK = 1000;

export class StepHistory {
  asked = -Infinity;

  /** @param {BoardModel} model @param {View} view @param {() => void} came */
  constructor(model, view, came) {
    this.model = model;
    this.view = view;
    this.came = came;
  }

  /** Asks if steps of the shown stretch are missing. */
  async complete() {
    const { model, view } = this;
    const missing = model.steps.since > Math.max(0, view.from) + SLACK && model.steps.since < Infinity;
    if (!missing || performance.now() - this.asked < AGAIN) return;
    this.asked = performance.now();
    const { steps } = model;
    const older = await boardSteps(Math.ceil(view.depth / 1000)).catch(() => null);
    // Meanwhile everything may have been told anew, by another server even.
    if (!older || older.epoch !== model.epoch || steps !== model.steps) return;
    steps.addOlder(older, older.engine?.buckets ?? false, model.requests);
    this.came();
  }
}
