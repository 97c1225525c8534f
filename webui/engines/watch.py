"""Looks whether a server elsewhere is still well: every few seconds, and at once when somebody doubts it.

It does not know what kind of server it is, nor what becomes of an engine that is not well any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

LOOK_EVERY = 2.0  # seconds


class Watch:
    """Looks at one server, from now on until it was not well twice in a row.

    Args:
        is_well: asks it.
        name: of the task that looks.
        look_every: seconds between two looks.
    """

    def __init__(self, is_well: Callable[[], Awaitable[bool]], name: str, look_every: float = LOOK_EVERY) -> None:
        self._is_well = is_well
        self._look_every = look_every
        self._doubt = asyncio.Event()
        self._task = asyncio.create_task(self._look(), name=name)
        self.alive = True

    def doubt(self) -> None:
        """Has the server looked at now."""
        self._doubt.set()

    async def stop(self) -> None:
        """Looks no more; the server counts as gone."""
        self.alive = False
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while self.alive:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_every):
                    await self._doubt.wait()
            self._doubt.clear()
            self.alive = await self._is_well() or await self._is_well()
