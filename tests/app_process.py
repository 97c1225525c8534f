"""The app as a user starts it, `python -m webui`, on a free port; ended by its process id, and a small client for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 240.0  # seconds; half a minute on two free cores
GUARD = {"x-batchat": "1"}


class AppProcess:
    """One running app.

    Args:
        arguments: of the command line; without the port it chooses a free one.
        temporary: the folder for its temporary files, if not the machine's.
        module: what is started; `tests.echo_app` has an engine of its own.
        variables: of its environment, beside the machine's.
    """

    def __init__(
        self,
        *arguments: str,
        temporary: Path | None = None,
        module: str = "webui",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.data = tempfile.TemporaryDirectory(prefix="batchat-test-")
        self.log = Path(tempfile.mkstemp(prefix="batchat-test-", suffix=".log")[1])
        self.started = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--port", "0", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "HF_HUB_OFFLINE": "1",
                    "TMPDIR": str(temporary or tempfile.gettempdir()),
                    "WEBUI_DATA_DIR": self.data.name,
                    **(variables or {}),
                },
            )
        self._leave_room()
        self.url = self._address()

    def _leave_room(self) -> None:
        """Gives other sessions' programs the processor first.

        Where Linux shares it between sessions (sched(7), "The autogroup feature"), one with a decoding engine was seen to leave
        a browser and the tests themselves without any for up to a minute (6.18, two cores); with a nice value of its own, not.
        """
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/autogroup").write_text("10")

    def _address(self) -> str:
        """The address that the app says it listens on."""
        for self.looks in range(2400):
            for line in self.log.read_text().splitlines():
                if "Batchat is at " in line:
                    return line.rpartition(" ")[2]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the app does not listen:\n{self.log.read_text()}")

    def status(self) -> dict[str, Any]:
        """What `/api/status` says."""
        return httpx.get(f"{self.url}/api/status", timeout=60).json()

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], seconds: float = READY_WITHIN) -> dict[str, Any]:
        """Waits until the status meets a condition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if condition(status := self.status()):
                    return status
            assert self.process.poll() is None, f"the app has ended:\n{self.log.read_text()}"
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s:\n{self.log.read_text()}")

    def wait_until_ready(self) -> dict[str, Any]:
        """Waits until the engine is ready."""
        return self.wait_for(lambda status: status["stage"] == "ready" and status["page"])

    def children(self) -> list[psutil.Process]:
        """Every process that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGTERM, seconds: float = 180) -> int:
        """Ends it by a signal and gives its exit status; by force if it does not end in time."""
        children = self.children() if self.process.poll() is None else []
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for process in [psutil.Process(self.process.pid), *children]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            raise
        finally:
            self.output = self.log.read_text()
            self.log.unlink(missing_ok=True)
            self.data.cleanup()


@contextlib.contextmanager
def running_app(*arguments: str, **options: Any) -> Iterator[AppProcess]:
    """An app that is ended whatever happens."""
    app = AppProcess(*arguments, **options)
    try:
        yield app
    finally:
        if app.process.poll() is None:
            app.end()


@dataclass
class Answer:
    """What a tab saw of one answer."""

    message: str = ""
    text: str = ""
    blocks: list[str] = field(default_factory=list)
    streamed: str = ""
    states: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    end: str | None = None
    error: dict[str, Any] | None = None
    timing: dict[str, Any] | None = None
    dropped: int = 0


class Tab:
    """A browser tab without a browser: a cookie, one conversation, one event stream."""

    def __init__(self, url: str, client: httpx.AsyncClient | None = None, chat: str | None = None) -> None:
        self.client = client or httpx.AsyncClient(base_url=url, timeout=120, verify=False)
        self.chat = chat or secrets.token_hex(16)
        self.events: list[tuple[str, Any]] = []
        self.last_id: str | None = None
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def open(self, last_id: str | None = None) -> Tab:
        """Opens the stream and waits for the first event."""
        await self.client.get("/api/status")
        headers = {"last-event-id": last_id} if last_id else {}
        self._reader = asyncio.create_task(self._read(headers))
        await self.wait_for(lambda: any(kind == "mine" for kind, _ in self.events))
        return self

    async def close(self) -> None:
        """Closes the stream as a closed tab does."""
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, headers: dict[str, str]) -> None:
        async with self.client.stream("GET", f"/api/stream?chat={self.chat}", headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            kind = ""
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    self.last_id = line[4:]
                elif line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    self.events.append((kind, json.loads(line[6:])))
                    self._changed.set()

    async def wait_for(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        """Waits until what was read meets a condition."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert self._reader is not None and not self._reader.done(), self._reader
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.5)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        """A request of the page about this conversation."""
        return await self.client.post(f"/api/chats/{self.chat}/{path}", json=body, headers=GUARD)

    async def send(self, text: str, **body: Any) -> str:
        """Sends a message and gives the id of its answer."""
        response = await self.post("messages", text=text, **body)
        assert response.status_code == 202, response.text
        return str(response.json()["message"])

    async def ask(self, text: str, **sampling: Any) -> Answer:
        """Sends a message and waits for the whole answer."""
        return await self.answered(await self.send(text, sampling={"temperature": 0, **sampling}))

    async def answered(self, message: str) -> Answer:
        """Waits for the end of an answer."""
        await self.wait_for(lambda: self.answer(message).end is not None)
        return self.answer(message)

    def shown(self) -> list[dict[str, Any]]:
        """The messages that a page would show, from the events alone."""
        messages: list[dict[str, Any]] = []
        for kind, data in self.events:
            if kind == "messages":
                ids = [m["id"] for m in messages]
                keep = 0 if data["after"] is None else ids.index(data["after"]) + 1
                messages = [*messages[:keep], *(dict(m, blocks=list(m.get("blocks", []))) for m in data["messages"])]
            elif kind in ("text", "turn"):
                message = next((m for m in messages if m["id"] == data["message"]), None)
                if message is not None:
                    _apply(message, kind, data)
        return messages

    def answer(self, id: str) -> Answer:
        """What was seen of one answer so far."""
        answer = Answer(id)
        for kind, data in self.events:
            if kind == "turn" and data["message"] == id:
                answer.states += [data["state"]] if "state" in data else []
                answer.places += [data["place"]] if data.get("place") else []
                answer.dropped = data.get("dropped", answer.dropped)
                if data.get("state") == "ended":
                    answer.end, answer.error, answer.timing = data["end"], data["error"], data["timing"]
                    answer.text = data["text"]
            elif kind == "text" and data["message"] == id:
                answer.blocks += data.get("blocks", [])
                answer.streamed += data.get("append", "")
        return answer

    def latest(self, kind: str) -> Any:
        """The data of the newest event of a kind."""
        return next((data for k, data in reversed(self.events) if k == kind), None)


def _apply(message: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    if kind == "turn":
        message.update({name: value for name, value in data.items() if name != "message"})
        return
    message["blocks"] += data.get("blocks", [])
    message["tail"] = data.get("tail") or message["tail"]
    message["tail"] = {**message["tail"], "text": message["tail"]["text"] + data.get("append", "")}


@contextlib.asynccontextmanager
async def tab(url: str, **options: Any) -> AsyncIterator[Tab]:
    """An open tab that is closed at the end."""
    opened = await Tab(url, **options).open()
    try:
        yield opened
    finally:
        await opened.close()
        await opened.client.aclose()
