"""Who is who: each browser gets a random name in a cookie that no script can read.

It wraps the whole application, so that whatever answers first sets the cookie. It knows nothing of conversations.
"""

from __future__ import annotations

import re
import secrets
from http.cookies import SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "batchat_visitor"
YEAR = 365 * 24 * 3600  # seconds
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")  # 128 random bits


class VisitorCookie:
    """Puts the visitor's name into `scope["state"]` and, if it is new, the cookie into the response.

    Args:
        app: the application.
        path: where the application is published.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path or "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = Request(scope).cookies.get(COOKIE, "")
        known = _NAME.fullmatch(name) is not None
        name = name if known else secrets.token_urlsafe(16)
        scope.setdefault("state", {})["visitor"] = name

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and not known:
                MutableHeaders(scope=message).append("set-cookie", self._cookie(name, scope["scheme"] == "https"))
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    def _cookie(self, name: str, secure: bool) -> str:
        cookie: SimpleCookie = SimpleCookie({COOKIE: name})
        morsel = cookie[COOKIE]
        morsel["path"], morsel["max-age"], morsel["samesite"], morsel["httponly"] = self._path, YEAR, "Lax", True
        morsel["secure"] = secure
        return morsel.OutputString()
