"""A conversation -> messages, for a server elsewhere that writes the prompt itself.

What fits into the context the server's own tokenizer tells; where it tells nothing, all messages are sent, and the server
refuses what is too long. It does not know how a server is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from webui.conversation import Message
from webui.errors import MessageTooLong
from webui.prompt import Budget, Prompt, room_for_answer

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ServerTokenizer:
    """In the place of a tokenizer, where the server has it.

    Attributes:
        ids: the tokens of the prompt that the server would write; None if it does not say.
        context: tokens of prompt and answer together; 0 if the server does not say.
    """

    ids: Callable[[Turns], Awaitable[list[int] | None]]
    context: int = 0

    async def build(self, messages: Sequence[Message], system: str = "", max_tokens: int | None = None) -> Prompt:
        """The newest messages that leave room for an answer, the system prompt always among them; see `PromptBuilder.build`.

        Raises:
            MessageTooLong: if the last message with the system prompt does not fit by itself.
        """
        kept = list(messages)
        ids = await self.ids(_turns(kept, system))
        if ids is None or not self.context:
            return Prompt(ids or [], messages=_turns(kept, system))
        surplus = len(ids) + room_for_answer(self.context, max_tokens) - self.context
        needed = 2 if kept[-1].role == "assistant" else 1  # an answer is continued as one to its question
        while surplus > 0 and len(kept) > needed:
            kept = kept[_left_out(kept, surplus / len(ids), needed) :]
            ids = await self.ids(_turns(kept, system)) or []
            surplus = len(ids) + room_for_answer(self.context, max_tokens) - self.context
        if len(ids) >= self.context:
            raise MessageTooLong(used=len(ids), total=self.context)
        return Prompt(ids, dropped=len(messages) - len(kept), messages=_turns(kept, system))

    async def measure(self, messages: Sequence[Message], system: str = "", max_tokens: int | None = None) -> Budget:
        """What `build` would do with these messages, without refusing any."""
        try:
            prompt = await self.build(messages, system, max_tokens)
        except MessageTooLong as error:
            return Budget(used=error.params["used"], total=self.context, dropped=0, fits=False)
        return Budget(used=len(prompt.ids) or None, total=self.context or None, dropped=prompt.dropped, fits=True)


def _left_out(kept: Sequence[Message], share: float, needed: int) -> int:
    """How many of the oldest messages hold about this share of the characters, so that a question comes first again."""
    characters = share * sum(len(message.text) for message in kept)
    for index, message in enumerate(kept[:-needed]):
        if index and characters <= 0 and message.role == "user":
            return index
        characters -= len(message.text)
    return len(kept) - needed


def _turns(messages: Sequence[Message], system: str) -> Turns:
    turns = [{"role": message.role, "content": message.text} for message in messages]
    if messages[-1].role == "assistant" and not messages[-1].text:
        turns.pop()  # nothing was said yet that could be gone on with
    return [{"role": "system", "content": system}, *turns] if system else turns
