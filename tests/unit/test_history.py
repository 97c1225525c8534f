"""Conversations that outlive the process, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import Cluster
from tests.unit.conftest import settled
from webui.conversation import Conversation, Message, Source, Timing
from webui.errors import BadSetting, ChatNotFound, HistoryUnavailable
from webui.history import keeper
from webui.history.keeper import History
from webui.history.migrate import config, migrate
from webui.history.records import Record, SaveConversation, SaveMessage
from webui.history.store import Store, database_url
from webui.history.tables import metadata
from webui.history.words import excerpt, matches, words_of

ME, YOU = "me", "you"


def talk(*texts: str, visitor: str = ME) -> Conversation:
    """Questions and answers in turns."""
    conversation, parent = Conversation(secrets.token_hex(16), visitor), None
    for number, text in enumerate(texts):
        message = Message("assistant" if number % 2 else "user", text, parent=parent, end="stop" if number % 2 else None)
        parent = conversation.add(message).id
    return conversation


def records(conversation: Conversation) -> list[Record]:
    """Everything of it."""
    messages = [SaveMessage(conversation.id, conversation.visitor, replace(message)) for message in conversation]
    return [SaveConversation(replace(conversation.heading)), *messages]


def put(history: History, conversation: Conversation) -> None:
    for record in records(conversation):
        history.put(record)


def texts(conversation: Conversation | None) -> list[str]:
    return [message.text for message in conversation.path()] if conversation else []


@contextlib.contextmanager
def opened(database: Path | str) -> Iterator[Store]:
    store = Store(database)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(database: Path | str) -> Iterator[Store]:
    with opened(database) as one:
        yield one


# Reading back


async def test_what_was_kept_is_there_after_a_restart(database: Path | str) -> None:
    one = talk("Hello!", "Hi.", "여우 이야기", "옛날에 …")
    one.heading.pinned = True
    answer = one.path()[1]
    answer.timing, answer.dropped = Timing(0.1, 0.2, 0.3, 7, 9), 2
    answer.sources = (Source("there", "a model", "vLLM 1"), Source("곳", "다른 모델", ""))
    answer.end, answer.error = "failed", {"code": "internal", "message": "Oh.", "params": {"n": 1}}
    first = History(database)
    first.start()
    put(first, one)
    await first.close()
    second = History(database)
    second.start()
    kept = await second.conversation(one.id, ME)
    assert kept is not None and kept.heading == one.heading and list(kept) == list(one)
    assert await second.headings(ME) == [one.heading]
    await second.close()


async def test_an_answer_that_was_being_written_is_interrupted(history: History) -> None:
    one = talk("Hello!", "Hi")
    one.path()[1].end = None
    put(history, one)
    await settled(history)
    kept = await history.conversation(one.id, ME)
    assert kept is not None and [message.end for message in kept] == [None, "interrupted"]


async def test_nobody_reads_or_writes_anothers(history: History) -> None:
    one = talk("my canary", "Hi.")
    put(history, one)
    await settled(history)
    with pytest.raises(ChatNotFound):
        await history.conversation(one.id, YOU)
    assert await history.headings(YOU) == [] and await history.search(YOU, ["canary"]) == []
    forged = Conversation(one.id, YOU)
    forged.add(Message("user", "not mine"))
    put(history, forged)
    await settled(history)
    kept = await history.conversation(one.id, ME)
    assert kept is not None and kept.heading == one.heading and texts(kept) == ["my canary", "Hi."]


class Trees:
    """Random conversations: any message answers any earlier one, versions are chosen at random."""

    words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    step = st.tuples(st.integers(0, 50), st.sampled_from(["user", "assistant"]), words, st.integers(0, 5))
    all = st.lists(step, max_size=20)


def grown(steps: list[tuple[int, Any, str, int]]) -> Conversation:
    conversation = Conversation(secrets.token_hex(16), ME)
    ids: list[str | None] = [None]
    for parent, role, text, version in steps:
        end = "stop" if role == "assistant" else None
        message = conversation.add(Message(role, text, parent=ids[parent % len(ids)], end=end))  # type: ignore[arg-type]
        ids.append(message.id)
        conversation.choose(message.id, 1 + version % conversation.versions(message.id)[1])
    return conversation


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=Trees.all)
def test_any_tree_comes_back_as_it_was(steps: list[Any], store: Store) -> None:
    one = grown(steps)
    store.save(records(one))
    kept = store.conversation(one.id, ME)
    assert kept is not None
    assert list(kept) == list(one) and kept.path() == one.path() and kept.heading == one.heading
    assert [kept.versions(m.id) for m in kept] == [one.versions(m.id) for m in one]


def test_what_no_database_takes_is_made_fit(database: Path | str) -> None:
    one = talk("a\0b \ud800 c")
    with opened(database) as store:
        store.save(records(one))
        assert texts(store.conversation(one.id, ME)) == ["a\ufffdb ? c"]


def test_a_message_whose_parent_was_lost_is_still_shown(database: Path | str) -> None:
    one = talk("one", "two", "three")
    with opened(database) as store:
        store.save([record for record in records(one) if "two" not in repr(record)])
        assert texts(store.conversation(one.id, ME)) == ["one", "three"]


# Search


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("여우가 숲에서 걸었다", "여우", True),
        ("여우가 숲에서 걸었다", "숲 여우", True),
        ("여우가 숲에서 걸었다", "우가", True),
        ("초등학교에서 배웠다", "학교", True),
        ("초등학교에서 배웠다", "등학교에", True),
        ("초등학교에서 배웠다", "학교 웠", True),
        ("초등 학교에서 배웠다", "초등학교", False),
        ("Continuous batching!", "BATCH cont", True),
        ("Continuous batching!", "chin", True),
        ("Continuous batching!", "batches", False),
        ("100 % of a_b", "%", False),
        ("100 % of a_b", "a_b", True),
        ("axb", "a_c", False),
        ("see a/b.py, it's <b>bold</b>", "b bold", True),
        ("Ｆｕｌｌ Straße", "full strasse", True),
        ("東京に行く", "東京", True),
        ("東京に行く", "京に", True),
        ("東京に行く", "京都", False),
        ("quote \" ' & | ! ( ) : *", "quote\"'*", True),
        ("nothing", "", False),
    ],
)
def test_search_is_the_same_everywhere(database: Path | str, text: str, wanted: str, found: bool) -> None:
    one, other = talk(text), talk("something else altogether")
    words = words_of(wanted)
    if not words:
        assert not found
        return
    assert matches(text, words) == found
    with opened(database) as store:
        store.save([*records(one), *records(other)])
        assert [each.conversation for each in store.search(ME, words)] == [one.id] * found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=Trees.words, data=st.data())
def test_a_text_is_found_by_any_part_of_any_of_its_words(text: str, data: st.DataObject, store: Store) -> None:
    one = talk(text, visitor=secrets.token_hex(8))
    store.save(records(one))
    for word in words_of(text):
        start = data.draw(st.integers(0, len(word) - 1))
        part = word[start : data.draw(st.integers(start + 1, len(word)))]
        assert one.id in [each.conversation for each in store.search(one.visitor, [part])]


def test_an_edited_text_is_found_by_its_new_words_only(database: Path | str) -> None:
    one = talk("Hello!", "first words")
    answer = one.path()[1]
    with opened(database) as store:
        answer.end = None
        store.save(records(one))
        assert store.search(ME, ["first"]) == [], "an answer is found when it has ended"
        answer.end = "stop"
        store.save(records(one))
        assert len(store.search(ME, ["first"])) == 1
        answer.text = "second words"
        store.save(records(one))
        assert store.search(ME, ["first"]) == [] and len(store.search(ME, ["second"])) == 1


def test_an_excerpt_is_the_place_on_one_line() -> None:
    assert excerpt("a" * 40 + "\nthe Fox jumps " + "b" * 200, ["fox"])[:2] == ("…" + "a" * 19 + " the ", "Fox")
    assert excerpt("# A\nthe **quick** `fox`", ["fox"]) == ("A the quick ", "fox", "")
    assert excerpt("nothing of it", ["fox"]) == ("", "", "nothing of it")


# Deleting


def raw_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_deleted_is_gone_from_every_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    with opened(path) as store:
        kept, deleted = talk("ordinary words", "stay"), talk("canary7261 secret words", "canary7261 again")
        for number in range(50):
            store.save([*records(talk(f"filler{number}", "x" * 500))])
        store.save([*records(kept), *records(deleted)])
        deleted.heading.deleted = time.time()
        store.save([SaveConversation(deleted.heading)])
        assert b"canary7261" in raw_bytes(tmp_path), "a test that could not fail"
        with pytest.raises(ChatNotFound):
            store.conversation(deleted.id, ME)
        assert store.search(ME, ["canary7261"]) == []
        assert [each.conversation for each in store.purge(time.time() + 1, None)] == [deleted.id]
        assert store.scrub()
        assert b"canary7261" not in raw_bytes(tmp_path)
        assert texts(store.conversation(kept.id, ME)) == ["ordinary words", "stay"]


def test_deleted_is_gone_from_the_tables(database: Path | str) -> None:
    old, new, deleted = talk("old one"), talk("new one"), talk("deleted one")
    old.heading.updated = 1000.0
    deleted.heading.deleted = 1000.0
    with opened(database) as store:
        store.save([*records(old), *records(new), *records(deleted)])
        assert {each.conversation for each in store.purge(2000.0, 2000.0)} == {old.id, deleted.id}
        assert store.scrub()
        assert [heading.id for heading in store.headings(ME)] == [new.id]
        assert store.search(ME, ["one"])[0].conversation == new.id and len(store.search(ME, ["one"])) == 1
        assert store.conversation(old.id, ME) is None


async def test_the_keeper_deletes_what_is_too_old(database: Path | str) -> None:
    old, new = talk("old one"), talk("new one")
    old.heading.updated = time.time() - 3 * keeper.DAY
    with opened(database) as store:
        store.save([*records(old), *records(new)])
    gone: list[str] = []
    history = History(database, keep_days=2, on_purged=lambda purged: gone.extend(each.conversation for each in purged))
    history.start()
    await settled(history)
    async with asyncio.timeout(60):
        while not gone:
            await asyncio.sleep(0.01)
    assert gone == [old.id] and [heading.id for heading in await history.headings(ME)] == [new.id]
    await history.close()


async def test_what_is_deleted_just_after_something_else_goes_too(
    database: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "UNDO_WITHIN", 1.0)
    gone: list[str] = []
    history = History(database, on_purged=lambda purged: gone.extend(each.conversation for each in purged))
    history.start()
    both = talk("first"), talk("second")
    for one in both:
        put(history, one)
    await settled(history)
    for one in both:
        one.heading.deleted = time.time()
        put(history, one)
        history.purge_soon()
        await asyncio.sleep(1.2)
    async with asyncio.timeout(60):
        while len(gone) < 2:
            await asyncio.sleep(0.01)
    assert gone == [one.id for one in both]
    await history.close()


# When it fails


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BACK_OFF", (0.02,))
    monkeypatch.setattr("webui.history.store.BUSY_FOR", 50)


async def start(path: Path) -> tuple[History, list[str]]:
    states: list[str] = []
    history = History(path, on_change=lambda: states.append(history.state))
    history.start()
    await settled(history)
    return history, states


async def test_a_full_disk_keeps_what_was_kept_and_writes_the_rest_later(tmp_path: Path, impatient: None) -> None:
    path = tmp_path / "c.sqlite3"
    history, states = await start(path)
    first, second = talk("first"), talk("second" + "x" * 200_000)
    put(history, first)
    await settled(history)
    full = True

    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0] + 3 if full else 2**30
        connection.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(sa.pool.Pool, "checkout", limit)
    try:
        put(history, second)
        await settled(history, "failing")
        with opened(path) as store:
            assert texts(store.conversation(first.id, ME)) == ["first"] and store.conversation(second.id, ME) is None
        full = False
        await settled(history)
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", limit)
    assert texts(await history.conversation(second.id, ME)) == [second.path()[0].text]
    assert states == ["keeping", "failing", "keeping"]
    await history.close()


async def test_a_locked_database_is_waited_for(tmp_path: Path, impatient: None) -> None:
    history, _ = await start(tmp_path / "c.sqlite3")
    with contextlib.closing(sqlite3.connect(tmp_path / "c.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        one = talk("said meanwhile", "Hi.")
        put(history, one)
        await settled(history, "failing")
        assert history.is_behind(ME)
        other.execute("ROLLBACK")
        await settled(history)
    assert not history.is_behind(ME) and texts(await history.conversation(one.id, ME)) == ["said meanwhile", "Hi."]
    await history.close()


async def test_a_missing_database_is_not_replaced_by_an_empty_one(tmp_path: Path, impatient: None) -> None:
    folder, aside = tmp_path / "data", tmp_path / "aside"
    history, _ = await start(folder / "c.sqlite3")
    first, second = talk("first"), talk("second")
    put(history, first)
    await settled(history)
    folder.rename(aside)
    with pytest.raises(HistoryUnavailable):
        await history.conversation(first.id, ME)
    await settled(history, "failing")
    put(history, second)
    await asyncio.sleep(0.1)
    assert not folder.exists()
    aside.rename(folder)
    await settled(history)
    assert texts(await history.conversation(first.id, ME)) == ["first"]
    assert texts(await history.conversation(second.id, ME)) == ["second"]
    await history.close()


@pytest.mark.parametrize("content", [b"this is no database, but it is somebody's file\n" * 100])
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, impatient: None, content: bytes) -> None:
    path = tmp_path / "c.sqlite3"
    path.write_bytes(content)
    history = History(path)
    history.start()
    await settled(history, "failing")
    with pytest.raises(HistoryUnavailable):
        await history.headings(ME)
    await history.close()
    assert path.read_bytes() == content


async def test_a_postgresql_that_goes_and_comes_back(postgres: Cluster, impatient: None) -> None:
    history = History(postgres.new_database())
    history.start()
    await settled(history)
    first, second = talk("first"), talk("second")
    put(history, first)
    await settled(history)
    postgres.stop()
    try:
        put(history, second)
        await settled(history, "failing")
        with pytest.raises(HistoryUnavailable):
            await history.headings(ME)
    finally:
        postgres.start()
    await settled(history)
    assert {heading.id for heading in await history.headings(ME)} == {first.id, second.id}
    await history.close()


async def test_an_answer_waits_for_its_next_block_only(database: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BLOCK_WAITS", 3600.0)
    one, history = talk("Hello!", "Once upon"), History(database)
    answer = one.path()[1]
    answer.end = None
    history.start()
    history.put(SaveConversation(replace(one.heading)))
    await settled(history)

    def grow(end: Any = None) -> None:
        answer.text, answer.end = answer.text + "\n\na time", end
        history.put(SaveMessage(one.id, ME, replace(answer)))

    async def kept() -> str:
        found = await history.conversation(one.id, ME)
        return found.path()[-1].text if found and len(found) else ""

    grow()
    await asyncio.sleep(3 * keeper.GATHER_FOR)
    assert history._pending and await kept() == ""
    grow()
    await settled(history)
    assert await kept() == answer.text
    grow(end="stop")
    await settled(history)
    assert await kept() == answer.text
    grow()
    await history.close()
    with opened(database) as store:
        found = store.conversation(one.id, ME)
        assert found is not None and found.path()[-1].text == answer.text, "an orderly end writes what waits"


async def test_one_record_that_cannot_be_kept_does_not_keep_the_others_out(history: History) -> None:
    bad, good = talk("bad"), talk("good")
    bad.path()[0].error = {"never": {1, 2}}  # a set is no JSON
    put(history, bad)
    put(history, good)
    await settled(history)
    assert texts(await history.conversation(good.id, ME)) == ["good"]
    assert texts(await history.conversation(bad.id, ME)) == []


async def test_what_waits_is_bounded(tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PENDING_AT_MOST", 10)
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "c.sqlite3")  # a file is in the way of the folder
    history.start()
    await settled(history, "failing")
    for _ in range(20):
        put(history, talk("words"))
    assert len(history._pending) == 10 and history.lost == 30
    await history.close(within=0.1)


async def test_nothing_is_kept_when_it_is_off() -> None:
    history = History(None)
    history.start()
    put(history, talk("words"))
    assert history.state == "off" and not history.is_behind(ME)
    assert await history.headings(ME) == [] and await history.conversation("0" * 32, ME) is None
    await history.close()


async def test_records_never_reach_the_log(tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture) -> None:
    history, _ = await start(tmp_path / "c.sqlite3")
    one = talk("canary8812")
    one.path()[0].error = {"never": {1, 2}}
    put(history, one)
    await settled(history)
    with contextlib.closing(sqlite3.connect(tmp_path / "c.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        put(history, talk("canary8812"))
        await settled(history, "failing")
    await settled(history)
    await history.close()
    assert "cannot be kept" in caplog.text and "not kept until" in caplog.text and "canary8812" not in caplog.text


# The tables


def steps() -> list[str]:
    """All revisions, the first first."""
    walked = list(ScriptDirectory.from_config(config()).walk_revisions())
    return [step.revision for step in reversed(walked)]


def filled(connection: sa.Connection) -> str:
    """Puts a conversation of two messages into tables of any version: into those columns that there are."""
    tables = sa.MetaData()
    tables.reflect(connection, only=["conversation", "message"])
    one = talk("Hello fox", "Hi.")
    heading = {"id": one.id, "visitor": ME, "title": "Hello fox", "named": False, "pinned": False, "choices": {}}
    heading |= {"created": 1.0, "updated": 2.0}
    messages = [
        {"conversation": one.id, "id": m.id, "parent": m.parent, "number": m.number, "role": m.role, "text": m.text}
        | {"created": 1.0, "end": m.end, "dropped": 0}
        for m in one
    ]
    for name, rows in (("conversation", [heading]), ("message", messages)):
        columns = tables.tables[name].columns.keys()
        known = [{key: value for key, value in row.items() if key in columns} for row in rows]
        connection.execute(sa.insert(tables.tables[name]), known)
    return one.id


@pytest.mark.parametrize("revision", steps())
def test_every_earlier_version_is_brought_up_to_now(database: Path | str, revision: str) -> None:
    url = sa.URL.create("sqlite", database=str(database)) if isinstance(database, Path) else database_url(database)
    if isinstance(database, Path):
        database.parent.mkdir()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        migrate(connection, revision)
        assert MigrationContext.configure(connection).get_current_revision() == revision
        id = filled(connection)
    with opened(database) as store:
        kept = store.conversation(id, ME)
        assert kept is not None and texts(kept) == ["Hello fox", "Hi."]
        assert [message.sources for message in kept] == [(), ()], "nobody knows which model it was"
        kept.path()[1].sources = (Source("", "a model", "vLLM 1"),)
        store.save(records(kept))
        again = store.conversation(id, ME)
        assert again is not None and again.path()[1].sources == (Source("", "a model", "vLLM 1"),)
        if revision < "0002_search":  # whose step finds the words of what there is
            assert len(store.search(ME, ["fox"])) == 1
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert context.get_current_revision() == steps()[-1]
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """The search index is each database's own; it stands in no table of ours."""
    return not (name or "").startswith("message_search")


def test_a_database_of_a_later_version_is_not_touched(database: Path | str) -> None:
    with opened(database) as store, store._engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999_later'"))
    with pytest.raises(Exception, match="later version"):
        Store(database)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "c.sqlite3") as store:
        store.save(records(talk("words")))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://a:secret@b/c", "sqlite://", "postgresql//x", "sqlite:///:memory:"])
def test_a_bad_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadSetting) as raised:
        database_url(url)
    assert "secret" not in str(raised.value)


def test_usual_spellings_of_a_url() -> None:
    for spelling in ("postgres", "postgresql"):
        assert database_url(f"{spelling}://u:p@h/d").drivername == "postgresql+psycopg"
    assert os.fspath(database_url("sqlite:////tmp/x.db").database or "") == "/tmp/x.db"
