"""The whole app as a process, before an engine that answers with the question's own words: what is asked is what is drawn.
Engines elsewhere, if the settings name any, are the app's own.

A question may begin with a line of its own: `every 20 ms` says how long each token takes, `fail` breaks the answer off. Without
vLLM it is there within seconds, and its answers cost nothing, so that the page alone is measured and looked at.
`python -m tests.echo_app` takes the app's own settings.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

from webui import library
from webui.batch.board import Board, EngineFacts, Progress
from webui.batch.steps import Step
from webui.conversation import Sampling
from webui.engines.base import EngineInfo, Piece, Priority, Report
from webui.history import keeper
from webui.prompt import Prompt
from webui.server import app, list_api, process
from webui.settings import load

TOKEN = 4  # characters
CONTEXT = 2**21
_SPEAKER = "\x02"
_PACE = re.compile(r"every (\d+) ms\n")


class Tokenizer:
    """A token is a character; a message begins with who says it."""

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """No token is a control token."""
        return {}

    def apply_chat_template(self, conversation: list[dict[str, str]], **_: Any) -> str:
        said = "".join(f"{_SPEAKER}{turn['role']}{_SPEAKER}{turn['content']}" for turn in conversation)
        return f"{said}{_SPEAKER}assistant{_SPEAKER}"

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": list(map(ord, text))}


class EchoEngine:
    """Answers at once, or at the pace that the question asks for; of the board it fills its four lanes."""

    info = EngineInfo("echo", "CPU", "echo", lanes=4, context=CONTEXT, sampling=Sampling())
    tokenizer = Tokenizer()
    alive = True

    def __init__(self, board: Board) -> None:
        self._board = board
        board.reset(EngineFacts(lanes=4, device="CPU"))

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        """See `Engine`."""
        *_, question, _, begun = "".join(map(chr, prompt.ids)).split(_SPEAKER)
        request = self._board.opened(request_id, len(prompt.ids), priority)
        end: Any = "aborted"
        try:
            if question.startswith("fail\n"):
                raise RuntimeError("told to fail")
            pace = _PACE.match(question)
            text = question[pace.end() if pace else 0 :].removeprefix(begun)
            for tokens, start in enumerate(range(0, len(text), TOKEN), 1):
                await asyncio.sleep(int(pace[1]) / 1000 if pace else 0)
                self._board.gave(request, Progress(tokens=tokens, prompt_tokens=len(prompt.ids)))
                self._board.stepped(Step(self._board.running, self._board.waiting, generation_tokens=1))
                yield Piece(text[start : start + TOKEN])
            end = "stop"
            yield Piece("", end)
        finally:
            self._board.ended(request, end, freed=True)
            self._board.closed(request_id, [request], end)
            self._board.stepped(Step(self._board.running, self._board.waiting))

    async def shutdown(self) -> None:
        """See `Engine`."""
        self.alive = False


class EchoEngines:
    """Starts one at once."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def __call__(self, report: Report) -> EchoEngine:
        """See `EngineFactory`."""
        report("loading")
        return EchoEngine(self._board)


def main() -> int:
    """Serves until a signal ends it."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    for chatty in ("httpx", "httpcore", "asyncio", "markdown_it", "python_multipart"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    keeper.UNDO_WITHIN = library.UNDO_WITHIN = list_api.UNDO_WITHIN = 120.0  # a browser may stand still for ten seconds
    elsewhere = app.engines
    app.engines = lambda settings, *more: EchoEngines(more[0]) if settings.engine == "local" else elsewhere(settings, *more)
    return process.run(load(sys.argv[1:]))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
