"""The evaluation pages around an engine that answers at once and by rule: everything but vLLM, Gradio and the process.

It says what stands behind "say" in a question, in capitals if its system prompt asks for that; it tells the board as a real
one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from tests.told_engine import KEY, ToldEngine, World, _say_error
from webui.batch.board import Board, Progress
from webui.conversation import Sampling
from webui.engines.base import EngineInfo, Piece, Priority, Report
from webui.errors import RequestRefused, ServerFailed, WebuiError
from webui.evaluation.comparisons import Comparisons
from webui.evaluation.evaluations import Evaluations
from webui.evaluation.votes import Votes
from webui.prompt import Prompt
from webui.server.evaluation_api import EvaluationApi
from webui.server.page import ASSETS, PUBLIC, Assets
from webui.server.process import listen
from webui.server.visitors import Signer, VisitorCookie
from webui.settings import Settings


class AnsweringEngine(ToldEngine):
    """Answers by rule.

    `asked` is how often it was asked, `here` are those that it is answering, `most` the most that they were, `priorities` all
    that it was asked with. A question with "wait" in it is answered when `go` is set, one with "refuse" in it is refused while
    `refuses` is set.
    """

    info = EngineInfo("planted", "CPU", "rule 1.0", lanes=4, context=4096, sampling=Sampling())

    def __init__(self, board: Board, name: str = "") -> None:
        super().__init__()
        if name:
            self.info = replace(self.info, model=f"{name}'s")
        self.board = board
        self.refuses = True
        self.go = asyncio.Event()
        self.asked = 0
        self.here = 0
        self.most = 0
        self.priorities: set[Priority] = set()

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        text = "".join(map(chr, prompt.ids))
        if "refuse" in text and self.refuses:
            raise RequestRefused(reason="it was told to")
        if "server fails" in text:
            raise ServerFailed(reason="it was told to")
        if "fault of ours" in text:
            raise ValueError("told to")
        request = self.board.opened(request_id, len(prompt.ids), priority)
        self.asked += 1
        self.here += 1
        self.most = max(self.most, self.here)
        self.priorities.add(priority)
        try:
            if "wait" in text:
                await self.go.wait()
            await asyncio.sleep(0.002)
            self.board.gave(request, Progress(tokens=1, prompt_tokens=len(prompt.ids)))
            yield Piece("")
            await asyncio.sleep(0.002)
            self.board.gave(request, Progress(tokens=2, prompt_tokens=len(prompt.ids)))
            self.board.ended(request, "stop")
            yield Piece(_answer(text), "stop")
        finally:
            self.here -= 1
            self.board.closed(request_id, [request], "aborted")


def _answer(text: str) -> str:
    if "[Answer A]" in text:
        return "[[TIE]]"
    question = text.rpartition("user:")[2]
    word = question.partition("say ")[2].partition("|")[0].strip() or "nothing"
    return word.upper() if "CAPITALS" in text else word


class EvaluationWorld(World):
    """One server with the evaluation pages.

    Args:
        data: the folder for runs and database; None keeps nothing.
        models: the names of several engines, of which the first is the usual one.

    Attributes:
        engines: each by its name.
    """

    engine: AnsweringEngine

    def __init__(self, data: Path | None, variants: Path | None = None, models: Sequence[str] = ()) -> None:
        several = Settings(engines=tuple((name, Settings()) for name in models))
        super().__init__(None if data is None else data / "votes.sqlite3", several)
        self.engines = {backend.key: AnsweringEngine(backend.board, backend.key) for backend in self.registry}
        self.engine = self.engines[self.registry.usual.key]
        asking = (self.registry.backend, self.chats.prompt)
        self.evaluations = Evaluations(*asking, None, None if data is None else data / "evaluations")
        self.votes = Votes(self.history)
        api = EvaluationApi(self.evaluations, Comparisons(*asking, self.votes), variants)
        routes = [
            Route("/api/status", self._status),
            *api.routes(),
            *(Mount(f"/assets/{folder}", Assets(directory=ASSETS / folder)) for folder in PUBLIC),
        ]
        cookie = Middleware(VisitorCookie, path="", signer=Signer(KEY))
        self.asgi = Starlette(routes=routes, middleware=[cookie], exception_handlers={WebuiError: _say_error})

    async def _status(self, request: Request) -> Response:
        return JSONResponse({**self.supervisor.status(), "models": self.registry.menu()})

    async def _start_engine(self, board: Board, report: Report) -> AnsweringEngine:
        return next(engine for engine in self.engines.values() if engine.board is board)

    async def __aexit__(self, *reason: object) -> None:
        await self.evaluations.close()
        await super().__aexit__(*reason)


@contextlib.contextmanager
def served(data: Path, models: Sequence[str] = ()) -> Iterator[tuple[str, EvaluationWorld]]:
    """The pages on a free port of loopback, in a thread: their address and the world behind them."""
    listener = listen("127.0.0.1", 0)
    started: Any = threading.Event()
    found: list[Any] = []

    async def run() -> None:
        async with EvaluationWorld(data, models=models) as world:
            server = uvicorn.Server(uvicorn.Config(world.asgi, log_level="warning", lifespan="off"))
            found.extend([world, server])
            started.set()
            await server.serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    started.wait(180)
    world, server = found
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", world
    finally:
        server.should_exit = True
        thread.join(60)
