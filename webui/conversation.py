"""A conversation and how it is to be answered: plain data, imports nothing of ours but the errors.

Messages form a tree: editing a message or regenerating an answer adds a sibling, nothing is overwritten. The path from the
root along the chosen children is what a person sees and what the model reads. This module knows nothing of tokens, engines
or pages.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from webui.errors import BadInput, MessageNotFound

Role = Literal["user", "assistant"]
# No engine says "interrupted": it is what is said of an answer whose server ended in the midst of it.
End = Literal["stop", "length", "aborted", "failed", "interrupted"]

TITLE_LENGTH = 60  # characters
MAX_STOP_STRINGS = 4
MAX_STOP_LENGTH = 64  # characters


@dataclass(frozen=True, slots=True)
class Limit:
    """The sensible range of one number, both ends included, and the step of its slider."""

    low: float
    high: float
    step: float = 1


LIMITS: Mapping[str, Limit] = {
    "temperature": Limit(0, 2, 0.05),
    "top_p": Limit(0.01, 1, 0.01),
    "top_k": Limit(0, 200),
    "min_p": Limit(0, 1, 0.01),
    "repetition_penalty": Limit(0.5, 2, 0.05),
    "max_tokens": Limit(1, 1_000_000),
    "min_tokens": Limit(0, 1_000_000),
    "seed": Limit(0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    `top_k` 0 means off, `max_tokens` None as long as the context allows, `seed` None a random one. `min_tokens` is how long an
    answer goes on at least, whatever the model says; programs and demonstrations ask for it, the page has no control for it.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], defaults: Sampling | None = None) -> Sampling:
        """Reads what a page or a file says; what it leaves out comes from `defaults`.

        Raises:
            BadInput: naming the field, for an unknown field, a wrong type or a value out of its range.
        """
        merged = asdict(defaults or cls())
        for name, value in values.items():
            if name not in merged:
                raise BadInput(field=name, reason="there is no such sampling setting")
            merged[name] = _stop_strings(value) if name == "stop" else _number(name, value)
        return cls(**merged)

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return {**asdict(self), "stop": list(self.stop)}


_OPTIONAL = {"max_tokens", "seed"}
_WHOLE = {"top_k", "max_tokens", "min_tokens", "seed"}


def _number(name: str, value: Any) -> float | int | None:
    if value is None and name in _OPTIONAL:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(field=name, reason=f"a number is wanted, not {value!r}")
    limit = LIMITS[name]
    if not limit.low <= value <= limit.high:
        raise BadInput(field=name, reason=f"{value:g} is outside of {limit.low:g} to {limit.high:g}")
    if name not in _WHOLE:
        return float(value)
    if value != int(value):
        raise BadInput(field=name, reason=f"a whole number is wanted, not {value:g}")
    return int(value)


def _stop_strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise BadInput(field="stop", reason="a list of texts is wanted")
    texts = tuple(text for text in value if text)
    if len(texts) > MAX_STOP_STRINGS:
        raise BadInput(field="stop", reason=f"at most {MAX_STOP_STRINGS} stop strings")
    if any(len(text) > MAX_STOP_LENGTH for text in texts):
        raise BadInput(field="stop", reason=f"at most {MAX_STOP_LENGTH} characters each")
    return texts


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of an answer went. Seconds, but `tokens_per_second`; formulas as in README, "The numbers".

    Where queue and prefill could not be told apart, `split` is False and `queue` holds both.
    """

    queue: float
    prefill: float
    decode: float
    prompt_tokens: int
    tokens: int
    split: bool = True

    @property
    def ttft(self) -> float:
        """Time to first token: first token - queued."""
        return self.queue + self.prefill

    @property
    def e2e(self) -> float:
        """Whole life in the engine: last token - queued."""
        return self.queue + self.prefill + self.decode

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: decode / (tokens - 1); none for fewer than two."""
        return self.decode / (self.tokens - 1) if self.tokens > 1 else None

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of this stream while decoding: (tokens - 1) / decode."""
        return (self.tokens - 1) / self.decode if self.tokens > 1 and self.decode > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """All of it, the derived values included, as JSON types."""
        derived = {name: getattr(self, name) for name in ("ttft", "e2e", "tpot", "tokens_per_second")}
        return {**asdict(self), **derived}


@dataclass(frozen=True, slots=True)
class Source:
    """Which model gave an answer. Without its address: conversations are passed on as files.

    Attributes:
        name: under which the page offers it.
        model, engine: what the engine says of itself.
    """

    name: str
    model: str
    engine: str


@dataclass(slots=True)
class Message:
    """One message of a conversation; an answer also knows who gave it, how it ended and where its time went."""

    role: Role
    text: str = ""
    parent: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    created: float = field(default_factory=time.time)
    end: End | None = None
    timing: Timing | None = None
    dropped: int = 0
    error: dict[str, Any] | None = None
    request: int | None = None
    feedback: dict[str, Any] | None = None
    """What the visitor said of an answer: {"thumb": "up" or "down", "reason"}."""
    sources: tuple[Source, ...] = ()
    """Which models gave it; more than one if another model went on with it."""
    number: int = 0
    """Its place in the order of writing, which is also the order of versions; the conversation sets it."""


