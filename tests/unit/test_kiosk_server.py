"""Visits, the showpiece and the corner of whoever looks after a kiosk, over the app's own routes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.paced_engine import STEP, WORDS, Script, kiosk_file, paced_app
from tests.told_engine import events
from webui.channel import Mailbox
from webui.conversation import Conversation, Message
from webui.kiosk.attract import NAME
from webui.kiosk.kiosk import WRONG_PINS, Kiosk
from webui.kiosk.pin import hash_pin
from webui.markdown import render
from webui.open_chat import Chat, Visitor
from webui.server.app import App
from webui.server.chat_api import GUARD
from webui.server.kiosk_api import VisitEvents
from webui.turns import Turn

CANARY = "CANARY7f3a"
PIN = "246810"


class Screen:
    """A kiosk's screen without a browser: it watches its visit."""

    def __init__(self, app: App, script: Script, client: httpx.AsyncClient) -> None:
        assert app.kiosk is not None
        self.app, self.script, self.client, self.kiosk = app, script, client, app.kiosk
        self.events = Mailbox()
        self._watching = contextlib.ExitStack()

    async def begin(self) -> str:
        response = await self.client.post("/api/kiosk/visits")
        assert response.status_code == 201
        self.id = str(response.json()["visit"])
        self._watching.enter_context(VisitEvents(self.kiosk, self.kiosk.visits.find(self.id))(self.events, ""))
        return self.id

    async def post(self, what: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/api/kiosk/visits/{self.id}/{what}", json=body)

    async def ask(self, text: str = "Hello?", language: str = "en") -> httpx.Response:
        return await self.post("ask", text=text, language=language)

    async def end(self) -> httpx.Response:
        response = await self.client.delete(f"/api/kiosk/visits/{self.id}")
        self.leave()
        return response

    def leave(self) -> None:
        self._watching.close()

    @property
    def chat(self) -> Chat:
        return self.kiosk.visits.find(self.id).chat

    def said(self) -> list[str]:
        return [message.text for message in self.chat.conversation.path()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(STEP)

    async def answered(self) -> None:
        await self.until(lambda: self.chat.turn is None)


@contextlib.asynccontextmanager
async def screens(monkeypatch: pytest.MonkeyPatch, file: Path, *arguments: str) -> AsyncIterator[Screen]:
    async with paced_app(monkeypatch, "--kiosk", str(file), *arguments) as (app, script):
        transport = httpx.ASGITransport(app.asgi, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={GUARD: "1"}) as client:
            screen = Screen(app, script, client)
            yield screen
            screen.leave()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return kiosk_file(
        tmp_path,
        system_prompt="'Be kind.'",
        topics="{ en = 'bread', ko = '빵' }",
        max_turns="3",
        max_tokens="500",
        together_tokens="8",
        blocked_words="['naughty', '나쁜']",
        blocked_answer="{ en = 'Let us talk about bread.', ko = '빵 이야기를 해요.' }",
        admin_pin_hash=f"'{hash_pin(PIN)}'",
    )


@pytest.fixture
async def screen(monkeypatch: pytest.MonkeyPatch, file: Path) -> AsyncIterator[Screen]:
    async with screens(monkeypatch, file) as one:
        yield one


def code_of(response: httpx.Response) -> str:
    return str(response.json()["error"]["code"])


def in_memory(but: list[object]) -> list[object]:
    """Whatever of anybody's conversation this process has, but for what other tests have left."""
    gc.collect()
    known = {id(each) for each in but}
    found = (each for each in gc.get_objects() if isinstance(each, (Message, Conversation, Chat, Visitor, Turn)))
    return [each for each in found if id(each) not in known]


async def test_a_question_is_answered_under_the_rules_of_the_file(screen: Screen) -> None:
    await screen.begin()
    assert (await screen.ask("빵이 뭐야?", "ko")).json() == {"refusal": None}
    await screen.answered()
    assert screen.said() == ["빵이 뭐야?", WORDS]
    (prompt,) = screen.script.prompts
    assert prompt.startswith("system:Be kind.\n\n") and "빵" in prompt and prompt.endswith("user:빵이 뭐야?|assistant:")


async def test_no_answer_is_longer_than_the_file_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with screens(monkeypatch, kiosk_file(tmp_path, max_tokens="7")) as screen:
        await screen.begin()
        await screen.ask()
        await screen.answered()
        assert screen.said()[1] == WORDS[:7]


async def test_a_visit_has_so_many_questions_and_the_next_visit_as_many_again(screen: Screen) -> None:
    await screen.begin()
    for _ in range(3):
        assert (await screen.ask()).status_code == 202
        await screen.answered()
    refused = await screen.ask()
    assert refused.status_code == 429 and code_of(refused) == "no_more_questions"
    assert "id" not in refused.json()["error"], "whoever stands there sees what to do"
    await screen.end()
    await screen.begin()
    assert (await screen.ask()).status_code == 202


async def test_all_screens_together_ask_so_often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with screens(monkeypatch, kiosk_file(tmp_path, requests_per_minute="2")) as screen:
        for _ in range(2):
            await screen.begin()
            assert (await screen.ask()).status_code == 202
            await screen.end()
        await screen.begin()
        refused = await screen.ask()
        assert code_of(refused) == "too_many_questions" and 0 < refused.json()["error"]["params"]["seconds"] <= 60


async def test_a_question_with_a_blocked_word_gets_the_polite_answer_and_never_reaches_the_model(screen: Screen) -> None:
    await screen.begin()
    assert (await screen.ask("a Naughty one")).json() == {"refusal": "Let us talk about bread."}
    assert (await screen.ask("나 쁜 것", "ko")).json() == {"refusal": "빵 이야기를 해요."}
    assert screen.script.prompts == [] and screen.said() == []


async def test_an_answer_that_gets_a_blocked_word_is_taken_away(screen: Screen) -> None:
    await screen.begin()
    screen.script.words = "That is a naughty thing to say, " + "and on " * 1000
    await screen.ask()
    await screen.until(lambda: screen.said()[1:] == ["Let us talk about bread."])
    assert screen.chat.turn is None and screen.app.board.running == 0
    shown = screen.events._parts[-1].decode()
    assert "event: messages" in shown and "bread" in shown and "naughty" not in shown


@pytest.mark.parametrize("text", ["", "   ", "x" * 301])
async def test_a_question_that_is_none_is_refused(screen: Screen, text: str) -> None:
    await screen.begin()
    assert (await screen.ask(text)).status_code in (400, 413)


async def test_stop_ends_the_answer_and_keeps_its_text(screen: Screen) -> None:
    await screen.begin()
    screen.script.words = "on and " * 1000
    await screen.ask()
    await screen.until(lambda: len(screen.said()[1]) > 5)
    assert (await screen.post("stop")).status_code == 200
    await screen.answered()
    assert screen.said()[1].startswith("on and") and screen.app.board.running == 0


@pytest.mark.parametrize("phase", ["line", "waiting", "decode", "answered", "together"])
async def test_a_reset_frees_the_lane_and_leaves_nothing(screen: Screen, phase: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    before = in_memory([])
    visit = await screen.begin()
    if phase in ("line", "waiting"):
        screen.script.steps.clear()
    if phase == "line":
        screen.script.starts.clear()
        screen.script.killed.set()
        await screen.until(lambda: screen.app.supervisor.engine is None)
    screen.script.words = f"{CANARY} said. " * (2 if phase == "answered" else 1000)
    await screen.ask(f"{CANARY} asked?")
    if phase == "decode":
        await screen.until(lambda: CANARY in screen.said()[1])
    elif phase != "line":
        await screen.until(lambda: bool(screen.app.board.running or screen.chat.turn is None))
    if phase in ("answered", "together"):
        await screen.post("stop")
        await screen.answered()
        screen.chat.view()
    if phase == "together":
        assert (await screen.post("together", language="en")).status_code == 202
        await screen.until(lambda: screen.app.board.running > 0)

    logging.getLogger("webui.kiosk").debug("the log is heard")
    assert in_memory(before) and CANARY in str(screen.said()), "there is something to leave"
    assert (await screen.end()).status_code == 204
    screen.events = Mailbox()
    await screen.until(lambda: not screen.app.board.running + screen.app.board.waiting)
    await screen.until(lambda: not screen.app.chats._turns and not screen.kiosk.together.running)
    for path in ("ask", "stop", "together"):
        gone = await screen.post(path, text="x", language="en")
        assert gone.status_code == 404 and code_of(gone) == "visit_over"
    assert (await screen.client.get(f"/api/kiosk/visits/{visit}/stream")).status_code == 404
    library = screen.app.chats.library
    assert (len(screen.kiosk.visits), library._visitors, library._chats, library._deleted) == (0, {}, {}, {})
    await screen.until(lambda: not in_memory(before))  # what looks at the line has the last turn in hand until its next look
    assert render.cache_info().currsize == 0
    assert CANARY not in caplog.text and "the log is heard" in caplog.text


async def test_no_file_and_no_database_gets_a_word(monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path) -> None:
    data, database = tmp_path / "data", tmp_path / "kept.db"
    where = ("--data-dir", str(data), "--database-url", f"sqlite:///{database}")
    async with screens(monkeypatch, file, *where) as screen:
        await screen.begin()
        await screen.ask(f"{CANARY} asked?")
        await screen.answered()
        await screen.end()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


async def test_whoever_leaves_without_a_word_is_ended_after_the_grace_time(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    async with screens(monkeypatch, file, "--grace", "0.05") as screen:
        screen.script.words = "on and " * 10_000
        await screen.begin()
        await screen.ask()
        await screen.until(lambda: screen.app.board.running > 0)
        screen.leave()
        await screen.until(lambda: len(screen.kiosk.visits) == 0 and screen.app.board.running == 0)


async def test_a_screen_that_comes_back_in_time_goes_on(screen: Screen) -> None:
    await screen.begin()
    visit = screen.kiosk.visits.find(screen.id)
    screen.leave()
    assert visit.leaving is not None
    screen.events = Mailbox()
    with VisitEvents(screen.kiosk, visit)(screen.events, ""):
        assert visit.leaving is None and screen.kiosk.visits.find(screen.id) is visit
        await screen.ask()
        await screen.answered()
        assert events(screen.events, "mine")[-1] == [visit.chat.conversation.path()[1].request]
        await screen.end()
        assert screen.events.closed, "the screen hears that its visit is over"


async def test_a_question_whose_visit_ends_meanwhile_frees_its_lane(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    await screen.begin()
    prompt_made = asyncio.Event()
    made = screen.app.chats.prompt

    async def slowly(*arguments: Any) -> Any:
        await prompt_made.wait()
        return await made(*arguments)

    monkeypatch.setattr(screen.app.chats, "prompt", slowly)
    asking = asyncio.create_task(screen.ask())
    await asyncio.sleep(5 * STEP)
    await screen.end()
    prompt_made.set()
    assert code_of(await asking) == "visit_over"
    await screen.until(lambda: not screen.app.chats._turns)
    assert screen.app.board.running + screen.app.board.waiting == 0


async def test_the_kiosk_keeps_nothing_and_has_no_other_door_to_the_chat(screen: Screen) -> None:
    assert screen.app.history.state == "off"
    page = await screen.client.get("/")
    assert page.status_code == 200 and "set-cookie" not in page.headers and 'id="kiosk"' in page.text
    for path in ("/api/stream?chat=" + "0" * 32, f"/api/chats/{'0' * 32}/messages", "/api/demo", "/api/search", "/api/export"):
        if "stream" not in path:
            assert (await screen.client.post(path, json={})).status_code in (404, 405), path
    assert (await screen.client.post("/api/kiosk/visits", headers={GUARD: ""})).status_code == 201
    bare = httpx.AsyncClient(transport=httpx.ASGITransport(screen.app.asgi), base_url="http://test")
    assert (await bare.post("/api/kiosk/visits")).status_code == 400


async def test_behind_a_proxy_the_screen_is_let_in_by_name_and_nobody_else(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    before_it = ("--auth-header", "X-Forwarded-User", "--trusted-proxy", "127.0.0.1")
    async with screens(monkeypatch, file, *before_it) as screen:
        for path in ("/", "/api/kiosk/attract", "/api/stream"):
            assert code_of(await screen.client.get(path)) == "proxy_needed", path
        assert code_of(await screen.client.post("/api/kiosk/visits")) == "proxy_needed"
        screen.client.headers["x-forwarded-user"] = "screen in the hall"
        page = await screen.client.get("/")
        assert page.status_code == 200 and "set-cookie" not in page.headers and "screen in the hall" not in page.text
        await screen.begin()
        assert (await screen.ask()).status_code == 202
        await screen.answered()
        assert screen.said()[1] == WORDS
        assert (await screen.end()).status_code == 204


# One at a time against together


async def compared(screen: Screen) -> dict[str, Any]:
    assert (await screen.post("together", language="ko")).status_code == 202
    await screen.until(lambda: not screen.kiosk.together.running)
    return events(screen.events, "together")[-1]  # type: ignore[no-any-return]


async def test_both_ways_do_the_same_work_and_batching_is_measured_to_be_faster(screen: Screen) -> None:
    await screen.begin()
    result = await compared(screen)
    assert (result["phase"], result["lanes"], result["others"], result["error"]) == ("done", 4, 0, None)
    assert result["single"]["tokens"] == result["together"]["tokens"] == [8] * 8
    assert len(result["prompts"]) == 8 and "연속 배칭이 뭐야?" in result["prompts"]
    lasted = {way: [until - since for since, until in result[way]["spans"]] for way in ("single", "together")}
    single = result["single"]["spans"]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(single)), "one after another"
    assert sum(lasted["together"]) > result["together"]["seconds"] * 2, "together"
    for way in ("single", "together"):
        assert result[way]["rate"] == pytest.approx(64 / result[way]["seconds"])
    assert result["factor"] == pytest.approx(result["single"]["seconds"] / result["together"]["seconds"])
    assert screen.script.stepped < 100  # reading takes some steps, one by one 64, on four lanes 16
    asked = screen.script.prompts
    assert len(asked) == 24 and asked[:8] == asked[8:16] and sorted(asked[8:16]) == sorted(asked[16:])


async def test_who_else_was_there_is_said(screen: Screen) -> None:
    await screen.begin()
    screen.script.words = "on and " * 1000
    await screen.ask()
    await screen.until(lambda: screen.app.board.running > 0)
    assert (await compared(screen))["others"] == 1


async def test_only_one_comparison_runs_at_a_time_and_stop_ends_it(screen: Screen) -> None:
    await screen.begin()
    screen.script.steps.clear()
    assert (await screen.post("together", language="en")).status_code == 202
    assert code_of(await screen.post("together", language="en")) == "comparison_running"
    await screen.post("stop")
    await screen.until(lambda: not screen.kiosk.together.running)
    assert events(screen.events, "together")[-1]["phase"] == "stopped"
    await screen.until(lambda: screen.app.board.running + screen.app.board.waiting == 0)


async def test_an_engine_that_dies_meanwhile_is_said(screen: Screen) -> None:
    await screen.begin()
    screen.script.steps.clear()
    await screen.post("together", language="en")
    await screen.until(lambda: screen.app.board.running > 0)
    screen.script.killed.set()
    await screen.until(lambda: not screen.kiosk.together.running)
    last = events(screen.events, "together")[-1]
    assert last["phase"] == "failed" and last["error"]["code"] == "engine_stopped" and last["factor"] is None


# The attract loop


async def test_the_batch_moves_while_nobody_is_there_and_stops_when_somebody_comes(screen: Screen) -> None:
    screen.script.steps.clear()
    with screen.kiosk.attract.watched(Mailbox(), ""):
        await screen.until(lambda: screen.app.board.running == 4)
        assert {request.door for request in screen.app.board.lanes.running} == {"demo"}
        assert screen.app.demo.count == 6 and NAME not in str(screen.app.chats.library._visitors)
    await screen.until(lambda: screen.app.board.running + screen.app.board.waiting == 0)


# The corner


async def test_the_corner_opens_to_the_pin_alone_and_not_after_many_wrong_ones(screen: Screen, file: Path) -> None:
    async def enter(pin: str, **more: Any) -> httpx.Response:
        return await screen.client.post("/api/kiosk/admin", json={"pin": pin, **more})

    assert code_of(await enter("111111")) == "pin_wrong"
    status = (await enter(PIN)).json()
    assert (status["stage"], status["visits"], status["file"]) == ("ready", 0, str(file))
    file.write_text(file.read_text("utf-8").replace("'Be kind.'", "'Be brief.'"), "utf-8")
    assert (await enter(PIN, reload=True)).status_code == 200
    assert screen.kiosk.file.system_prompt == "Be brief."
    file.write_text("max_turns = 0\n", "utf-8")
    broken = await enter(PIN, reload=True)
    assert code_of(broken) == "bad_setting" and screen.kiosk.file.max_turns == 3
    answers = await asyncio.gather(*(enter("111111") for _ in range(3 * WRONG_PINS)))
    assert [code_of(each) for each in answers].count("pin_wrong") == WRONG_PINS
    locked = await enter(PIN)
    assert locked.status_code == 429 and code_of(locked) == "pin_locked"


async def test_without_a_hash_there_is_no_corner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with screens(monkeypatch, kiosk_file(tmp_path)) as screen:
        assert code_of(await screen.client.post("/api/kiosk/admin", json={"pin": ""})) == "pin_wrong"
        assert isinstance(screen.kiosk, Kiosk) and screen.kiosk.for_page()["admin"] is False
