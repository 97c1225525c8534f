"""Reads files of conversations: ours (see `exports.py`), Open WebUI's and ChatGPT's exports.

What a file says is believed as little as what a person types: roles, ends and numbers are checked, ids are made anew, and only
questions and answers are taken; what stands between them (system prompts, tools) is passed over. It knows nothing of visitors
beyond their name.
"""

from __future__ import annotations

import math
import secrets
import time
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from webui.conversation import Conversation, End, Heading, Message, Role, Source, Timing, one_line
from webui.errors import NotAnExport
from webui.exports import FORMAT, VERSION

CONVERSATIONS_AT_MOST = 20_000
MESSAGES_AT_MOST = 500_000  # of one file
TEXT_AT_MOST = 1_000_000  # characters of one message
TITLE_AT_MOST = 200  # characters
REASON_AT_MOST = 4000  # characters
SOURCES_AT_MOST = 8  # of one answer
NAME_AT_MOST = 200  # characters of a model's or engine's
_ROLES = typing.get_args(Role)
_ENDS = typing.get_args(End)


@dataclass(slots=True)
class _Node:
    """A message as a file has it; `message` is None for one that is passed over."""

    id: str
    parent: str | None
    message: Message | None


def read(content: bytes, visitor: str) -> list[Conversation]:
    """The conversations of a file, as this visitor's.

    Raises:
        NotAnExport: if there are none, or the file is none of the three kinds.
    """
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise NotAnExport(reason="it is not JSON") from None
    read_one, items = _kind(body)
    if len(items) > CONVERSATIONS_AT_MOST:
        raise NotAnExport(reason=f"more than {CONVERSATIONS_AT_MOST} conversations")
    conversations, room = [], MESSAGES_AT_MOST
    for item in items:
        if isinstance(item, dict) and len(conversation := read_one(item, visitor)):
            conversations.append(conversation)
            room -= len(conversation)
        if room < 0:
            raise NotAnExport(reason=f"more than {MESSAGES_AT_MOST} messages")
    if not conversations:
        raise NotAnExport(reason="there is no message in it")
    return conversations


def _kind(body: Any) -> tuple[Any, list[Any]]:
    """What reads each item of the file, and the items."""
    if isinstance(body, dict) and body.get("format") == FORMAT:
        if body.get("version") != VERSION or not isinstance(body.get("conversations"), list):
            raise NotAnExport(reason="it was written by another version of the app")
        return _ours, body["conversations"]
    items = body if isinstance(body, list) else [body]
    first = next((item for item in items if isinstance(item, dict)), {})
    if isinstance(first.get("mapping"), dict):
        return _chatgpt, items
    if isinstance(first.get("chat"), dict):
        return _open_webui, items
    raise NotAnExport(reason="it is neither this app's file nor Open WebUI's nor ChatGPT's")


# Ours


def _ours(item: Mapping[str, Any], visitor: str) -> Conversation:
    messages = [each for each in _list(item.get("messages")) if isinstance(each, dict)]
    nodes = [_Node(_text(each.get("id")), _optional(each.get("parent")), _our_message(each)) for each in messages]
    choices = item.get("choices")
    return _assembled(item, nodes, visitor, choices=choices if isinstance(choices, dict) else {})


def _our_message(item: Mapping[str, Any]) -> Message | None:
    silent = item.get("role") == "assistant"  # an answer that was stopped before its first word is still a version
    message = _message(item.get("role"), item.get("text"), item.get("created"), may_be_empty=silent)
    if message is not None and message.role == "assistant":
        message.end = item["end"] if item.get("end") in _ENDS else "interrupted"
        message.timing = _timing(item.get("timing"))
        dropped = item.get("dropped")
        message.dropped = dropped if isinstance(dropped, int) and dropped > 0 else 0
        message.feedback = _feedback(item.get("feedback"))
        message.sources = tuple(_sources(item.get("sources")))
    return message


def _sources(value: Any) -> Iterator[Source]:
    for each in _list(value)[:SOURCES_AT_MOST]:
        if isinstance(each, dict):
            said = {f.name: one_line(_text(each.get(f.name)), NAME_AT_MOST) for f in fields(Source)}
            if said["model"]:
                yield Source(**said)


