"""What goes to the database and what comes from it, as plain data. A record is a snapshot: what it was made from may go on."""

from __future__ import annotations

from dataclasses import dataclass

from webui.conversation import Heading, Message


@dataclass(frozen=True, slots=True)
class SaveConversation:
    """A conversation without its messages."""

    heading: Heading

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
    def key(self) -> tuple[str, str]:
        """What it replaces: an earlier record of the same key that has not been written yet."""
        return self.conversation, self.message.id


Record = SaveConversation | SaveMessage


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found."""

    conversation: str
    message: str
    text: str
