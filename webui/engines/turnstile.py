"""Visitors first, before an engine whose scheduler knows no priorities: it takes requests in the order in which they come.

A visitor's request passes at once. Any other waits until a lane is free, the most important first and among the same the one
that came first, so that none of them ever stands in the engine's line before a visitor. It knows neither engine nor request.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator


class Turnstile:
    """What stands before one engine.

    Args:
        lanes: sequences that the engine runs at once.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._inside = 0
        self._arrivals = 0
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []  # priority, arrival, sequences

    @contextlib.asynccontextmanager
    async def passed(self, priority: int, sequences: int = 1) -> AsyncIterator[None]:
        """Comes in when it may, and is inside as long as the context lasts; leaving it while it waits leaves the line.

        Args:
            priority: 0 for a visitor; the lower, the sooner.
            sequences: how many lanes the request takes.
        """
        if priority > 0:
            await self._turn(priority, sequences)
        else:
            self._inside += sequences
        try:
            yield
        finally:
            self._inside -= sequences
            self._let_in()

    async def _turn(self, priority: int, sequences: int) -> None:
        """Comes back when it has been let in, and counted."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, sequences, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in, and left in the same moment
                self._inside -= sequences
                self._let_in()
            raise

    def _let_in(self) -> None:
        """One that takes more lanes than there are gets in once a single one is free: the engine runs what it can of it."""
        while self._waiting and self._inside < self._lanes:
            _, _, sequences, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._inside += sequences
                turn.set_result(None)
