"""What answers at the root: first a light page that says what is loading, then the chat, once Gradio is imported.

Importing Gradio takes seconds; it happens in a thread while the light page is already there. This module does not know what
the page shows.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.background import in_background
from webui.server.gradio_paths import NeededPaths

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets"
PUBLIC = ("js", "css", "texts", "icons")  # the folders of assets/ that a browser may read


class Page:
    """The page as an ASGI application that replaces itself when the real one is there."""

    def __init__(self) -> None:
        self._chat: ASGIApp | None = None
        self._lifespan = AsyncExitStack()

    @property
    def mounted(self) -> bool:
        """Whether the chat page is there."""
        return self._chat is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._chat is not None:
            await self._chat(scope, receive, send)
        elif scope["type"] == "http":
            # The path may be any of Gradio's: a tab left open from before a restart must not take the page for its answer.
            at_root = scope["path"].rstrip("/") == scope.get("root_path", "").rstrip("/")
            response = FileResponse(ASSETS / "loading.html", headers={"cache-control": "no-store"})
            await (response if at_root else Response(status_code=503))(scope, receive, send)

    async def mount(self, root_path: str) -> None:
        """Imports Gradio, builds the chat page and lets it answer from now on."""
        chat, lifespan = await in_background(lambda: _build(root_path))
        await self._lifespan.enter_async_context(lifespan(chat))
        self._chat = NeededPaths(chat)

    async def close(self) -> None:
        """Ends what Gradio started."""
        await self._lifespan.aclose()


def _build(root_path: str):  # type: ignore[no-untyped-def]
    import gradio
    from fastapi import FastAPI

    from webui.ui.page import build_page, mount_arguments
    from webui.ui.texts import load_texts

    texts = load_texts()
    app = gradio.mount_gradio_app(
        FastAPI(openapi_url=None), build_page(texts), path="/", root_path=root_path or None, **mount_arguments(texts)
    )
    return app, app.router.lifespan_context


class Assets(StaticFiles):
    """Static files; what is asked for with a version in the query may be kept, the rest is asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope["query_string"]
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response
