"""The board's pages without the app: the real modules and style sheets, before a server that plays traffic from paper.

`/` has the panel where the chat page has it, `/board` is the wall. It knows neither Gradio nor an engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.board_traffic import Traffic
from tests.http_thread import serving
from webui.ui.head import head, page
from webui.ui.texts import ASSETS

HERE = Path(__file__).resolve().parent
FRAME_EVERY = 0.2  # seconds
KINDS = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".png": "image/png"}
STATUS = {
    **{"stage": "ready", "since": 1, "elapsed": 1, "model": "paper", "device": "CPU", "engine": "vLLM 0.30.0"},
    **{"context": 2048, "error": None, "sampling": None},
}
PANEL = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>board</title>
<link rel="icon" href="assets/icons/favicon.png">{head}</head><body style="margin:0"><script>
document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches)</script>
<div class="gradio-container"><page-header></page-header><div id="columns"><div id="left"></div><div id="middle"></div>
<div id="right"><batch-board></batch-board></div></div></div>
<script type="module">
import {{ define }} from "./assets/js/board.js";
import {{ define as defineHeader }} from "./assets/js/status.js";
import {{ emit }} from "./assets/js/hub.js";
defineHeader();
define();
const source = new EventSource("api/stream?board=1");
for (const name of ["status", "mine", "board"]) source.addEventListener(name, ({{ data }}) => emit(name, JSON.parse(data)));
window.board = document.querySelector("batch-board");
</script></body></html>"""


class Stage(ThreadingHTTPServer):
    """Plays one piece of traffic at a time, from a moment on, at the speed of life."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.traffic = Traffic(4, [], [])
        self.moment = 0
        self.began = time.monotonic()
        self.still = False
        self.asked: list[tuple[str, str, Any]] = []

    def play(self, traffic: Traffic, moment: int, *, still: bool = False) -> None:
        """From this moment on this is what happens; `still`: nothing more does."""
        self.traffic, self.moment, self.still = traffic, moment, still
        self.began = time.monotonic()
        self.asked = []

    def now(self) -> int:
        """Milliseconds since the board's birth."""
        return self.moment + (0 if self.still else round((time.monotonic() - self.began) * 1000))


class _Handler(BaseHTTPRequestHandler):
    server: Stage

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/":
            return self._send(PANEL.format(head=head("main.js").rsplit("\n", 1)[0]), "text/html")
        if address.path == "/board":
            return self._send(page("wall", "wall.js"), "text/html")
        if address.path == "/api/stream":
            return self._stream()
        if address.path == "/api/board":
            self.server.asked.append(("GET", address.path, parse_qs(address.query)))
            seconds = int(parse_qs(address.query)["steps"][0])
            return self._send(json.dumps(self.server.traffic.full(self.server.now(), seconds * 1000)), "application/json")
        file = (ASSETS.parent / address.path.lstrip("/")).resolve()
        if not (file.is_relative_to(ASSETS) or file.is_relative_to(HERE)) or not file.is_file():
            return self._send("", "text/plain", 404)
        self._send(file.read_bytes(), KINDS.get(file.suffix, "text/plain"))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        self.server.asked.append(("POST", self.path, body))
        if body.get("count") == 13:
            error = {"code": "engine_not_ready", "message": "", "params": {}}
            return self._send(json.dumps({"error": error}), "application/json", 503)
        self._send(json.dumps({"count": body.get("count")}), "application/json", 202)

    def do_DELETE(self) -> None:
        self.server.asked.append(("DELETE", self.path, self.headers.get("x-batchat")))
        self.send_response(204)
        self.end_headers()

    def _stream(self) -> None:
        stage, traffic = self.server, self.server.traffic
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        before = stage.now()
        try:
            self._event("status", {**STATUS, "lanes": traffic.lanes})
            self._event("board", traffic.full(before))
            self._event("mine", list(traffic.mine))
            while stage.traffic is traffic:
                time.sleep(FRAME_EVERY)
                now = stage.now()
                self._event("board", traffic.frame(before, now))
                before = now
        except (BrokenPipeError, ConnectionResetError):
            pass  # the tab is closed

    def _event(self, name: str, data: Any) -> None:
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _send(self, content: str | bytes, kind: str, status: int = 200) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that is open."""
    with serving(Stage()) as server:
        yield server
