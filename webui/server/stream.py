"""One event stream per browser tab: the conversation that it shows, the visitor's list of chats, the engine and the board.

Server-sent events (HTML standard, section 9.2). A tab that comes back names the last event of its conversation that it saw
and gets the rest; otherwise it gets the present state. A wall shows the engine and the board alone. README, "The stream", lists
the events. It knows neither the engine nor what a turn does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from webui.batch.frames import Frames
from webui.channel import Channel, Mailbox, encode
from webui.engines.supervisor import Supervisor
from webui.history.keeper import History
from webui.open_chat import RENDERED_AT_ONCE, Chat

PING_EVERY = 15.0  # seconds; shorter than the idle time-out of the usual proxies (60 s)
PING = b"event: ping\ndata: {}\n\n"  # no comment, so that a page can hear that the stream still lives
FRAME_EVERY = 0.2  # seconds between two frames of the board
RETRY = b"retry: 1000\n\n"  # milliseconds after which a browser reconnects
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
]


class Everybody:
    """What every tab gets: what the engine is doing, and the board.

    Args:
        supervisor: has the engine.
        frames: makes the board's frames; each is made and serialised once however many watch, and not at all while nobody does.
        history: knows whether conversations are kept.
        more: what the status says besides, of the choice of engines.

    Attributes:
        bytes_sent: over all streams since the start.
    """

    def __init__(
        self, supervisor: Supervisor, frames: Frames, history: History, more: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self._supervisor = supervisor
        self._more = more
        self._frames = frames
        self._history = history
        self._channel = Channel(on_watched=self._begin)
        self._up_to_date = Channel()  # those who have a full frame
        self._newcomers: set[Mailbox] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._closed = False
        self.bytes_sent = 0

    @property
    def watchers(self) -> int:
        """How many streams are open."""
        return self._channel.watchers

    def status(self) -> dict[str, Any]:
        """What the engine is doing, and whether conversations are kept."""
        return {**self._supervisor.status(), "history": self._history.state, **self._more()}

    def tell_status(self) -> None:
        """Sends the new state."""
        self._channel.send(encode("status", self.status()))

    @contextlib.contextmanager
    def watched_by(self, mailbox: Mailbox) -> Iterator[None]:
        """Sends to this mailbox from now on, the present first; the board with its next frame."""
        mailbox.put(RETRY + encode("status", self.status()))
        self._newcomers.add(mailbox)
        self._channel.join(mailbox)
        if self._closed:
            mailbox.close()
        try:
            yield
        finally:
            self._channel.leave(mailbox)
            self._up_to_date.leave(mailbox)
            self._newcomers.discard(mailbox)

    def close(self) -> None:
        """Ends every tab's stream after what it still has to get."""
        self._closed = True
        self._channel.close()

    def _begin(self) -> None:
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick(), name="board frames")

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + PING_EVERY
        while self._channel.watchers:
            self._send_frames()
            if ping_at <= loop.time():
                self._channel.send(PING)
                ping_at += PING_EVERY
            await asyncio.sleep(FRAME_EVERY - loop.time() % FRAME_EVERY)

    def _send_frames(self) -> None:
        """What changed to those who know the rest, then the whole to those who have just come."""
        if (frame := self._frames.frame()) is not None:
            self._up_to_date.send(encode("board", frame))
        if self._newcomers:
            full = encode("board", self._frames.full())
            for mailbox in self._newcomers:
                mailbox.put(full)
                self._up_to_date.join(mailbox)
            self._newcomers.clear()


class TabStream:
    """The response that streams to one tab; an ASGI application.

    Args:
        everybody: the events that every tab gets.
        own: the events that this tab gets beside them: given its mailbox and the last event that it saw, watches for it.
    """

    def __init__(self, everybody: Everybody, own: Callable[[Mailbox, str], AbstractContextManager[None]] | None = None) -> None:
        self._everybody = everybody
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mailbox = Mailbox()
        seen = Request(scope).headers.get("last-event-id", "")
        own = self._own(mailbox, seen) if self._own else contextlib.nullcontext()
        with self._everybody.watched_by(mailbox), own:
            watcher = asyncio.create_task(_close_when_gone(receive, mailbox))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                while part := await mailbox.take():
                    self._everybody.bytes_sent += len(part)
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                watcher.cancel()


class ChatEvents:
    """The events of one conversation and of the visitor whose it is.

    Args:
        chat: the conversation that the tab shows.
        rendered: how many of its messages are sent with their blocks; a tab can ask for those of the others.
    """

    def __init__(self, chat: Chat, rendered: int = RENDERED_AT_ONCE) -> None:
        self._chat = chat
        self._rendered = rendered

    @contextlib.contextmanager
    def __call__(self, mailbox: Mailbox, seen: str) -> Iterator[None]:
        """Sends them to a mailbox, from behind the last event that it saw."""
        channel, visitor = self._chat.channel, self._chat.owner
        missed = channel.since(seen)
        if missed is None:
            missed = encode("messages", self._chat.view(self._rendered), channel.position)
        mailbox.put(missed + encode("chats", visitor.view_of_chats()) + encode("mine", visitor.view_of_requests()))
        channel.join(mailbox)
        visitor.channel.join(mailbox)
        try:
            yield
        finally:
            visitor.channel.leave(mailbox)
            channel.leave(mailbox)


async def _close_when_gone(receive: Receive, mailbox: Mailbox) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    mailbox.close()
