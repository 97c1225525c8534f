"""One event stream per browser tab: the conversation that it shows, the visitor's list of chats, the engine and the board.

Server-sent events (HTML standard, section 9.2). A tab that comes back names the last event of its conversation that it saw
and gets the rest; otherwise it gets the present state. README, "The stream", lists the events. It knows neither the engine
nor what a turn does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from webui.batch.board import Board
from webui.channel import Channel, Mailbox, encode
from webui.engines.supervisor import Supervisor
from webui.history.keeper import History
from webui.library import Chat, Visitor

PING_EVERY = 15.0  # seconds; shorter than the idle time-out of the usual proxies (60 s)
PING = b": ping\n\n"
FRAME_EVERY = 0.2  # seconds between two frames of the board while something happens …
IDLE_FRAMES = 5  # … and every how many of them while nothing does
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
        board: makes the frames; each is made and serialised once however many watch, and not at all while nobody does.
        history: knows whether conversations are kept.
    """

    def __init__(self, supervisor: Supervisor, board: Board, history: History) -> None:
        self._supervisor = supervisor
        self._history = history
        self._board = board
        self._mailboxes: set[Mailbox] = set()
        self._channel = Channel(on_watched=self._begin)
        self._ticker: asyncio.Task[None] | None = None
        self._closed = False

    def status(self) -> dict[str, Any]:
        """What the engine is doing, and whether conversations are kept."""
        return {**self._supervisor.status(), "history": self._history.state}

    def tell_status(self) -> None:
        """Sends the new state."""
        self._channel.send(encode("status", self.status()))

    @contextlib.contextmanager
    def watched_by(self, mailbox: Mailbox) -> Iterator[None]:
        """Sends to this mailbox from now on, the present first."""
        mailbox.put(RETRY + encode("status", self.status()) + encode("board", self._board.full_frame()))
        self._mailboxes.add(mailbox)
        self._channel.join(mailbox)
        if self._closed:
            mailbox.close()
        try:
            yield
        finally:
            self._channel.leave(mailbox)
            self._mailboxes.discard(mailbox)

    def close(self) -> None:
        """Ends every tab's stream after what it still has to get."""
        self._closed = True
        for mailbox in self._mailboxes:
            mailbox.close()

    def _begin(self) -> None:
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick(), name="board frames")

    async def _tick(self) -> None:
        idle = 0
        while self._channel.watchers:
            frame = self._board.frame()
            busy = frame["requests"] or frame["running"] or frame["waiting"]
            idle = 0 if busy else idle + 1
            if idle % IDLE_FRAMES == 0 or idle == 1:
                self._channel.send(encode("board", frame))
            await asyncio.sleep(FRAME_EVERY)


class TabStream:
    """The response that streams to one tab; an ASGI application.

    Args:
        everybody, visitor: whose events it gets.
        chat: the conversation that the tab shows.
    """

    def __init__(self, everybody: Everybody, visitor: Visitor, chat: Chat) -> None:
        self._everybody = everybody
        self._visitor = visitor
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mailbox = Mailbox()
        seen = Request(scope).headers.get("last-event-id", "")
        with self._everybody.watched_by(mailbox), self._joined(mailbox, seen):
            watcher = asyncio.create_task(_close_when_gone(receive, mailbox))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                while part := await _next(mailbox):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                watcher.cancel()

    @contextlib.contextmanager
    def _joined(self, mailbox: Mailbox, seen: str) -> Iterator[None]:
        channel, visitor = self._chat.channel, self._visitor
        missed = channel.since(seen)
        if missed is None:
            missed = encode("messages", self._chat.view(), channel.position)
        mailbox.put(missed + encode("chats", visitor.view_of_chats()) + encode("mine", visitor.view_of_requests()))
        channel.join(mailbox)
        visitor.channel.join(mailbox)
        try:
            yield
        finally:
            visitor.channel.leave(mailbox)
            channel.leave(mailbox)


async def _next(mailbox: Mailbox) -> bytes:
    """What is in the mailbox, a ping if nothing comes for long, nothing when it is closed."""
    try:
        async with asyncio.timeout(PING_EVERY):
            return await mailbox.take()
    except TimeoutError:
        return PING


async def _close_when_gone(receive: Receive, mailbox: Mailbox) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    mailbox.close()
