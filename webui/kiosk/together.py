"""One at a time against together: the same prompts one after another and then batched, both measured.

Each answer has as many tokens as the next, whatever it says, so that both ways do the same work. Every prompt is read once
before: neither way has the prefix cache for itself. The requests are of the lowest priority. Who else was in the batch
meanwhile is counted, since it slows what is measured. It knows neither screens nor visits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from webui.batch.board import Board
from webui.batch.request import Request, new_id
from webui.conversation import Message, Sampling
from webui.engines.base import Engine, Priority
from webui.engines.supervisor import Supervisor
from webui.errors import ComparisonRunning, EngineNotReady, Internal, WebuiError
from webui.prompt import Prompt

log = logging.getLogger(__name__)

PROMPTS = 8
TELL_EVERY = 0.1  # seconds

Publish = Callable[[dict[str, Any]], None]


@dataclass
class Way:
    """One of the two ways, as far as it has come.

    Attributes:
        tokens: of each answer.
        spans: from when to when each had its lane, seconds since `began`; None: not yet.
        began, ended: seconds of the monotonic clock; None: not yet.
    """

    tokens: list[int] = field(default_factory=lambda: [0] * PROMPTS)
    spans: list[tuple[float, float] | None] = field(default_factory=lambda: [None] * PROMPTS)
    began: float | None = None
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or did."""
        if self.began is None:
            return 0.0
        return (time.monotonic() if self.ended is None else self.ended) - self.began

    @property
    def rate(self) -> float:
        """Tokens per second: tokens of all answers ÷ seconds."""
        return sum(self.tokens) / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As a page draws it."""
        return {"tokens": self.tokens, "spans": self.spans, "seconds": self.seconds, "rate": self.rate}

    def heard(self, place: int, request: Request) -> None:
        """An answer has come so far."""
        self.tokens[place] = request.tokens
        if self.began is not None and request.scheduled is not None and request.last is not None:
            self.spans[place] = request.scheduled - self.began, request.last - self.began


@dataclass
class Comparison:
    """One run.

    Attributes:
        length: tokens that each answer gets.
        phase: what is being done, or how it ended.
        others: requests of others that were in the batch or its line meanwhile.
    """

    prompts: tuple[str, ...]
    length: int
    lanes: int
    phase: str = "reading"
    single: Way = field(default_factory=Way)
    together: Way = field(default_factory=Way)
    others: set[int] = field(default_factory=set)
    error: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As a page draws it; `factor` is tokens per second together ÷ one at a time, once both are measured."""
        measured = self.phase == "done" and self.single.rate > 0
        return {
            "phase": self.phase,
            "prompts": list(self.prompts),
            "length": self.length,
            "lanes": self.lanes,
            "single": self.single.as_dict(),
            "together": self.together.as_dict(),
            "others": len(self.others),
            "factor": self.together.rate / self.single.rate if measured else None,
            "error": self.error,
        }


class Together:
    """Runs one comparison at a time.

    Args:
        supervisor: has the engine.
        board: counts tokens and knows who else is there.
        prompt: makes the prompt of messages.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        board: Board,
        prompt: Callable[[Engine, Sequence[Message], str, Sampling], Awaitable[Prompt]],
    ) -> None:
        self._supervisor = supervisor
        self._board = board
        self._prompt = prompt
        self._ours: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether one is running."""
        return self._task is not None and not self._task.done()

    def start(self, questions: Sequence[str], length: int, publish: Publish) -> asyncio.Task[None]:
        """Begins a comparison.

        Args:
            questions: are asked in turn until there are PROMPTS.
            length: tokens that each answer gets.
            publish: takes what a page draws, several times a second and at the end.

        Returns:
            The task; cancelling it ends the comparison and frees its lanes.

        Raises:
            ComparisonRunning, EngineNotReady
        """
        if self.running:
            raise ComparisonRunning()
        if (engine := self._supervisor.engine) is None:
            raise EngineNotReady()
        prompts = tuple(questions[i % len(questions)] for i in range(PROMPTS))
        comparison = Comparison(prompts, length, self._board.lanes.count)
        self._task = asyncio.create_task(self._run(engine, comparison, publish), name="one at a time against together")
        return self._task

    async def _run(self, engine: Engine, comparison: Comparison, publish: Publish) -> None:
        telling = asyncio.create_task(self._tell(comparison, publish))
        try:
            await self._measure(engine, comparison)
            comparison.phase = "done"
        except asyncio.CancelledError:
            comparison.phase = "stopped"
        except WebuiError as error:
            _fail(comparison, error)
        except Exception:
            log.exception("One at a time against together failed.")
            _fail(comparison, Internal())
        finally:
            telling.cancel()
            self._ours.clear()
            publish(comparison.as_dict())

    async def _measure(self, engine: Engine, comparison: Comparison) -> None:
        one = Sampling(temperature=0, max_tokens=1)
        sampling = Sampling(temperature=0, max_tokens=comparison.length, min_tokens=comparison.length)
        prompts = [await self._prompt(engine, [Message("user", text)], "", sampling) for text in comparison.prompts]
        await self._all([self._answer(engine, prompt, one, Way(), 0) for prompt in prompts])

        comparison.phase, way = "single", comparison.single
        way.began = time.monotonic()
        for place, prompt in enumerate(prompts):
            await self._answer(engine, prompt, sampling, way, place)
        way.ended = time.monotonic()

        comparison.phase, way = "together", comparison.together
        way.began = time.monotonic()
        await self._all([self._answer(engine, prompt, sampling, way, place) for place, prompt in enumerate(prompts)])
        way.ended = time.monotonic()

    @staticmethod
    async def _all(answers: list[Any]) -> None:
        """All at once; if one fails, or the whole is cancelled, all end."""
        try:
            async with asyncio.TaskGroup() as group:
                for answer in answers:
                    group.create_task(answer)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _answer(self, engine: Engine, prompt: Prompt, sampling: Sampling, way: Way, place: int) -> None:
        id = new_id("demo")
        pieces = engine.generate(id, prompt, sampling, Priority.DEMO)
        request = None
        async with aclosing(pieces):  # type: ignore[type-var]
            async for _ in pieces:
                request = request or self._board.find(id)
                if request is not None:
                    self._ours.add(request.id)
                    way.heard(place, request)

    async def _tell(self, comparison: Comparison, publish: Publish) -> None:
        while True:
            lanes = self._board.lanes
            if comparison.phase in ("single", "together"):
                there = [*lanes.running, *lanes.waiting]
                comparison.others |= {request.id for request in there if request.door != "demo"}
            publish(comparison.as_dict())
            await asyncio.sleep(TELL_EVERY)


def _fail(comparison: Comparison, error: WebuiError) -> None:
    error.write_to(log, "one at a time against together")
    comparison.phase, comparison.error = "failed", error.as_dict()
