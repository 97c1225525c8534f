"""The whole app around an engine that steps like a real one: lanes, a line, one token for each running request per step.

Every step takes the same time however many are in it, which is why batching pays. What it says, and whether it steps at all,
is a test's to choose. vLLM, Gradio and a process of its own are all that is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.told_engine import LetterTokenizer
from webui.batch.board import Board, EngineFacts, Progress
from webui.batch.request import Request
from webui.batch.steps import Step
from webui.conversation import End, Sampling
from webui.engines.base import EngineInfo, Piece, Priority, Report
from webui.errors import EngineStopped
from webui.prompt import Prompt
from webui.server import app as app_module
from webui.server.app import App
from webui.settings import KIOSK_FILE, load

LANES = 4
STEP = 0.01  # seconds
WORDS = "The batch is a **set** of requests. Each step gives every one of them a token. "


class _Running:
    """One request in the engine."""

    def __init__(self, request: Request, length: int) -> None:
        self.request = request
        self.length = length
        self.tokens: asyncio.Queue[int | None] = asyncio.Queue()
        self.given = 0


class PacedEngine:
    """An engine without a model.

    Args:
        script: what its requests say and whether it steps.
        board: is told as the real one tells it.
    """

    tokenizer: Any = LetterTokenizer()

    def __init__(self, script: Script, board: Board) -> None:
        self.info = EngineInfo("paper", "CPU", "paced 1.0", lanes=LANES, context=8192, sampling=Sampling())
        self.alive = True
        self._script = script
        self._board = board
        self._line: list[_Running] = []
        board.reset(EngineFacts(LANES))
        self._stepping = asyncio.create_task(self._steps())

    async def _steps(self) -> None:
        while True:
            await asyncio.sleep(STEP)
            if self._script.killed.is_set():
                self._script.killed.clear()
                self.alive = False
                for running in self._line:
                    running.tokens.put_nowait(None)
                return
            running = self._line[:LANES] if self._script.steps.is_set() else []
            self._script.stepped += bool(running)
            for each in running:
                each.given += 1
                self._board.gave(each.request, Progress(each.given))
                each.tokens.put_nowait(each.given)
            if self._line:
                lanes = min(LANES, len(self._line))
                tokens = len(running)
                self._board.stepped(Step(lanes, len(self._line) - lanes, sequences=tokens, generation_tokens=tokens))

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        self._script.prompts.append("".join(map(chr, prompt.ids)))
        words = self._script.words
        length = sampling.min_tokens or min(sampling.max_tokens or len(words), len(words))
        request = self._board.opened(request_id, len(prompt.ids), priority)
        running, end = _Running(request, length), "aborted"
        self._line.append(running)
        try:
            while (given := await running.tokens.get()) is not None:
                last = given >= length
                end = ("length" if length == sampling.max_tokens else "stop") if last else end
                yield Piece(words[(given - 1) % len(words)], end if last else None)  # type: ignore[arg-type]
                if last:
                    return
            end = "failed"
            raise EngineStopped()
        finally:
            self._line.remove(running)
            self._board.closed(request_id, [request], _as_end(end))
            lanes = min(LANES, len(self._line))
            self._board.stepped(Step(lanes, len(self._line) - lanes))

    async def shutdown(self) -> None:
        self.alive = False
        self._stepping.cancel()


def _as_end(end: str) -> End:
    return end  # type: ignore[return-value]


class Script:
    """What the engine does next.

    Attributes:
        words: of every answer from now on, a letter a token.
        steps: cleared: requests get lanes and no tokens.
        killed: set: the engine dies.
        starts: cleared: an engine that is to start does not come up.
        prompts: everything that was asked.
        stepped: how many steps gave tokens.
    """

    def __init__(self) -> None:
        self.words = WORDS
        self.steps, self.killed, self.starts = threading.Event(), threading.Event(), threading.Event()
        self.steps.set()
        self.starts.set()
        self.prompts: list[str] = []
        self.stepped = 0

    def engines(self, board: Board) -> Any:
        """A factory for the supervisor."""

        async def start(report: Report) -> PacedEngine:
            while not self.starts.is_set():
                await asyncio.sleep(STEP)
            return PacedEngine(self, board)

        return start


@contextlib.asynccontextmanager
async def paced_app(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> AsyncIterator[tuple[App, Script]]:
    """The app in this event loop, without a socket."""
    script = Script()
    monkeypatch.setattr(app_module, "engines", lambda settings, board, on_models: script.engines(board))
    app = App(load(["--data-dir", "none", *arguments], {}))
    app.history.start()
    app.supervisor.start()
    await app.supervisor.ready()
    try:
        yield app, script
    finally:
        await _end(app)


async def _end(app: App) -> None:
    app.demo.stop()
    await app.chats.close(0)
    app.everybody.close()
    await app.supervisor.stop()
    await app.history.close()


class ServedApp:
    """The app behind a socket of its own, in a thread of its own."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.script = Script()
        self.url = ""
        self.app: App
        self._arguments = arguments
        self._open = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.app = App(load(["--data-dir", "none", *self._arguments], {}))
        self._server = uvicorn.Server(
            uvicorn.Config(self.app.asgi, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        )
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self.app.history.start()
        self.app.supervisor.start()
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(STEP)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/"
        self._open.set()
        await serving
        await _end(self.app)

    def begin(self) -> None:
        """Comes back when it listens."""
        self._thread.start()
        assert self._open.wait(180)

    def end(self) -> None:
        """Ends it and its thread."""
        self.app.everybody.close()
        self._server.should_exit = True
        self._thread.join(60)


@contextlib.contextmanager
def served_app(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Iterator[ServedApp]:
    """One that is ended whatever happens."""
    served = ServedApp(arguments)
    monkeypatch.setattr(app_module, "engines", lambda settings, board, on_models: served.script.engines(board))
    served.begin()
    try:
        yield served
    finally:
        served.end()


def kiosk_file(folder: Path, **changes: str) -> Path:
    """A kiosk's file: the one that ships, with keys changed; values as TOML writes them."""
    lines = KIOSK_FILE.read_text("utf-8").splitlines()
    kept = [line for line in lines if line.partition(" =")[0] not in changes]
    file = folder / "kiosk.toml"
    file.write_text("\n".join([*(f"{name} = {value}" for name, value in changes.items()), *kept]) + "\n", "utf-8")
    return file
