"""The whole application around an engine that does as it is told, with or without a socket, and users who may log in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.told_engine import ToldEngine
from webui.accounts.passwords import hash_password
from webui.data_folder import NONE
from webui.server.app import App
from webui.server.chat_api import GUARD
from webui.server.process import listen, server_config
from webui.settings import Settings

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
HTML = {"accept": "text/html,application/xhtml+xml"}


def users_file(folder: Path, **hashes: str) -> Path:
    """A file of users."""
    path = folder / "users.toml"
    path.write_text("[users]\n" + "".join(f'"{name}" = "{hash}"\n' for name, hash in hashes.items()))
    return path


class House:
    """The application, and browsers before it."""

    def __init__(self, app: App) -> None:
        self.app = app

    def browser(self, address: str = "192.0.2.1", scheme: str = "http", **headers: str) -> httpx.AsyncClient:
        """A browser of somebody new."""
        transport = httpx.ASGITransport(
            self.app.asgi, raise_app_exceptions=False, client=(address, 4711), root_path=self.app.settings.root_path
        )
        base = f"{scheme}://test{self.app.settings.root_path}"
        return httpx.AsyncClient(transport=transport, base_url=base, headers={GUARD: "1", **headers})


@asynccontextmanager
async def house(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[House]:
    async def start(report: Any) -> ToldEngine:
        return ToldEngine()

    monkeypatch.setattr("webui.server.app.engines", lambda settings, board, on_models: start)
    app = App(Settings(**{"data_dir": NONE, "grace": 60.0, **settings}))
    app.history.start()
    app.supervisor.start()
    await app.supervisor.ready()
    try:
        yield House(app)
    finally:
        await app.chats.close(0)
        await app.history.close()
        await app.supervisor.stop()
        await app.page.close()


async def log_in(browser: httpx.AsyncClient, name: str = "alice", password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/login", json={"name": name, "password": password})


@asynccontextmanager
async def served(app: ASGIApp, settings: Settings) -> AsyncIterator[str]:
    """The application on a port, as the process serves it."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app, settings))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(120):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


class PrefixProxy:
    """Publishes a server under a path: takes the path away and hands everything else on, as `location /chat/` of nginx does."""

    def __init__(self, server: str, path: str) -> None:
        self._path = path
        self._client = httpx.AsyncClient(base_url=f"http://{server}", timeout=120)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (part := await receive()).get("more_body") or part["type"] == "http.request":
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        url = scope["path"].removeprefix(self._path) + "?" + scope["query_string"].decode()
        request = self._client.build_request(scope["method"], url, headers=scope["headers"], content=body)
        answer = await self._client.send(request, stream=True)
        try:
            await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()