@dataclass(slots=True)
class Heading:
    """What a list of conversations says of one.

    Attributes:
        title: the first words of the conversation, or what the visitor named it.
        named: whether the visitor named it.
        updated: when something was last said, in Unix seconds.
        deleted: when it was deleted; it can be brought back for some seconds.
        choices: where another version than the newest is shown: parent ("" before the first message) -> the version's id.
    """

    id: str
    visitor: str
    title: str = ""
    named: bool = False
    pinned: bool = False
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    deleted: float | None = None
    choices: dict[str, str] = field(default_factory=dict)


class Conversation:
    """Messages of one visitor with one model, as a tree with one chosen path."""

    def __init__(self, id: str, visitor: str) -> None:
        self.heading = Heading(id, visitor)
        self._messages: dict[str, Message] = {}
        self._children: dict[str | None, list[str]] = {None: []}
        self._chosen: dict[str | None, str] = {}
        self._newest = 0  # the highest number of a message

    @classmethod
    def of(cls, heading: Heading, messages: Iterable[Message]) -> Conversation:
        """One that was kept.

        Args:
            heading: as it was; a choice that does not fit the messages is passed over.
            messages: in the order of writing.
        """
        conversation = cls(heading.id, heading.visitor)
        conversation.heading = heading
        for message in messages:
            conversation._link(message)
        for parent, child in heading.choices.items():
            if child in conversation._children.get(parent or None, ()):
                conversation._chosen[parent or None] = child
        return conversation

    @property
    def id(self) -> str:
        """128 random bits as hexadecimal digits."""
        return self.heading.id

    @property
    def visitor(self) -> str:
        """Whose it is."""
        return self.heading.visitor

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        """All messages of all versions, in the order of writing."""
        return iter(self._messages.values())

    def message(self, id: str) -> Message:
        """The message with this id.

        Raises:
            MessageNotFound: if this conversation has none.
        """
        try:
            return self._messages[id]
        except KeyError:
            raise MessageNotFound() from None

    def add(self, message: Message) -> Message:
        """Puts a message behind its parent and chooses it; a further child of the same parent is another version."""
        message.number = self._newest + 1
        self._link(message)
        self.heading.updated = message.created
        self._note()
        return message

    def extend(self, messages: Iterable[Message]) -> None:
        """Puts many messages behind their parents, each as `add` does, in one go."""
        for message in messages:
            message.number = self._newest + 1
            self._link(message)
            self.heading.updated = message.created
        self._note()

    def _link(self, message: Message) -> None:
        if message.parent is not None:
            self.message(message.parent)
        self._messages[message.id] = message
        self._newest = max(self._newest, message.number)
        self._children.setdefault(message.parent, []).append(message.id)
        self._chosen[message.parent] = message.id

    def snapshot(self) -> Conversation:
        """A copy of its own, for a thread that reads while the conversation goes on."""
        return Conversation.of(replace(self.heading), [replace(message) for message in self])

    def branch(self, until: str, id: str) -> Conversation:
        """A conversation of its own that begins with the messages up to this one.

        Raises:
            MessageNotFound: if there is no such message.
        """
        other, parent = Conversation(id, self.visitor), None
        for message in self.path(until):
            parent = other.add(replace(message, id=secrets.token_hex(8), parent=parent, request=None)).id
        other.heading.updated = time.time()
        return other

    def path(self, until: str | None = None) -> list[Message]:
        """The chosen messages, oldest first; with `until`, the ancestors of that message and itself."""
        if until is not None:
            return list(reversed(list(self._upwards(until))))
        return list(self._downwards())

    def _downwards(self) -> Iterator[Message]:
        at = self._chosen.get(None)
        while at is not None:
            yield self._messages[at]
            at = self._chosen.get(at)

    def _upwards(self, id: str) -> Iterator[Message]:
        at: str | None = id
        while at is not None:
            message = self.message(at)
            yield message
            at = message.parent

    def last(self) -> Message | None:
        """The newest message of the chosen path."""
        path = self.path()
        return path[-1] if path else None

    def versions(self, id: str) -> tuple[int, int]:
        """(which version this message is, counted from 1; how many there are)."""
        siblings = self._children[self.message(id).parent]
        return siblings.index(id) + 1, len(siblings)

    def choose(self, id: str, version: int) -> Message:
        """Shows another version of a message, with what followed it.

        Raises:
            BadInput: if there is no version of that number.
        """
        parent = self.message(id).parent
        siblings = self._children[parent]
        if not 1 <= version <= len(siblings):
            raise BadInput(field="version", reason=f"there are {len(siblings)} versions")
        self._chosen[parent] = siblings[version - 1]
        self._note()
        return self._messages[siblings[version - 1]]

    def show(self, ids: Iterable[str]) -> None:
        """Chooses each of these messages among its versions.

        Raises:
            MessageNotFound: if this conversation lacks one.
        """
        for id in ids:
            self._chosen[self.message(id).parent] = id
        self._note()

    def rename(self, title: str) -> None:
        """Gives it a title of the visitor's; an empty one brings its first words back."""
        self.heading.named = bool(title)
        self.heading.title = title
        self._note()

    def _note(self) -> None:
        """Brings the heading up to date."""
        chosen = self._chosen.items()
        self.heading.choices = {parent or "": child for parent, child in chosen if child != self._children[parent][-1]}
        if not self.heading.named:
            first = next((message for message in self.path() if message.role == "user"), None)
            self.heading.title = one_line(first.text) if first else ""


def one_line(text: str, length: int = TITLE_LENGTH) -> str:
    """The first words of a text on one line, cut to `length` characters."""
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


SAMPLING_FIELDS = tuple(field.name for field in fields(Sampling))
