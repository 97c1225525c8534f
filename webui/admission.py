"""Who may come in: how many requests each owner has in flight, and how many there may be in all.

An owner is a visitor, an API key or an address, told apart by name. It knows neither HTTP nor the engine; the order in
which the engine takes those who are in is the engine's.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from webui.errors import QueueFull, TooManyRequests


class Admission:
    """Counts the requests in flight of every door.

    Args:
        max_waiting: requests that may wait, everybody's together.
        lanes: tells how many more are running meanwhile.
    """

    def __init__(self, max_waiting: int, lanes: Callable[[], int]) -> None:
        self._max_waiting = max_waiting
        self._lanes = lanes
        self._in_flight: Counter[str] = Counter()

    def in_flight(self, owner: str) -> int:
        """How many requests of an owner's are in."""
        return self._in_flight[owner]

    def check_line(self, count: int = 1) -> None:
        """Raises QueueFull unless so many more may come."""
        lanes, requests = self._lanes(), self._in_flight.total()
        if requests + count > lanes + self._max_waiting:
            raise QueueFull(waiting=max(0, requests - lanes))

    def enter(self, owner: str, count: int = 1) -> None:
        """Counts requests in, whatever the limits say."""
        self._in_flight[owner] += count

    def leave(self, owner: str, count: int = 1) -> None:
        """Counts requests out."""
        self._in_flight[owner] -= count
        if not self._in_flight[owner]:
            del self._in_flight[owner]

    @contextlib.contextmanager
    def admitted(self, owner: str, count: int, limit: int) -> Iterator[None]:
        """Lets an owner's requests in for as long as the context lasts.

        Args:
            count: how many they are; all are let in, or none.
            limit: how many this owner may have in flight at once.

        Raises:
            TooManyRequests: if the owner has too many already.
            QueueFull: if the line is full.
        """
        running = self.in_flight(owner)
        if running + count > limit:
            raise TooManyRequests(running=running, limit=limit)
        self.check_line(count)
        self.enter(owner, count)
        try:
            yield
        finally:
            self.leave(owner, count)
