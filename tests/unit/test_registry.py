"""Several engines: from the file, from what a server turns out to have; who asks which, and whose board is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.faulty_server import ANSWER, faulty_server, says
from tests.told_engine import ToldEngine
from webui.channel import Mailbox
from webui.conversation import Sampling, Source
from webui.data_folder import NONE
from webui.engines.base import Piece
from webui.engines.registry import Registry
from webui.errors import BadSetting, UnknownModel
from webui.server.app import App
from webui.server.chat_api import GUARD
from webui.settings import Settings, load

TWO = """
port = 1
stall_after = 7
[[engines]]
name = "here"
max_num_seqs = 2
[[engines]]
name = "there"
engine = "openai"
base_url = "https://host:8000/v1"
remote_api_key = "secret"
"""


def read(folder: Path, text: str) -> Settings:
    file = folder / "chat.toml"
    file.write_text(text)
    return load(["--config", str(file)], {})


def test_engines_of_a_file_have_a_name_and_settings_of_their_own(tmp_path: Path) -> None:
    settings = read(tmp_path, TWO)
    (here, first), (there, second) = settings.engines
    assert (here, first.engine, first.max_num_seqs) == ("here", "local", 2)
    assert (there, second.engine, second.base_url) == ("there", "openai", "https://host:8000/v1")
    assert second.remote_api_key == "secret"
    assert settings.port == first.port == second.port == 1 and second.stall_after == 7 and second.max_num_seqs == 4
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('engine = "openai"', "name of [[engines]] 1"),
        ('name = "a"\nengine = "openai"', "--base-url"),
        ('name = "a"\nport = 1', "port in [[engines]] 1"),
        ('name = "a"\n[[engines]]\nname = "a"', "name of [[engines]] 2"),
        ('name = "a"\n[[engines]]\nname = "b"', "[[engines]]"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(tmp_path: Path, table: str, named: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read(tmp_path, "[[engines]]\n" + table)
    assert str(refused.value).startswith(named)


async def test_each_engine_has_its_own_board_and_a_number_means_one_request(tmp_path: Path) -> None:
    registry = Registry(read(tmp_path, TWO))
    here, there = registry
    assert registry.usual is here and registry.backend("there") is there and registry.backend("") is here
    numbers = [backend.board.opened(f"page-{n}", 1).id for n, backend in enumerate((here, there, here))]
    assert len(set(numbers)) == 3
    with pytest.raises(UnknownModel, match="nobody"):
        registry.backend("nobody")
    assert [each["key"] for each in registry.menu()] == ["here", "there"]


async def test_one_engine_is_no_choice() -> None:
    assert Registry(Settings()).menu() == []


async def test_each_model_of_a_server_may_be_chosen() -> None:
    cards = says(200, {"data": [{"id": "a"}, {"id": "b/c"}]})
    async with faulty_server(ANSWER, models=[cards]) as faulty:
        registry = Registry(load(["--engine", "openai", "--base-url", faulty.url], {}))
        registry.start()
        try:
            async with asyncio.timeout(60):
                while [each["stage"] for each in registry.menu()] != ["ready", "ready"]:
                    await asyncio.sleep(0.05)
            assert [each["name"] for each in registry.menu()] == ["a", "b/c"]
            engine = registry.backend("b/c").supervisor.engine
            assert engine is not None and engine.info.model == "b/c"
        finally:
            await registry.stop()


async def test_a_named_model_is_the_only_one() -> None:
    async with faulty_server(ANSWER, models=[says(200, {"data": [{"id": "a"}, {"id": "b"}]})]) as faulty:
        registry = Registry(load(["--engine", "openai", "--base-url", faulty.url, "--model", "b"], {}))
        registry.start()
        try:
            await asyncio.wait_for(registry.usual.supervisor.ready(), 60)
            assert registry.menu() == []
        finally:
            await registry.stop()


@contextlib.asynccontextmanager
async def two_told_engines(folder: Path) -> AsyncIterator[tuple[App, dict[str, ToldEngine], httpx.AsyncClient]]:
    """The app before two engines that say what they are told, and a browser."""
    app = App(read(folder, TWO.replace("port = 1", f'data_dir = "{NONE}"')))
    told = {backend.key: ToldEngine() for backend in app.registry}
    for backend in app.registry:
        told[backend.key].info = replace(ToldEngine.info, model=f"model {backend.key}")
        backend.supervisor._factory = lambda report, key=backend.key: _given(told[key])  # type: ignore[misc]
    app.registry.start()
    for backend in app.registry:
        await asyncio.wait_for(backend.supervisor.ready(), 60)
    transport = httpx.ASGITransport(app.asgi)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={GUARD: "1"}) as http:
            yield app, told, http
    finally:
        await app.chats.close(0)
        await app.registry.stop()


async def test_a_turn_goes_to_the_engine_that_it_names(tmp_path: Path) -> None:
    async with two_told_engines(tmp_path) as (_, told, http):
        for number, key in enumerate(("there", "here", "")):
            chat = f"/api/chats/{number:032x}"
            sent = await http.post(f"{chat}/messages", json={"text": f"to {key}", "model": key})
            assert sent.status_code == 202, sent.text
        refused = await http.post(f"/api/chats/{9:032x}/messages", json={"text": "x", "model": "nobody"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_model")
        async with asyncio.timeout(60):
            while (len(told["there"].prompts), len(told["here"].prompts)) != (1, 2):
                await asyncio.sleep(0.01)
    assert "to there" in told["there"].prompts[0]


async def test_an_answer_says_which_model_gave_it(tmp_path: Path) -> None:
    async with two_told_engines(tmp_path) as (app, told, _):
        backends = {backend.key: backend for backend in app.registry}
        chat = await app.chats.library.open("a" * 32, "me")
        chat.channel.join(Mailbox())

        async def ended(*pieces: Piece, by: str) -> None:
            for piece in pieces:
                await told[by].say(piece.text, piece.end)
            assert chat.turn is not None
            await chat.turn.wait()

        answer = await app.chats.send(chat, "Hello", "", Sampling(), backend=backends["there"])
        await ended(Piece("cut "), Piece("", "length"), by="there")
        there, here = (Source(key, f"model {key}", "told") for key in ("there", "here"))
        assert answer.sources == (there,)
        await app.chats.go_on(chat, answer.id, "", Sampling(), backends["here"])
        await ended(Piece("short", "length"), by="here")
        assert answer.sources == (there, here), "a model that goes on does not hide who began"
        await app.chats.go_on(chat, answer.id, "", Sampling(), backends["here"])
        await ended(Piece(".", "stop"), by="here")
        assert (answer.text, answer.sources) == ("cut short.", (there, here))
        other = await app.chats.regenerate(chat, answer.id, "", Sampling(), backends["here"])
        await ended(Piece("whole", "stop"), by="here")
        assert other.sources == (here,) and answer.sources == (there, here)
        assert chat.view()["messages"][1]["sources"] == [{"name": "here", "model": "model here", "engine": "told"}]


async def _given(engine: ToldEngine) -> ToldEngine:
    return engine
