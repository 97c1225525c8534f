"""One open conversation and the person whose it is, as their pages draw them.

Who may open which conversation, and what of it is kept, is not known here but in `library.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from webui.channel import Channel
from webui.conversation import Conversation, Heading, Message
from webui.markdown import Tail, render

if TYPE_CHECKING:
    from webui.turns import Turn

RENDERED_AT_ONCE = 16  # of a conversation's messages, the newest: more than a window shows; a page asks for the others


class Chat:
    """One conversation, watched and answered.

    Attributes:
        unread: whether the history could not be asked what it has of this conversation.
        gone: whether it was deleted for good; nothing of it is kept any more.
        held: whether somebody goes on with it who may not be watching at the moment; it is not forgotten meanwhile.
        asked: how many requests are busy with it.
        idle: whether nobody has needed it since the last look.
    """

    def __init__(self, conversation: Conversation, channel: Channel, owner: Visitor) -> None:
        self.conversation = conversation
        self.channel = channel
        self.owner = owner
        self.turn: Turn | None = None
        self.abandoned: asyncio.TimerHandle | None = None
        self.unread = False
        self.gone = False
        self.held = False
        self.asked = 0
        self.idle = False

    def view(self, rendered: int = RENDERED_AT_ONCE) -> dict[str, Any]:
        """The whole conversation as a page draws it, the newest messages rendered."""
        return {"after": None, "messages": self.views_of(self.conversation.path(), rendered)}

    def views_of(self, messages: Sequence[Message], rendered: int = RENDERED_AT_ONCE) -> list[dict[str, Any]]:
        """Messages as a page draws them, the last ones rendered; the blocks of the others are None."""
        newest = len(messages) - rendered
        return [self.view_of(message, rendered=index >= newest) for index, message in enumerate(messages)]

    def view_of(self, message: Message, rendered: bool = True) -> dict[str, Any]:
        """One message as a page draws it."""
        version, versions = self.conversation.versions(message.id)
        view: dict[str, Any] = {"id": message.id, "role": message.role, "version": version, "versions": versions}
        if message.role == "user":
            return view | {"text": message.text}
        view |= {"dropped": message.dropped, "request": message.request, "error": message.error}
        view["sources"] = [asdict(source) for source in message.sources]
        if self.turn is not None and self.turn.message is message:
            return view | {"text": "", "blocks": self.turn.blocks, "tail": self.turn.tail.as_dict(), **self.turn.line()}
        return view | {
            "text": message.text,
            "blocks": render(message.text) if rendered else None,
            "tail": Tail().as_dict(),
            "state": "ended",
            "end": message.end,
            "timing": message.timing and message.timing.as_dict(),
            "feedback": message.feedback,
        }

    async def blocks_of(self, ids: Sequence[str]) -> dict[str, Sequence[str]]:
        """The blocks of finished messages, rendered in a thread: those of a long conversation take a second, and nobody waits.

        Raises:
            MessageNotFound
        """
        texts = {id: self.conversation.message(id).text for id in ids}
        return await asyncio.to_thread(lambda: {id: render(text) for id, text in texts.items()})


class Visitor:
    """One browser's person: the channel of their tabs, the list of their conversations, and those that are open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.channel = Channel()
        self.headings: dict[str, Heading] = {}
        self.chats: dict[str, Chat] = {}
        self.unread = True  # until the history has told which conversations there are
        self.reading = asyncio.Lock()

    def running(self) -> list[Turn]:
        """Their turns that are not over."""
        return [chat.turn for chat in self.chats.values() if chat.turn is not None]

    def view_of_chats(self) -> list[dict[str, Any]]:
        """Their conversations for the list beside the chat, the latest first."""
        return [self.entry(heading) for heading in sorted(self.headings.values(), key=lambda h: h.updated, reverse=True)]

    def entry(self, heading: Heading) -> dict[str, Any]:
        """One line of the list."""
        chat = self.chats.get(heading.id)
        return {
            "id": heading.id,
            "title": heading.title,
            "updated": heading.updated,
            "pinned": heading.pinned,
            "running": chat is not None and chat.turn is not None,
        }

    def view_of_requests(self) -> list[int]:
        """The numbers on the board that are theirs."""
        messages = (message for chat in self.chats.values() for message in chat.conversation.path()[-20:])
        return [message.request for message in messages if message.request]
