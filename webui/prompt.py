"""A conversation -> token ids: chat template, context budget, and no control token that a person typed.

What a message contains is text, whatever it looks like: `<|eot_id|>` typed by a person is encoded as ordinary characters.
Wherever the contents hold no such text the ids are exactly those of the tokenizer's own chat template. Engines elsewhere that
take only text get it with such look-alikes broken up.

It knows a Hugging Face tokenizer by its methods only and imports none; it does not know engines or turns.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from webui.conversation import Message, Role
from webui.errors import MessageTooLong

_TAG = re.compile(r"<.+>|\[.+\]", re.DOTALL)  # added tokens that are no plain text, such as runs of blanks
BREAK = "\u200b"  # a zero-width space: nobody sees it, and what it stands in is no control token to any tokenizer
ROOM_SHARE = 4  # at least a quarter of the context is kept for the answer, if the visitor did not ask for less


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any: ...

    def __call__(self, text: str, **options: Any) -> Any: ...

    @property
    def added_tokens_decoder(self) -> dict[int, Any]: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine reads.

    Attributes:
        ids: token ids, the generation prompt included.
        dropped: how many of the oldest messages were left out.
        text: the same for an engine that takes no ids: what looks like a control token in a message has a BREAK in it.
        messages: the same, role and content of each, for an engine that writes the prompt itself; `ids` are then what its
            server says, none where it does not.
    """

    ids: list[int]
    dropped: int = 0
    text: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of the context a conversation takes.

    Attributes:
        used, total: tokens of the prompt, and of the context; None where the engine's server does not say.
        dropped: how many of the oldest messages would be left out.
        fits: False if the last message is too long by itself.
    """

    used: int | None
    total: int | None
    dropped: int
    fits: bool


def room_for_answer(context: int, max_tokens: int | None) -> int:
    """Tokens of a context that its prompt must leave free, if the longest answer that was asked for is this."""
    share = context // ROOM_SHARE
    return share if max_tokens is None else min(max_tokens, share)


class PromptBuilder:
    """Writes conversations for one model.

    Args:
        tokenizer: the model's.
        context: tokens that prompt and answer may have together (`max_model_len`).
        chat_template: Jinja source, if not the tokenizer's own.
    """

    def __init__(self, tokenizer: Tokenizer, context: int, chat_template: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._chat_template = chat_template
        self.context = context
        added = tokenizer.added_tokens_decoder.values()
        special = {token.content for token in added if token.special}
        tags = {token.content for token in added if _TAG.fullmatch(token.content)}
        # A model's own words may hold tags such as </think>, which its template wants to see; a person's may not.
        self._control = {"user": _any_of(special | tags), "assistant": _any_of(special)}

    def build(self, messages: Sequence[Message], system: str = "", max_tokens: int | None = None) -> Prompt:
        """Encodes the newest messages that leave room for an answer, the system prompt always among them.

        Args:
            messages: oldest first, ending with the message to be answered, or with an answer to be continued.
            system: the system prompt; empty for none.
            max_tokens: the longest answer that was asked for.

        Raises:
            MessageTooLong: if the last message with the system prompt does not fit by itself.
        """
        room = room_for_answer(self.context, max_tokens)
        kept = list(messages)
        ids, text = self._encode(kept, system)
        needed = 2 if kept[-1].role == "assistant" else 1  # an answer is continued as one to its question
        while len(ids) + room > self.context and len(kept) > needed:
            kept = kept[self._surplus(kept, len(ids) + room - self.context, needed) :]
            ids, text = self._encode(kept, system)
        if len(ids) >= self.context:
            raise MessageTooLong(used=len(ids), total=self.context)
        return Prompt(ids, dropped=len(messages) - len(kept), text=text)

    def measure(self, messages: Sequence[Message], system: str = "", max_tokens: int | None = None) -> Budget:
        """What `build` would do with these messages, without refusing any."""
        try:
            prompt = self.build(messages, system, max_tokens)
        except MessageTooLong as error:
            return Budget(used=error.params["used"], total=self.context, dropped=0, fits=False)
        return Budget(used=len(prompt.ids), total=self.context, dropped=prompt.dropped, fits=True)

    def _surplus(self, kept: Sequence[Message], tokens: int, needed: int) -> int:
        """How many of the oldest messages to leave out to save about `tokens`, so that a question comes first again."""
        for index, message in enumerate(kept[:-needed]):
            if tokens <= 0 and message.role == "user":
                return index
            tokens -= len(self._ids(message.text))
        return len(kept) - needed

    def _encode(self, messages: Sequence[Message], system: str) -> tuple[list[int], str]:
        literal: dict[str, str] = {}
        mark = f"literal{secrets.token_hex(12)}"
        turns = [{"role": m.role, "content": self._protected(m.text, m.role, literal, mark)} for m in messages]
        begun = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
        text = self._render(turns, self._protected(system, "user", literal, mark)) + begun
        if not literal:
            return self._ids(text), text
        pieces = re.split(f"({mark}x[0-9]+x)", text)
        ids = [i for piece in pieces for i in (self._literal_ids(literal[piece]) if piece in literal else self._ids(piece))]
        return ids, "".join(self._broken(literal[piece]) if piece in literal else piece for piece in pieces)

    def _protected(self, text: str, role: Role, literal: dict[str, str], mark: str) -> str:
        """The text with each look-alike of a control token replaced by a word that the template leaves alone."""

        def replaced(found: re.Match[str]) -> str:
            word = f"{mark}x{len(literal)}x"
            literal[word] = found.group()
            return word

        return self._control[role].sub(replaced, text)

    def _render(self, turns: list[dict[str, str]], system: str) -> str:
        if not system:
            return self._apply_template(turns)
        try:
            return self._apply_template([{"role": "system", "content": system}, *turns])
        except Exception as error:
            # Some templates (Gemma's) know no system role and raise Jinja's TemplateError: the first question carries it.
            if type(error).__name__ != "TemplateError":
                raise
        first = {"role": "user", "content": f"{system}\n\n{turns[0]['content']}"}
        return self._apply_template([first, *turns[1:]])

    def _apply_template(self, turns: list[dict[str, str]]) -> str:
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        if self._chat_template is not None:
            options["chat_template"] = self._chat_template
        return str(self._tokenizer.apply_chat_template(turns, **options))

    def _ids(self, text: str) -> list[int]:
        if not text:
            return []
        # Not verbose: the library would warn of every text longer than the context, which is counted here.
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _literal_ids(self, token: str) -> list[int]:
        """A control token's text as ordinary characters: cut in two, no half of it is the token any more."""
        head, tail = token[:1], token[1:]
        if self._control["user"].search(tail):
            return self._ids(head) + self._literal_ids(tail)
        return self._ids(head) + self._ids(tail)

    def _broken(self, token: str) -> str:
        """A control token's text that stays text when somebody else tokenizes it."""
        return token[:1] + BREAK + self._control["user"].sub(lambda found: self._broken(found.group()), token[1:])


def _any_of(tokens: set[str]) -> re.Pattern[str]:
    """Finds any of the tokens, the longest first where two begin alike; finds nothing if there are none."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
