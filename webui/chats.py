"""What a visitor may do in a conversation, and the turns that come of it.

A turn that everybody left is stopped after a grace time. What goes out are events on channels (see `channel.py`); whose a
conversation is and where it is kept is the library's business, and HTTP, cookies and pages are not known here.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from webui.admission import Admission
from webui.batch.board import Board
from webui.conversation import End, Message, Sampling
from webui.engines.base import Engine
from webui.engines.messages import ServerTokenizer
from webui.engines.registry import Backend
from webui.engines.supervisor import Supervisor
from webui.errors import (
    BadInput,
    BadSetting,
    EngineNotReady,
    ShuttingDown,
    TooManyTurns,
    TurnRunning,
)
from webui.history.keeper import History
from webui.library import Library
from webui.open_chat import Chat
from webui.prompt import Budget, Prompt, PromptBuilder, Tokenizer
from webui.settings import Settings
from webui.turns import Turn

LOOK_EVERY = 0.1  # seconds between two looks at the line of waiting turns
LAST_SECONDS = 5.0  # that running turns get when the app ends
SHORT = 8_000  # characters that a tokenizer reads within a few ms, less than handing them to a thread can take
REASON_AT_MOST = 4000  # characters
TEXT_AT_MOST = 400_000  # characters of one message: more than any context reads
Result = TypeVar("Result")


class Chats:
    """The turns of all visitors.

    Args:
        supervisor: has the usual engine, which answers where no backend is named.
        board: knows its lanes, places and times.
        settings: limits and the grace time.
        admission: counts the turns among the requests of all doors.
        history: keeps the conversations.

    Attributes:
        library: the conversations.
        ends: how many turns have ended, by how.
        grace_expiries: how many of them because everybody had left.
    """

    def __init__(
        self, supervisor: Supervisor, board: Board, settings: Settings, admission: Admission, history: History
    ) -> None:
        self.library = Library(history, left=self._left, joined=self._rejoined)
        self._supervisor = supervisor
        self._board = board
        self._settings = settings
        self._admission = admission
        self._turns: set[Turn] = set()
        self._looker: asyncio.Task[None] | None = None
        self._closing = False
        self.ends: Counter[End | None] = Counter()
        self.grace_expiries = 0
        # One thread: a tokenizer is not made for several.
        self._tokenizing = ThreadPoolExecutor(1, "tokenize")
        self._chat_template = _read(settings.chat_template)
        self._built_for: Engine | None = None
        self._prompts: PromptBuilder

    # What a visitor may do

    async def send(
        self,
        chat: Chat,
        text: str,
        system: str,
        sampling: Sampling,
        replaces: str | None = None,
        backend: Backend | None = None,
    ) -> Message:
        """Adds a question, or another version of an earlier one, and begins its answer.

        Raises:
            BadInput, MessageNotFound, MessageTooLong, TurnRunning, TooManyTurns, QueueFull, ShuttingDown.
        """
        self._check_free(chat)
        if not text.strip():
            raise BadInput(field="text", reason="the message is empty")
        if len(text) > TEXT_AT_MOST:
            raise BadInput(field="text", reason=f"{len(text)} characters; {TEXT_AT_MOST} are the limit")
        conversation = chat.conversation
        last = conversation.last()
        parent = conversation.message(replaces).parent if replaces else (last.id if last else None)
        question = Message("user", text, parent=parent)
        before = conversation.path(until=parent) if parent else []
        prompt = await self._prompt_if_ready([*before, question], system, sampling, backend)
        self._check_free(chat)
        conversation.add(question)
        return self._answer(chat, question, system, sampling, prompt, backend, shown_after=parent, shown=[question])

    async def go_on(self, chat: Chat, id: str, system: str, sampling: Sampling, backend: Backend | None = None) -> Message:
        """Goes on with an answer that did not come to its own end, after the text so far.

        Raises:
            As `send`.
        """
        self._check_free(chat)
        answer = chat.conversation.message(id)
        if answer.role != "assistant" or answer.parent is None or answer.end in (None, "stop"):
            raise BadInput(field="message", reason="only an answer that was cut short can be continued")
        if chat.conversation.last() is not answer:
            raise BadInput(field="message", reason="only the last answer can be continued")
        prompt = await self._prompt_if_ready(chat.conversation.path(), system, sampling, backend)
        self._check_free(chat)
        answer.end = answer.error = answer.timing = answer.request = None
        messages = chat.conversation.path()
        return self._begin(chat, answer, messages, system, sampling, prompt, backend, answer.parent, [answer])

    async def regenerate(self, chat: Chat, id: str, system: str, sampling: Sampling, backend: Backend | None = None) -> Message:
        """Begins another version of an answer.

        Raises:
            As `send`.
        """
        self._check_free(chat)
        old = chat.conversation.message(id)
        if old.role != "assistant" or old.parent is None:
            raise BadInput(field="message", reason="only an answer can be regenerated")
        prompt = await self._prompt_if_ready(chat.conversation.path(until=old.parent), system, sampling, backend)
        self._check_free(chat)
        question = chat.conversation.message(old.parent)
        return self._answer(chat, question, system, sampling, prompt, backend, shown_after=question.id, shown=[])

    def choose(self, chat: Chat, id: str, version: int) -> None:
        """Shows another version of a message and what followed it."""
        if chat.turn is not None:
            raise TurnRunning()
        chosen = chat.conversation.choose(id, version)
        self.library.keep(chat)
        path = chat.conversation.path()
        shown = path[path.index(chosen) :]
        self._show(chat, chosen.parent, shown)

    def say_of(self, chat: Chat, id: str, thumb: str, reason: str) -> None:
        """Keeps what a visitor says of an answer: "up" or "down" and why; an empty thumb takes it back.

        Raises:
            BadInput, MessageNotFound
        """
        answer = chat.conversation.message(id)
        if answer.role != "assistant" or thumb not in ("up", "down", ""):
            raise BadInput(field="thumb", reason="up, down or nothing is wanted, of an answer")
        answer.feedback = {"thumb": thumb, "reason": reason[:REASON_AT_MOST]} if thumb else None
        self.library.keep_message(chat, answer)
        chat.channel.publish("turn", {"message": id, "feedback": answer.feedback})

    async def budget(self, chat: Chat, text: str, system: str, sampling: Sampling, backend: Backend | None = None) -> Budget:
        """How much of the context the conversation takes with a draft at its end.

        Raises:
            EngineNotReady: before there is a tokenizer.
        """
        if (engine := self._engine(backend)) is None:
            raise EngineNotReady()
        messages = [*chat.conversation.path(), Message("user", text)]
        if len(messages) == 1 and not text.strip():
            return Budget(used=0, total=engine.info.context or None, dropped=0, fits=True)
        if isinstance(engine.tokenizer, ServerTokenizer):
            return await engine.tokenizer.measure(messages, system, self._longest(sampling))
        return await self._tokenized(self._builder(engine, engine.tokenizer).measure, messages, system, sampling)

    # Turns

    def _answer(
        self,
        chat: Chat,
        question: Message,
        system: str,
        sampling: Sampling,
        prompt: Prompt | None,
        backend: Backend | None,
        shown_after: str | None,
        shown: list[Message],
    ) -> Message:
        answer = chat.conversation.add(Message("assistant", parent=question.id))
        messages = chat.conversation.path(until=question.id)
        return self._begin(chat, answer, messages, system, sampling, prompt, backend, shown_after, [*shown, answer])

    def _begin(
        self,
        chat: Chat,
        answer: Message,
        messages: Sequence[Message],
        system: str,
        sampling: Sampling,
        prompt: Prompt | None,
        backend: Backend | None,
        shown_after: str | None,
        shown: Sequence[Message],
    ) -> Message:
        async def prompt_for(engine: Engine) -> Prompt:
            return prompt or await self.prompt(engine, messages, system, sampling)

        turn = Turn(
            answer,
            Sampling.from_mapping({"max_tokens": self._longest(sampling)}, defaults=sampling),
            prompt_for,
            supervisor=backend.supervisor if backend else self._supervisor,
            name=backend.key if backend else "",
            board=backend.board if backend else self._board,
            publish=functools.partial(self._publish, chat),
            on_block=lambda: self.library.keep_message(chat, answer),
            on_end=lambda: self._ended(chat, turn),
            streams=lambda: len(self._turns),
        )
        chat.turn = turn
        self._turns.add(turn)
        self._admission.enter(chat.conversation.visitor)
        self._show(chat, shown_after, shown)
        self.library.keep(chat, *shown)
        if not chat.channel.watchers:
            self._left(chat)
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look_at_the_line(), name="line of waiting turns")
        return answer

    async def prompt(self, engine: Engine, messages: Sequence[Message], system: str, sampling: Sampling) -> Prompt:
        """What an engine reads for these messages.

        Raises:
            MessageTooLong
        """
        if isinstance(engine.tokenizer, ServerTokenizer):
            return await engine.tokenizer.build(messages, system, self._longest(sampling))
        return await self._tokenized(self._builder(engine, engine.tokenizer).build, messages, system, sampling)

    def _engine(self, backend: Backend | None) -> Engine | None:
        return (backend.supervisor if backend else self._supervisor).engine

    async def _prompt_if_ready(
        self, messages: Sequence[Message], system: str, sampling: Sampling, backend: Backend | None
    ) -> Prompt | None:
        """The prompt, so that a message which is too long is refused while it still stands in the visitor's box; before the
        engine is ready nobody knows."""
        engine = self._engine(backend)
        return None if engine is None else await self.prompt(engine, messages, system, sampling)

    def _longest(self, sampling: Sampling) -> int | None:
        limits = [limit for limit in (sampling.max_tokens, self._settings.max_tokens) if limit is not None]
        return min(limits, default=None)

    def _builder(self, engine: Engine, tokenizer: Tokenizer) -> PromptBuilder:
        if self._built_for is not engine:
            self._prompts = PromptBuilder(tokenizer, engine.info.context, self._chat_template)
            self._built_for = engine
        return self._prompts

    async def _tokenized(
        self,
        function: Callable[[Sequence[Message], str, int | None], Result],
        messages: Sequence[Message],
        system: str,
        sampling: Sampling,
    ) -> Result:
        """Runs a function of the tokenizer's, in a thread if it takes long: everybody's streams go on meanwhile."""
        arguments = (messages, system, self._longest(sampling))
        if len(system) + sum(len(message.text) for message in messages) < SHORT:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, function, *arguments)

    async def _look_at_the_line(self) -> None:
        """While turns wait: tells each its place, and the visitor which requests on the board are theirs."""
        while any(turn.state in ("waiting", "prefill") for turn in self._turns):
            places = {board: board.places() for board in {turn.board for turn in self._turns}}
            for turn in list(self._turns):
                turn.look(places[turn.board])
            await asyncio.sleep(LOOK_EVERY)

    def _ended(self, chat: Chat, turn: Turn) -> None:
        self._turns.discard(turn)
        self._admission.leave(chat.conversation.visitor)
        self.ends[turn.message.end] += 1
        if chat.turn is turn:
            chat.turn = None
        self._rejoined(chat)
        chat.conversation.heading.updated = time.time()
        self.library.keep(chat, turn.message)

    def _check_free(self, chat: Chat) -> None:
        if self._closing:
            raise ShuttingDown()
        if chat.turn is not None:
            raise TurnRunning()
        running = len(chat.owner.running())
        if running >= self._settings.max_turns:
            raise TooManyTurns(running=running, limit=self._settings.max_turns)
        self._admission.check_line()

    # Those who leave and come back

    def _left(self, chat: Chat) -> None:
        """Nobody watches any more: what runs is given the grace time."""
        if chat.turn is not None and chat.abandoned is None:
            loop = asyncio.get_running_loop()
            chat.abandoned = loop.call_later(self._settings.grace, self._stop_abandoned, chat)

    def _rejoined(self, chat: Chat) -> None:
        if chat.abandoned is not None:
            chat.abandoned.cancel()
            chat.abandoned = None

    def _stop_abandoned(self, chat: Chat) -> None:
        chat.abandoned = None
        if chat.turn is not None:
            self.grace_expiries += 1
            chat.turn.stop()

    async def close(self, seconds: float = LAST_SECONDS) -> None:
        """Takes no more turns, gives the running ones some seconds and ends the rest."""
        self._closing = True
        if self._turns:
            await asyncio.wait([asyncio.ensure_future(turn.wait()) for turn in self._turns], timeout=seconds)
        rest = list(self._turns)
        for turn in rest:
            turn.stop("interrupted")
        await asyncio.gather(*(turn.wait() for turn in rest))
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    # What goes out

    def _show(self, chat: Chat, after: str | None, messages: Sequence[Message]) -> None:
        chat.channel.publish("messages", {"after": after, "messages": chat.views_of(messages)})

    def _publish(self, chat: Chat, kind: str, data: dict[str, Any]) -> None:
        chat.channel.publish(kind, data)
        if data.get("request"):
            chat.owner.channel.publish("mine", chat.owner.view_of_requests())


def _read(path: str | None) -> str | None:
    """A chat template is given as a file."""
    try:
        return None if path is None else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(setting="--chat-template", reason=f"{path} cannot be read: {error}") from None
