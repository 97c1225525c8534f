"""When the text of an answer goes out: at once, then gathered, at moments that all streams share. No engine."""

from __future__ import annotations

import asyncio

import pytest

from tests.told_engine import World, events
from webui.channel import Mailbox
from webui.conversation import Sampling
from webui.server.stream import FRAME_EVERY
from webui.turns import FLUSH_AT_MOST, FLUSH_EVERY


async def test_the_first_token_goes_out_at_once_and_what_follows_is_gathered() -> None:
    async with World(None) as world:
        chat, tab = await world.library.open("0" * 32, "me"), Mailbox()
        chat.channel.join(tab)
        await world.chats.send(chat, "Hello!", "", Sampling())
        turn = chat.turn
        assert turn is not None

        async def shown(text: str) -> None:
            async with asyncio.timeout(60):
                while "".join(event.get("append", "") for event in events(tab, "text")) != text:
                    await asyncio.sleep(0)

        await world.engine.say("a")
        await shown("a")
        assert turn._timer is None, "nothing is held back"
        for _ in range(100):
            await world.engine.say("b")
        await shown("a" + 100 * "b")
        assert len(events(tab, "text")) <= 4
        await world.engine.say("c", "stop")
        await turn.wait()
        assert turn.message.text == "a" + 100 * "b" + "c" and turn.message.end == "stop"


@pytest.mark.parametrize(("streams", "every"), [(1, 0.05), (9, 0.05), (10, 0.1), (19, 0.1), (20, 0.15), (500, 0.15)])
async def test_the_more_streams_the_longer_and_never_too_long(streams: int, every: float) -> None:
    async with World(None) as world:
        chat = await world.opened("me")
        await world.chats.send(chat, "Hello!", "", Sampling())
        turn = chat.turn
        assert turn is not None
        turn._streams = lambda: streams
        now = asyncio.get_running_loop().time()
        timer = turn._flush_later()
        timer.cancel()
        assert now < timer.when() <= asyncio.get_running_loop().time() + every <= now + FLUSH_AT_MOST + 60
        assert abs(timer.when() / every - round(timer.when() / every)) < 1e-6


def test_frames_fall_on_moments_of_the_streams() -> None:
    assert round(FRAME_EVERY / FLUSH_EVERY) == FRAME_EVERY / FLUSH_EVERY
