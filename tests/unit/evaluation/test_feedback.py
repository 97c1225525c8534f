"""A thumb in the chat is kept with its answer, goes with it, and becomes a row of a file of prompts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.told_engine import World
from webui import exports, imports
from webui.conversation import Conversation, Message
from webui.evaluation.prompts import read


async def test_a_thumb_is_kept_and_becomes_a_prompt(tmp_path: Path) -> None:
    database = tmp_path / "kept.sqlite3"
    async with World(database) as world, world.client() as client, world.client() as stranger:
        await client.get("/api/search")  # sets the cookie
        id = "a" * 32
        await client.post(f"/api/chats/{id}/messages", json={"text": "What is 2 + 2?"})
        await world.engine.say("Four.", "stop")
        chat = next(iter(world.library._chats.values()))
        if chat.turn is not None:
            await chat.turn.wait()
        answer = chat.conversation.path()[-1].id
        wish = {"message": answer, "thumb": "up", "reason": "right"}
        assert (await client.post(f"/api/chats/{id}/feedback", json=wish)).status_code == 200
        assert (await client.post(f"/api/chats/{id}/feedback", json={**wish, "thumb": "x"})).status_code == 400
        assert (await stranger.post(f"/api/chats/{id}/feedback", json=wish)).status_code == 404
        cookies = dict(client.cookies)
    async with World(database) as world, world.client() as client, world.client() as stranger:
        client.cookies.update(cookies)
        file = (await client.get("/api/feedback.jsonl")).content
        assert json.loads(file)["model"] == "told"
        (row,) = read("feedback.jsonl", file).rows
        assert (row.prompt, row.references, row.tags) == ("What is 2 + 2?", ("Four.",), ("thumb up",))
        assert (await stranger.get("/api/feedback.jsonl")).content == b""
        shown = (await world.library.open(id, chat.owner.name)).view()["messages"]
        assert shown[-1]["feedback"] == {"thumb": "up", "reason": "right"}
        await client.post(f"/api/chats/{id}/feedback", json={"message": answer, "thumb": ""})
        assert (await client.get("/api/feedback.jsonl")).content == b""


def test_a_saved_conversation_brings_its_thumbs_back() -> None:
    one = Conversation("a" * 32, "me")
    question = one.add(Message("user", "Hi"))
    one.add(Message("assistant", "Hello", parent=question.id, end="stop", feedback={"thumb": "down", "reason": "cold"}))
    (back,) = imports.read(exports.as_json([one]), "me")
    assert back.path()[-1].feedback == {"thumb": "down", "reason": "cold"}
    forged = exports.as_json([one]).replace(b'"down"', b'"<b>"')
    assert imports.read(forged, "me")[0].path()[-1].feedback is None
