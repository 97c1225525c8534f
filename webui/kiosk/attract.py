"""Keeps the batch moving while nobody uses the kiosk: waves of demonstration requests behind the example questions.

They stop as soon as somebody touches the screen. It does not know what the screen shows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from webui.channel import Mailbox
from webui.demo_traffic import DemoTraffic
from webui.errors import DemoFull, EngineNotReady
from webui.kiosk.file import KioskFile

NAME = "attract"  # as whose the requests are sent
LOOK_EVERY = 1.0  # seconds
PAUSE = 3  # looks between two waves, so that the picture has a rhythm


class AttractLoop:
    """What happens while nobody does anything.

    Args:
        demo: sends the requests.
        kiosk: the file in force.
    """

    def __init__(self, demo: DemoTraffic, kiosk: Callable[[], KioskFile]) -> None:
        self._demo = demo
        self._kiosk = kiosk
        self._looker: asyncio.Task[None] | None = None
        self.watchers = 0

    @contextlib.contextmanager
    def watched(self, mailbox: Mailbox, seen: str) -> Iterator[None]:
        """A screen waits for somebody for as long as the context lasts; it has no events of its own."""
        self.watchers += 1
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look(), name="attract loop")
        try:
            yield
        finally:
            self.watchers -= 1
            if not self.watchers:
                self._demo.stop(NAME)

    async def _look(self) -> None:
        idle = PAUSE
        while self.watchers:
            idle = 0 if self._demo.count else idle + 1
            count = self._kiosk().attract_requests
            if count and idle > PAUSE:
                with contextlib.suppress(EngineNotReady, DemoFull):
                    self._demo.start(NAME, count)
            await asyncio.sleep(LOOK_EVERY)
