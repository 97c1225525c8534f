"""An engine on a server elsewhere: what all kinds of them have in common.

The server is looked at as long as the engine lives, and the board is told of this app's own requests. What a server is asked,
and how, each kind knows for itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing

from webui.batch.board import Board
from webui.conversation import Sampling
from webui.engines.base import EngineInfo, Piece, Priority
from webui.engines.seen_from_here import SeenFromHere, SeenRequest
from webui.engines.watch import Watch
from webui.prompt import Prompt


class EngineElsewhere(ABC):
    """A connection to one model of a server. See `Engine`.

    Args:
        info: what is known of the engine.
        board: hears of the requests.
    """

    def __init__(self, info: EngineInfo, board: Board) -> None:
        self.info = info
        self._seen = SeenFromHere(board, info.device)
        self._watch = Watch(self._is_well, f"look at {info.device}")

    @property
    def alive(self) -> bool:
        """See `Engine`."""
        return self._watch.alive

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        """See `Engine`. A server's line takes no priority from here."""
        with self._seen.request(request_id, len(prompt.ids), priority) as seen:
            async with aclosing(self._answer(request_id, prompt, sampling, seen)) as texts:  # type: ignore[type-var]
                async for text in texts:
                    yield Piece(text)
            yield Piece("", seen.end)

    @abstractmethod
    def _answer(self, request_id: str, prompt: Prompt, sampling: Sampling, seen: SeenRequest) -> AsyncIterator[str]:
        """The texts of one answer; `seen` is told its tokens and how it ends."""

    @abstractmethod
    async def _is_well(self) -> bool:
        """Whether the server still has the model."""

    async def shutdown(self) -> None:
        """See `Engine`. The server goes on; this app's requests to it are ended."""
        await self._watch.stop()
