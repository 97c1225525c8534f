"""What this app can know of an engine elsewhere: its own requests, from when they are sent to when their answer ends.

Tells the board of those and of nothing else: how long the server's line is, how many lanes it has and who else is in them is
not known here, and so not said. It does not know which kind of server it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from webui.batch.board import Board, Progress, Step
from webui.conversation import End


class SeenRequest:
    """One request on its way.

    Attributes:
        end: how it ends; "aborted" as long as nobody said otherwise.
        tokens: how many came, as far as that is known.
    """

    def __init__(self, seen: SeenFromHere, id: str) -> None:
        self._seen = seen
        self._id = id
        self.end: End = "aborted"
        self.tokens = 0

    def gave(self, tokens: int, prompt_tokens: int = 0) -> None:
        """Text came, made of so many tokens more; `prompt_tokens` is what the server counted in the prompt, 0 if unsaid."""
        self.tokens += tokens
        self._seen.gave(self._id, Progress(tokens=self.tokens, prompt_tokens=prompt_tokens), tokens)


class SeenFromHere:
    """Tells a board of the requests to one engine elsewhere.

    Args:
        board: is told; it starts over.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        board.reset(1, seen_from_here=True)

    @contextlib.contextmanager
    def request(self, id: str, prompt_tokens: int) -> Iterator[SeenRequest]:
        """A request that is in flight for as long as the context lasts."""
        request = SeenRequest(self, id)
        self._board.opened(id, prompt_tokens)
        self._stepped(0)
        try:
            yield request
        except Exception:
            request.end = "failed"
            raise
        finally:
            self._board.closed(id, request.end)
            self._stepped(0)

    def gave(self, id: str, progress: Progress, tokens: int) -> None:
        """A request gave text."""
        self._board.gave(id, progress)
        self._stepped(tokens)

    def _stepped(self, tokens: int) -> None:
        self._board.stepped(Step(self._board.running, self._board.waiting, generation_tokens=tokens))
