"""Who is who: each browser gets a random name in a signed cookie that no script can read.

It wraps the whole application, so that whatever answers first sets the cookie. It knows nothing of conversations, nor where
the key comes from.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from http.cookies import SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "batchat_visitor"
PASSING_COOKIE = "batchat_visitor_until_restart"
YEAR = 365 * 24 * 3600  # seconds
RENEW_AFTER = 7 * 24 * 3600  # seconds, so that whoever comes now and then is never forgotten
_VALUE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{43})")  # name of 128 bits, time, HMAC-SHA256


class Signer:
    """Writes and reads the cookie's value: name, time of writing, and a signature over both.

    Args:
        key: kept by the server alone; None makes one that lasts as long as the process.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key or secrets.token_bytes(32)
        # A cookie of the kept key must still be there when that key is: one that passes has another name.
        self.cookie = COOKIE if key else PASSING_COOKIE

    def write(self, name: str, now: float) -> str:
        """The value for a visitor's name."""
        signed = f"{name}.{int(now):x}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, value: str) -> tuple[str, int] | None:
        """(name, when it was written in Unix seconds); None if this server did not write it."""
        found = _VALUE.fullmatch(value)
        if found is None or not hmac.compare_digest(found[3], self._signature(f"{found[1]}.{found[2]}")):
            return None
        return found[1], int(found[2], 16)

    def _signature(self, signed: str) -> str:
        digest = hmac.digest(self._key, b"visitor:" + signed.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class VisitorCookie:
    """Puts the visitor's name into `scope["state"]` and, if it is new or about to grow old, the cookie into the response.

    Args:
        app: the application.
        path: where the application is published.
        signer: knows the key.
    """

    def __init__(self, app: ASGIApp, path: str, signer: Signer) -> None:
        self._app = app
        self._path = path
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = self._signer.read(Request(scope).cookies.get(self._signer.cookie, ""))
        name, written = known or (secrets.token_urlsafe(16), 0)
        fresh = time.time() - written < RENEW_AFTER
        scope.setdefault("state", {})["visitor"] = name

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and not fresh:
                headers = MutableHeaders(scope=message)
                if "public" not in headers.get("cache-control", ""):  # a shared cache would hand it to others
                    headers.append("set-cookie", self._cookie(name, scope["scheme"] == "https"))
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    def _cookie(self, name: str, secure: bool) -> str:
        return cookie_header(self._signer.cookie, self._signer.write(name, time.time()), self._path, YEAR, secure)


def cookie_header(name: str, value: str, path: str, seconds: int, secure: bool) -> str:
    """A Set-Cookie header for a cookie that no script can read, and that no other site's request bears."""
    cookie: SimpleCookie = SimpleCookie({name: value})
    morsel = cookie[name]
    morsel["path"], morsel["max-age"], morsel["samesite"], morsel["httponly"] = path or "/", seconds, "Lax", True
    morsel["secure"] = secure
    return morsel.OutputString()
