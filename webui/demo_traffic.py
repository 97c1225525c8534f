"""Demonstration requests, so that one person can see the batch fill: "Show me".

They are of the lowest priority and yield: while a real request waits and every lane is taken, one of them gives its lane up
and is sent again later. They stop at once when asked, and when whoever started them has been gone for the grace time. It does
not know what the board draws, nor HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from webui.batch.board import Board
from webui.batch.request import Request, new_id
from webui.conversation import Message, Sampling
from webui.engines.base import Engine, Priority
from webui.engines.supervisor import Supervisor
from webui.errors import BadInput, DemoFull, EngineNotReady, WebuiError
from webui.prompt import Prompt

log = logging.getLogger(__name__)

COUNTS = range(4, 65)  # requests that one may ask for
AT_MOST = 64  # requests of all who asked, at one time
TOKENS = range(20, 301)  # of an answer
LOOK_EVERY = 0.05  # seconds between two looks at who waits

QUESTIONS = (
    "What is the first letter of the English alphabet?",
    "Tell me a story about a lighthouse keeper and a lost whale.",
    "Count from 1 to 30.",
    "Why is the sky blue in the morning and red in the evening?",
    "Write a short letter to a friend who is moving to another town.",
    "Explain to a child how a bicycle stays upright.",
    "Which animals sleep through the winter?",
    "Describe a market in a small harbour town, with its smells and voices.",
    "한국의 사계절을 짧게 소개해 줘.",
    "바다를 처음 본 아이에 대한 이야기를 들려줘.",
    "1부터 20까지 세어 줘.",
    "자전거를 안전하게 타는 방법을 알려 줘.",
    "비 오는 날에 어울리는 편지를 한 통 써 줘.",
    "별이 밤에만 보이는 까닭을 설명해 줘.",
)
NOTES = (
    ("Put these notes in order:", "On day {n} the boat went out at {h} and came home with {m} fish."),
    ("다음 기록을 정리해 줘:", "{n}일째 날 {h}시에 배가 나가서 물고기 {m}마리를 잡아 왔다."),
)
NOTES_SHARE = 0.3  # of the requests have a long prompt …
LINES = range(6, 25)  # … of so many lines


@dataclass(eq=False)
class DemoRequest:
    """One of them: what is asked, how long the answer gets, and for whom it was started."""

    text: str
    tokens: int
    visitor: str
    engine_id: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


def invented(count: int, visitor: str, chance: random.Random) -> list[DemoRequest]:
    """Varied requests: both languages, short and long prompts, short and long answers."""
    return [DemoRequest(_text(chance), chance.choice(TOKENS), visitor) for _ in range(count)]


def _text(chance: random.Random) -> str:
    if chance.random() >= NOTES_SHARE:
        return chance.choice(QUESTIONS)
    request, line = chance.choice(NOTES)
    lines = (line.format(n=n, h=chance.randint(4, 9), m=chance.randint(2, 60)) for n in range(1, chance.choice(LINES)))
    return "\n".join([request, *lines])


class DemoTraffic:
    """All demonstration requests of the server.

    Args:
        supervisor: has the engine.
        board: knows who waits and who has a lane.
        prompt: makes the prompt of messages.
        is_here: whether a visitor has the page open.
        grace: seconds after which one who has left is gone.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        board: Board,
        prompt: Callable[[Engine, list[Message], str, Sampling], Awaitable[Prompt]],
        is_here: Callable[[str], bool],
        grace: float,
    ) -> None:
        self._supervisor = supervisor
        self._board = board
        self._prompt = prompt
        self._is_here = is_here
        self._grace = grace
        self._unsent: list[DemoRequest] = []
        self._sent: dict[DemoRequest, None] = {}
        self._last_seen: dict[str, float] = {}
        self._looker: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many wait, run or are still to be sent."""
        return len(self._unsent) + len(self._sent)

    def start(self, visitor: str, count: int) -> None:
        """Sends so many requests.

        Raises:
            BadInput: for a number outside of COUNTS.
            DemoFull: if there would be more than AT_MOST.
            EngineNotReady: while there is no engine.
        """
        if count not in COUNTS:
            raise BadInput(field="count", reason=f"{COUNTS.start} to {COUNTS.stop - 1} are wanted, not {count}")
        if self._supervisor.engine is None:
            raise EngineNotReady()
        if self.count + count > AT_MOST:
            raise DemoFull(running=self.count, limit=AT_MOST)
        self._unsent += invented(count, visitor, random.Random())
        self._last_seen[visitor] = time.monotonic()
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look(), name="demonstration")

    def stop(self, visitor: str | None = None) -> None:
        """Ends all requests at once, or those of one visitor."""
        self._unsent = [request for request in self._unsent if visitor not in (None, request.visitor)]
        for request in [request for request in self._sent if visitor in (None, request.visitor)]:
            self._withdraw(request)

    async def _look(self) -> None:
        while self.count:
            self._forget_those_who_left()
            if waiting := self._yielding_to():
                self._yield(waiting)
            elif self._supervisor.engine is not None:
                self._send(self._supervisor.engine)
            await asyncio.sleep(LOOK_EVERY)
        self._last_seen.clear()

    def _forget_those_who_left(self) -> None:
        now = time.monotonic()
        for visitor, seen in list(self._last_seen.items()):
            if self._is_here(visitor):
                self._last_seen[visitor] = now
            elif now - seen > self._grace:
                del self._last_seen[visitor]
                self.stop(visitor)

    def _yielding_to(self) -> int:
        """How many real requests wait for want of a lane that is not being freed already."""
        lanes = self._board.lanes
        waiting = sum(request.door != "demo" for request in lanes.waiting)
        return max(0, waiting - lanes.leaving) if lanes.in_use >= lanes.count else 0

    def _yield(self, lanes: int) -> None:
        """The latest, which lose least, give their lanes up."""
        seated = [(found.id, request) for request in self._sent if (found := self._seated(request)) is not None]
        for _, request in sorted(seated, key=lambda pair: pair[0], reverse=True)[:lanes]:
            self._withdraw(request)
            self._unsent.append(DemoRequest(request.text, request.tokens, request.visitor))

    def _seated(self, request: DemoRequest) -> Request | None:
        found = self._board.find(request.engine_id)
        return found if found is not None and found.state in ("prefill", "decode") else None

    def _send(self, engine: Engine) -> None:
        requests, self._unsent = self._unsent, []
        for request in requests:
            request.engine_id = new_id("demo")
            self._sent[request] = None
            request.task = asyncio.create_task(self._run(engine, request), name=request.engine_id)

    async def _run(self, engine: Engine, request: DemoRequest) -> None:
        sampling = Sampling(max_tokens=request.tokens, min_tokens=request.tokens)
        try:
            prompt = await self._prompt(engine, [Message("user", request.text)], "", sampling)
            pieces = engine.generate(request.engine_id, prompt, sampling, Priority.DEMO)
            async with aclosing(pieces):  # type: ignore[type-var]
                async for _ in pieces:
                    pass
        except WebuiError as error:
            log.info("A demonstration request ended: %s", error)
        finally:
            self._sent.pop(request, None)

    def _withdraw(self, request: DemoRequest) -> None:
        self._sent.pop(request, None)
        if request.task is not None:
            request.task.cancel()
