"""Which of Gradio's routes exist here: those that the page loads. Its uploads, files, proxies, queue and API do not.

A test walks Gradio's routes and fails on one that stands nowhere, so that a new release opens none unseen.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

NEEDED = frozenset({"/", "/theme.css", "/favicon.ico"})
NEEDED_FOLDERS = ("/assets/", "/static/")  # Gradio's own files
# What else Gradio has, without a slash at the end.
CLOSED = frozenset(
    "/openapi.json /login /logout /svelte/{path:path} /config /robots.txt /pwa_icon /pwa_icon/{size} /manifest.json "
    "/monitoring /monitoring/summary /monitoring/{key}".split()
)
CLOSED_FOLDER = "/gradio_api/"


class NeededPaths:
    """Gradio's application with its other paths taken away."""

    def __init__(self, gradio: ASGIApp) -> None:
        self._gradio = gradio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and is_needed(path):
            await self._gradio(scope, receive, send)
        elif scope["type"] == "http":
            await Response(status_code=404)(scope, receive, send)


def is_needed(path: str) -> bool:
    """Whether the page loads what is at this path."""
    return path in NEEDED or path.startswith(NEEDED_FOLDERS)
