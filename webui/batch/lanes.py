"""Which request sits in which lane.

The engine says how many sequences run, not in which row. Priority and arrival decide who they are: the first in line gets
the lowest free lane. So the number of lanes in use is exact, their index is nominal.

Requests leave before the engine knows of it: until a step without them is told, their lanes count as in use.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort

from webui.batch.request import Request

STALE_STEPS = 1  # steps that may still be told as they were before the engine heard that a request was left


def _turn(request: Request) -> tuple[int, int]:
    """Its place in line: by priority, then by arrival, as vLLM's scheduler has it."""
    return request.priority, request.id


class Lanes:
    """The lanes of one engine and the line before them.

    Args:
        count: how many lanes the engine has (`max_num_seqs`).
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count))
        self._running: dict[int, Request] = {}
        self._waiting: list[Request] = []
        self._leaving: dict[int, int] = {}  # lane -> steps told since its request was left
        self._certain: set[int] = set()  # those that gave a token since they got their lane …
        self._gave: set[int] = set()  # … and in the last step

    @property
    def in_use(self) -> int:
        """How many lanes are taken."""
        return len(self._running) + len(self._leaving)

    @property
    def leaving(self) -> int:
        """How many of them the engine frees as soon as it hears that their request was left."""
        return len(self._leaving)

    @property
    def running(self) -> list[Request]:
        """Requests with a lane, in the order in which they got it."""
        return list(self._running.values())

    @property
    def waiting(self) -> list[Request]:
        """Requests in line, the next one first."""
        return list(self._waiting)

    def grow(self) -> None:
        """One lane more, for an engine that does not say how many it has."""
        heapq.heappush(self._free, self.count)
        self.count += 1

    def enter(self, request: Request) -> None:
        """A new request joins the line."""
        insort(self._waiting, request, key=_turn)

    def gave(self, request: Request) -> bool:
        """A request gave a token, so it surely has a lane; True if it was thought to wait."""
        self._gave.add(request.id)
        if request.id not in self._running:
            return True
        self._certain.add(request.id)
        return False

    def admit(self, request: Request, now: float) -> list[Request]:
        """Gives a waiting request the lowest free lane; the engine says that it has one.

        Returns:
            Those that were wrongly thought to have it, now in line again.
        """
        displaced = []
        if not self._free and self._leaving:
            self._free_lane(next(iter(self._leaving)))
        if not self._free:
            displaced = [request for request in self.running if request.id not in self._certain][-1:]
            for wrong in displaced:
                self._send_back(wrong, now)
        if self._free and self._place(request) is not None:
            self._seat(request, now)
            self._certain.add(request.id)
        return displaced

    def leave(self, request: Request, freed: bool) -> None:
        """A request is over. It keeps the number of its lane for the picture.

        Args:
            freed: whether the engine itself has ended it; else its lane is free once the engine has heard of it.
        """
        if self._running.pop(request.id, None) is not None:
            assert request.lane is not None
            self._leaving[request.lane] = 0
            if freed:
                self._free_lane(request.lane)
        elif (place := self._place(request)) is not None:
            del self._waiting[place]
        self._certain.discard(request.id)
        self._gave.discard(request.id)

    def match(self, running: int, now: float) -> tuple[list[Request], list[Request]]:
        """Brings the lanes in line with the number of sequences that the engine says are running after a step.

        Returns:
            The requests that got a lane and those that were sent back.
        """
        self._let_go(running)
        admitted, sent_back = [], []
        while self.in_use > running and self._running:
            sent_back.append(self._victim())
            self._send_back(sent_back[-1], now)
        while self.in_use < running and self._waiting and self._free:
            admitted.append(self._waiting[0])
            self._seat(self._waiting[0], now)
        self._gave.clear()
        return admitted, sent_back

    def _let_go(self, running: int) -> None:
        """Frees the lanes of those who left, as far as the engine knows of it."""
        for lane, steps in list(self._leaving.items()):
            if steps >= STALE_STEPS or self.in_use > running:
                self._free_lane(lane)
            else:
                self._leaving[lane] = steps + 1

    def _victim(self) -> Request:
        """Who has most probably lost its lane: one that gave tokens before but none in this step, else one that never gave
        any, else whom the scheduler would choose: the last by priority and arrival."""

        def likelihood(request: Request) -> tuple[int, int, int]:
            silent = 0 if request.id in self._gave else 2 if request.id in self._certain else 1
            return silent, *_turn(request)

        return max(self._running.values(), key=likelihood)

    def _seat(self, request: Request, now: float) -> None:
        self._waiting.pop(bisect_left(self._waiting, _turn(request), key=_turn))
        request.seated(heapq.heappop(self._free), now)
        self._running[request.id] = request

    def _send_back(self, request: Request, now: float) -> None:
        del self._running[request.id]
        assert request.lane is not None
        heapq.heappush(self._free, request.lane)
        if request.id in self._certain:
            request.preempted(now)
        else:
            request.unseated()
        self._certain.discard(request.id)
        self.enter(request)

    def _place(self, request: Request) -> int | None:
        place = bisect_left(self._waiting, _turn(request), key=_turn)
        return place if place < len(self._waiting) and self._waiting[place] is request else None

    def _free_lane(self, lane: int) -> None:
        del self._leaving[lane]
        heapq.heappush(self._free, lane)
