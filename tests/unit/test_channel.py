"""Numbered events: whoever comes back gets exactly what is missing, or is told that it is gone."""

from __future__ import annotations

import asyncio

import orjson
from hypothesis import given
from hypothesis import strategies as st

from webui.channel import KEPT, MAILBOX_BYTES, Channel, Mailbox, encode


def events(stream: bytes) -> list[object]:
    return [orjson.loads(part.split(b"data: ")[1]) for part in stream.split(b"\n\n") if part]


@given(st.integers(0, 60), st.integers(0, 60))
def test_who_comes_back_misses_nothing_and_gets_nothing_twice(before: int, after: int) -> None:
    channel = Channel()
    for number in range(before):
        channel.publish("text", number)
    position = channel.position
    for number in range(before, before + after):
        channel.publish("text", number)
    missed = channel.since(position)
    assert missed is not None
    assert events(missed) == list(range(before, before + after))


def test_what_is_gone_or_foreign_is_not_guessed() -> None:
    channel = Channel()
    start = channel.position
    for number in range(KEPT + 1):
        channel.publish("text", number)
    assert channel.since(start) is None
    assert channel.since("") is None
    assert channel.since("somewhere-3") is None
    assert channel.since(f"{channel.position}9") is None


def test_it_says_when_the_last_watcher_leaves_and_the_first_comes() -> None:
    told: list[str] = []
    channel = Channel(on_empty=lambda: told.append("empty"), on_watched=lambda: told.append("watched"))
    one, two = Mailbox(), Mailbox()
    channel.join(one)
    channel.join(two)
    channel.leave(one)
    assert told == ["watched"]
    channel.leave(two)
    assert told == ["watched", "empty"]


async def test_a_mailbox_gives_what_came_and_then_waits() -> None:
    mailbox = Mailbox()
    mailbox.put(b"a")
    mailbox.put(b"b")
    assert await mailbox.take() == b"ab"
    waiting = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.put(b"c")
    assert await waiting == b"c"
    mailbox.close()
    assert await mailbox.take() == b""


def test_a_tab_that_lags_too_far_is_sent_away() -> None:
    mailbox = Mailbox()
    mailbox.put(b"x" * MAILBOX_BYTES)
    assert not mailbox.closed
    mailbox.put(b"x")
    assert mailbox.closed


def test_an_event_is_one_line_of_data_whatever_it_contains() -> None:
    assert encode("text", {"append": "a\n\nb\r\x00"}, "7").count(b"\n") == 4
