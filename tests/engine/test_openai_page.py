"""The page before someone else's engine: one app asks another, whose engine is the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.app_process import AppProcess, running_app, tab
from tests.conftest import CONTEXT, PATIENCE
from tests.engine.test_answers import LONG, STORY, busy, fill, idle, leave
from tests.faulty_server import FaultyServer, event, streams

pytestmark = pytest.mark.engine

PATIENT = 180.0  # seconds


@pytest.fixture(scope="module")
def page(app: AppProcess) -> Iterator[AppProcess]:
    """An app without an engine of its own, before the shared one."""
    with running_app(*before(f"{app.url}/v1")) as running:
        running.wait_until_ready()
        yield running


def before(url: str, *arguments: str) -> list[str]:
    return ["--engine", "openai", "--base-url", url, "--grace", "1", "--max-turns", "64", *arguments]


async def test_an_answer_is_the_one_that_the_engine_itself_gives(app: AppProcess, page: AppProcess) -> None:
    async with tab(app.url) as there, tab(page.url) as here:
        own, seen = await there.ask("Hello!"), await here.ask("Hello!")
    assert (seen.text, seen.end) == (own.text, own.end) and seen.text
    assert own.timing is not None and seen.timing is not None and seen.timing["split"] is False
    for name in ("tokens", "prompt_tokens"):
        assert seen.timing[name] == own.timing[name]


async def test_the_page_says_what_it_stands_before_and_what_it_cannot_know(app: AppProcess, page: AppProcess) -> None:
    status, own = page.status(), app.status()
    assert (status["device"], status["context"], status["lanes"]) == (f"{app.url}/v1", own["context"], 0)
    assert status["engine"] == own["engine"]
    assert set(status["cannot"]) == {"lanes", "api"} and status["ignored"] == []
    async with httpx.AsyncClient(base_url=page.url, timeout=PATIENCE) as client:
        assert (await client.get("/v1/models")).status_code == 501


async def test_several_are_answered_at_once_and_the_servers_own_figures_are_shown(app: AppProcess, page: AppProcess) -> None:
    others = await fill(app, 2)
    tabs = await fill(page, 4)
    try:
        await busy(app, running=4, waiting=2)
        watcher = tabs[-1]
        await watcher.wait_for(
            lambda: _published(watcher.latest("board")) == (4, 2) if watcher.latest("board") else False, PATIENT
        )
        assert watcher.latest("board")["running"] + watcher.latest("board")["waiting"] == 4
    finally:
        await leave([*others, *tabs])
    await idle(app)


def _published(frame: dict) -> tuple[float, float] | None:  # type: ignore[type-arg]
    server = (frame.get("figures") or {}).get("server")
    return server and (server["running"], server["waiting"])


async def test_stop_frees_the_lane_at_the_server_and_keeps_the_text(app: AppProcess, page: AppProcess) -> None:
    async with tab(page.url) as one:
        id = await one.send(STORY, **LONG)
        await one.wait_for(lambda: len(one.answer(id).streamed) > 20)
        await busy(app, running=1, waiting=0)
        await one.post("stop")
        await idle(app)
        answer = await one.answered(id)
        assert answer.end == "aborted" and len(answer.text) >= 20
        assert answer.timing is not None and answer.timing["tokens"] > 0


async def test_a_closed_tab_frees_its_lane_at_the_server(app: AppProcess, page: AppProcess) -> None:
    async with tab(page.url) as one:
        await one.send(STORY, **LONG)
        await busy(app, running=1, waiting=0)
    await idle(app)


async def test_regenerate_continue_sampling_and_budget(app: AppProcess, page: AppProcess) -> None:
    async with tab(page.url) as one, tab(app.url) as there:
        whole = (await there.ask("Count from 1 to 20.")).text
        cut = await one.ask("Count from 1 to 20.", max_tokens=5)
        assert cut.end == "length" and cut.timing is not None and cut.timing["tokens"] == 5
        response = await one.post("continue", message=cut.message, sampling={"temperature": 0})
        assert response.status_code == 202, response.text
        await one.wait_for(lambda: one.shown()[-1].get("end") == "stop")
        assert one.shown()[-1]["text"] == whole
        response = await one.post("regenerate", message=cut.message, sampling={"temperature": 0, "stop": ["3"]})
        again = await one.answered(response.json()["message"])
        assert "2" in again.text and "3" not in again.text
        assert (await one.post("budget", text="x")).json()["used"] > 0
        refused = await one.post("messages", text="word " * 30_000)
        assert refused.json()["error"]["code"] == "message_too_long" and refused.json()["error"]["params"]["total"] == CONTEXT


async def test_what_no_longer_fits_is_dropped_and_said(page: AppProcess) -> None:
    async with tab(page.url) as one:
        for index in range(4):
            answer = await one.ask(f"{index} " + "word " * 5000, max_tokens=2)
            assert answer.end == "length"
        assert answer.dropped > 0 and answer.dropped % 2 == 0


async def test_a_key_is_shown_to_the_server_and_to_nobody_else(app: AppProcess) -> None:
    faulty = FaultyServer({"/v1/chat/completions": [streams(event("He"), then="cut")]})
    await faulty.start()
    with running_app(*before(faulty.url, "--remote-api-key", "canary-5127")) as here:
        await asyncio.to_thread(here.wait_until_ready)
        async with tab(here.url) as one:
            answer = await one.ask("Hello!")
            assert (answer.text, answer.end) == ("He", "failed")
            assert answer.error is not None and answer.error["code"] == "connection_broken"
            assert "canary-5127" not in str(one.events) + str(here.status())
        assert all("authorization: bearer canary-5127" in head.lower() for _, head, _ in faulty.requests)
        await faulty.stop()
        status = await asyncio.to_thread(here.wait_for, lambda status: status["stage"] == "failed", PATIENT)
        assert status["error"]["code"] == "server_unreachable"
        assert "canary-5127" not in here.log.read_text()
        await faulty.start()
        await asyncio.to_thread(here.wait_for, lambda status: status["stage"] == "ready", PATIENT)
    await faulty.stop()
