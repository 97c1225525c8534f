"""The board: what is known of requests and steps, live and of the last minute.

The engine's wrapper tells it when a request comes, gives tokens and goes; the engine's stat logger tells it after each step
how many run and wait. From that it makes frames for the panels: a full one for a newcomer, and then only what changed. It
holds no text, no name and no address, so that a frame may go to everybody.

It does not know who watches, nor what a frame is sent over. Everything happens on the server's event loop.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from webui.batch.lanes import Lanes
from webui.batch.rates import SlidingSum
from webui.batch.request import Request, door_of
from webui.conversation import End

WINDOW = 60.0  # seconds that the board remembers
RATE_WINDOW = 3.0  # seconds over which tokens per second are counted
ROWS_AT_MOST = 64  # for an engine that does not say how many lanes it has
ENDED_AT_MOST = 5000  # ended requests kept within the window, whatever the load


@dataclass(slots=True, frozen=True)
class Step:
    """What the engine says after one step."""

    running: int
    waiting: int
    kv_cache: float | None = None
    prompt_tokens: int = 0
    generation_tokens: int = 0


@dataclass(slots=True, frozen=True)
class Progress:
    """How far a request has come, as the engine tells it: token counts, and seconds of its monotonic clock (0: not told)."""

    tokens: int
    prompt_tokens: int = 0
    queued: float = 0.0
    scheduled: float = 0.0
    first: float = 0.0
    last: float = 0.0


class Board:
    """Gathers requests and steps.

    Args:
        lanes: how many lanes the engine has; `reset` tells another number.
        clock: seconds, monotonic, the engine's own.
    """

    def __init__(self, lanes: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_id = 1
        self._live: dict[str, Request] = {}
        self._ended: deque[Request] = deque(maxlen=ENDED_AT_MOST)
        self._changed: dict[int, Request] = {}
        self._start_over = False
        self.reset(lanes)

    def reset(self, lanes: int, seen_from_here: bool = False) -> None:
        """A new engine: nothing runs and nothing waits; what ended stays in the picture. Every watcher gets it all anew.

        Args:
            lanes: how many it has.
            seen_from_here: whether the engine is elsewhere and tells nothing of lanes and lines. Then only what came back of
                this app's own requests is known; `lanes` is the number of rows to begin with, and there are more as needed.
        """
        for engine_id in list(self._live):
            self.closed(engine_id, "failed")
        self._start_over = True
        self.seen_from_here = seen_from_here
        self.lanes = Lanes(lanes)
        self.step = Step(running=0, waiting=0)
        self._busy = SlidingSum(WINDOW, 60)
        self._busy_since = self._born = self._clock()
        self._prompt_tokens = SlidingSum(RATE_WINDOW, 6)
        self._generation_tokens = SlidingSum(RATE_WINDOW, 6)

    # What the engine's wrapper tells

    def opened(self, engine_id: str, prompt_tokens: int) -> Request:
        """A request goes to the engine."""
        request = Request(
            self._next_id,
            door_of(engine_id),
            queued=self._clock(),
            prompt_tokens=prompt_tokens,
            split=not self.seen_from_here,
        )
        self._next_id += 1
        self._live[engine_id] = request
        self.lanes.enter(request)
        self._touch(request)
        return request

    def gave(self, engine_id: str, progress: Progress) -> None:
        """A request gave one or more tokens."""
        request = self._live.get(engine_id)
        if request is None:
            return
        self._integrate()
        if self.seen_from_here and request.lane is None and self.running == self.lanes.count < ROWS_AT_MOST:
            self.lanes.grow()
        self.lanes.admit(request)
        now = self._clock()
        request.tokens = progress.tokens
        request.prompt_tokens = progress.prompt_tokens or request.prompt_tokens
        request.queued = progress.queued or request.queued
        request.first = progress.first or request.first or now
        request.scheduled = progress.scheduled or request.scheduled or request.first
        request.last = progress.last or now
        self._touch(request)

    def closed(self, engine_id: str, end: End) -> Request | None:
        """A request is over, however that came about."""
        request = self._live.pop(engine_id, None)
        if request is None:
            return None
        self._integrate()
        self.lanes.leave(request)
        request.end = end
        request.ended = self._clock()
        self._ended.append(request)
        self._touch(request)
        return request

    # What the engine's stat logger tells

    def stepped(self, step: Step, finished: Iterable[str] = ()) -> None:
        """One step is over. `finished` are the ids whose lane is free since, before their last text was even read."""
        now = self._clock()
        self._integrate()
        self.step = step
        for engine_id in finished:
            if (request := self._live.get(engine_id)) is not None:
                self.lanes.leave(request)
        admitted, sent_back = self.lanes.match(step.running)
        for request in admitted:
            request.scheduled = request.scheduled or now
        for request in (*admitted, *sent_back):
            self._touch(request)
        self._prompt_tokens.add(step.prompt_tokens, now)
        self._generation_tokens.add(step.generation_tokens, now)

    # What is asked of it

    def find(self, engine_id: str) -> Request | None:
        """The request of this id while it lives."""
        return self._live.get(engine_id)

    @property
    def running(self) -> int:
        """Lanes in use."""
        return len(self.lanes.running)

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self.lanes.waiting)

    def places(self) -> dict[int, int]:
        """Request id -> its place in line, from 1; of a line elsewhere nothing is known."""
        if self.seen_from_here:
            return {}
        return {request.id: place for place, request in enumerate(self.lanes.waiting, start=1)}

    def wait_estimate(self, place: int) -> float | None:
        """Seconds until the `place`th in line gets a lane, if requests go on ending as the last ones did; None: unknown.

        With every lane busy, one frees up each (mean time in a lane) / (lanes) seconds.
        """
        stays = [r.last - r.scheduled for r in list(self._ended)[-20:] if r.scheduled and r.last]
        if len(stays) < 3 or self.lanes.count == 0:
            return None
        return place * (sum(stays) / len(stays)) / self.lanes.count

    def frame(self) -> dict[str, Any]:
        """What changed since the last call, for those who have a full frame already; all of it after a reset."""
        changed = list(self._changed.values())
        self._changed.clear()
        if self._start_over:
            self._start_over = False
            return self.full_frame()
        return self._frame(changed, full=False)

    def full_frame(self) -> dict[str, Any]:
        """Everything of the window, for a newcomer; leaves `frame` as it was."""
        self._forget()
        return self._frame([*self._ended, *self._live.values()], full=True)

    def _frame(self, requests: Iterable[Request], full: bool) -> dict[str, Any]:
        now = self._clock()
        self._integrate()
        ttft = self._recent_ttft(now)
        return {
            "t": round(now, 3),
            "full": full,
            "lanes": self.lanes.count,
            "seen_from_here": self.seen_from_here,
            "running": self.running,
            "waiting": self.waiting,
            "kv": self.step.kv_cache,
            "tps": {
                "prompt": round(self._prompt_tokens.rate(now), 1),
                "generation": round(self._generation_tokens.rate(now), 1),
            },
            "occupancy": self._occupancy(now),
            "ttft_p95": round(percentile(ttft, 95), 3) if ttft else None,
            "ttft_n": len(ttft),
            "requests": [_row(request) for request in requests],
        }

    def _touch(self, request: Request) -> None:
        self._changed[request.id] = request
        if len(self._changed) > ENDED_AT_MOST:  # nobody has asked for frames in a long while
            self._changed.clear()

    def _forget(self) -> None:
        horizon = self._clock() - WINDOW
        while self._ended and (self._ended[0].ended or 0.0) < horizon:
            self._ended.popleft()

    def _integrate(self) -> None:
        """Adds the lane-seconds since the last look, before the number of busy lanes changes."""
        now = self._clock()
        self._busy.add(self.running * (now - self._busy_since), now)
        self._busy_since = now

    def _occupancy(self, now: float) -> float | None:
        seconds = min(WINDOW, now - self._born)
        if not self.lanes.count or self.seen_from_here or seconds < 1:
            return None
        return round(min(1.0, self._busy.total(now) / (seconds * self.lanes.count)), 3)

    def _recent_ttft(self, now: float) -> list[float]:
        self._forget()
        everybody = (*self._ended, *self._live.values())
        return sorted(r.first - r.queued for r in everybody if r.first is not None)


def percentile(ascending: list[float], percent: float) -> float:
    """The nearest-rank percentile of ascending values: the smallest that at least `percent` % do not exceed."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


def _row(request: Request) -> list[Any]:
    return [
        request.id,
        request.door,
        request.lane,
        *(None if at is None else round(at, 3) for at in (request.queued, request.scheduled, request.first, request.ended)),
        request.end,
        request.prompt_tokens,
        request.tokens,
    ]
