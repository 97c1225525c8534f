"""The board: what is known of requests and steps, live and of the last ten minutes.

The engine's observer tells it when a request comes, gives tokens and goes, and after each step how many run and wait. It holds
no text, no name and no address, so that what it knows may go to everybody. Memory is bounded whatever the load.

It does not know who watches, nor what is sent to them (see `frames.py`). Everything happens on the server's event loop.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from webui.batch.lanes import Lanes
from webui.batch.rates import SlidingSum
from webui.batch.request import Door, Request, door_of
from webui.batch.server_load import ServerLoad
from webui.batch.static_batching import Saved, saved
from webui.batch.steps import Step, Steps
from webui.conversation import End

WINDOW = 600.0  # seconds that the board remembers
FIGURES_WINDOW = 60.0  # seconds over which occupancy, prefix hits and savings are taken
RATE_WINDOW = 3.0  # seconds over which tokens per second are counted
ROWS_AT_MOST = 64  # for an engine that does not say how many lanes it has
ENDED_AT_MOST = 5000  # ended requests kept within the window, whatever the load


@dataclass(slots=True, frozen=True)
class EngineFacts:
    """What a watcher must know of the engine to draw what it does.

    Attributes:
        lanes: sequences in one batch (`max_num_seqs`).
        device: what it runs on.
        prefix_cache: whether prompts that begin alike share their KV cache.
        buckets: the batch sizes that decode steps are compiled for; empty where they are not.
        seen_from_here: whether it is elsewhere and tells nothing of lanes and lines. Then only what came back of this app's own
            requests is known; `lanes` is the number of rows to begin with, and there are more as needed.
    """

    lanes: int = 0
    device: str = ""
    prefix_cache: bool = False
    buckets: tuple[int, ...] = ()
    seen_from_here: bool = False


@dataclass(slots=True, frozen=True)
class Progress:
    """How far a request has come, as the engine tells it: token counts, and seconds of its monotonic clock (0: not told)."""

    tokens: int
    prompt_tokens: int = 0
    queued: float = 0.0
    scheduled: float = 0.0
    first: float = 0.0
    last: float = 0.0
    cached_tokens: int | None = None
    preemptions: int = 0


class Board:
    """Gathers requests and steps.

    Args:
        lanes: how many lanes the engine has; `reset` tells another number.
        clock: seconds, monotonic, the engine's own.
        ids: the numbers of requests, where several boards share them.

    Attributes:
        epoch: another one for each board: times and numbers of another mean nothing here.
        born: the moment that its times are counted from.
        preempted: requests that lost their lane since the engine started.
        ends: how many requests have ended, by door and end.
        tokens: given by all requests that have ended, by door.
        generated: tokens given in all, by every engine that there has been.
        server: what the server of an engine elsewhere publishes of itself; None where it does not, or there is none.
    """

    def __init__(self, lanes: int = 0, clock: Callable[[], float] = time.monotonic, ids: Iterator[int] | None = None) -> None:
        self.clock = clock
        self.epoch = secrets.token_hex(3)
        self.born = clock()
        self.ends: Counter[tuple[Door, End]] = Counter()
        self.tokens: Counter[Door] = Counter()
        self._ids = ids or itertools.count(1)
        self._live: dict[int, Request] = {}
        self._named: dict[str, Request] = {}
        self._ended: deque[Request] = deque(maxlen=ENDED_AT_MOST)
        self._changed: dict[int, Request] = {}
        self._start_over = False
        self.generated = 0
        self.reset(EngineFacts(lanes))

    def reset(self, engine: EngineFacts) -> None:
        """A new engine: nothing runs and nothing waits; what ended stays in the picture. Every watcher gets it all anew."""
        for request in list(self._live.values()):
            self.ended(request, "failed")
        self._start_over = True
        self.engine = engine
        self.lanes = Lanes(engine.lanes)
        self.steps = Steps(engine.buckets)
        self.step = Step(running=0, waiting=0)
        self.server: ServerLoad | None = None
        self.preempted = 0
        self._busy = SlidingSum(FIGURES_WINDOW, 60)
        self._busy_since = self._engine_since = self.clock()
        self._prompt_tokens = SlidingSum(RATE_WINDOW, 6)
        self._generation_tokens = SlidingSum(RATE_WINDOW, 6)
        self._prefix_queries = SlidingSum(FIGURES_WINDOW, 60)
        self._prefix_hits = SlidingSum(FIGURES_WINDOW, 60)

    # What the engine's observer tells of requests

    def opened(self, engine_id: str, prompt_tokens: int, priority: int = 0) -> Request:
        """A request goes to the engine."""
        request = Request(
            next(self._ids),
            door_of(engine_id),
            queued=self.clock(),
            prompt_tokens=prompt_tokens,
            priority=priority,
            split=not self.engine.seen_from_here,
        )
        self._live[request.id] = self._named[engine_id] = request
        self.lanes.enter(request)
        self._touch(request)
        return request

    def gave(self, request: Request, progress: Progress) -> None:
        """A step gave a request one or more tokens."""
        if request.ended is not None:
            return
        now = self.clock()
        if self.lanes.gave(request):
            self._admit(request, now)
        last = progress.last or now
        if request.first is None:
            self._began(request, progress, now)
        elif request.last is not None:
            request.worst_itl = max(request.worst_itl or 0.0, last - request.last)
        if len(request.stays) > 1:
            request.corrected(request.scheduled or now, progress.preemptions)
        request.tokens = progress.tokens
        request.last = last

    def _began(self, request: Request, progress: Progress, now: float) -> None:
        """The first token is there, and with it the engine tells what it had kept to itself."""
        request.queued = progress.queued or request.queued
        request.first = progress.first or now
        request.prompt_tokens = progress.prompt_tokens or request.prompt_tokens
        request.cached_tokens = progress.cached_tokens
        request.corrected(progress.scheduled, progress.preemptions)
        request.scheduled = request.scheduled or request.first
        self._touch(request)

    def _admit(self, request: Request, now: float) -> None:
        self._integrate(now)
        if self.engine.seen_from_here and self.running == self.lanes.count < ROWS_AT_MOST:
            self.lanes.grow()
            self.engine = replace(self.engine, lanes=self.lanes.count)
        for changed in (request, *self.lanes.admit(request, now)):
            self._touch(changed)

    def ended(self, request: Request, end: End, freed: bool = False) -> None:
        """A request is over, however that came about; what is told of it later changes nothing.

        Args:
            freed: whether the engine itself has ended it, and so already knows that its lane is free.
        """
        if self._live.pop(request.id, None) is None:
            return
        now = self.clock()
        self._integrate(now)
        self.lanes.leave(request, freed)
        request.end, request.ended = end, now
        if request.stays and request.stays[-1].until is None:
            request.stays[-1].until = now
        self.ends[request.door, end] += 1
        self.tokens[request.door] += request.tokens
        self._ended.append(request)
        self._touch(request)

    def closed(self, engine_id: str, requests: Iterable[Request], end: End) -> None:
        """Nobody listens any more to what the engine knew by this id; what has not ended of it ends so."""
        for request in requests:
            self.ended(request, end)
            if self._named.get(engine_id) is request:
                del self._named[engine_id]

    # What it tells of steps

    def stepped(self, step: Step) -> None:
        """One step is over, and `gave` and `ended` have told whom it concerned."""
        now = self.clock()
        self._integrate(now)
        self.step = step
        if step.running is not None:
            for changed in self.lanes.match(step.running, now):
                for request in changed:
                    self._touch(request)
        self.steps.add(step, now)
        self.preempted += step.preemptions
        self.generated += step.generation_tokens
        self._prompt_tokens.add(step.prompt_tokens, now)
        self._generation_tokens.add(step.generation_tokens, now)
        self._prefix_queries.add(step.prefix_queries, now)
        self._prefix_hits.add(step.prefix_hits, now)

    # What is asked of it

    def ms(self, moment: float) -> int:
        """A moment as watchers have it: milliseconds since the board's birth."""
        return round((moment - self.born) * 1000)

    def find(self, engine_id: str) -> Request | None:
        """The request of this id while somebody listens to it."""
        return self._named.get(engine_id)

    @property
    def running(self) -> int:
        """Lanes in use."""
        return self.lanes.in_use

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self.lanes.waiting)

    def places(self) -> dict[int, int]:
        """Request id -> its place in line, from 1; of a line elsewhere nothing is known."""
        if self.engine.seen_from_here:
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

    def ended_within(self, seconds: float) -> list[Request]:
        """Requests that ended in the last so many seconds, oldest first."""
        horizon = self.clock() - seconds
        found: list[Request] = []
        for request in reversed(self._ended):
            if (request.ended or 0.0) < horizon:
                break
            found.append(request)
        found.reverse()
        return found

    def covered(self, seconds: float) -> float:
        """How many of the last so many seconds it knows of: it may be younger, and under load it forgets sooner."""
        oldest = self._ended[0] if len(self._ended) == ENDED_AT_MOST else None
        since = self.born if oldest is None else oldest.ended or self.born
        return min(seconds, self.clock() - since)

    def within(self, seconds: float) -> list[Request]:
        """The same and those that live, ENDED_AT_MOST in all, the latest."""
        return [*self.ended_within(seconds), *self._live.values()][-ENDED_AT_MOST:]

    def occupancy(self) -> float | None:
        """Lanes in use / all lanes, weighted by time, over FIGURES_WINDOW or since the engine started; None: not known."""
        now = self.clock()
        self._integrate(now)
        seconds = min(FIGURES_WINDOW, now - self._engine_since)
        if not self.lanes.count or self.engine.seen_from_here or seconds < 1:
            return None
        return min(1.0, self._busy.total(now) / (seconds * self.lanes.count))

    def prefix_hits(self) -> float | None:
        """Share of the prompt tokens that the prefix cache had, of those looked up within FIGURES_WINDOW; None: of none."""
        queries = self._prefix_queries.total(self.clock())
        return self._prefix_hits.total(self.clock()) / queries if queries else None

    def tokens_per_second(self) -> tuple[float, float]:
        """Prompt tokens computed and tokens given per second, over RATE_WINDOW."""
        now = self.clock()
        return self._prompt_tokens.rate(now), self._generation_tokens.rate(now)

    def saved(self, window: float = FIGURES_WINDOW) -> Saved | None:
        """What batching saved the requests that ended within a window (see `static_batching.py`); None: not known."""
        if self.engine.seen_from_here:
            return None
        ticks = self.steps.since(self.clock() - window)
        return saved(self.ended_within(window), ticks, self.lanes.count, window)

    def changed(self) -> tuple[Sequence[Request], bool]:
        """The requests that changed since the last call, and whether everything did, since there is a new engine."""
        changed, start_over = list(self._changed.values()), self._start_over
        self._changed.clear()
        self._start_over = False
        return changed, start_over

    def _touch(self, request: Request) -> None:
        self._changed[request.id] = request
        if len(self._changed) > ENDED_AT_MOST:  # nobody has asked in a long while
            self._changed.clear()

    def _integrate(self, now: float) -> None:
        """Adds the lane-seconds since the last look, before the number of busy lanes changes."""
        self._busy.add(self.lanes.in_use * (now - self._busy_since), now)
        self._busy_since = now
