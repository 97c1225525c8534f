"""Assembles the one ASGI application: page, stream, requests and status, before one engine.

It wires rooms together and decides nothing that they decide. The process around it is in `process.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import webui
from webui.admission import Admission
from webui.batch.board import Board
from webui.batch.frames import Frames
from webui.chats import Chats
from webui.data_folder import DATABASE, EVALUATIONS, DataFolder
from webui.demo_traffic import DemoTraffic
from webui.engines.base import EngineFactory
from webui.engines.local import LocalEngines
from webui.engines.supervisor import Supervisor
from webui.engines.triton_server import TritonEngines
from webui.errors import BadSetting, Internal, WebuiError
from webui.evaluation.comparisons import Comparisons
from webui.evaluation.evaluations import Evaluations
from webui.evaluation.variants import read_variant
from webui.evaluation.votes import Votes
from webui.history.keeper import History
from webui.rbln.metrics_exporter import MetricsExporter
from webui.server.board_api import BoardApi
from webui.server.chat_api import ChatApi
from webui.server.evaluation_api import EvaluationApi
from webui.server.list_api import ListApi
from webui.server.metrics import Metrics
from webui.server.openai_api import OpenAIApi
from webui.server.page import ASSETS, PUBLIC, Assets, Page
from webui.server.stream import Everybody
from webui.server.visitors import Signer, VisitorCookie
from webui.server.wall import wall
from webui.settings import Settings

# The page needs nothing of any other origin, so the browser is told not to ask for it. Gradio's own page has inline
# scripts and builds functions from text.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'self'; base-uri 'self'; "
    "form-action 'self'; object-src 'none'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


class App:
    """The application and its rooms.

    Args:
        settings: all settings.

    Raises:
        BadSetting
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.board = Board()
        self.supervisor = Supervisor(_engines(settings, self.board), self._engine_changed)
        data = DataFolder(settings.data_dir)
        self.history = History(_database(settings, data), settings.keep_days, self._history_changed)
        self._signer = Signer(data.key())
        admission = Admission(settings.max_waiting, lanes=lambda: self.board.lanes.count)
        self.chats = Chats(self.supervisor, self.board, settings, admission, self.history)
        self.api = OpenAIApi(self.supervisor, self.board, admission, settings)
        self.demo = DemoTraffic(self.supervisor, self.board, self.chats.prompt, self.chats.library.is_here, settings.grace)
        runs = None if data.path is None else data.path / EVALUATIONS
        self.evaluations = Evaluations(self.supervisor, self.board, self.chats.prompt, settings, runs)
        self.comparisons = Comparisons(self.supervisor, self.board, self.chats.prompt, Votes(self.history))
        self.frames = Frames(self.board, lambda: self.demo.count)
        self.everybody = Everybody(self.supervisor, self.frames, self.history)
        self.page = Page()
        self.npu_metrics = _npu_metrics(settings, self.board)
        self.asgi = self._assemble()

    def _assemble(self) -> ASGIApp:
        chat_api = ChatApi(self.chats, self.everybody, self.supervisor)
        metrics = Metrics(self.board, self.chats, self.everybody, self.demo)
        board_api = BoardApi(self.board, self.frames, self.demo)
        evaluation_api = EvaluationApi(self.evaluations, self.comparisons, _variants(self.settings))
        page = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/api/status", self._status),
                Route("/metrics", metrics.scrape),
                *ListApi(self.chats.library).routes(),
                *chat_api.routes(),
                *board_api.routes(),
                *evaluation_api.routes(),
                Route("/board", wall),
                *(Mount(f"/assets/{folder}", Assets(directory=ASSETS / folder)) for folder in PUBLIC),
                Mount("/", self.page),
            ],
            middleware=[Middleware(VisitorCookie, path=self.settings.root_path, signer=self._signer)],
            exception_handlers={WebuiError: self._say_error, HTTPException: _say_http_error, Exception: _say_internal_error},
        )
        return SecurityHeaders(self.api.around(page))

    def _engine_changed(self) -> None:
        if self.supervisor.stage == "restarting":
            self.board.reset(self.board.engine)
        self.api.engine_changed()
        self.everybody.tell_status()

    def _history_changed(self) -> None:
        self.chats.library.history_changed()
        self.everybody.tell_status()

    async def _health(self, request: Request) -> Response:
        """503 until the engine is ready, as vLLM's own server has it."""
        return Response(status_code=200 if self.supervisor.engine is not None else 503)

    async def _status(self, request: Request) -> Response:
        engine = self.supervisor.engine
        status: dict[str, Any] = {**self.everybody.status(), "version": webui.__version__, "page": self.page.mounted}
        if engine is not None:
            status |= {"effective": engine.info.effective, "versions": engine.info.versions}
        status["requests"] = {"running": self.board.step.running, "waiting": self.board.step.waiting}
        if self.npu_metrics is not None:
            status["npu"] = self.npu_metrics.status()
        return JSONResponse(status)

    async def _say_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, WebuiError)
        return JSONResponse({"error": error.as_dict()}, error.http_status, self.api.retry_after(error))


def _variants(settings: Settings) -> Path | None:
    """The folder of variants.

    Raises:
        BadSetting, BadInput: if it is none, or one of them cannot be read.
    """
    if settings.variants is None:
        return None
    folder = Path(settings.variants)
    if not folder.is_dir():
        raise BadSetting(setting="--variants", reason=f"{folder} is no folder")
    for path in folder.glob("*.toml"):
        read_variant(path)
    return folder


def _npu_metrics(settings: Settings, board: Board) -> MetricsExporter | None:
    if settings.npu_metrics_url is None:
        return None
    visible = os.environ.get("RBLN_VISIBLE_DEVICES", "")
    return MetricsExporter(settings.npu_metrics_url, lambda: board.generated, visible)


def _database(settings: Settings, data: DataFolder) -> Path | str | None:
    """What keeps the conversations.

    Raises:
        BadSetting: for a URL that is none, and for one without a folder: the key that tells visitors apart is kept there.
    """
    if settings.database_url is None:
        return None if data.path is None else data.path / DATABASE
    if data.path is None:
        raise BadSetting(setting="--database-url", reason="wants a folder for the key of the visitors' cookies: --data-dir")
    from webui.history.store import database_url

    database_url(settings.database_url)
    return settings.database_url


def _engines(settings: Settings, board: Board) -> EngineFactory:
    """What starts engines of the kind that the settings ask for."""
    if settings.engine == "triton":
        return TritonEngines(settings, board)
    return LocalEngines(settings, board)


class SecurityHeaders:
    """Adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


async def _say_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"code": f"http_{error.status_code}", "message": error.detail, "params": {}}}
    return JSONResponse(body, error.status_code)


async def _say_internal_error(request: Request, error: Exception) -> Response:
    # Starlette has logged the traceback.
    return JSONResponse({"error": Internal().as_dict()}, Internal.http_status)
