"""Assembles the one ASGI application: page, stream, requests and status, before one engine.

It wires rooms together and decides nothing that they decide. The process around it is in `process.py`.
"""

from __future__ import annotations

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
from webui.chats import Chats
from webui.engines.base import EngineFactory
from webui.engines.local import LocalEngines
from webui.engines.supervisor import Supervisor
from webui.engines.triton_server import TritonEngines
from webui.errors import Internal, WebuiError
from webui.server.chat_api import ChatApi
from webui.server.openai_api import OpenAIApi
from webui.server.page import ASSETS, PUBLIC, Assets, Page
from webui.server.stream import Everybody
from webui.server.visitors import VisitorCookie
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
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.board = Board()
        self.supervisor = Supervisor(_engines(settings, self.board), self._engine_changed)
        admission = Admission(settings.max_waiting, lanes=lambda: self.board.lanes.count)
        self.chats = Chats(self.supervisor, self.board, settings, admission)
        self.api = OpenAIApi(self.supervisor, self.board, admission, settings)
        self.everybody = Everybody(self.supervisor, self.board)
        self.page = Page()
        self.asgi = self._assemble()

    def _assemble(self) -> ASGIApp:
        chat_api = ChatApi(self.chats, self.everybody, self.supervisor)
        page = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/api/status", self._status),
                *chat_api.routes(),
                *(Mount(f"/assets/{folder}", Assets(directory=ASSETS / folder)) for folder in PUBLIC),
                Mount("/", self.page),
            ],
            middleware=[Middleware(VisitorCookie, path=self.settings.root_path)],
            exception_handlers={WebuiError: _say_error, HTTPException: _say_http_error, Exception: _say_internal_error},
        )
        return SecurityHeaders(self.api.around(page))

    def _engine_changed(self) -> None:
        if self.supervisor.stage == "restarting":
            self.board.reset(self.board.lanes.count, self.board.seen_from_here)
        self.api.engine_changed()
        self.everybody.tell_status()

    async def _health(self, request: Request) -> Response:
        """503 until the engine is ready, as vLLM's own server has it."""
        return Response(status_code=200 if self.supervisor.engine is not None else 503)

    async def _status(self, request: Request) -> Response:
        engine = self.supervisor.engine
        status: dict[str, Any] = {**self.supervisor.status(), "version": webui.__version__, "page": self.page.mounted}
        if engine is not None:
            status |= {"effective": engine.info.effective, "versions": engine.info.versions}
        status["requests"] = {"running": self.board.step.running, "waiting": self.board.step.waiting}
        return JSONResponse(status)


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


async def _say_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, WebuiError)
    return JSONResponse({"error": error.as_dict()}, error.http_status)


async def _say_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"code": f"http_{error.status_code}", "message": error.detail, "params": {}}}
    return JSONResponse(body, error.status_code)


async def _say_internal_error(request: Request, error: Exception) -> Response:
    # Starlette has logged the traceback.
    return await _say_error(request, Internal())
