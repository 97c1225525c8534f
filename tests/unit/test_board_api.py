"""The board over HTTP and as a stream, with no engine: who gets what, how often it is made, and what it never holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from webui.batch.board import EngineFacts
from webui.channel import Mailbox
from webui.data_folder import NONE
from webui.history.keeper import History
from webui.server import stream
from webui.server.app import App
from webui.server.stream import FRAME_EVERY, Everybody, TabStream
from webui.settings import Settings

GUARD = {"x-batchat": "1"}


@pytest.fixture
async def app() -> App:
    app = App(Settings(data_dir=NONE))
    app.board.reset(EngineFacts(4, "CPU", True))
    request = app.board.opened("page-canary", 7)
    app.board.closed("page-canary", [request], "aborted")
    return app


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url="http://test", headers=GUARD) as client:
        yield client


async def test_the_board_is_told_to_programs(http: httpx.AsyncClient) -> None:
    told = (await http.get("/api/board")).json()
    assert (told["version"], told["engine"]["lanes"], told["requests"][0]["end"]) == (2, 4, "aborted")
    assert (await http.get("/api/board/trace")).json()["traceEvents"]
    table = await http.get("/api/board/requests.csv")
    assert table.headers["content-type"].startswith("text/csv") and table.text.count("\r\n") == 2


@pytest.mark.parametrize("path", ["/api/board", "/api/board/trace", "/api/board/requests.csv", "/metrics"])
async def test_no_name_is_in_it(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 200 and "canary" not in response.text


async def test_the_apps_metrics_are_there_before_the_engine(http: httpx.AsyncClient) -> None:
    text = (await http.get("/metrics")).text
    assert 'webui_requests_total{door="page",end="aborted"} 1.0' in text
    assert "webui_lanes 4.0" in text and 'webui_turns_total{end="stop"} 0.0' in text and "process_cpu_seconds_total" in text


async def test_a_demonstration_wants_an_engine_a_header_and_a_sensible_number(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/demo", json={"count": 8})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "engine_not_ready")
    response = await http.post("/api/demo", json={"count": 65})
    assert (response.status_code, response.json()["error"]["params"]["field"]) == (400, "count")
    assert (await http.delete("/api/demo")).status_code == 204
    del http.headers["x-batchat"]
    assert (await http.post("/api/demo", json={"count": 8})).status_code == 400
    assert (await http.delete("/api/demo")).status_code == 400


class CountedFrames:
    """Frames that only count how often they are made."""

    def __init__(self) -> None:
        self.made = self.full_ones = 0

    def frame(self) -> dict[str, Any]:
        self.made += 1
        return {"number": self.made}

    def full(self) -> dict[str, Any]:
        self.full_ones += 1
        return {"full": True, "number": self.made}


class Watcher:
    """One open stream."""

    def __init__(self, everybody: Everybody) -> None:
        self.events: list[tuple[str, Any]] = []
        self._gone = asyncio.Event()
        scope = {"type": "http", "headers": []}
        self._task = asyncio.create_task(TabStream(everybody)(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        for event in message.get("body", b"").split(b"\n\n"):
            if event.startswith(b"event: "):
                kind, _, data = event.partition(b"\ndata: ")
                self.events.append((kind[7:].decode(), orjson.loads(data)))

    async def leave(self) -> None:
        self._gone.set()
        await self._task

    @property
    def boards(self) -> list[Any]:
        return [data for kind, data in self.events if kind == "board"]


async def test_a_frame_is_made_once_however_many_watch_and_not_at_all_while_nobody_does() -> None:
    frames: Any = CountedFrames()
    supervisor: Any = SimpleNamespace(status=lambda: {})
    everybody = Everybody(supervisor, frames, History(None))
    await asyncio.sleep(2 * FRAME_EVERY)
    assert frames.made == 0
    watchers = [Watcher(everybody) for _ in range(20)]
    await asyncio.sleep(2.5 * FRAME_EVERY)
    late = Watcher(everybody)
    await asyncio.sleep(3 * FRAME_EVERY)
    assert frames.full_ones == 2 and everybody.watchers == 21
    everyone = (*watchers, late)
    async with asyncio.timeout(60):
        while any(not one.boards or one.boards[-1]["number"] != frames.made for one in everyone):
            await asyncio.sleep(0)
    for watcher in everyone:
        numbers = [board["number"] for board in watcher.boards]
        # The whole first, and then each frame once.
        assert watcher.boards[0].get("full") and numbers == list(range(numbers[0], frames.made + 1))
        assert {kind for kind, _ in watcher.events} == {"status", "board"}
    for watcher in everyone:
        await watcher.leave()
    made = frames.made
    await asyncio.sleep(3 * FRAME_EVERY)
    assert frames.made <= made + 1 and everybody.watchers == 0
    assert everybody.bytes_sent > 0


async def test_a_quiet_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PING_EVERY", 2 * FRAME_EVERY)
    frames: Any = SimpleNamespace(frame=lambda: None, full=dict)
    supervisor: Any = SimpleNamespace(status=lambda: {})
    everybody, mailbox = Everybody(supervisor, frames, History(None)), Mailbox()
    with everybody.watched_by(mailbox):
        async with asyncio.timeout(60):
            for _ in range(2):
                while not (await mailbox.take()).endswith(stream.PING):
                    pass
