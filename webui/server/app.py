"""Assembles the one ASGI application: page, stream, requests and status, before one engine.

It wires rooms together and decides nothing that they decide. The process around it is in `process.py`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

import webui
from webui.accounts.ended import EndedSessions
from webui.accounts.sessions import Sessions
from webui.accounts.users import Users
from webui.admission import Admission
from webui.batch.board import Board
from webui.batch.frames import Frames
from webui.chats import Chats
from webui.data_folder import DATABASE, ENDED_SESSIONS, EVALUATIONS, NONE, DataFolder
from webui.demo_traffic import DemoTraffic
from webui.engines.registry import Backend, Registry, engines
from webui.errors import BadSetting, Internal, WebuiError
from webui.evaluation.comparisons import Comparisons
from webui.evaluation.evaluations import Evaluations
from webui.evaluation.variants import variants_folder
from webui.evaluation.votes import Votes
from webui.history.keeper import History
from webui.kiosk.kiosk import Kiosk
from webui.rbln.metrics_exporter import MetricsExporter
from webui.server.board_api import BoardApi
from webui.server.chat_api import ChatApi
from webui.server.evaluation_api import EvaluationApi
from webui.server.fronts import Front, Fronts
from webui.server.gate import Gate, account_routes
from webui.server.kiosk_api import KioskApi
from webui.server.list_api import ListApi
from webui.server.login import Login
from webui.server.metrics import Metrics
from webui.server.openai_api import OpenAIApi
from webui.server.page import ASSETS, PUBLIC, Assets, Page
from webui.server.proxies import Forwarded, ForwardedUser
from webui.server.security_headers import SecurityHeaders
from webui.server.stream import Everybody
from webui.server.visitors import Signer, VisitorCookie
from webui.server.wall import wall
from webui.settings import Settings

log = logging.getLogger(__name__)

DAY = 24 * 3600.0  # seconds


class App:
    """The application and its rooms.

    Args:
        settings: all settings.

    Raises:
        BadSetting
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry = Registry(settings, self._engine_changed, engines)
        self.board, self.supervisor = self.registry.usual.board, self.registry.usual.supervisor
        # Nothing of whoever uses a kiosk is kept.
        data = DataFolder(settings.data_dir if settings.kiosk is None else NONE)
        database = _database(settings, data) if settings.kiosk is None else None
        self.history = History(database, settings.keep_days, self._history_changed)
        self._key = data.key()
        self._ended_sessions = EndedSessions(data.path and data.path / ENDED_SESSIONS)
        admission = Admission(settings.max_waiting, lanes=lambda: sum(each.board.lanes.count for each in self.registry))
        self.chats = Chats(self.supervisor, self.board, settings, admission, self.history)
        self.fronts = Fronts(self.registry, self._front)
        local = next((each for each in self.registry if each.settings.engine == "local"), self.registry.usual)
        self.api = OpenAIApi(local.supervisor, local.board, admission, settings)
        self.demo, self.frames = self.fronts.usual.demo, self.fronts.usual.frames
        self.everybody = self.fronts.usual.everybody
        self.kiosk = self._kiosk(settings)
        runs = None if data.path is None else data.path / EVALUATIONS
        self.evaluations = Evaluations(self.registry.backend, self.chats.prompt, settings.evaluation_concurrency, runs)
        self.comparisons = Comparisons(self.registry.backend, self.chats.prompt, Votes(self.history))
        self.page = Page()
        self.npu_metrics = _npu_metrics(settings, self.board)
        self.asgi = self._assemble()

    def _assemble(self) -> ASGIApp:
        """The page and the API, behind the gate if there is one."""
        login = self._login()
        app = self.api.around(self._page_routes(login))
        if login is not None:
            app = Gate(app, login, self.api.has_own_door)
        elif self.settings.auth_header is not None:
            keeper = ForwardedUser(self.settings.auth_header, self.settings.trusted_proxy)
            app = Gate(app, keeper, self.api.has_own_door)
        return SecurityHeaders(Forwarded(app, self.settings.trusted_proxy))

    def _kiosk(self, settings: Settings) -> Kiosk | None:
        if settings.kiosk is None:
            return None
        return Kiosk(settings.kiosk, self.chats, self.supervisor, self.board, self.demo, settings.grace)

    def _is_here(self, visitor: str) -> bool:
        """Whether whoever asked for demonstration requests still looks."""
        return self.chats.library.is_here(visitor) if self.kiosk is None else self.kiosk.attract.watchers > 0

    def _pages(self, board_api: BoardApi) -> list[BaseRoute]:
        """The chat page with what it asks, or the kiosk's."""
        if self.kiosk is not None:
            return [*KioskApi(self.kiosk, self.everybody, self.supervisor).routes()]
        return [
            *ListApi(self.chats.library).routes(),
            *ChatApi(self.chats, self.fronts).routes(),
            *board_api.demo_routes(),
            *EvaluationApi(self.evaluations, self.comparisons, variants_folder(self.settings.variants)).routes(),
            Mount("/", self.page),
        ]

    def _page_routes(self, login: Login | None) -> Starlette:
        metrics = Metrics(self.fronts, self.chats)
        board_api = BoardApi(self.fronts)
        return Starlette(
            routes=[
                Route("/health", self._health),
                *(login.routes() if login else ()),
                *account_routes(),
                Route("/api/status", self._status),
                Route("/metrics", metrics.scrape),
                *board_api.routes(),
                Route("/board", wall),
                *(Mount(f"/assets/{folder}", Assets(directory=ASSETS / folder)) for folder in PUBLIC),
                *self._pages(board_api),
            ],
            middleware=self._who_is_who(),
            exception_handlers={WebuiError: self._say_error, HTTPException: _say_http_error, Exception: _say_internal_error},
        )

    def _login(self) -> Login | None:
        """Names and passwords, if the settings want them."""
        if self.settings.auth is None:
            return None
        users = Users(self.settings.auth)
        sessions = Sessions(self._key, users, self._ended_sessions, self.settings.session_days * DAY)
        return Login(users, sessions, self.settings.root_path)

    def _who_is_who(self) -> list[Middleware]:
        """A browser's cookie, unless a login names who it is; a kiosk's screen gets none, for nobody who comes later is the
        same person."""
        if self.settings.has_login or self.kiosk is not None:
            return []
        return [Middleware(VisitorCookie, path=self.settings.root_path, signer=Signer(self._key))]

    def _front(self, backend: Backend) -> Front:
        board, supervisor = backend.board, backend.supervisor
        demo = DemoTraffic(supervisor, board, self.chats.prompt, self._is_here, self.settings.grace)
        frames = Frames(board, lambda: demo.count, lambda: self._npus(backend))

        def choice() -> dict[str, Any]:
            return {"models": self.registry.menu(), "chosen": backend.key}

        return Front(backend, frames, demo, Everybody(supervisor, frames, self.history, choice))

    def _npus(self, backend: Backend) -> dict[str, Any] | None:
        """What an exporter says of the NPUs under the engine in this process."""
        return self.npu_metrics.status() if self.npu_metrics is not None and backend.board is self.board else None

    def _engine_changed(self, backend: Backend) -> None:
        if backend.supervisor.stage == "restarting":
            backend.board.reset(backend.board.engine)
        self.api.engine_changed()
        self._tell_status()

    def _history_changed(self) -> None:
        self.chats.library.history_changed()
        self._tell_status()

    def _tell_status(self) -> None:
        for front in self.fronts:
            front.everybody.tell_status()

    async def _health(self, request: Request) -> Response:
        """503 until the engine is ready, as vLLM's own server has it."""
        return Response(status_code=200 if self.supervisor.engine is not None else 503)

    async def _status(self, request: Request) -> Response:
        engine = self.supervisor.engine
        status: dict[str, Any] = {**self.everybody.status(), "version": webui.__version__}
        status["page"] = self.page.mounted or self.kiosk is not None
        if engine is not None:
            status |= {"effective": engine.info.effective, "versions": engine.info.versions}
        status["requests"] = {"running": self.board.step.running, "waiting": self.board.step.waiting}
        if self.npu_metrics is not None:
            status["npu"] = self.npu_metrics.status()
        return JSONResponse(status)

    async def _say_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, WebuiError)
        error.write_to(log, f"{request.method} {request.url.path}")
        return JSONResponse({"error": error.as_dict()}, error.http_status, self.api.retry_after(error))


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


async def _say_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"code": f"http_{error.status_code}", "message": error.detail, "params": {}}}
    return JSONResponse(body, error.status_code)


async def _say_internal_error(request: Request, error: Exception) -> Response:
    internal = Internal()
    internal.write_to(log, f"{request.method} {request.url.path}, of which the traceback follows")
    return JSONResponse({"error": internal.as_dict()}, internal.http_status)
