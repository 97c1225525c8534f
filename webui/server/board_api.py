"""The board for programs, and the demonstration: JSON, a trace, a table as CSV, start and stop.

It turns HTTP into calls and back. What it gives away holds no text, no name and no address; see `batch/board.py`.
"""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from webui.batch import exports
from webui.batch.board import FIGURES_WINDOW, WINDOW
from webui.batch.latency import GOOD, Limits
from webui.errors import BadInput
from webui.server.chat_api import body_of, check_guard, visitor_of
from webui.server.fronts import Fronts
from webui.server.json_response import json_response


class BoardApi:
    """What may be asked of the board.

    Args:
        fronts: the engines, each with its board and its demonstration requests.
    """

    def __init__(self, fronts: Fronts) -> None:
        self._fronts = fronts

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        return [
            Route("/api/board", self.snapshot),
            Route("/api/board/trace", self.trace),
            Route("/api/board/requests.csv", self.table),
        ]

    def demo_routes(self) -> list[Route]:
        """Those of the demonstration."""
        return [
            Route("/api/demo", self.start_demo, methods=["POST"]),
            Route("/api/demo", self.stop_demo, methods=["DELETE"]),
        ]

    async def snapshot(self, request: Request) -> Response:
        """The board as JSON."""
        window = _seconds(request, "window", FIGURES_WINDOW)
        steps = _seconds(request, "steps", FIGURES_WINDOW)
        limits = Limits(_seconds(request, "ttft", GOOD.ttft), _seconds(request, "itl", GOOD.itl))
        front = self._fronts.watched_by(request)
        return json_response(exports.snapshot(front.backend.board, front.frames, window, steps, limits))

    async def trace(self, request: Request) -> Response:
        """The window as a file that Perfetto opens."""
        trace = exports.trace(self._fronts.watched_by(request).backend.board, _seconds(request, "window", WINDOW))
        return json_response(trace, headers=_download("batchat-trace.json"))

    async def table(self, request: Request) -> Response:
        """The window's requests as CSV."""
        table = exports.table(self._fronts.watched_by(request).backend.board, _seconds(request, "window", WINDOW))
        return Response(table, media_type="text/csv", headers=_download("batchat-requests.csv"))

    async def start_demo(self, request: Request) -> Response:
        """Sends demonstration requests."""
        check_guard(request)
        body = await body_of(request)
        count = body.get("count")
        if isinstance(count, bool) or not isinstance(count, int):
            raise BadInput(field="count", reason="a whole number is wanted")
        self._fronts.named_in(body).demo.start(visitor_of(request), count)
        return json_response({"count": count}, 202)

    async def stop_demo(self, request: Request) -> Response:
        """Ends all of them at once, on every engine."""
        check_guard(request)
        for front in self._fronts:
            front.demo.stop()
        return Response(status_code=204)


def _seconds(request: Request, name: str, default: float) -> float:
    """A number of seconds from the query, WINDOW at most."""
    text = request.query_params.get(name)
    try:
        seconds = default if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= WINDOW:
        raise BadInput(field=name, reason=f"seconds above 0, up to {WINDOW:g}, are wanted, not {text}")
    return seconds


def _download(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
