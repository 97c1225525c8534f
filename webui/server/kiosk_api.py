"""The kiosk's page and what its screen asks: begin, ask, stop, compare, end; the corner of whoever looks after it.

It turns HTTP into calls of `kiosk/` and back. Who is who is told by the visit's id, which only the page's memory has: no
cookie, no storage, nothing in the address.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import webui
from webui.channel import Mailbox
from webui.engines.supervisor import Supervisor
from webui.kiosk.kiosk import Kiosk, language_in
from webui.kiosk.visits import Visit
from webui.server.chat_api import body_of, check_guard, text_in
from webui.server.stream import ChatEvents, Everybody, TabStream
from webui.ui.head import head
from webui.ui.texts import ASSETS


class KioskApi:
    """The screen's requests.

    Args:
        kiosk: does what they ask for.
        everybody: the events that every screen gets.
        supervisor: knows what the engine is doing.
    """

    def __init__(self, kiosk: Kiosk, everybody: Everybody, supervisor: Supervisor) -> None:
        self._kiosk = kiosk
        self._everybody = everybody
        self._supervisor = supervisor

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        visit = "/api/kiosk/visits/{visit}"
        return [
            Route("/", self.page),
            Route("/api/stream", self.board),
            Route("/api/kiosk/attract", self.attract),
            Route("/api/kiosk/visits", self.begin, methods=["POST"]),
            Route(visit, self.end, methods=["DELETE"]),
            Route(visit + "/stream", self.stream),
            Route(visit + "/ask", self.ask, methods=["POST"]),
            Route(visit + "/stop", self.stop, methods=["POST"]),
            Route(visit + "/together", self.together, methods=["POST"]),
            Route("/api/kiosk/admin", self.admin, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The screen."""
        html = (ASSETS / "kiosk.html").read_text("utf-8")
        told = json.dumps(self._kiosk.for_page()).replace("<", "\\u003c")
        html = html.replace("<!-- head -->", head("kiosk.js")).replace("<!-- kiosk -->", told)
        html = html.replace("<!-- language -->", self._kiosk.file.language)
        return HTMLResponse(html, headers={"cache-control": "no-store"})

    async def board(self, request: Request) -> Any:
        """The stream of the wall view, which may hang beside the kiosk."""
        return TabStream(self._everybody)

    async def attract(self, request: Request) -> Any:
        """The stream of a screen that waits for somebody."""
        return TabStream(self._everybody, self._kiosk.attract.watched)

    async def begin(self, request: Request) -> Response:
        """Somebody has touched the screen."""
        check_guard(request)
        visit = await self._kiosk.visits.begin()
        return JSONResponse({"visit": visit.id}, 201)

    async def stream(self, request: Request) -> Any:
        """The stream of a visit."""
        return TabStream(self._everybody, VisitEvents(self._kiosk, self._visit(request)))

    async def ask(self, request: Request) -> Response:
        """A question."""
        check_guard(request)
        body = await body_of(request)
        visit = self._visit(request)
        refusal = await self._kiosk.visits.ask(visit, text_in(body, "text"), language_in(body))
        return JSONResponse({"refusal": refusal}, 202 if refusal is None else 200)

    async def stop(self, request: Request) -> Response:
        """Ends what runs."""
        check_guard(request)
        self._kiosk.stop(self._visit(request))
        return JSONResponse({})

    async def together(self, request: Request) -> Response:
        """One at a time against together."""
        check_guard(request)
        self._kiosk.compare(self._visit(request), language_in(await body_of(request)))
        return JSONResponse({}, 202)

    async def end(self, request: Request) -> Response:
        """The visit is over."""
        check_guard(request)
        self._kiosk.visits.end(self._visit(request))
        return Response(status_code=204)

    async def admin(self, request: Request) -> Response:
        """How the kiosk is, to whoever knows the PIN; with `reload`, reads its file again first."""
        check_guard(request)
        body = await body_of(request)
        await self._kiosk.admit(text_in(body, "pin"))
        if body.get("reload"):
            self._kiosk.read_file()
        status = {**self._supervisor.status(), **self._kiosk.status(), "version": webui.__version__}
        return JSONResponse(status)

    def _visit(self, request: Request) -> Visit:
        return self._kiosk.visits.find(request.path_params["visit"])


class VisitEvents:
    """The events of one visit, which lasts while they are watched."""

    def __init__(self, kiosk: Kiosk, visit: Visit) -> None:
        self._kiosk = kiosk
        self._visit = visit

    @contextlib.contextmanager
    def __call__(self, mailbox: Mailbox, seen: str) -> Iterator[None]:
        """Sends them to a mailbox, from behind the last event that it saw."""
        chat = self._visit.chat
        with self._kiosk.visits.watched(self._visit), ChatEvents(chat, rendered=len(chat.conversation))(mailbox, seen):
            yield
