// @ts-check
/**
 * Starts the page: defines its elements, hands Gradio the functions that its controls call, and opens the stream once
 * everything that listens is there.
 */
import * as board from "./board.js";
import * as chats from "./chats.js";
import * as composer from "./composer.js";
import * as controls from "./controls.js";
import { present } from "./dom.js";
import * as meter from "./meter.js";
import * as panels from "./panels.js";
import * as shortcuts from "./shortcuts.js";
import * as status from "./status.js";
import * as stream from "./stream.js";
import * as transcript from "./transcript.js";

const ELEMENTS = ["page-header", "chat-list", "chat-transcript", "batch-board", "context-meter"];

for (const part of [status, chats, transcript, panels, meter, board]) part.define();
/** What the page's head prepared. @type {{open: (events: object) => void, early: Event[], hold: (event: Event) => void}} */
const { open, early, hold } = /** @type {any} */ (window).batchat;
open(controls.controlEvents);
for (const kind of ["keydown", "click"]) document.removeEventListener(kind, hold, true);
composer.listen(early);
await present([...ELEMENTS, "#message textarea"]);
controls.begin();
composer.begin();
shortcuts.listen();
stream.start();
