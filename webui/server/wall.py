"""The batch on a wall: a page of its own without a chat, at /board. It needs no Gradio, so it is there from the first second.

It does not know what it shows: `assets/js/wall.js` asks the event stream for the board.
"""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from webui.ui.head import head
from webui.ui.texts import ASSETS


async def wall(request: Request) -> Response:
    """The page."""
    return HTMLResponse(_page(), headers={"cache-control": "no-store"})


@cache
def _page() -> str:
    return (ASSETS / "board.html").read_text("utf-8").replace("<!-- head -->", head("wall.js"))
