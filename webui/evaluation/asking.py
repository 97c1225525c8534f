"""Asks an engine the questions of a run, below everybody else's requests.

An engine that dies is waited for, and the question asked again; one that cannot be started ends the run. It knows neither rows
nor scores.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from webui.batch.board import Board
from webui.batch.request import Request, new_id
from webui.conversation import Message, Sampling
from webui.engines.base import Engine, Priority
from webui.engines.supervisor import Supervisor
from webui.errors import EngineStopped, Internal, WebuiError
from webui.evaluation.runs import Answer, Ask, times_of
from webui.prompt import Prompt

log = logging.getLogger(__name__)

TRIES = 3  # while the engine dies under a question

MakePrompt = Callable[[Engine, Sequence[Message], str, Sampling], Awaitable[Prompt]]


class Asking:
    """Answers questions by the engine that runs.

    Args:
        supervisor: has the engine.
        board: knows each request's times.
        prompt: makes the prompt of messages.
    """

    def __init__(self, supervisor: Supervisor, board: Board, prompt: MakePrompt) -> None:
        self._supervisor = supervisor
        self._board = board
        self._prompt = prompt

    async def __call__(self, ask: Ask) -> Answer:
        """The answer, or why there is none.

        Raises:
            WebuiError: if there is no engine, and will be none.
        """
        answer = Answer(ask.key, ask.about)
        failure: WebuiError | None = None
        for _ in range(TRIES):
            engine = await self._supervisor.ready()
            try:
                await self._answer(engine, ask, answer)
                return answer
            except EngineStopped as error:
                failure = error
            except WebuiError as error:
                failure = error
                break
            except Exception:  # such as a template that refuses these roles: this question's end, not the run's
                log.exception("An answer of an evaluation failed.")
                failure = Internal()
                break
        assert failure is not None
        failure.write_to(log, "an answer of an evaluation")
        answer.error = failure.as_dict()
        return answer

    async def _answer(self, engine: Engine, ask: Ask, answer: Answer) -> None:
        answer.text = ""
        messages = [Message(role, text) for role, text in ask.messages]
        prompt = await self._prompt(engine, messages, ask.system, ask.sampling)
        request: Request | None = None
        async for piece, known in self.pieces(engine, prompt, ask.sampling):
            request = known
            answer.text += piece.text
            answer.end = piece.end
        if request is not None and request.ended is not None:
            answer.times = times_of(request)

    async def pieces(self, engine: Engine, prompt: Prompt, sampling: Sampling):  # type: ignore[no-untyped-def]
        """The pieces of one answer, each with what the board knows of its request."""
        id = new_id("evaluation")
        request: Request | None = None
        async with aclosing(engine.generate(id, prompt, sampling, Priority.EVALUATION)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                request = request or self._board.find(id)
                yield piece, request
