"""Visits: whoever touches the screen gets a name that lasts until they go, and one conversation under it.

A visit that ends takes everything with it at once: its request, its conversation, its name. Whoever has left without a word
(the power, the network) is ended after a grace time. Nothing is ever put into a history. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from webui.chats import Chats
from webui.conversation import Sampling
from webui.engines.supervisor import Supervisor
from webui.errors import VisitOver
from webui.kiosk.file import KioskFile
from webui.kiosk.guard import Rules
from webui.open_chat import Chat
from webui.turns import Turn

log = logging.getLogger(__name__)

READ_EVERY = 0.05  # seconds between two looks for blocked words in an answer that grows


@dataclass(eq=False)
class Visit:
    """One person before the screen.

    Attributes:
        id: 128 random bits; whoever knows it is this visitor.
        asked: how many questions so far.
        watchers: streams that are open.
    """

    id: str
    chat: Chat
    asked: int = 0
    watchers: int = 0
    leaving: asyncio.TimerHandle | None = None
    reader: asyncio.Task[None] | None = field(default=None, repr=False)


class Visits:
    """All visits, one per screen.

    Args:
        chats: answers their questions.
        supervisor: knows the model's sampling defaults.
        kiosk, rules: the file in force and its rules.
        grace: seconds after which one whose stream is gone has left.
        on_end: called with a visit that is over.

    Attributes:
        begun, asked: visits and questions since the start.
    """

    def __init__(
        self,
        chats: Chats,
        supervisor: Supervisor,
        kiosk: Callable[[], KioskFile],
        rules: Callable[[], Rules],
        grace: float,
        on_end: Callable[[Visit], None] = lambda visit: None,
    ) -> None:
        self._chats = chats
        self._supervisor = supervisor
        self._kiosk = kiosk
        self._rules = rules
        self._grace = grace
        self._on_end = on_end
        self._visits: dict[str, Visit] = {}
        self.begun = self.asked = 0

    def __len__(self) -> int:
        return len(self._visits)

    async def begin(self) -> Visit:
        """Somebody has come."""
        id = secrets.token_hex(16)
        visit = self._visits[id] = Visit(id, await self._chats.library.open(secrets.token_hex(16), id))
        visit.chat.held = True
        self.begun += 1
        self._expect(visit)
        return visit

    def find(self, id: str) -> Visit:
        """The visit of this id.

        Raises:
            VisitOver: if there is none, any more or at all.
        """
        try:
            return self._visits[id]
        except KeyError:
            raise VisitOver() from None

    async def ask(self, visit: Visit, text: str, language: str) -> str | None:
        """Asks the model, or says politely why not.

        Returns:
            What is said instead of an answer; None if the model answers.

        Raises:
            BadInput, QuestionTooLong, NoMoreQuestions, TooManyQuestions, and what `Chats.send` raises.
        """
        rules = self._rules()
        rules.check(text, visit.asked)
        if (refusal := rules.refusal(text, language)) is not None:
            return refusal
        engine = self._supervisor.engine
        defaults = engine.info.sampling if engine is not None else None
        sampling = Sampling.from_mapping({"max_tokens": self._kiosk().max_tokens}, defaults)
        await self._chats.send(visit.chat, text, rules.system_prompt(language), sampling)
        if visit.id not in self._visits:  # it ended while the prompt was made
            self.stop(visit)
            raise VisitOver()
        visit.asked += 1
        self.asked += 1
        rules.asked()
        if visit.chat.turn is not None:
            visit.reader = asyncio.create_task(self._read(visit.chat, visit.chat.turn, language), name="block list")
        return None

    async def _read(self, chat: Chat, turn: Turn, language: str) -> None:
        """Reads along, and takes the answer away if it gets a blocked word."""
        rules, over = self._rules(), False
        while not over:
            over = turn.state == "ended"
            if (refusal := rules.refusal(turn.message.text, language)) is not None:
                turn.stop("stop")
                await turn.wait()
                turn.message.text = refusal
                shown = {"after": turn.message.parent, "messages": [chat.view_of(turn.message)]}
                chat.channel.publish("messages", shown)
                return
            await asyncio.sleep(READ_EVERY)

    def stop(self, visit: Visit) -> None:
        """Ends the running answer, if there is one."""
        if visit.chat.turn is not None:
            visit.chat.turn.stop()

    def end(self, visit: Visit) -> None:
        """Ends the visit and wipes it."""
        if self._visits.pop(visit.id, None) is None:
            return
        if visit.leaving is not None:
            visit.leaving.cancel()
        if visit.reader is not None:
            visit.reader.cancel()
        self._chats.library.wipe(visit.id)
        self._on_end(visit)

    @contextlib.contextmanager
    def watched(self, visit: Visit) -> Iterator[None]:
        """The screen shows this visit for as long as the context lasts."""
        visit.watchers += 1
        if visit.leaving is not None:
            visit.leaving.cancel()
            visit.leaving = None
        try:
            yield
        finally:
            visit.watchers -= 1
            if not visit.watchers and visit.id in self._visits:
                self._expect(visit)

    def _expect(self, visit: Visit) -> None:
        """Nobody watches: the visit ends unless somebody comes back."""
        visit.leaving = asyncio.get_running_loop().call_later(self._grace, self.end, visit)

    def status(self) -> dict[str, Any]:
        """Counts without anybody's words."""
        return {"visits": len(self), "begun": self.begun, "asked": self.asked}
