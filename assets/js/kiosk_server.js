// @ts-check
/**
 * What a kiosk's screen asks of the server, and the one stream that it listens to. Who the visitor is only this page's memory
 * knows.
 *
 * @import {EngineStatus, Events} from "./protocol.js"
 */
import { emit } from "./hub.js";
import { request } from "./server.js";
import { Watchdog } from "./watchdog.js";

/** @type {Array<keyof Events>} */
const NAMES = ["status", "messages", "text", "turn", "mine", "board", "together"];
const RETRY = 2000;

/** Somebody's visit: begun with the first touch, known to the server a moment later. */
export class Visit {
  over = false;
  /** @type {Promise<string>} */
  id = request("POST", "api/kiosk/visits", {}).then(({ visit }) => visit);

  /** @param {string} text @param {string} language @returns {Promise<{refusal: string | null}>} */
  async ask(text, language) {
    return request("POST", `${await this.address()}/ask`, { text, language });
  }

  /** @param {string} language */
  async compare(language) {
    return request("POST", `${await this.address()}/together`, { language });
  }

  async stop() {
    return request("POST", `${await this.address()}/stop`, {});
  }

  /** The server is told even if the page goes away meanwhile; if it cannot be, it notices by itself. */
  end() {
    this.over = true;
    const options = { method: "DELETE", headers: { "X-Batchat": "1" }, keepalive: true };
    this.address().then((address) => fetch(address, options)).catch(() => undefined);
  }

  async address() {
    return `api/kiosk/visits/${await this.id}`;
  }
}

/** The stream: of a visit, or of the screen that waits for one. */
export class Stream {
  /** @type {EventSource | null} */
  source = null;
  address = "";
  isVisit = false;
  retry = 0;
  watchdog = new Watchdog(() => this.died());

  /** @param {() => void} refused  called if the server does not know the visit any more */
  constructor(refused) {
    this.refused = refused;
  }

  attract() {
    this.open("api/kiosk/attract", false);
  }

  /** @param {Visit} visit */
  async follow(visit) {
    const address = await visit.address();
    if (!visit.over) this.open(`${address}/stream`, true);
  }

  /** @param {string} address @param {boolean} isVisit */
  open(address, isVisit) {
    clearTimeout(this.retry);
    this.source?.close();
    const source = new EventSource(address);
    this.source = source;
    this.address = address;
    this.isVisit = isVisit;
    source.onopen = () => emit("connection", "open");
    // The browser re-connects by itself after a broken connection, but not after an answer that is no stream.
    source.onerror = () => {
      if (source !== this.source) return;
      emit("connection", "lost");
      if (source.readyState !== EventSource.CLOSED) return;
      if (isVisit) this.refused();
      else this.retry = setTimeout(() => this.open(address, false), RETRY);
    };
    this.watchdog.follow(source, NAMES, () => source === this.source);
  }

  died() {
    emit("connection", "lost");
    this.open(this.address, this.isVisit);
  }
}

/**
 * How the kiosk is, to whoever knows the PIN.
 * @param {string} pin @param {boolean} reload  read the file again first
 * @returns {Promise<EngineStatus & {version: string, visits: number, begun: number, asked: number, restarts: number, file: string, digest: string}>}
 */
export function admin(pin, reload) {
  return request("POST", "api/kiosk/admin", { pin, reload });
}
