"""Blind comparisons: one prompt, two to four variants, their answers next to each other in a random order and without names.

Whose is which is told after the vote. A vote is void if an answer says which model or variant it is of. It knows neither HTTP
nor how an answer is drawn.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from webui.background import in_background
from webui.batch.request import Request
from webui.conversation import End, Message, Timing
from webui.engines.base import EngineInfo
from webui.errors import BadInput, EvaluationNotFound, Internal, WebuiError
from webui.evaluation.asking import Asking, MakePrompt
from webui.evaluation.evaluations import Find, check_engine
from webui.evaluation.variants import Variant, checked
from webui.evaluation.votes import Votes, pseudonym, table
from webui.history.records import Vote

log = logging.getLogger(__name__)

SIDES = range(2, 5)
KEPT = 1000  # comparisons that have not been voted on yet
TEXT_AT_MOST = 100_000  # characters
NAME_AT_LEAST = 3  # characters, for a name that gives an answer away
CHOICES = ("tie", "bad")


@dataclass(slots=True)
class Side:
    """One answer."""

    variant: Variant
    text: str = ""
    end: End | None = None
    error: dict[str, Any] | None = None
    timing: Timing | None = None
    info: EngineInfo | None = None


@dataclass(slots=True)
class Comparison:
    """One prompt and its answers, in the order in which they stand."""

    id: str
    owner: str
    prompt: str
    tags: list[str]
    sides: list[Side]
    asked: float = field(default_factory=time.time)

    @property
    def over(self) -> bool:
        """Whether every answer has ended."""
        return all(side.end is not None or side.error is not None for side in self.sides)


class Comparisons:
    """Those that are going on, and the votes.

    Args:
        backend: finds an engine by its name; the usual one for an empty name.
        prompt: makes prompts.
        votes: keeps the votes.
    """

    def __init__(self, backend: Find, prompt: MakePrompt, votes: Votes) -> None:
        self._backend = backend
        self._prompt = prompt
        self._votes = votes
        self._open: OrderedDict[str, Comparison] = OrderedDict()

    def start(self, owner: str, prompt: str, variants: Sequence[Variant], tags: list[str]) -> Comparison:
        """Draws the order of the sides.

        Raises:
            BadInput, UnknownModel
        """
        if not prompt.strip() or len(prompt) > TEXT_AT_MOST:
            raise BadInput(field="prompt", reason=f"a text of 1 to {TEXT_AT_MOST} characters is wanted")
        for variant in checked(variants, SIDES.start, SIDES.stop - 1):
            check_engine(variant, self._backend)
        sides = [Side(variant) for variant in random.SystemRandom().sample(list(variants), len(variants))]
        comparison = Comparison(secrets.token_hex(16), owner, prompt, tags, sides)
        self._open[comparison.id] = comparison
        while len(self._open) > KEPT:
            self._open.popitem(last=False)
        return comparison

    async def answers(self, comparison: Comparison) -> AsyncIterator[dict[str, Any]]:
        """The answers as they grow: {"side", "text"} and, at its end, {"side", "end", "error"}. Leaving it frees every lane."""
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        tasks = [asyncio.create_task(self._answer(comparison, i, events)) for i in range(len(comparison.sides))]
        try:
            ended = 0
            while ended < len(tasks):
                event = await events.get()
                ended += "end" in event
                yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, comparison: Comparison, number: int, events: asyncio.Queue[dict[str, Any]]) -> None:
        side = comparison.sides[number]
        try:
            variant = side.variant
            backend = self._backend(variant.model)
            engine = await backend.supervisor.ready()
            side.info = engine.info
            prompt = await self._prompt(engine, [Message("user", comparison.prompt)], variant.system, variant.sampling)
            request: Request | None = None
            end: End | None = None
            asking = Asking(backend.supervisor, backend.board, self._prompt)
            async for piece, known in asking.pieces(engine, prompt, variant.sampling):
                request, end = known, piece.end
                side.text += piece.text
                events.put_nowait({"side": number, "text": piece.text})
            side.timing = None if request is None else request.timing()
            side.end = end
        except WebuiError as error:
            _fail(side, error)
        except Exception:
            log.exception("An answer of a comparison failed.")
            _fail(side, Internal())
        finally:
            events.put_nowait({"side": number, "end": side.end, "error": side.error})

    def find(self, id: str, owner: str) -> Comparison:
        """A visitor's comparison that has no vote yet.

        Raises:
            EvaluationNotFound
        """
        comparison = self._open.get(id)
        if comparison is None or comparison.owner != owner:
            raise EvaluationNotFound()
        return comparison

    def vote(self, comparison: Comparison, choice: str, reason: str) -> dict[str, Any]:
        """Takes the vote and tells whose is which.

        Args:
            choice: the number of a side, "tie" or "bad".

        Raises:
            BadInput: for another choice, and before all answers have ended.
        """
        if choice not in CHOICES and choice not in [str(i) for i in range(len(comparison.sides))]:
            raise BadInput(field="choice", reason="the number of a side, tie or bad is wanted")
        if not comparison.over:
            raise BadInput(field="choice", reason="the answers are still being written")
        del self._open[comparison.id]
        sides = [_told(side) for side in comparison.sides]
        void = any(side["error"] is not None or side["names_itself"] for side in sides)
        kept = [{name: value for name, value in side.items() if name != "names_itself"} for side in sides]
        voter = pseudonym(comparison.owner)
        self._votes.take(
            Vote(comparison.id, time.time(), voter, comparison.prompt, comparison.tags, kept, choice, reason, void)
        )
        return {"sides": sides, "void": void}

    async def standings(self, tag: str) -> dict[str, Any]:
        """What all votes say."""
        votes = await self._votes.all()
        return await in_background(lambda: table(votes, tag))


def _fail(side: Side, error: WebuiError) -> None:
    error.write_to(log, "an answer of a comparison")
    side.error = error.as_dict()


def _told(side: Side) -> dict[str, Any]:
    info = side.info
    names = [side.variant.name, *([info.model] if info else [])]
    return {
        "variant": side.variant.name,
        "settings": side.variant.as_dict(),
        "model": info.model if info else "",
        "engine": info.engine if info else "",
        "device": info.device if info else "",
        "answer": side.text,
        "end": side.end,
        "error": side.error,
        "timing": side.timing and side.timing.as_dict(),
        "names_itself": any(names_itself(side.text, name) for name in names),
    }


def names_itself(text: str, name: str) -> bool:
    """Whether a text has this name in it as words of its own, whatever stands between its parts."""
    parts = re.findall(r"[^\W_]+", name.casefold())  # what may stand between parts is in none of them
    if sum(map(len, parts)) < NAME_AT_LEAST:
        return False
    return re.search(r"(?<!\w)" + r"[\W_]*".join(map(re.escape, parts)) + r"(?!\w)", text.casefold()) is not None
