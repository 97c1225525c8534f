"""What goes to the database and what comes from it, as plain data. A record is a snapshot: what it was made from may go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from webui.conversation import Heading, Message


@dataclass(frozen=True, slots=True)
class SaveConversation:
    """A conversation without its messages."""

    heading: Heading
    grows: ClassVar[bool] = False

    @property
    def key(self) -> tuple[str, str]:
        """What it replaces: an earlier record of the same key that has not been written yet."""
        return self.heading.id, ""

    @property
    def visitor(self) -> str:
        """Whose it is."""
        return self.heading.visitor


@dataclass(frozen=True, slots=True)
class SaveMessage:
    """One message as it is now."""

    conversation: str
    visitor: str
    message: Message

    @property
    def grows(self) -> bool:
        """Whether another record of it comes by itself: an answer is being written."""
        return self.message.role == "assistant" and self.message.end is None

    @property
    def key(self) -> tuple[str, str]:
        """What it replaces: an earlier record of the same key that has not been written yet."""
        return self.conversation, self.message.id


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote on answers side by side.

    Attributes:
        at: Unix seconds.
        voter: a pseudonym.
        sides: each answer with its variant, settings, model and times, in the order in which they stood; JSON types.
        choice: the number of a side, "tie" or "bad".
        void: whether it counts for nothing, since an answer failed or named itself.
    """

    id: str
    at: float
    voter: str
    prompt: str
    tags: list[str]
    sides: list[dict[str, Any]]
    choice: str
    reason: str
    void: bool


@dataclass(frozen=True, slots=True)
class SaveVote:
    """A vote as it was given."""

    vote: Vote
    grows: ClassVar[bool] = False

    @property
    def key(self) -> tuple[str, str]:
        """A vote is given once."""
        return "vote", self.vote.id

    @property
    def visitor(self) -> str:
        """Whose it is."""
        return self.vote.voter


Record = SaveConversation | SaveMessage | SaveVote


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found."""

    conversation: str
    message: str
    text: str
