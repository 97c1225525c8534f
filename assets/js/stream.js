// @ts-check
/**
 * The one long connection of this tab: opens it, re-opens it, hands its events to the hub under their own names.
 * Closed while nobody looks and nothing runs here, because connections are few (tabs.js).
 * Knows what the events are called, not what they mean.
 *
 * @import {Events, Problem} from "./protocol.js"
 */
import { currentChat } from "./address.js";
import { emit, on } from "./hub.js";
import { modelParameter } from "./models.js";
import { askStatus, whyRefused } from "./server.js";
import { isCrowded, watchTabs } from "./tabs.js";
import { Watchdog } from "./watchdog.js";

/** @type {Array<keyof Events>} */
const NAMES = ["status", "messages", "text", "turn", "chats", "chats_changed", "mine", "board"];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** A lost connection is worth a word only when it stays lost. */
const PATIENCE = 2000;
/** Looking at another tab for a moment costs nothing. */
const HIDDEN_FOR = 5000;

/** @type {EventSource | null} */
let source = null;
let pause = FIRST_PAUSE;
let running = false;
let refused = false;
let retry = 0;
let worry = 0;
let leaving = 0;
/** @type {Watchdog} */
let watchdog;

export function start() {
  on("chat", reopen);
  on("model", reopen);
  on("running", (now) => {
    running = now;
    if (!now) considerLeaving();
  });
  watchTabs({ used: comeBack, crowded: considerLeaving });
  document.addEventListener("visibilitychange", considerLeaving);
  addEventListener("pagehide", close);
  addEventListener("online", comeBack);
  watchdog = new Watchdog(died);
  // A tab that was opened in the background waits until somebody looks.
  if (!document.hidden) open();
}

function address() {
  return `api/stream?chat=${currentChat()}${modelParameter()}`;
}

function open() {
  clearTimeout(retry);
  const opened = new EventSource(address());
  source = opened;
  opened.onopen = opening;
  opened.onerror = () => failing(opened);
  watchdog.follow(opened, NAMES);
}

/** One that is being re-opened is not dead, and one that was closed is not wanted. */
function died() {
  if (source?.readyState !== EventSource.OPEN) return;
  emit("connection", "lost");
  reopen();
}

function close() {
  clearTimeout(retry);
  clearTimeout(worry);
  worry = 0;
  source?.close();
  source = null;
}

function reopen() {
  close();
  refused = false;
  pause = FIRST_PAUSE;
  open();
}

function opening() {
  watchdog.hear();
  pause = FIRST_PAUSE;
  clearTimeout(worry);
  worry = 0;
  emit("connection", "open");
}

/**
 * The browser re-connects by itself after a broken connection (and tells the server the last event it saw), but gives up
 * after an answer that is no stream: then it is on us.
 * @param {EventSource} failed
 */
async function failing(failed) {
  if (failed !== source) return;
  worry ||= setTimeout(() => emit("connection", "lost"), PATIENCE);
  if (failed.readyState !== EventSource.CLOSED) return;
  const why = await whyRefused(address());
  if (failed !== source) return;
  if (why) return refuse(why);
  retry = setTimeout(open, pause);
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

/** No stream for this conversation; how the engine is can still be asked. @param {Problem} why */
function refuse(why) {
  refused = true;
  close();
  emit("refused", why);
  askStatus().then((status) => emit("status", status), () => undefined);
}

function considerLeaving() {
  clearTimeout(leaving);
  if (unwanted()) leaving = setTimeout(() => unwanted() && close(), isCrowded() ? 0 : HIDDEN_FOR);
}

/** An answer that is being made needs its watcher: without one it is stopped. */
function unwanted() {
  return !running && (document.hidden || isCrowded());
}

function comeBack() {
  clearTimeout(leaving);
  if (document.hidden || refused) return;
  if (!source || source.readyState === EventSource.CLOSED) reopen();
}
