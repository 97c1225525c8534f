"""Conversations as visitors have them: kept, listed, searched, deleted, brought back, branched, continued. No engine."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.told_engine import World, events, said
from tests.unit.conftest import settled
from tests.unit.test_history import talk
from webui.channel import Mailbox
from webui.conversation import Sampling
from webui.errors import BadInput, ChatNotFound
from webui.history import keeper
from webui.open_chat import RENDERED_AT_ONCE
from webui.server.stream import ChatEvents

ME, YOU = "me", "you"


@pytest.fixture
async def world(database: Path | str) -> AsyncIterator[World]:
    async with World(database) as one:
        await settled(one.history)
        yield one


@pytest.fixture
async def forgetful() -> AsyncIterator[World]:
    async with World(None) as one:
        yield one


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted conversations can be brought back for a moment only; a failing database is tried often."""
    monkeypatch.setattr(keeper, "UNDO_WITHIN", 3.0)
    monkeypatch.setattr("webui.library.UNDO_WITHIN", 3.0)
    monkeypatch.setattr(keeper, "BACK_OFF", (0.02,))
    monkeypatch.setattr("webui.history.store.BUSY_FOR", 50)


async def until(condition: object, within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


# A restart, and a killed server


async def test_conversations_survive_a_restart(world: World, database: Path | str) -> None:
    chat = await world.opened(ME)
    await world.answered(chat, "Hello!", "Hi, ", "I am here.")
    await settled(world.history)
    async with World(database) as later:
        again = await later.opened(ME, chat.conversation.id)
        assert said(again.conversation) == ["Hello!", "Hi, I am here."]
        listed = (await later.library.visitor(ME)).view_of_chats()
        assert [(entry["id"], entry["title"], entry["running"]) for entry in listed] == [
            (chat.conversation.id, "Hello!", False)
        ]
        with pytest.raises(ChatNotFound):
            await later.library.open(chat.conversation.id, YOU)


async def test_a_killed_server_loses_its_last_block_at_most(world: World, database: Path | str) -> None:
    chat = await world.opened(ME)
    await world.chats.send(chat, "Count!", "", Sampling())
    await world.engine.say("One.\n\nTwo.\n\nThr")
    await until(lambda: chat.turn and len(chat.turn.blocks) == 2)
    await world.engine.say("ee, and much more that is no block yet")
    await settled(world.history)
    # What the database has now is what a server that is killed now leaves behind.
    async with World(database) as later:
        again = await later.opened(ME, chat.conversation.id)
        answer = again.conversation.last()
        assert answer is not None and answer.end == "interrupted" and answer.text.startswith("One.\n\nTwo.\n\n")
        assert again.view()["messages"][-1]["end"] == "interrupted"


async def test_an_interrupted_answer_is_continued_where_it_broke_off(world: World, database: Path | str) -> None:
    chat = await world.opened(ME)
    await world.chats.send(chat, "Count!", "", Sampling())
    await world.engine.say("One.\n\nTw")
    await until(lambda: chat.turn and chat.turn.blocks)
    await settled(world.history)
    async with World(database) as later:
        again = await later.opened(ME, chat.conversation.id)
        broken = again.conversation.last()
        assert broken is not None
        tab = Mailbox()
        again.channel.join(tab)
        await later.chats.go_on(again, broken.id, "", Sampling())
        shown = events(tab, "messages")[-1]
        assert shown["after"] == broken.parent and [m["blocks"] for m in shown["messages"]] == [["<p>One.</p>"]]
        assert shown["messages"][0]["tail"]["text"] == "Tw" and shown["messages"][0]["state"] == "waiting"
        turn = again.turn
        assert turn is not None
        await later.engine.say("o.")
        await later.engine.say("", "stop")
        await turn.wait()
        assert later.engine.prompts == ["user:Count!|assistant:One.\n\nTw"]
        assert broken.text == "One.\n\nTwo." and broken.end == "stop"
        await settled(later.history)
        kept = await later.history.conversation(chat.conversation.id, ME)
        assert kept is not None and said(kept) == ["Count!", "One.\n\nTwo."] and kept.path()[-1].end == "stop"
        with pytest.raises(BadInput):
            await later.chats.go_on(again, broken.id, "", Sampling())


async def test_an_ending_server_says_interrupted_a_visitor_stopped(world: World) -> None:
    mine, yours = await world.opened(ME), await world.opened(YOU)
    for chat in (mine, yours):
        await world.chats.send(chat, "Hello!", "", Sampling())
    turn = mine.turn
    assert turn is not None and yours.turn is not None
    turn.stop()
    await turn.wait()
    await world.chats.close(0)
    ends = [last.end for chat in (mine, yours) if (last := chat.conversation.last())]
    assert ends == ["aborted", "interrupted"]
    assert world.chats.ends == {"aborted": 1, "interrupted": 1}


# When the history fails


async def test_chat_goes_on_while_the_database_is_away_and_joins_it_later(tmp_path: Path, short: None) -> None:
    path = tmp_path / "data" / "c.sqlite3"
    async with World(path) as first:
        chat = await first.opened(ME)
        await first.answered(chat, "before", "kept")
        await first.library.rename(chat.conversation.id, ME, "A title of mine")
        await first.library.pin(chat.conversation.id, ME, True)
        shown = await first.opened(ME)
        await first.answered(shown, "only looked at", "kept too")
        await first.library.rename(shown.conversation.id, ME, "Another title")
    aside = path.parent.rename(tmp_path / "aside")
    (tmp_path / "data").symlink_to("nowhere")
    async with World(path) as world:
        await settled(world.history, "failing")
        tab = Mailbox()
        (await world.library.visitor(ME)).channel.join(tab)
        again = await world.opened(ME, chat.conversation.id)
        assert said(again.conversation) == []
        await world.opened(ME, shown.conversation.id)
        await world.answered(again, "meanwhile", "said")
        new = await world.opened(ME)
        await world.answered(new, "quite new", "answer")
        (tmp_path / "link").symlink_to(aside)
        (tmp_path / "link").rename(tmp_path / "data")  # at once: nobody finds the place empty
        await settled(world.history)
        await until(lambda: not any(chat.unread for chat in world.library._chats.values()))
        await settled(world.history)
        assert said(again.conversation) == ["meanwhile", "said"]
        assert sorted(m.text for m in again.conversation) == ["before", "kept", "meanwhile", "said"]
        assert again.conversation.versions(again.conversation.path()[0].id) == (2, 2)
        assert len(events(tab, "chats")[-1]) == 3
        entries = {entry["id"]: (entry["title"], entry["pinned"]) for entry in again.owner.view_of_chats()}
        assert entries == {
            chat.conversation.id: ("A title of mine", True),
            shown.conversation.id: ("Another title", False),
            new.conversation.id: ("quite new", False),
        }
        async with World(path) as later:
            await settled(later.history)
            listed = (await later.library.visitor(ME)).view_of_chats()
            assert {entry["id"]: (entry["title"], entry["pinned"]) for entry in listed} == entries
        kept = await world.history.conversation(chat.conversation.id, ME)
        assert kept is not None and list(kept) == list(again.conversation)


async def test_a_locked_database_never_holds_up_an_answer(tmp_path: Path, short: None) -> None:
    async with World(tmp_path / "c.sqlite3") as world:
        chat = await world.opened(ME)
        await world.answered(chat, "before", "kept")
        await settled(world.history)
        with closing(sqlite3.connect(tmp_path / "c.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            async with asyncio.timeout(60):
                await world.answered(chat, "meanwhile", "one.\n\n", "two.\n\n", "three")
            await settled(world.history, "failing")
            other.execute("ROLLBACK")
        await settled(world.history)
        kept = await world.history.conversation(chat.conversation.id, ME)
        assert kept is not None and said(kept) == ["before", "kept", "meanwhile", "one.\n\ntwo.\n\nthree"]


# The list


async def test_rename_pin_and_what_the_other_tabs_hear(world: World, database: Path | str) -> None:
    chat = await world.opened(ME)
    await world.answered(chat, "first words", "Hi.")
    tab = Mailbox()
    chat.owner.channel.join(tab)
    id = chat.conversation.id
    await world.library.rename(id, ME, "  A better\nname ")
    await world.library.pin(id, ME, True)
    told = [event["changed"][0] for event in events(tab, "chats_changed")]
    assert [(entry["title"], entry["pinned"]) for entry in told] == [("A better name", False), ("A better name", True)]
    with pytest.raises(ChatNotFound):
        await world.library.rename(id, YOU, "stolen")
    await settled(world.history)
    async with World(database) as later:
        (entry,) = (await later.library.visitor(ME)).view_of_chats()
        assert (entry["title"], entry["pinned"]) == ("A better name", True)
        await later.library.rename(id, ME, "")
        assert (await later.library.visitor(ME)).view_of_chats()[0]["title"] == "first words"


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "in memory"])
async def test_delete_can_be_undone_for_a_while(
    tmp_path: Path, short: None, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def within(seconds: float) -> None:
        monkeypatch.setattr(keeper, "UNDO_WITHIN", seconds)
        monkeypatch.setattr("webui.library.UNDO_WITHIN", seconds)

    within(3600.0)
    async with World(tmp_path / "c.sqlite3" if keeps else None) as world:
        chats = [await world.opened(ME) for _ in range(2)]
        for number, chat in enumerate(chats):
            await world.answered(chat, f"canary{number}", "Hi.")
        first, second = (chat.conversation.id for chat in chats)
        visitor = chats[0].owner
        assert await world.library.delete([first], ME) == [first]
        assert [entry["id"] for entry in visitor.view_of_chats()] == [second]
        assert await world.library.search(ME, "canary0") == []
        with pytest.raises(ChatNotFound):
            await world.library.open(first, ME)
        with pytest.raises(ChatNotFound):
            await world.library.restore([first], YOU)
        await world.library.restore([first], ME)
        assert said((await world.library.open(first, ME)).conversation) == ["canary0", "Hi."]
        within(3.0)
        assert set(await world.library.delete(None, ME)) == {first, second}
        await asyncio.sleep(3.1)
        with pytest.raises(ChatNotFound):
            await world.library.restore([first], ME)
        if keeps:
            await until(lambda: b"canary" not in b"".join(path.read_bytes() for path in tmp_path.iterdir()))
            assert await world.history.headings(ME) == []


async def test_a_deleted_conversation_leaves_nothing_even_if_it_was_being_answered(tmp_path: Path, short: None) -> None:
    async with World(tmp_path / "c.sqlite3") as world:
        chat = await world.opened(ME)
        tab = Mailbox()
        chat.channel.join(tab)
        await world.chats.send(chat, "canary5561", "", Sampling())
        await world.engine.say("canary5561.\n\nand")
        await until(lambda: chat.turn and chat.turn.blocks)
        await world.library.delete([chat.conversation.id], ME)
        await until(lambda: chat.turn is None)
        await until(lambda: tab.closed)
        await until(lambda: b"canary5561" not in b"".join(path.read_bytes() for path in tmp_path.iterdir()))
        await asyncio.sleep(0.3)
        assert b"canary5561" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert said((await world.library.open(chat.conversation.id, ME)).conversation) == []


async def test_search_finds_texts_and_titles_of_ones_own(world: World) -> None:
    mine, named, yours = await world.opened(ME), await world.opened(ME), await world.opened(YOU)
    await world.answered(mine, "Tell me of animals", "The quick fox jumps.")
    await world.answered(named, "Something", "else")
    await world.library.rename(named.conversation.id, ME, "Fox hunt")
    await world.answered(yours, "fox canary", "fox")
    await settled(world.history)
    found = await world.library.search(ME, "FOX")
    assert [(entry["id"], entry["excerpt"]) for entry in found] == [
        (named.conversation.id, None),
        (mine.conversation.id, ("The quick ", "fox", " jumps.")),
    ]
    assert await world.library.search(ME, "canary") == [] and await world.library.search(ME, " ?! ") == []


async def test_search_works_without_a_database(forgetful: World) -> None:
    chat = await forgetful.opened(ME)
    await forgetful.answered(chat, "여우 이야기", "옛날에")
    assert [entry["id"] for entry in await forgetful.library.search(ME, "여우")] == [chat.conversation.id]
    assert await forgetful.library.search(YOU, "여우") == []


async def test_a_branch_is_a_conversation_of_its_own(world: World, database: Path | str) -> None:
    chat = await world.opened(ME)
    answer = await world.answered(chat, "one", "two")
    await world.answered(chat, "three", "four")
    id = secrets.token_hex(16)
    await world.library.branch(chat, answer, id)
    branch = await world.opened(ME, id)
    assert said(branch.conversation) == ["one", "two"]
    assert not {m.id for m in branch.conversation} & {m.id for m in chat.conversation}
    await world.answered(branch, "five", "six")
    assert said(chat.conversation) == ["one", "two", "three", "four"]
    with pytest.raises(BadInput):
        await world.library.branch(chat, answer, id)
    await settled(world.history)
    async with World(database) as later:
        assert said((await later.opened(ME, id)).conversation) == ["one", "two", "five", "six"]


async def test_what_grew_too_old_leaves_memory_too(world: World, short: None) -> None:
    chat = await world.opened(ME)
    await world.answered(chat, "old", "words")
    await settled(world.history)
    tab = Mailbox()
    chat.channel.join(tab)
    world.history._keep_days = -1.0
    world.history.purge_soon()
    await until(lambda: tab.closed)
    assert chat.owner.view_of_chats() == []
    assert said((await world.library.open(chat.conversation.id, ME)).conversation) == []


async def test_visitors_who_left_nothing_leave_no_memory(forgetful: World) -> None:
    for number in range(20):
        name = f"visitor{number}"
        chat = await forgetful.library.open(secrets.token_hex(16), name)
        forgetful.library.forget_if_unused(chat)
        assert await forgetful.library.search(name, "words") == [] and await forgetful.library.whole_list(name) == []
    assert forgetful.library._visitors == {} and forgetful.library._chats == {}


async def test_visitors_who_are_told_that_there_is_no_such_conversation_leave_no_memory(world: World) -> None:
    mine = await world.opened(ME)
    await world.answered(mine, "Hello!", "Hi.")
    for number in range(20):
        with pytest.raises(ChatNotFound):
            await world.library.open(mine.conversation.id, f"visitor{number}")
        with pytest.raises(ChatNotFound):
            await world.library.pin("0" * 32, f"visitor{number}", True)
    assert list(world.library._visitors) == [ME]


async def test_a_conversation_that_a_request_is_busy_with_is_not_forgotten(
    forgetful: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    real = forgetful.chats.send

    async def slow(*arguments: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await real(*arguments)

    monkeypatch.setattr(forgetful.chats, "send", slow)
    id, tab = "a" * 32, Mailbox()
    async with forgetful.client() as client:
        sending = asyncio.create_task(client.post(f"/api/chats/{id}/messages", json={"text": "Hello!"}))
        await begun.wait()
        chat = forgetful.library._chats[id]
        chat.channel.join(tab)
        chat.channel.leave(tab)  # the page is loaded anew meanwhile
        go_on.set()
        assert (await sending).status_code == 202
        assert forgetful.library._chats[id] is chat and chat.turn is not None
        chat.turn.stop()
        await chat.turn.wait()


async def test_a_large_import_is_kept_whole_however_slow_the_database_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PENDING_AT_MOST", 40)
    monkeypatch.setattr("webui.library.TAKEN_IN_AT_ONCE", 10)
    monkeypatch.setattr("webui.library.CHATS_AT_MOST", 20)
    await world.library.take_in(ME, [talk(*(f"{number}: {line}" for line in range(30))) for number in range(30)])
    await settled(world.history)
    assert world.history.lost == 0
    kept = await world.library.whole_list(ME)
    assert [len(conversation) for conversation in kept] == [30] * 30


async def test_who_comes_chats_and_goes_leaves_nothing_in_memory_and_finds_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.library.IDLE_FOR", 0.2)
    tab = Mailbox()
    stays = await world.opened(ME)
    await world.answered(stays, "I stay.", "So do I.")
    ids = []
    for number in range(50):
        chat = await world.library.open(secrets.token_hex(16), f"visitor{number}")
        chat.channel.join(tab)
        chat.owner.channel.join(tab)
        await world.answered(chat, "Hello!", "Hi.")
        chat.owner.channel.leave(tab)
        chat.channel.leave(tab)
        ids.append(chat.conversation.id)
    await until(lambda: list(world.library._chats.values()) == [stays] and list(world.library._visitors) == [ME])
    again = await world.library.open(ids[0], "visitor0")
    assert said(again.conversation) == ["Hello!", "Hi."]
    assert said(stays.conversation) == ["I stay.", "So do I."]


# Over HTTP


async def asked(world: World, client: httpx.AsyncClient, question: str, answer: str) -> str:
    id = secrets.token_hex(16)
    response = await client.post(f"/api/chats/{id}/messages", json={"text": question})
    assert response.status_code == 202, response.text
    chat = world.library._chats[id]
    turn = chat.turn
    assert turn is not None
    await world.engine.say(answer, "stop")
    await turn.wait()
    return id


async def test_a_visitor_is_here_while_a_tab_has_the_page(forgetful: World) -> None:
    chat, tab = await forgetful.library.open("0" * 32, ME), Mailbox()
    assert not forgetful.library.is_here(ME)
    with ChatEvents(chat)(tab, ""):
        assert forgetful.library.is_here(ME) and not forgetful.library.is_here(YOU)
        assert events(tab, "messages") and events(tab, "chats") == [[]] and events(tab, "mine") == [[]]
    assert not forgetful.library.is_here(ME)


async def test_of_a_long_conversation_the_newest_are_shown_rendered_and_the_others_when_asked_for(world: World) -> None:
    async with world.client() as mine:
        id = await asked(world, mine, "question 0", "answer **0**")
        chat = world.library._chats[id]
        for number in range(1, 20):
            await world.answered(chat, f"question {number}", f"answer **{number}**")
        tab = Mailbox()
        with ChatEvents(chat)(tab, ""):
            (shown,) = events(tab, "messages")
        answers = [message for message in shown["messages"] if message["role"] == "assistant"]
        assert [message["text"] for message in answers] == [f"answer **{number}**" for number in range(20)]
        rendered = [f"<p>answer <strong>{number}</strong></p>" for number in range(20)]
        newest = RENDERED_AT_ONCE // 2
        assert [message["blocks"] for message in answers] == [None] * (20 - newest) + [[html] for html in rendered[-newest:]]

        lacking = [message["id"] for message in answers[:3]]
        answer = await mine.post(f"/api/chats/{id}/blocks", json={"messages": lacking})
        assert answer.json() == {"blocks": {one: [html] for one, html in zip(lacking, rendered, strict=False)}}
        refused = await mine.post(f"/api/chats/{id}/blocks", json={"messages": ["0" * 32]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "message_not_found")
        for unfit in ({}, {"messages": "0"}, {"messages": [0]}):
            assert (await mine.post(f"/api/chats/{id}/blocks", json=unfit)).status_code == 400


async def test_nobody_reaches_anothers_conversation(world: World) -> None:
    async with world.client() as mine, world.client() as stranger:
        id = await asked(world, mine, "canary3141", "canary2718")
        await settled(world.history)
        assert "canary" in (await mine.get(f"/api/chats/{id}/export")).text
        message = world.library._chats[id].conversation.path()[1].id
        other = secrets.token_hex(16)
        tries = [
            stranger.get(f"/api/chats/{id}/export?format=json"),
            stranger.patch(f"/api/chats/{id}", json={"title": "mine now", "pinned": True}),
            stranger.delete(f"/api/chats/{id}"),
            stranger.post("/api/restore", json={"chats": [id]}),
            stranger.post(f"/api/chats/{id}/branch", json={"message": message, "branch": other}),
            stranger.post(f"/api/chats/{id}/continue", json={"message": message}),
            stranger.post(f"/api/chats/{id}/blocks", json={"messages": [message]}),
            stranger.get(f"/api/stream?chat={id}"),
        ]
        for answer in await asyncio.gather(*tries):
            assert answer.status_code == 404 and "canary" not in answer.text, answer.url
        everything = [await stranger.get("/api/search?q=canary3141"), await stranger.get("/api/export")]
        assert all(answer.status_code == 200 and "canary" not in answer.text.replace("q=canary", "") for answer in everything)
        assert (await stranger.delete("/api/chats")).json()["deleted"] == []
        assert "canary3141" in (await mine.get("/api/export")).text


async def test_the_list_over_http(world: World) -> None:
    async with world.client() as mine:
        id = await asked(world, mine, "Hello fox", "Hi.")
        await settled(world.history)
        assert (await mine.patch(f"/api/chats/{id}", json={"title": "Named", "pinned": True})).status_code == 200
        (found,) = (await mine.get("/api/search", params={"q": "fox"})).json()["chats"]
        assert (found["title"], found["pinned"], found["excerpt"]) == ("Named", True, ["Hello ", "fox", ""])
        deleted = (await mine.delete(f"/api/chats/{id}")).json()
        assert deleted == {"deleted": [id], "undo_within": keeper.UNDO_WITHIN}
        assert (await mine.post("/api/restore", json={"chats": [id]})).status_code == 200
        exported = await mine.get("/api/export")
        assert exported.headers["content-disposition"].startswith("attachment;")
        taken = await mine.post("/api/import", content=exported.content)
        assert taken.status_code == 201 and len(taken.json()["chats"]) == 1
        visitor = next(iter(world.library._visitors.values()))
        assert sorted(entry["title"] for entry in visitor.view_of_chats()) == ["Named", "Named"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/chats/" + "0" * 32),
        ("DELETE", "/api/chats/" + "0" * 32),
        ("DELETE", "/api/chats"),
        ("POST", "/api/restore"),
        ("POST", "/api/import"),
        ("POST", f"/api/chats/{'0' * 32}/branch"),
        ("POST", f"/api/chats/{'0' * 32}/continue"),
    ],
)
async def test_another_origins_page_changes_nothing(forgetful: World, method: str, path: str) -> None:
    async with forgetful.client() as client:
        del client.headers["x-batchat"]
        response = await client.request(method, path, json={})
    assert response.status_code == 400 and "x-batchat" in response.text