def _feedback(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or value.get("thumb") not in ("up", "down"):
        return None
    return {"thumb": value["thumb"], "reason": _text(value.get("reason"))[:REASON_AT_MOST]}


def _timing(value: Any) -> Timing | None:
    if not isinstance(value, dict):
        return None
    numbers: dict[str, Any] = {f.name: value.get(f.name) for f in fields(Timing) if f.name != "split"}
    split = value.get("split", True) is True
    return Timing(**numbers, split=split) if all(_is_number(number) for number in numbers.values()) else None


# Open WebUI: {"title", "chat": {"history": {"messages": {id: {"parentId", "role", "content", "timestamp"}}, "currentId"}}}


def _open_webui(item: Mapping[str, Any], visitor: str) -> Conversation:
    chat = item.get("chat")
    chat = chat if isinstance(chat, dict) else {}
    history = chat.get("history")
    history = history if isinstance(history, dict) else {}
    messages = history.get("messages")
    nodes = [
        _Node(id, _optional(each.get("parentId")), _message(each.get("role"), each.get("content"), each.get("timestamp")))
        for id, each in (messages if isinstance(messages, dict) else {}).items()
        if isinstance(each, dict)
    ]
    heading = {
        "title": item.get("title") or chat.get("title"),
        "named": True,
        "pinned": item.get("pinned"),
        "created": item.get("created_at"),
        "updated": item.get("updated_at"),
    }
    return _assembled(heading, nodes, visitor, shown=_optional(history.get("currentId")))


# ChatGPT: {"title", "mapping": {id: {"parent", "message": {"author", "content": {"parts"}, "create_time"}}}, "current_node"}


def _chatgpt(item: Mapping[str, Any], visitor: str) -> Conversation:
    mapping = item.get("mapping")
    nodes = [
        _Node(id, _optional(each.get("parent")), _chatgpt_message(each.get("message")))
        for id, each in (mapping if isinstance(mapping, dict) else {}).items()
        if isinstance(each, dict)
    ]
    heading = {
        "title": item.get("title"),
        "named": True,
        "created": item.get("create_time"),
        "updated": item.get("update_time"),
    }
    return _assembled(heading, nodes, visitor, shown=_optional(item.get("current_node")))


def _chatgpt_message(value: Any) -> Message | None:
    if not isinstance(value, dict):
        return None
    author, content = value.get("author"), value.get("content")
    if (
        not isinstance(author, dict)
        or not isinstance(content, dict)
        or content.get("content_type") not in ("text", "multimodal_text")
    ):
        return None
    parts = [part for part in _list(content.get("parts")) if isinstance(part, str)]
    return _message(author.get("role"), "\n".join(parts), value.get("create_time"))


# What they have in common


def _message(role: Any, text: Any, created: Any, may_be_empty: bool = False) -> Message | None:
    """A question or an answer; None for anything else, and for one without a word."""
    if role not in _ROLES or not isinstance(text, str) or not (text.strip() or may_be_empty):
        return None
    message = Message(role, text[:TEXT_AT_MOST], created=_time(created))
    message.end = "stop" if role == "assistant" else None
    return message


def _assembled(
    item: Mapping[str, Any],
    nodes: list[_Node],
    visitor: str,
    shown: str | None = None,
    choices: Mapping[str, Any] | None = None,
) -> Conversation:
    """The tree of those messages that are taken.

    Args:
        item: title, pinned, created and updated, unchecked.
        nodes: unchecked too: they may name parents that are not there, or go in circles.
        shown: the message at which the shown path ends.
        choices: as a heading has them, in the file's ids.
    """
    conversation = Conversation(secrets.token_hex(16), visitor)
    taken: dict[str, Message] = {}  # node -> what it stands for: its own message, or the nearest above that is taken
    messages: list[Message] = []
    for node in _parents_first(nodes):
        above = taken.get(node.parent) if node.parent else None
        if node.message is not None:
            node.message.parent = above.id if above else None
            messages.append(node.message)
        if stands_for := node.message or above:
            taken[node.id] = stands_for
    conversation.extend(messages)
    path = conversation.path(taken[shown].id) if shown in taken else []
    chosen = (taken.get(child) for child in (choices or {}).values() if isinstance(child, str))
    conversation.show(message.id for message in (*path, *chosen) if message is not None)
    if item.get("named") is True and isinstance(item.get("title"), str):
        conversation.rename(one_line(item["title"], TITLE_AT_MOST))
    heading: Heading = conversation.heading
    heading.pinned = item.get("pinned") is True
    heading.created, heading.updated = _time(item.get("created")), _time(item.get("updated"))
    return conversation


def _parents_first(nodes: list[_Node]) -> Iterator[_Node]:
    """The nodes in the file's order, but each behind its parent; those of a circle, and what hangs below one, are left out."""
    by_id = {node.id: node for node in nodes}
    given: set[str] = set()
    walked: set[str] = set()  # whoever meets one of these that was not given has met a circle
    for node in nodes:
        line: list[_Node] = []
        at: _Node | None = node
        while at is not None and at.id not in walked:
            walked.add(at.id)
            line.append(at)
            at = by_id.get(at.parent) if at.parent else None
        if at is None or at.id in given:
            given.update(each.id for each in line)
            yield from reversed(line)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _optional(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: Any) -> float:
    """Unix seconds; now for what is none, or lies in the future."""
    now = time.time()
    return min(float(value), now) if _is_number(value) else now


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
