"""The board as data for programs: JSON with names, a trace that Perfetto opens, and a table as CSV.

README documents the fields. Times are milliseconds since the board's birth, as in the frames. It does not know how the data
travels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from webui.batch.board import FIGURES_WINDOW, Board
from webui.batch.frames import VERSION, Frames
from webui.batch.latency import LATENCIES, Limits, goodput, latencies
from webui.batch.request import Request

COLUMNS = (
    *("id", "door", "lane", "queued", "scheduled", "first", "last", "ended", "end"),
    *("prompt_tokens", "tokens", "worst_itl", "cached_tokens", "stays"),
)
FORMULAS = "=+-@\t\r"  # a cell that begins with one of these would be run by a spreadsheet
LANES, LINE = 1, 2  # the trace's two groups of tracks


def snapshot(board: Board, frames: Frames, window: float, steps: float, limits: Limits) -> dict[str, Any]:
    """The last full frame's content with named fields, and the window's latencies, goodput and savings.

    Args:
        window: seconds of requests.
        steps: seconds of steps.
        limits: what counts as good.
    """
    frame = frames.full(window, steps)
    ended = board.ended_within(window)
    saved = board.saved(window) if window != FIGURES_WINDOW else None
    del frame["v"], frame["full"], frame["tokens"]
    return {
        "version": VERSION,
        "unit": "ms",
        **frame,
        "limits": asdict(limits),
        "requests": [dict(zip(COLUMNS, row, strict=True)) for row in frame["requests"]],
        "window": window,
        "latency": {name: _in_ms(asdict(summary)) for name, summary in latencies(ended).items()},
        "goodput": goodput(ended, limits, board.covered(window)).as_dict(),
        "saved": saved.as_dict() if saved else frame["saved"],
    }


def table(board: Board, window: float) -> str:
    """Every request that lives or ended in the last `window` seconds, as CSV; times in milliseconds."""
    text = io.StringIO()
    writer = csv.writer(text)
    columns = ("queued", "scheduled", "first", "last", "ended")
    writer.writerow(
        (
            *("id", "door", "state", "end", "lane"),
            *(f"{name}_ms" for name in (*columns, *LATENCIES)),
            *("prompt_tokens", "cached_tokens", "tokens", "preemptions"),
        )
    )
    for request in board.within(window):
        moments = [getattr(request, name) for name in columns]
        writer.writerow(
            safe_cell(cell)
            for cell in (
                *(request.id, request.door, request.state, request.end, request.lane),
                *(None if moment is None else board.ms(moment) for moment in moments),
                *(_duration(request, name) for name in LATENCIES),
                *(request.prompt_tokens, request.cached_tokens, request.tokens, max(0, len(request.stays) - 1)),
            )
        )
    return text.getvalue()


def safe_cell(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in FORMULAS and cell else cell


def trace(board: Board, window: float) -> dict[str, Any]:
    """The window in the Trace Event Format, which Perfetto and chrome://tracing open: a track per lane with prefill and decode
    of each request, a track of those in line, and the steps as counters. Times in microseconds, as the format wants."""
    events = list(_names(board.engine.lanes))
    for request in board.within(window):
        events += _events(request, board)
    for tick in board.steps.since(board.clock() - window):
        at = _us(tick.at, board)
        counts = {"sequences": tick.sequences, "prompt tokens": tick.prompt_tokens}
        events += [{"ph": "C", "pid": LANES, "ts": at, "name": name, "args": {name: n}} for name, n in counts.items()]
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"lane index": "nominal: the lowest that was free"}}


def _names(lanes: int) -> Iterator[dict[str, Any]]:
    for pid, name in ((LANES, "lanes"), (LINE, "line")):
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
    for lane in range(lanes):
        yield {"ph": "M", "pid": LANES, "tid": lane, "name": "thread_name", "args": {"name": f"lane {lane}"}}


def _events(request: Request, board: Board) -> Iterator[dict[str, Any]]:
    """What became of one request: waits as asynchronous slices, stays in lanes as slices."""
    now = board.clock()
    details = {"door": request.door, "end": request.end, "prompt tokens": request.prompt_tokens, "tokens": request.tokens}
    waits = [request.queued, *(stay.until for stay in request.stays)]
    begins = [*(stay.since for stay in request.stays), request.ended or now]
    for since, until in zip(waits, begins, strict=True):
        if since is not None and until > since:
            slice = {"cat": request.door, "id": request.id, "pid": LINE, "tid": 0, "name": f"request {request.id} waits"}
            yield {**slice, "ph": "b", "ts": _us(since, board), "args": details}
            yield {**slice, "ph": "e", "ts": _us(until, board)}
    for stay in request.stays:
        until = stay.until or now
        turn = min(max(request.first or until, stay.since), until)
        for phase, begin, end in (("prefill", stay.since, turn), ("decode", turn, until)):
            if end > begin:
                began, took = _us(begin, board), _us(end, board) - _us(begin, board)
                name = f"{phase} {request.id}"
                track = {"ph": "X", "pid": LANES, "tid": stay.lane, "cat": request.door}
                yield {**track, "name": name, "ts": began, "dur": took, "args": details}


def _us(moment: float, board: Board) -> int:
    return round((moment - board.born) * 1e6)


def _duration(request: Request, name: str) -> float | None:
    value = LATENCIES[name](request) if request.first is not None else None
    return None if value is None else round(value * 1000, 1)


def _in_ms(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name == "n" or value is None else round(value * 1000, 1) for name, value in summary.items()}
