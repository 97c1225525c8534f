"""Everybody's conversations: who may open which, what a visitor's list says, and what of it is in memory or in the history.

A conversation that is opened is read from the history, what changes in it is put there; while the history fails, memory has
it. It knows of a turn only that one may be running in a conversation; HTTP, cookies and pages are not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from webui.channel import Channel
from webui.conversation import Conversation, Heading, Message, one_line
from webui.errors import BadInput, ChatNotFound, HistoryUnavailable
from webui.history.keeper import UNDO_WITHIN, History
from webui.history.records import Found, SaveConversation, SaveMessage
from webui.history.words import excerpt, matches, words_of
from webui.markdown import render
from webui.open_chat import RENDERED_AT_ONCE, Chat, Visitor

if TYPE_CHECKING:
    from webui.history.store import Purged

CHATS_AT_MOST = 5000  # conversations in memory, all visitors together
LOOK_AGAIN_AFTER = 1.0  # seconds, if none of so many could leave memory
IDLE_FOR = 300.0  # seconds, and less than twice as many, until one that nobody needs leaves memory
TITLE_AT_MOST = 200  # characters
WORDS_AT_MOST = 8  # of one search
TAKEN_IN_AT_ONCE = 1000  # messages of an imported conversation between two pauses in which others go on
_CHAT_ID = re.compile(r"[0-9a-f]{32}")


class Library:
    """All conversations of all visitors.

    Args:
        history: keeps them.
        left: called when nobody watches a conversation any more.
        joined: called when somebody watches it again.
    """

    def __init__(self, history: History, left: Callable[[Chat], None], joined: Callable[[Chat], None]) -> None:
        self.history = history
        self._left = left
        self._joined = joined
        self._visitors: dict[str, Visitor] = {}
        self._chats: dict[str, Chat] = {}
        self._deleted: dict[str, tuple[Heading, Chat | None]] = {}
        self._catching_up: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self._look_again_at = 0.0
        history.on_purged = self._purged

    # Opening

    async def visitor(self, name: str) -> Visitor:
        """The visitor of this name, made at first sight."""
        visitor = self._visitors.get(name)
        if visitor is None:
            visitor = self._visitors[name] = Visitor(name)
        if visitor.unread:
            async with visitor.reading:
                await self._read_headings(visitor)
        return visitor

    def is_here(self, name: str) -> bool:
        """Whether the visitor of this name has the page open."""
        visitor = self._visitors.get(name)
        return visitor is not None and visitor.channel.watchers > 0

    @contextlib.asynccontextmanager
    async def _visiting(self, name: str) -> AsyncIterator[Visitor]:
        """The visitor, for one request; who has no conversation open afterwards is forgotten."""
        visitor = await self.visitor(name)
        try:
            yield visitor
        finally:
            self.forget_visitor(visitor)

    async def _read_headings(self, visitor: Visitor) -> None:
        if not visitor.unread:
            return
        try:
            headings = await self.history.headings(visitor.name)
        except HistoryUnavailable:
            return
        visitor.unread = False
        for heading in headings:
            if heading.id not in self._deleted:
                visitor.headings.setdefault(heading.id, heading)

    async def open(self, id: str, name: str) -> Chat:
        """The conversation with this id, made at first sight and from then on the visitor's own.

        Raises:
            BadInput: if it is no id.
            ChatNotFound: if it is somebody else's, or deleted.
        """
        if not _CHAT_ID.fullmatch(id):
            raise BadInput(field="chat", reason="32 hexadecimal digits are wanted")
        async with self._visiting(name) as visitor:
            chat = self._chats.get(id)
            if chat is None and id not in self._deleted:
                async with visitor.reading:
                    chat = self._chats.get(id) or await self._read(id, visitor)
            if chat is None or chat.owner.name != name:
                raise ChatNotFound()
            chat.idle = False
            return chat

    async def _read(self, id: str, visitor: Visitor) -> Chat:
        unread = False
        try:
            kept = await self.history.conversation(id, visitor.name)
        except HistoryUnavailable:
            kept, unread = None, True
        if kept is not None:  # not while others wait
            newest = kept.path()[-RENDERED_AT_ONCE:]
            await asyncio.to_thread(_render_all, [message.text for message in newest if message.role == "assistant"])
        if id in self._chats:  # two visitors may ask for the same new id at once: the first has it
            return self._chats[id]
        listed = visitor.headings.get(id) if unread else None
        chat = self._add(kept or (Conversation.of(listed, ()) if listed else Conversation(id, visitor.name)), visitor)
        chat.unread = unread
        return chat

    def _add(self, conversation: Conversation, visitor: Visitor) -> Chat:
        channel = Channel(on_empty=lambda: self._empty(chat), on_watched=lambda: self._joined(chat))
        chat = Chat(conversation, channel, visitor)
        self._forget_oldest()
        self._visitors[visitor.name] = visitor
        self._chats[conversation.id] = visitor.chats[conversation.id] = chat
        if conversation.id in visitor.headings:
            visitor.headings[conversation.id] = conversation.heading
        if self._forgetting is None or self._forgetting.done():
            self._forgetting = asyncio.create_task(self._forget_idle(), name="idle conversations")
        return chat

    def _empty(self, chat: Chat) -> None:
        self.forget_if_unused(chat)
        self._left(chat)

    # Keeping

    def keep(self, chat: Chat, *messages: Message) -> None:
        """Hands a conversation, and these of its messages, to the history, and tells the visitor's tabs of it.

        One of which it is not known yet what is kept waits in memory until that has been read (`_join`).
        """
        if chat.gone:
            return
        self._list(chat)
        if not chat.unread:
            self._put(chat.conversation.heading)
        for message in messages:
            self.keep_message(chat, message)

    def keep_message(self, chat: Chat, message: Message) -> None:
        """Hands a message to the history as it is now."""
        if not chat.gone and not chat.unread:
            self.history.put(SaveMessage(chat.conversation.id, chat.owner.name, replace(message)))

    def _list(self, chat: Chat) -> None:
        heading = chat.conversation.heading
        if heading.deleted is None:
            chat.owner.headings[heading.id] = heading
            self._tell(chat.owner, changed=[heading])

    def _put(self, heading: Heading) -> None:
        self.history.put(SaveConversation(replace(heading)))

    def _tell(self, visitor: Visitor, changed: Iterable[Heading] = (), gone: Iterable[str] = ()) -> None:
        entries = [visitor.entry(heading) for heading in changed]
        visitor.channel.publish("chats_changed", {"changed": entries, "gone": list(gone)})

    # The list

    async def rename(self, id: str, name: str, title: str) -> None:
        """Gives a conversation a title; an empty one brings its first words back.

        Raises:
            BadInput, ChatNotFound
        """
        if len(title) > TITLE_AT_MOST:
            raise BadInput(field="title", reason=f"{len(title)} characters; {TITLE_AT_MOST} are the limit")
        chat = await self._listed(id, name)
        chat.conversation.rename(one_line(title, TITLE_AT_MOST))
        self.keep(chat)

    async def pin(self, id: str, name: str, pinned: bool) -> None:
        """Puts a conversation on top of the list, or back among the days.

        Raises:
            ChatNotFound
        """
        chat = await self._listed(id, name)
        chat.conversation.heading.pinned = pinned
        self.keep(chat)

    async def _listed(self, id: str, name: str) -> Chat:
        async with self._visiting(name) as visitor:
            if id not in visitor.headings:
                raise ChatNotFound()
            return await self.open(id, name)

    async def branch(self, chat: Chat, message: str, id: str) -> None:
        """Makes a conversation of its own that begins with the messages up to this one.

        Raises:
            BadInput: if the new id is none, or not new.
            MessageNotFound
        """
        branch = chat.conversation.branch(message, id)
        other = await self.open(id, chat.owner.name)
        if len(other.conversation):
            raise BadInput(field="branch", reason="there is a conversation with this id")
        other.conversation = branch
        self.keep(other, *branch)
        other.channel.publish("messages", other.view())

    async def take_in(self, name: str, conversations: Sequence[Conversation]) -> None:
        """Adds conversations that were read from a file."""
        async with self._visiting(name) as visitor:
            for conversation in conversations:
                chat, messages = self._add(conversation, visitor), list(conversation)
                self.keep(chat)
                for first in range(0, max(1, len(messages)), TAKEN_IN_AT_ONCE):
                    await self.history.room(TAKEN_IN_AT_ONCE)
                    for message in messages[first : first + TAKEN_IN_AT_ONCE]:
                        self.keep_message(chat, message)

    async def whole_list(self, name: str) -> list[Conversation]:
        """Copies of all of a visitor's conversations, the latest first.

        Raises:
            HistoryUnavailable
        """
        async with self._visiting(name) as visitor:
            latest = sorted(visitor.headings.values(), key=lambda heading: heading.updated, reverse=True)
            found = [self._chats.get(h.id) or await self.history.conversation(h.id, name) for h in latest]
            return [each.conversation.snapshot() if isinstance(each, Chat) else each for each in found if each is not None]

    async def search(self, name: str, text: str) -> list[dict[str, Any]]:
        """A visitor's conversations that have all the words in one message or in their title, the latest first.

        Raises:
            HistoryUnavailable
        """
        async with self._visiting(name) as visitor:
            words = words_of(text)[:WORDS_AT_MOST]
            if not words:
                return []
            found: dict[str, Found] = {}
            for each in await self._found(visitor, words):
                found.setdefault(each.conversation, each)
            listed = [h for h in visitor.headings.values() if h.id in found or matches(h.title, words)]
            latest = sorted(listed, key=lambda heading: heading.updated, reverse=True)
            return [{**visitor.entry(h), **_excerpt(found.get(h.id), words)} for h in latest]

    async def _found(self, visitor: Visitor, words: list[str]) -> list[Found]:
        if self.history.state != "off":
            return await self.history.search(visitor.name, words)
        messages = ((chat.conversation.id, m) for chat in visitor.chats.values() for m in chat.conversation)
        return [Found(id, message.id, message.text) for id, message in messages if matches(message.text, words)]

    # Deleting

    async def delete(self, ids: Sequence[str] | None, name: str) -> list[str]:
        """Takes conversations out of the list, all of them for None; for some seconds they can be brought back.

        Returns:
            Which they were.

        Raises:
            ChatNotFound: if none of them is this visitor's.
        """
        async with self._visiting(name) as visitor:
            wanted = list(visitor.headings) if ids is None else [id for id in ids if id in visitor.headings]
            if ids and not wanted:
                raise ChatNotFound()
            for id in wanted:
                self._delete(visitor, id)
            self._tell(visitor, gone=wanted)
            self.history.purge_soon()
            return wanted

    def _delete(self, visitor: Visitor, id: str) -> None:
        heading = visitor.headings.pop(id)
        heading.deleted = time.time()
        chat = self._chats.pop(id, None)
        visitor.chats.pop(id, None)
        if chat is not None and chat.turn is not None:
            chat.turn.stop()
        self._deleted[id] = heading, chat
        self._put(heading)
        asyncio.get_running_loop().call_later(UNDO_WITHIN, self._delete_for_good, id)

    async def restore(self, ids: Sequence[str], name: str) -> None:
        """Brings deleted conversations back.

        Raises:
            ChatNotFound: if none of them can be brought back any more.
        """
        async with self._visiting(name) as visitor:
            back = [id for id in ids if id in self._deleted and self._deleted[id][0].visitor == name]
            if not back:
                raise ChatNotFound()
            for id in back:
                heading, chat = self._deleted.pop(id)
                heading.deleted = None
                visitor.headings[id] = heading
                if chat is not None:
                    chat.owner = visitor
                    self._chats[id] = visitor.chats[id] = chat
                self._put(heading)
            self._tell(visitor, changed=[visitor.headings[id] for id in back])

    def _delete_for_good(self, id: str) -> None:
        heading, chat = self._deleted.get(id, (None, None))
        if heading is not None and heading.deleted is not None and time.time() - heading.deleted >= UNDO_WITHIN - 0.5:
            del self._deleted[id]
            self._end(chat)

    def wipe(self, name: str) -> None:
        """Ends a visitor's conversations at once and leaves nothing of them in memory; what the history has stays there."""
        visitor = self._visitors.pop(name, None)
        for chat in visitor.chats.values() if visitor is not None else ():
            self._chats.pop(chat.conversation.id, None)
            if chat.turn is not None:
                chat.turn.stop()
            self._end(chat)
        render.cache_clear()  # it has finished texts by what stands in them

    def _purged(self, purged: list[Purged]) -> None:
        """The history deleted these for good: what was deleted, and what grew too old."""
        for each in purged:
            visitor = self._visitors.get(each.visitor)
            chat = self._chats.pop(each.conversation, None)
            self._end(chat)
            if visitor is not None and each.conversation in visitor.headings:
                del visitor.headings[each.conversation]
                visitor.chats.pop(each.conversation, None)
                self._tell(visitor, gone=[each.conversation])

    def _end(self, chat: Chat | None) -> None:
        if chat is not None:
            chat.gone = True
            chat.channel.close()  # whoever still shows it comes back, and finds it empty

    # When the history has failed and works again

    def history_changed(self) -> None:
        """To be called when the state of the history has changed."""
        if self.history.state == "keeping" and (self._catching_up is None or self._catching_up.done()):
            self._catching_up = asyncio.create_task(self._catch_up(), name="history catches up")

    async def _catch_up(self) -> None:
        """What could not be read is read now and joined with what was said meanwhile."""
        for visitor in [visitor for visitor in self._visitors.values() if visitor.unread]:
            async with visitor.reading:
                await self._read_headings(visitor)
            visitor.channel.publish("chats", visitor.view_of_chats())
        for chat in [chat for chat in self._chats.values() if chat.unread]:
            await self._join(chat)
        if self.history.lost:
            self.history.lost = 0
            for chat in self._chats.values():
                if len(chat.conversation):
                    self.keep(chat, *chat.conversation)

    async def _join(self, chat: Chat) -> None:
        try:
            kept = await self.history.conversation(chat.conversation.id, chat.owner.name)
        except (HistoryUnavailable, ChatNotFound) as error:
            chat.unread = isinstance(error, HistoryUnavailable)
            return
        chat.unread = False
        said = list(chat.conversation)
        known = {message.id for message in said}
        before = [message for message in kept or () if message.id not in known]
        if kept is not None and before:
            for number, message in enumerate(said, max(message.number for message in before) + 1):
                message.number = number
            chat.conversation = Conversation.of(_joined(kept.heading, chat.conversation), [*before, *said])
            chat.channel.publish("messages", chat.view())
        if said:
            self.keep(chat, *chat.conversation)
        elif before:
            self._list(chat)

    # Memory

    def _forget_oldest(self) -> None:
        over = len(self._chats) - CHATS_AT_MOST + 1
        if over <= 0 or time.monotonic() < self._look_again_at:
            return
        forgettable = [chat for chat in self._chats.values() if self._can_be_forgotten(chat)]
        forgettable.sort(key=lambda chat: chat.conversation.heading.updated)
        for chat in forgettable[: over + CHATS_AT_MOST // 50]:  # some more, so that not every newcomer has all looked at
            self._forget(chat)
        if not forgettable:
            self._look_again_at = time.monotonic() + LOOK_AGAIN_AFTER

    async def _forget_idle(self) -> None:
        """While there are conversations: those that nobody needs leave memory; the history has them."""
        while self._chats:
            await asyncio.sleep(IDLE_FOR)
            kept = self.history.state == "keeping"
            for chat in list(self._chats.values()) if kept else ():
                if chat.idle and not chat.unread and self._can_be_forgotten(chat):
                    self._forget(chat)
                chat.idle = True

    def _can_be_forgotten(self, chat: Chat) -> bool:
        needed = chat.turn is not None or chat.held or chat.asked or chat.channel.watchers
        only_here = (chat.unread and len(chat.conversation)) or self.history.is_behind(chat.owner.name)
        return not needed and not only_here

    def forget_if_unused(self, chat: Chat) -> None:
        """A conversation that nobody watches and nobody wrote in leaves nothing behind."""
        used = len(chat.conversation) or chat.held or chat.asked or chat.channel.watchers
        if not used and self._chats.get(chat.conversation.id) is chat:
            self._forget(chat)

    def _forget(self, chat: Chat) -> None:
        visitor = chat.owner
        self._chats.pop(chat.conversation.id, None)
        visitor.chats.pop(chat.conversation.id, None)
        if self.history.state == "off":
            visitor.headings.pop(chat.conversation.id, None)
        self.forget_visitor(visitor)

    def forget_visitor(self, visitor: Visitor) -> None:
        """A visitor who shows nothing, and of whom all is kept, leaves nothing in memory."""
        here = visitor.chats or visitor.channel.watchers or visitor.reading.locked() or self.history.is_behind(visitor.name)
        deleted = any(heading.visitor == visitor.name for heading, _ in self._deleted.values())
        if not here and not deleted and self._visitors.get(visitor.name) is visitor:
            del self._visitors[visitor.name]


def _joined(kept: Heading, now: Conversation) -> Heading:
    """The heading of a conversation that was kept and went on while that could not be read."""
    mine, answered = now.heading, {message.parent or "" for message in now}
    choices = {parent: child for parent, child in kept.choices.items() if parent not in answered}
    heading = replace(kept, choices=choices, pinned=kept.pinned or mine.pinned)
    if mine.named:
        heading.title, heading.named = mine.title, True
    if len(now):
        heading.updated = mine.updated
    return heading


def _render_all(texts: Sequence[str]) -> None:
    for text in texts:
        render(text)


def _excerpt(found: Found | None, words: list[str]) -> dict[str, Any]:
    if found is None:
        return {"excerpt": None}
    return {"excerpt": excerpt(found.text, words), "message": found.message}
