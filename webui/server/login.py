"""Logging in and out with name and password; between the two a signed cookie says who somebody is.

It turns HTTP into calls of `accounts/` and back. Neither a password nor a cookie or a hash is ever logged, nor a name that
nobody has: people type a password into the wrong field.
"""

from __future__ import annotations

import logging
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from webui.accounts.attempts import Attempts
from webui.accounts.passwords import LONGEST, Passwords
from webui.accounts.sessions import Session, Sessions
from webui.accounts.users import Users, plain_name
from webui.errors import BadInput, LoginFailed, LoginNeeded, TooManyAttempts
from webui.server.chat_api import body_of, check_guard, text_in
from webui.server.gate import Person, to_the_page
from webui.server.visitors import cookie_header

log = logging.getLogger(__name__)

COOKIE = "batchat_session"
BODY_AT_MOST = 16_384  # bytes


class Login:
    """Keeps the gate by sessions.

    Args:
        users, sessions: who there is, and who has logged in.
        path: where the application is published.
    """

    def __init__(self, users: Users, sessions: Sessions, path: str) -> None:
        self._users = users
        self._sessions = sessions
        self._path = path
        self._passwords = Passwords()
        self._attempts = Attempts()

    def who(self, scope: Scope) -> Person:
        """Whoever the cookie names.

        Raises:
            LoginNeeded
        """
        session = self._session(scope)
        if session is None:
            raise LoginNeeded()
        renewed = self._sessions.renewed(session, time.time())
        return Person(
            session.user,
            still=lambda: self._sessions.holds(session, time.time()),
            cookie=self._cookie(renewed, scope) if renewed else None,
            may_log_out=True,
        )

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        return [
            Route("/login", to_the_page, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def log_in(self, request: Request) -> Response:
        """Begins a session for whoever shows a name and its password."""
        check_guard(request)
        body = await body_of(request, BODY_AT_MOST)
        given, password = text_in(body, "name"), text_in(body, "password")
        if len(password) > LONGEST:
            raise BadInput(field="password", reason=f"more than {LONGEST} characters")
        name = plain_name(given) or ""
        address = request.client.host if request.client else ""
        hash = self._users.hash_of(name)
        known = name if hash else "nobody's name"
        try:
            self._attempts.begin(address, name, time.monotonic())
        except TooManyAttempts as error:
            log.warning("Login not tried for %s from %s: too many attempts.", known, address)
            headers = {"retry-after": str(60 * error.params["minutes"])}
            return JSONResponse({"error": error.as_dict()}, error.http_status, headers)
        if not await self._passwords.match(password, hash) or hash is None:
            log.warning("Login refused for %s from %s.", known, address)
            raise LoginFailed()
        self._attempts.was_right(address, name)
        log.info("%s logged in from %s.", name, address)
        cookie = self._cookie(self._sessions.begin(name, hash, time.time()), request.scope)
        return JSONResponse({"name": name}, headers={"set-cookie": cookie, "cache-control": "no-store"})

    async def log_out(self, request: Request) -> Response:
        """Ends the session; its cookie is worth nothing from now on, wherever it is."""
        check_guard(request)
        session = self._session(request.scope)
        if session is not None:
            self._sessions.end(session, time.time())
        forgotten = cookie_header(COOKIE, "", self._path, 0, request.url.scheme == "https")
        return JSONResponse({}, headers={"set-cookie": forgotten, "cache-control": "no-store"})

    def _session(self, scope: Scope) -> Session | None:
        return self._sessions.read(Request(scope).cookies.get(COOKIE, ""), time.time())

    def _cookie(self, session: Session, scope: Scope) -> str:
        value, lifetime = self._sessions.write(session), int(self._sessions.lifetime)
        return cookie_header(COOKIE, value, self._path, lifetime, scope["scheme"] == "https")
