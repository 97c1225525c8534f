"""A turn lives here, on the server: it waits for the engine and a lane, streams, and ends, whether or not anybody watches.

A turn writes into one message and publishes what changes; who listens, and over what, it does not know. Text is passed on
at once when the first token comes and then in flushes, so that the cost per token falls as the load grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from webui.batch.board import Board
from webui.batch.request import Request, State, new_id
from webui.conversation import End, Message, Sampling, Source
from webui.engines.base import Engine, Piece, Priority
from webui.engines.supervisor import Supervisor
from webui.errors import Internal, WebuiError
from webui.markdown import MarkdownStream, Tail, Update
from webui.prompt import Prompt

log = logging.getLogger(__name__)

FLUSH_EVERY = 0.050  # seconds between two flushes of one stream with few others beside it …
FLUSH_AT_MOST = 0.150  # … and with very many
STREAMS_FOR_MORE = 10  # so many running streams make it FLUSH_EVERY longer

Publish = Callable[[str, dict[str, Any]], None]


class Turn:
    """One answer being produced.

    Args:
        message: the answer's message; its text grows here, from what it says already.
        sampling: how tokens are chosen.
        prompt: makes the prompt once the engine is there.
        supervisor: has the engine, sooner or later.
        name: under which the page offers the engine; empty where there is no choice.
        board: knows the request's place and times.
        publish: takes ("text" or "turn", what changed).
        on_block: called when another block of the text is finished.
        on_end: called when the turn is over, whatever ended it.
        streams: how many turns run now.
    """

    def __init__(
        self,
        message: Message,
        sampling: Sampling,
        prompt: Callable[[Engine], Awaitable[Prompt]],
        *,
        supervisor: Supervisor,
        name: str,
        board: Board,
        publish: Publish,
        on_block: Callable[[], None],
        on_end: Callable[[], None],
        streams: Callable[[], int],
    ) -> None:
        self.message = message
        self.state: State = "waiting"
        self.place: int | None = None
        self._sampling = sampling
        self._prompt = prompt
        self._supervisor = supervisor
        self._name = name
        self.board = board
        self._publish = publish
        self._on_block = on_block
        self._on_end = on_end
        self._streams = streams
        self._request_id = new_id("page")
        self._request: Request | None = None
        self._markdown = MarkdownStream()
        self._markdown.feed(message.text)
        self._ended_as: End = "aborted"
        self._unsent: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name=f"turn {message.id}")

    @property
    def blocks(self) -> list[str]:
        """The finished blocks so far."""
        return self._markdown.blocks

    @property
    def tail(self) -> Tail:
        """The unfinished rest of what has been published."""
        return self._markdown.tail

    @property
    def request(self) -> Request | None:
        """The engine's request, once there is one."""
        if self._request is None:
            self._request = self.board.find(self._request_id)
        return self._request

    def stop(self, end: End = "aborted") -> None:
        """Ends the turn with the text so far; its lane is free with the engine's next step."""
        self._ended_as = end
        # Not at once: a task that is cancelled before it has begun would never come to its end.
        asyncio.get_running_loop().call_soon(self._task.cancel)

    async def wait(self) -> None:
        """Comes back when the turn is over."""
        await asyncio.wait([self._task])

    def look(self, places: dict[int, int]) -> None:
        """Publishes a new place in line, or that the prompt is being read; asked a few times a second."""
        request = self.request
        if request is None or self.state not in ("waiting", "prefill"):
            return
        place = places.get(request.id)
        state: State = "waiting" if request.state == "waiting" else "prefill"
        if (state, place) != (self.state, self.place) or self.message.request is None:
            self.state, self.place = state, place
            self.message.request = request.id
            self._tell(**self.line(), request=self.message.request)

    def line(self) -> dict[str, Any]:
        """State, place in line and the seconds that it will take about."""
        eta = self.board.wait_estimate(self.place) if self.place else None
        return {"state": self.state, "place": self.place, "eta": eta if eta is None else round(eta, 1)}

    async def _run(self) -> None:
        message = self.message
        try:
            await self._generate()
        except asyncio.CancelledError:
            message.end = self._ended_as
        except WebuiError as error:
            self._fail(error)
        except Exception:
            log.exception("A turn failed.")
            self._fail(Internal())
        finally:
            try:
                self._finish()
            finally:
                self._on_end()

    def _fail(self, error: WebuiError) -> None:
        error.write_to(log, "an answer")
        self.message.end, self.message.error = "failed", error.as_dict()

    async def _generate(self) -> None:
        engine = await self._supervisor.ready()
        self._credit(Source(self._name or engine.info.model, engine.info.model, engine.info.engine))
        prompt = await self._prompt(engine)
        if prompt.dropped:
            self.message.dropped = prompt.dropped
            self._tell(dropped=prompt.dropped)
        pieces = engine.generate(self._request_id, prompt, self._sampling, Priority.VISITOR)
        async with aclosing(pieces):  # type: ignore[type-var]
            async for piece in pieces:
                self._take(piece)

    def _credit(self, source: Source) -> None:
        """Notes who gives the answer; one that goes on with another's is a further one."""
        if source not in self.message.sources:
            self.message.sources += (source,)
        self._tell(sources=[asdict(source) for source in self.message.sources])

    def _take(self, piece: Piece) -> None:
        if piece.end is not None:
            self.message.end = piece.end
        first = self.state != "decode"
        if first:
            self.look({})
            self.state, self.place = "decode", None
            self._tell(state="decode", place=None, eta=None)
        if piece.text:
            self._unsent.append(piece.text)
            if first:
                self._flush()
            elif self._timer is None:
                self._timer = self._flush_later()

    def _flush_later(self) -> asyncio.TimerHandle:
        # At moments that all streams and the board's frames share: what a tab gets at the same time costs one write.
        loop = asyncio.get_running_loop()
        every = min(FLUSH_AT_MOST, FLUSH_EVERY * (1 + self._streams() // STREAMS_FOR_MORE))
        return loop.call_at((loop.time() // every + 1) * every, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text = "".join(self._unsent)
        self._unsent.clear()
        if text:
            self.message.text += text
            self._send(self._markdown.feed(text))

    def _send(self, update: Update) -> None:
        if update:
            self._publish("text", {"message": self.message.id, **update.as_dict()})
        if update.blocks:
            self._on_block()

    def _finish(self) -> None:
        message = self.message
        self._flush()
        self._send(self._markdown.finish())
        if (request := self.request) is not None:
            message.timing = request.timing()
            message.request = request.id
        self.state, self.place = "ended", None
        self._tell(
            **self.line(),
            text=message.text,
            end=message.end,
            error=message.error,
            timing=message.timing and message.timing.as_dict(),
            request=message.request,
        )

    def _tell(self, **changes: Any) -> None:
        self._publish("turn", {"message": self.message.id, **changes})
