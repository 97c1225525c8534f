"""Channels: numbered events for those who watch, kept a while for those who come back.

An event is serialised once, however many watch. A mailbox collects the events of all channels that one browser tab watches.
It knows neither turns nor HTTP; the format of an event is that of server-sent events (HTML standard, section 9.2).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

KEPT = 512  # events that a channel keeps for those who come back
MAILBOX_BYTES = 4_000_000  # a tab that lags by more than this is sent away; it comes back and gets the present state


def encode(kind: str, data: Any, id: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {kind}\n" if id is None else f"id: {id}\nevent: {kind}\n"
    return head.encode() + b"data: " + orjson.dumps(data) + b"\n\n"


class Mailbox:
    """What one tab has not been sent yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()
        self.closed = False

    def put(self, event: bytes) -> None:
        """Adds an event; a mailbox that is full closes."""
        if self.closed:
            return
        self._parts.append(event)
        self._size += len(event)
        self._filled.set()
        if self._size > MAILBOX_BYTES:
            self.close()

    def close(self) -> None:
        """No more events; what is in it may still be taken."""
        self.closed = True
        self._filled.set()

    async def take(self) -> bytes:
        """All events since the last call, at least one; empty once it is closed and empty."""
        if not self._parts and not self.closed:
            self._filled.clear()
            await self._filled.wait()
            await asyncio.sleep(0)  # what else is due at this moment comes along
        parts, self._parts, self._size = self._parts, [], 0
        return b"".join(parts)


class Channel:
    """Events that several tabs may watch.

    Args:
        on_empty: called when the last watcher has left.
        on_watched: called when the first one came.
    """

    def __init__(self, on_empty: Callable[[], None] = lambda: None, on_watched: Callable[[], None] = lambda: None) -> None:
        self._on_empty = on_empty
        self._on_watched = on_watched
        self._watchers: set[Mailbox] = set()
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._epoch = secrets.token_hex(4)  # numbers of another process, or of another channel, mean nothing here
        self._number = 0

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    @property
    def position(self) -> str:
        """The id of the newest event."""
        return f"{self._epoch}-{self._number}"

    def publish(self, kind: str, data: Any) -> None:
        """Numbers an event, keeps it and sends it to all who watch."""
        self._number += 1
        event = encode(kind, data, self.position)
        self._kept.append((self._number, event))
        for mailbox in self._watchers:
            mailbox.put(event)

    def send(self, event: bytes) -> None:
        """Sends an event that nobody needs later."""
        for mailbox in self._watchers:
            mailbox.put(event)

    def join(self, mailbox: Mailbox) -> None:
        """Begins to watch."""
        self._watchers.add(mailbox)
        if len(self._watchers) == 1:
            self._on_watched()

    def leave(self, mailbox: Mailbox) -> None:
        """Ends watching."""
        self._watchers.discard(mailbox)
        if not self._watchers:
            self._on_empty()

    def close(self) -> None:
        """Sends all who watch away; those who come back get the present state."""
        for mailbox in self._watchers:
            mailbox.close()

    def since(self, position: str) -> bytes | None:
        """The events behind a position, joined; None if they are not all here any more."""
        epoch, _, digits = position.partition("-")
        if epoch != self._epoch or not digits.isdigit() or int(digits) > self._number:
            return None
        number = int(digits)
        oldest_needed = number + 1
        if number < self._number and (not self._kept or self._kept[0][0] > oldest_needed):
            return None
        return b"".join(event for n, event in self._kept if n > number)
