"""What this app can know of an engine elsewhere: its own requests, from when they are sent to when their answer ends.

Tells the board of those and of nothing else: how long the server's line is, how many lanes it has and who else is in them is
not known here, and so not said. It does not know which kind of server it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from webui.batch.board import Board, EngineFacts, Progress
from webui.batch.request import Request
from webui.batch.steps import Step
from webui.conversation import End


class SeenRequest:
    """One request on its way.

    Attributes:
        end: how it ends; "aborted" as long as nobody said otherwise.
        tokens: how many came, as far as that is known.
    """

    def __init__(self, seen: SeenFromHere, request: Request) -> None:
        self._seen = seen
        self._request = request
        self.end: End = "aborted"
        self.tokens = 0

    def gave(self, tokens: int, prompt_tokens: int = 0) -> None:
        """Text came, made of so many tokens more; `prompt_tokens` is what the server counted in the prompt, 0 if unsaid."""
        self.tokens += tokens
        self._seen.gave(self._request, Progress(tokens=self.tokens, prompt_tokens=prompt_tokens), tokens)


class SeenFromHere:
    """Tells a board of the requests to one engine elsewhere.

    Args:
        board: is told; it starts over.
        device: what it is told that the engine runs on.
    """

    def __init__(self, board: Board, device: str = "") -> None:
        self._board = board
        board.reset(EngineFacts(lanes=1, device=device, seen_from_here=True))

    @contextlib.contextmanager
    def request(self, id: str, prompt_tokens: int, priority: int = 0) -> Iterator[SeenRequest]:
        """A request that is in flight for as long as the context lasts."""
        opened = self._board.opened(id, prompt_tokens, priority)
        request = SeenRequest(self, opened)
        self._stepped(0)
        try:
            yield request
        except Exception:
            request.end = "failed"
            raise
        finally:
            # Nobody tells later that its row is free.
            self._board.ended(opened, request.end, freed=True)
            self._board.closed(id, [opened], request.end)
            self._stepped(0)

    def gave(self, request: Request, progress: Progress, tokens: int) -> None:
        """A request gave text."""
        self._board.gave(request, progress)
        self._stepped(tokens)

    def _stepped(self, tokens: int) -> None:
        self._board.stepped(Step(self._board.running, self._board.waiting, generation_tokens=tokens))
