"""Which request sits in which lane.

The engine says how many sequences run, not in which row. First come, first served decides who they are: the oldest waiting
request gets the lowest free lane. So the number of lanes in use is exact, their index is nominal. It knows no clock.
"""

from __future__ import annotations

import heapq

from webui.batch.request import Request


class Lanes:
    """The lanes of one engine and the line before them.

    Args:
        count: how many lanes the engine has (`max_num_seqs`).
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count))
        self._running: dict[int, Request] = {}
        self._waiting: dict[int, Request] = {}

    @property
    def running(self) -> list[Request]:
        """Requests with a lane, in the order in which they got it."""
        return list(self._running.values())

    @property
    def waiting(self) -> list[Request]:
        """Requests in line, the next one first."""
        return list(self._waiting.values())

    def grow(self) -> None:
        """One lane more, for an engine that does not say how many it has."""
        heapq.heappush(self._free, self.count)
        self.count += 1

    def enter(self, request: Request) -> None:
        """A new request joins the end of the line."""
        self._waiting[request.id] = request

    def admit(self, request: Request) -> bool:
        """Gives a waiting request the lowest free lane; False if it is not waiting or no lane is free."""
        if request.id not in self._waiting or not self._free:
            return False
        del self._waiting[request.id]
        request.lane = heapq.heappop(self._free)
        self._running[request.id] = request
        return True

    def send_back(self, request: Request) -> None:
        """A preempted request gives its lane up and stands first in line again."""
        if request.id not in self._running:
            return
        self._release(request)
        request.lane = None
        self._waiting = {request.id: request, **self._waiting}

    def leave(self, request: Request) -> None:
        """A request is over: its lane, or its place in line, is free. It keeps the number of its lane for the picture."""
        if request.id in self._running:
            self._release(request)
        self._waiting.pop(request.id, None)

    def match(self, running: int) -> tuple[list[Request], list[Request]]:
        """Brings the lanes in line with the number of sequences that the engine says are running.

        Returns:
            The requests that got a lane and those that were sent back, newest first.
        """
        admitted, sent_back = [], []
        for request in self.waiting:
            if len(self._running) >= running or not self.admit(request):
                break
            admitted.append(request)
        for request in reversed(self.running):
            if len(self._running) <= running:
                break
            self.send_back(request)
            sent_back.append(request)
        return admitted, sent_back

    def _release(self, request: Request) -> None:
        del self._running[request.id]
        assert request.lane is not None
        heapq.heappush(self._free, request.lane)
