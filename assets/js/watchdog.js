// @ts-check
/**
 * Hands the events of a stream to the hub, and notices one that has died without a word, as when the server's machine does.
 * Knows neither which stream that is nor what its events mean.
 *
 * @import {Events} from "./protocol.js"
 */
import { emit } from "./hub.js";

/** The server says something every 15 s at least: a stream that is silent for so long is dead, whatever the browser thinks of it. */
const SILENCE = 40_000;
const LOOK_EVERY = 5000;

export class Watchdog {
  heard = performance.now();

  /** @param {() => void} died  called for as long as the stream is silent */
  constructor(died) {
    setInterval(() => performance.now() - this.heard >= SILENCE && died(), LOOK_EVERY);
  }

  hear() {
    this.heard = performance.now();
  }

  /**
   * @param {EventSource} source
   * @param {ReadonlyArray<keyof Events>} names  of the events that the hub gets
   * @param {() => boolean} [counts]  whether it is still the stream that counts
   */
  follow(source, names, counts = () => true) {
    this.hear();
    source.addEventListener("ping", () => this.hear());
    for (const name of names) {
      source.addEventListener(name, ({ data }) => {
        if (!counts()) return;
        this.hear();
        emit(name, JSON.parse(data));
      });
    }
  }
}
