"""Conversations through the page's own path, answered by the real engine.

How soon a lane is free is measured by `benchmarks.leaving`: here it is enough that it is, long before the answer would end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest

from tests.app_process import GUARD, AppProcess, Tab, tab
from tests.conftest import CONTEXT, ENDLESS, GRACE, PATIENCE

pytestmark = pytest.mark.engine

LONG = {"sampling": {"temperature": 1.0, "min_tokens": ENDLESS, "max_tokens": ENDLESS}}
TRIES = 4  # vLLM 0.30 now and then lets an answer end before its min_tokens, after others were aborted
ONE_ANSWER = {"connection": "close"}  # a connection that is kept may be closed just when the next question is asked
STORY = "Tell me a long story about a fox."


async def idle(app: AppProcess) -> None:
    """Waits until the engine says that nothing runs or waits."""
    await busy(app, running=0, waiting=0)


async def busy(app: AppProcess, running: int, waiting: int) -> None:
    """Waits until the engine says that exactly so many run and wait."""
    await _requests(app, lambda seen: seen == {"running": running, "waiting": waiting})


async def at_most(app: AppProcess, requests: int) -> None:
    """Waits until the engine says that no more run and wait, together."""
    await _requests(app, lambda seen: seen["running"] + seen["waiting"] <= requests)


async def _requests(app: AppProcess, wanted: Callable[[dict[str, int]], bool]) -> None:
    seen: list[dict[str, int]] = []
    deadline = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(base_url=app.url, verify=False, headers=ONE_ANSWER, timeout=PATIENCE) as client:
        while not seen or not wanted(seen[-1]):
            requests = (await client.get("/api/status")).json()["requests"]
            seen += [requests] if seen[-1:] != [requests] else []
            assert time.monotonic() < deadline, (seen, app.log.read_text()[-2000:])
            await asyncio.sleep(0.02)


async def fill(app: AppProcess, count: int) -> list[Tab]:
    """Tabs with a long answer each."""
    tabs = [await Tab(app.url).open() for _ in range(count)]
    for one in tabs:
        await one.send(STORY, **LONG)
    return tabs


async def leave(tabs: list[Tab]) -> None:
    for one in tabs:
        await one.post("stop")
        await one.close()
        await one.client.aclose()


async def test_the_tutorials_two_questions_at_once(app: AppProcess) -> None:
    async with tab(app.url) as one, tab(app.url) as two:
        first, last = await asyncio.gather(
            one.ask("What is the first letter of English alphabets?"),
            two.ask("What is the last letter of English alphabets?"),
        )
    assert first.end == last.end == "stop"
    assert "A" in first.text.replace("English", "").replace("Alphabet", "") and "Z" not in first.text
    assert "Z" in last.text


async def test_what_is_streamed_is_what_is_kept(app: AppProcess) -> None:
    async with tab(app.url) as one:
        answer = await one.ask("여우 이야기를 들려줘", max_tokens=300)
        assert "\ufffd" not in answer.text
        shown = one.shown()[-1]
        assert shown["tail"]["text"] == "" and shown["blocks"] == answer.blocks
        async with tab(app.url, client=one.client, chat=one.chat) as again:
            assert again.shown()[-1]["blocks"] == answer.blocks
            assert again.shown()[-1]["text"] == answer.text
            again.client = httpx.AsyncClient(timeout=PATIENCE)  # the shared client is the first tab's to close


async def test_an_answer_says_where_its_time_went(app: AppProcess) -> None:
    async with tab(app.url) as one:
        timing = (await one.ask("Hello!")).timing
    assert timing is not None and timing["tokens"] > 1 and timing["prompt_tokens"] > 1
    assert timing["queue"] >= 0 and timing["prefill"] > 0 and timing["decode"] > 0
    assert timing["e2e"] == pytest.approx(timing["queue"] + timing["prefill"] + timing["decode"])


async def test_twelve_sessions_on_four_lanes_wait_in_the_engine(app: AppProcess) -> None:
    tabs = await fill(app, 12)
    try:
        await busy(app, running=4, waiting=8)
        watcher = tabs[-1]
        names = ("running", "waiting")
        await watcher.wait_for(lambda: [(watcher.latest("board") or {}).get(name) for name in names] == [4, 8])
        await watcher.wait_for(lambda: watcher.shown()[-1].get("place") == 8)
        assert watcher.shown()[-1]["state"] == "waiting"
    finally:
        await leave(tabs)
    await idle(app)


async def test_stop_frees_the_lane_and_keeps_the_text(app: AppProcess) -> None:
    async with tab(app.url) as one:
        for _ in range(5):
            id = await one.send(STORY, **LONG)
            await one.wait_for(lambda id=id: len(one.answer(id).streamed) > 20)
            await one.post("stop")
            await idle(app)
            answer = await one.answered(id)
            assert answer.end == "aborted" and len(answer.text) >= 20
            assert answer.timing is not None and 0 < answer.timing["tokens"] < ENDLESS


async def test_a_stopped_waiting_message_leaves_the_line(app: AppProcess) -> None:
    tabs = await fill(app, 4)
    try:
        async with tab(app.url) as one:
            for _ in range(5):
                id = await one.send(STORY, **LONG)
                await busy(app, running=4, waiting=1)
                await one.post("stop")
                await busy(app, running=4, waiting=0)
                assert (await one.answered(id)).end == "aborted"
        for other in tabs:
            await other.wait_for(lambda other=other: other.shown()[-1]["state"] == "decode")
    finally:
        await leave(tabs)
    await idle(app)


@pytest.mark.parametrize("running", [0, 4])
async def test_closed_tabs_are_given_the_grace_time_and_no_more(app: AppProcess, running: int) -> None:
    """With all four lanes taken they are still waiting when they are closed."""
    others, leaving = await fill(app, running), await fill(app, 3)
    await busy(app, running=running or 3, waiting=3 if running else 0)
    moments = []
    for one in leaving:
        moments.append(time.monotonic())
        await one.close()
    for left, at in zip((2, 1, 0), moments, strict=True):
        await at_most(app, running + left)
        assert time.monotonic() - at >= GRACE - 0.1
    for one in leaving:
        async with tab(app.url, client=one.client, chat=one.chat) as again:
            assert again.shown()[-1]["end"] == "aborted", again.shown()[-1]
    await leave(others)
    await idle(app)


async def test_a_reload_within_the_grace_time_loses_and_doubles_nothing(app: AppProcess) -> None:
    for _ in range(TRIES):
        one = await Tab(app.url).open()
        id = await one.send(STORY, **LONG)
        await one.wait_for(lambda one=one, id=id: len(one.answer(id).streamed) > 20)
        closed = time.monotonic()
        await one.close()
        await asyncio.sleep(0.3)
        again = await Tab(app.url, client=one.client, chat=one.chat).open()
        if again.shown()[-1]["state"] == "decode":
            break
        assert again.shown()[-1]["end"] == "stop" or time.monotonic() - closed >= GRACE
        await again.close()
    else:
        raise AssertionError("every answer had ended")
    so_far = len(again.answer(id).streamed)
    await again.wait_for(lambda: len(again.answer(id).streamed) > so_far + 20)
    await again.post("stop")
    answer = await again.answered(id)
    shown = again.shown()
    assert [m["role"] for m in shown] == ["user", "assistant"]
    assert "".join(shown[-1]["blocks"]) and shown[-1]["text"] == answer.text
    await again.close()
    await one.client.aclose()


async def test_a_short_break_of_the_connection_is_caught_up_from_the_last_event(app: AppProcess) -> None:
    one = await Tab(app.url).open()
    id = await one.send(STORY, sampling={**LONG["sampling"], "max_tokens": 300})
    await one.wait_for(lambda: len(one.answer(id).streamed) > 20)
    await one.close()
    seen = one.last_id
    again = Tab(app.url, client=one.client, chat=one.chat)
    again.events = list(one.events)
    before = sum(kind == "messages" for kind, _ in again.events)
    await again.open(last_id=seen)
    answer = await again.answered(id)
    assert sum(kind == "messages" for kind, _ in again.events) == before
    assert again.shown()[-1]["blocks"] == answer.blocks
    await again.close()
    await one.client.aclose()


async def test_regenerate_and_edit_keep_the_earlier_versions(app: AppProcess) -> None:
    async with tab(app.url) as one:
        first = await one.ask("Hello!")
        response = await one.post("regenerate", message=first.message, sampling={"temperature": 0})
        second = await one.answered(response.json()["message"])
        assert [(m["version"], m["versions"]) for m in one.shown()] == [(1, 1), (2, 2)]
        await one.post("version", message=second.message, version=1)
        await one.wait_for(lambda: one.shown()[-1]["id"] == first.message)
        question = one.shown()[0]["id"]
        edited = await one.send("Who are you?", replaces=question, sampling={"temperature": 0})
        await one.answered(edited)
        assert [m["text"] for m in one.shown() if m["role"] == "user"] == ["Who are you?"]
        assert one.shown()[0]["version"] == 2
        await one.post("version", message=one.shown()[0]["id"], version=1)
        await one.wait_for(lambda: len(one.shown()) == 2 and one.shown()[0]["text"] == "Hello!")


async def test_a_second_message_while_one_is_answered_is_refused_and_loses_nothing(app: AppProcess) -> None:
    async with tab(app.url) as one:
        await one.send(STORY, **LONG)
        response = await one.post("messages", text="another")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "turn_running")
        await one.wait_for(lambda: len(one.shown()) == 2)
        await one.post("stop")


async def test_a_message_longer_than_the_context_is_refused_with_both_numbers(app: AppProcess) -> None:
    async with tab(app.url) as one:
        response = await one.post("messages", text="word " * 30_000)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (413, "message_too_long")
        assert error["params"]["total"] == CONTEXT < error["params"]["used"]
        assert one.shown() == []
        budget = (await one.post("budget", text="word " * 30_000)).json()
        assert budget["fits"] is False and budget["used"] == error["params"]["used"]


async def test_what_no_longer_fits_is_dropped_oldest_first_and_said(app: AppProcess) -> None:
    async with tab(app.url) as one:
        for index in range(4):
            answer = await one.ask(f"{index} " + "word " * 5000, max_tokens=2)
            assert answer.end == "length"
        assert answer.dropped > 0 and answer.dropped % 2 == 0
        budget = (await one.post("budget", text="word " * 5000)).json()
        assert budget["fits"] and budget["dropped"] > 0 and budget["used"] < budget["total"] == CONTEXT


async def test_sampling_reaches_the_engine(app: AppProcess) -> None:
    async with tab(app.url) as one:
        assert (await one.ask("Count from 1 to 20.", max_tokens=3)).timing["tokens"] == 3  # type: ignore[index]
        stopped = await one.ask("Count from 1 to 20.", stop=["3"])
        assert "2" in stopped.text and "3" not in stopped.text


async def test_a_seed_makes_an_answer_come_again(app: AppProcess) -> None:
    texts = []
    for seed in (7, 7, 8):
        async with tab(app.url) as one:
            texts.append((await one.ask("Tell me a story.", temperature=1.5, seed=seed, max_tokens=40)).text)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": 1}, "text"),
        ({"text": "a", "sampling": {"temperature": 9}}, "temperature"),
        ({"text": "a", "sampling": {"prompt_logprobs": 1}}, "prompt_logprobs"),
        ({"text": "a", "sampling": []}, "sampling"),
        ({"text": "a", "replaces": 3}, "replaces"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(app: AppProcess, body: dict[str, object], field: str) -> None:
    async with tab(app.url) as one:
        response = await one.post("messages", **body)
        assert response.status_code == 400
        assert response.json()["error"]["params"]["field"] == field
        assert one.shown() == []


async def test_nobody_reads_or_stops_anothers_conversation(app: AppProcess) -> None:
    async with tab(app.url) as mine, httpx.AsyncClient(base_url=app.url, verify=False, timeout=PATIENCE) as stranger:
        id = await mine.send("My secret word is canary-7391. " + STORY, **LONG)
        for path in ("stop", "messages", "regenerate", "version", "budget"):
            response = await stranger.post(f"/api/chats/{mine.chat}/{path}", json={}, headers=GUARD)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "chat_not_found")
        assert (await stranger.get(f"/api/stream?chat={mine.chat}")).status_code == 404
        assert (await stranger.delete(f"/api/chats/{mine.chat}", headers=GUARD)).status_code == 404
        async with tab(app.url) as other:
            await other.ask("Hello!")
            assert "canary-7391" not in str(other.events)
        assert mine.answer(id).end is None
        await mine.post("stop")
    assert "canary-7391" not in app.log.read_text()


async def test_another_origins_page_cannot_act_in_a_visitors_name(app: AppProcess) -> None:
    async with httpx.AsyncClient(base_url=app.url, verify=False, timeout=PATIENCE) as client:
        response = await client.post(f"/api/chats/{'0' * 32}/messages", json={"text": "hi"})
    assert (response.status_code, response.json()["error"]["params"]["field"]) == (400, "x-batchat")


async def test_status_and_health(app: AppProcess) -> None:
    status = app.status()
    assert (status["stage"], status["lanes"], status["context"]) == ("ready", 4, CONTEXT)
    assert status["effective"]["max_num_seqs"] == 4 and status["versions"]["gradio"]
    assert httpx.get(f"{app.url}/health", timeout=PATIENCE).status_code == 200


async def test_health_answers_while_the_engine_is_busy(app: AppProcess) -> None:
    tabs = await fill(app, 8)
    try:
        await busy(app, running=4, waiting=4)
        async with httpx.AsyncClient(base_url=app.url, verify=False, timeout=PATIENCE) as client:
            for _ in range(10):
                assert (await client.get("/health", timeout=PATIENCE)).status_code == 200
    finally:
        await leave(tabs)
