"""What watchers of the board are sent: the whole to a newcomer, then what changed; README, "The board as data", has the fields.

A frame is made once, however many watch. To be cheap it is lean: a request is a row and is told when its state changes, token
counts and figures once a second, steps as differences, times as whole milliseconds since the board's birth.

It does not know who watches, nor how a frame travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from webui.batch.board import ENDED_AT_MOST, FIGURES_WINDOW, WINDOW, Board
from webui.batch.latency import GOOD
from webui.batch.request import Request, Stay
from webui.batch.steps import Tick

VERSION = 2
SECOND = 1.0  # between two tellings of token counts and figures, and between two frames while nothing happens
SAVED_EVERY = 5.0  # seconds


class Frames:
    """Makes the frames of one board.

    Args:
        board: what they tell of.
        demo: how many demonstration requests wait, run or are still to be sent.
        npus: what is known of the NPUs that the engine runs on, if anything.
    """

    def __init__(
        self,
        board: Board,
        demo: Callable[[], int] = lambda: 0,
        npus: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._board = board
        self._demo = demo
        self._npus = npus
        self._told: dict[int, int] = {}  # running request -> its tokens when they were last told
        self._told_steps = 0
        self._told_engine = board.engine
        self._told_at = self._frame_at = self._saved_at = -FIGURES_WINDOW
        self._ends = 0

    def frame(self) -> dict[str, Any] | None:
        """What changed since the last frame; None if that is nothing and was said within the last second; all of it if there
        is a new engine."""
        board, now = self._board, self._board.clock()
        changed, start_over = board.changed()
        told = 0 if start_over else self._told_steps  # a new engine's steps are counted anew
        ticks = board.steps.last(min(board.steps.count - told, ENDED_AT_MOST))
        if not (changed or ticks or start_over) and now - self._frame_at < SECOND:
            return None
        self._frame_at, self._told_steps = now, board.steps.count
        if start_over:
            self._told_engine = board.engine
            return self.full()
        frame = self._head(full=False) | self._steps(ticks)
        frame |= {"requests": [self.row(request) for request in changed], "tokens": []}
        if board.engine != self._told_engine:  # more rows, for one that is seen from here
            self._told_engine = board.engine
            frame["engine"] = self.engine()
        if now - self._told_at >= SECOND:
            self._told_at = now
            frame |= {"tokens": self._tokens(), "figures": self.figures()}
        return frame | self._saved(now)

    def full(self, window: float = WINDOW, steps: float = FIGURES_WINDOW) -> dict[str, Any]:
        """Everything: requests that live or ended within `window` seconds, and the steps of the last `steps` seconds."""
        board = self._board
        saved = board.saved()
        return {
            **self._head(full=True),
            "epoch": board.epoch,
            "engine": self.engine(),
            "limits": asdict(GOOD),
            "requests": [self.row(request) for request in board.within(window)],
            "tokens": [],
            **self._steps(board.steps.since(board.clock() - steps)),
            "figures": self.figures(),
            "saved": saved and saved.as_dict(),
        }

    def engine(self) -> dict[str, Any]:
        """What must be known of the engine to draw what it does."""
        engine = self._board.engine
        return {
            "lanes": engine.lanes,
            "buckets": bool(engine.buckets),
            "prefix_cache": engine.prefix_cache,
            "device": engine.device,
            "seen_from_here": engine.seen_from_here,
        }

    def figures(self) -> dict[str, Any]:
        """The numbers of now and of the last minute."""
        board = self._board
        prompt, generation = board.tokens_per_second()
        return {
            "kv": board.step.kv_cache,
            "occupancy": _rounded(board.occupancy()),
            "prefix_hits": _rounded(board.prefix_hits()),
            "tps": {"prompt": round(prompt, 1), "generation": round(generation, 1)},
            "demo": self._demo(),
            "server": board.server and board.server.as_dict(),
            "npu": self._npus(),
        }

    def row(self, request: Request) -> list[Any]:
        """A request without field names: id, door, lane, queued, scheduled, first, last, ended, end, prompt tokens, tokens,
        worst ITL, cached tokens, stays (0 if it was never preempted)."""
        times = (request.queued, request.scheduled, request.first, request.last, request.ended)
        return [
            request.id,
            request.door,
            request.lane,
            *(None if at is None else self._board.ms(at) for at in times),
            request.end,
            request.prompt_tokens,
            request.tokens,
            None if request.worst_itl is None else round(request.worst_itl * 1000),
            request.cached_tokens,
            self.stays(request.stays) if len(request.stays) > 1 or (request.stays and request.lane is None) else 0,
        ]

    def stays(self, stays: Iterable[Stay]) -> list[list[int | None]]:
        """Lane, from, to of each stay."""
        ms = self._board.ms
        return [[stay.lane, ms(stay.since), None if stay.until is None else ms(stay.until)] for stay in stays]

    def _head(self, full: bool) -> dict[str, Any]:
        board = self._board
        return {
            "v": VERSION,
            "t": board.ms(board.clock()),
            "full": full,
            "running": board.running,
            "waiting": board.waiting,
            "preempted": board.preempted,
        }

    def _tokens(self) -> list[list[int]]:
        """Counts of the running requests, where they changed."""
        counts = {request.id: request.tokens for request in self._board.lanes.running}
        changed = [[id, tokens] for id, tokens in counts.items() if self._told.get(id, 0) != tokens]
        self._told = counts
        return changed

    def _steps(self, ticks: list[Tick]) -> dict[str, Any]:
        """Ticks as differences: ms since the one before, sequences, prompt tokens and, where there are any, the bucket."""
        board = self._board
        if not ticks:
            return {"steps": [], "steps_from": board.ms(board.clock())}
        width = 4 if board.engine.buckets else 3
        before = board.ms(ticks[0].at - (ticks[0].seconds or 0.0))
        start, flat = before, []
        for tick in ticks:
            at = board.ms(tick.at)
            flat += [at - before, *tick[1:width]]
            before = at
        return {"steps": flat, "steps_from": start}

    def _saved(self, now: float) -> dict[str, Any]:
        """What batching saved, every few seconds in which a request ended."""
        ends = self._board.ends.total()
        if now - self._saved_at < SAVED_EVERY or ends == self._ends:
            return {}
        self._saved_at, self._ends = now, ends
        saved = self._board.saved()
        return {"saved": saved and saved.as_dict()}


def _rounded(share: float | None) -> float | None:
    return share if share is None else round(share, 3)
