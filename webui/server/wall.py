"""The batch on a wall: a page of its own without a chat, at /board. It needs no Gradio, so it is there from the first second.

It does not know what it shows: `assets/js/wall.js` asks the event stream for the board.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from webui.ui.head import page


async def wall(request: Request) -> Response:
    """The page."""
    return HTMLResponse(page("wall", "wall.js"), headers={"cache-control": "no-store"})
