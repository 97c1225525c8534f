"""The gate before the whole application: nobody passes whom its keeper does not know, whatever they ask for.

It is closed by default: a path is open only if it is named here. It does not know how a keeper finds out who somebody is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.errors import WebuiError
from webui.ui.login_page import login_page

OPEN = frozenset({"/health", "/login"})
END = {"type": "http.response.body", "body": b"", "more_body": False}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may come in.

    Attributes:
        name: as they know it themselves.
        still: whether they still may, asked while a response to them goes on.
        cookie: a header that keeps them known, if it is time for one.
        may_log_out: whether it is here that they have logged in.
    """

    name: str
    still: Callable[[], bool] = lambda: True
    cookie: str | None = None
    may_log_out: bool = False

    @property
    def visitor(self) -> str:
        """Whose conversations they see: of a fixed length, and never the name of an anonymous visitor."""
        digest = hashlib.sha256(self.name.encode()).digest()
        return "user:" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Keeper(Protocol):
    """Knows who asks."""

    def who(self, scope: Scope) -> Person:
        """Whose request it is.

        Raises:
            WebuiError: why it is nobody's.
        """


class Gate:
    """Lets requests of known people through, with `scope["state"]["person"]` and the visitor's name in it.

    Args:
        app: what is behind it.
        keeper: knows who asks.
        has_own_door: whether the API's keys decide about a path.
    """

    def __init__(self, app: ASGIApp, keeper: Keeper, has_own_door: Callable[[str], bool]) -> None:
        self._app = app
        self._keeper = keeper
        self._has_own_door = has_own_door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no path of the app's is anything else
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        if path in OPEN or self._has_own_door(path):
            await self._app(scope, receive, send)
            return
        try:
            person = self._keeper.who(scope)
        except WebuiError as error:
            await _refusal(scope, error)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(person=person, visitor=person.visitor)
        await self._app(scope, receive, _while_known(person, scope, send))


def _while_known(person: Person, scope: Scope, send: Send) -> Send:
    """Sends a response to somebody, and ends it when they are not let in any more: an event stream may go on for days."""
    over = endless = False

    async def send_if_known(message: Message) -> None:
        nonlocal over, endless
        if over:
            return
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            endless = "content-length" not in headers
            headers.setdefault("cache-control", "private, no-cache")
            # What the response sets itself is newer: the cookie that is taken away on logging out.
            shared = "public" in headers["cache-control"]  # a shared cache would hand the cookie to others
            if person.cookie is not None and "set-cookie" not in headers and not shared:
                headers.append("set-cookie", person.cookie)
        elif endless and not person.still():
            over, message = True, END
        await send(message)

    return send_if_known


def _refusal(scope: Scope, error: WebuiError) -> Response:
    """A page where a person looks, JSON where a program asks."""
    headers = {"cache-control": "no-store"}
    if scope["method"] in ("GET", "HEAD") and "text/html" in Headers(scope=scope).get("accept", ""):
        return HTMLResponse(login_page(scope.get("root_path", ""), error), error.http_status, headers)
    return JSONResponse({"error": error.as_dict()}, error.http_status, headers)


def account_routes() -> list[Route]:
    """What the page asks about whoever it is shown to; without a gate that is nobody by name."""
    return [Route("/api/account", _account)]


async def _account(request: Request) -> Response:
    person: Person | None = request.scope["state"].get("person")
    said = {"name": person and person.name, "may_log_out": person is not None and person.may_log_out}
    return JSONResponse(said, headers={"cache-control": "no-store"})


async def to_the_page(request: Request) -> Response:
    """For whoever types the login's address: the page, or the login in its place."""
    return RedirectResponse(request.scope.get("root_path", "") + "/", 303)
