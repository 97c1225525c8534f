"""The page before a real Triton server, through the page's own path."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.app_process import AppProcess, running_app, tab
from tests.triton_server.conftest import app_before
from tests.triton_server.server import OLD_MODEL, TritonServer, free_port, running_server

ENDLESS = "say fox for ever"


async def test_several_people_talk_at_once(page: AppProcess) -> None:
    async with tab(page.url) as one, tab(page.url) as two, tab(page.url) as three:
        answers = await asyncio.gather(
            *(each.ask(f"say {name}") for each, name in ((one, "fox"), (two, "owl"), (three, "bee")))
        )
    for answer, name in zip(answers, ("fox", "owl", "bee"), strict=True):
        assert answer.end == "stop" and answer.text == "".join(f"{name}{index} " for index in range(5))
        assert answer.timing is not None and answer.timing["tokens"] == 5
        assert answer.timing["split"] is False and answer.timing["prefill"] == 0


async def test_the_page_says_what_it_stands_before_and_what_it_cannot_know(page: AppProcess, triton: TritonServer) -> None:
    status = page.status()
    assert (status["model"], status["device"]) == ("vllm_model", f"Triton at {triton.url}")
    assert status["versions"]["tritonserver"] == "2.51.0" and status["lanes"] == 0 and status["context"] == 2048
    assert set(status["cannot"]) == {"lanes", "waiting", "kv_cache", "api"}
    async with tab(page.url) as one:
        await one.ask("say fox")
        await one.wait_for(lambda: any(kind == "board" and data["full"] for kind, data in one.events))
        frame = next(data for kind, data in one.events if kind == "board" and data["full"])
    assert frame["engine"]["seen_from_here"] and frame["saved"] is None
    assert frame["figures"]["kv"] is None and frame["figures"]["occupancy"] is None


async def test_more_requests_than_the_server_runs_are_all_seen_from_here(page: AppProcess, triton: TritonServer) -> None:
    async with tab(page.url) as watcher:
        tabs = [tab(page.url) for _ in range(6)]
        opened = [await each.__aenter__() for each in tabs]
        for each in opened:
            await each.send(ENDLESS)
        await asyncio.to_thread(triton.wait_for, lambda state: (state["running"], state["waiting"]) == (4, 2))
        await watcher.wait_for(lambda: bool(watcher.latest("board")))
        await watcher.wait_for(lambda: (watcher.latest("board")["running"], watcher.latest("board")["waiting"]) == (4, 2))
        assert all(not each.answer(m["id"]).places for each in opened for m in each.shown())
        assert page.status()["requests"] == {"running": 4, "waiting": 2}
        for each, context in zip(opened, tabs, strict=True):
            await each.post("stop")
            await context.__aexit__(None, None, None)
    await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == state["waiting"] == 0)


async def test_stop_ends_the_answer_on_the_server_and_keeps_the_text(page: AppProcess, triton: TritonServer) -> None:
    async with tab(page.url) as one:
        for _ in range(3):
            id = await one.send(ENDLESS)
            await one.wait_for(lambda id=id: "fox2" in one.answer(id).streamed)
            await one.post("stop")
            await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 0)
            answer = await one.answered(id)
            assert answer.end == "aborted" and answer.text.startswith("fox0 fox1 fox2 ")


async def test_a_closed_tab_ends_its_answer_on_the_server(page: AppProcess, triton: TritonServer) -> None:
    async with tab(page.url) as one:
        await one.send(ENDLESS)
        await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 1)
    await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 0)


async def test_regenerate_and_budget_and_a_message_that_is_too_long(page: AppProcess) -> None:
    async with tab(page.url) as one:
        first = await one.ask("say fox")
        response = await one.post("regenerate", message=first.message, sampling={"max_tokens": 2})
        second = await one.answered(response.json()["message"])
        assert (second.text, second.end) == ("fox0 fox1 ", "length")
        refused = await one.post("messages", text="word " * 5000)
        assert refused.json()["error"]["code"] == "message_too_long"
        budget = (await one.post("budget", text="say owl")).json()
        assert budget["fits"] and 0 < budget["used"] < budget["total"] == 2048


async def test_an_error_of_the_server_is_said_and_the_text_so_far_stays(page: AppProcess) -> None:
    async with tab(page.url) as one:
        answer = await one.ask("break the engine")
        assert answer.end == "failed" and answer.text == "word0 word1 word2 "
        assert answer.error is not None and answer.error["code"] == "server_failed"
    async with tab(page.url) as one:
        assert (await one.ask("say fox")).end == "stop"


async def test_programs_are_sent_to_the_server_itself(page: AppProcess) -> None:
    async with httpx.AsyncClient(base_url=page.url, timeout=180) as client:
        response = await client.get("/v1/models")
    assert (response.status_code, response.json()["error"]["code"]) == (501, "no_api_here")


async def test_the_tutorials_release_is_chatted_with_too(triton: TritonServer) -> None:
    with running_app(*app_before(triton, OLD_MODEL)) as app:
        app.wait_until_ready()
        async with tab(app.url) as one:
            answer = await one.ask("say fox")
            assert (answer.text, answer.end) == ("fox0 fox1 fox2 fox3 fox4 ", "stop")
            cut = await one.ask("say fox for ever", max_tokens=3)
            assert cut.end == "length"


async def test_a_server_that_is_killed_and_comes_back_is_found_again(folder: Path) -> None:
    with running_server(folder) as server, running_app(*app_before(server)) as app:
        app.wait_until_ready()
        async with tab(app.url) as one:
            id = await one.send(ENDLESS)
            await one.wait_for(lambda: "fox2" in one.answer(id).streamed)
            server.kill()
            answer = await one.answered(id)
            assert answer.end == "failed" and answer.text.startswith("fox0 fox1 fox2 ")
            assert answer.error is not None and answer.error["code"] == "connection_broken"
            await asyncio.to_thread(app.wait_for, lambda status: status["stage"] == "failed", 180)
            refused = await one.ask("say owl")
            assert refused.error is not None and refused.error["code"] == "server_unreachable"
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(app.wait_for, lambda status: status["stage"] == "ready", 180)
            assert (await one.ask("say owl", max_tokens=2)).text == "owl0 owl1 "


def test_a_page_that_starts_before_its_server_says_so_and_waits() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with running_app("--engine", "triton", "--url", nobody, "--tokenizer", "assets/demo_model") as app:
        status = app.wait_for(lambda status: status["stage"] == "failed", 180)
        assert status["error"]["code"] == "server_unreachable" and status["error"]["params"]["address"] == nobody
        assert app.wait_for(lambda status: status["page"], 180)["stage"] == "failed"


def test_settings_that_are_missing_are_named() -> None:
    for arguments, named in ((["--engine", "triton"], "--url"), (["--engine", "triton", "--url", "x:1"], "--tokenizer")):
        try:
            AppProcess(*arguments)
        except AssertionError as error:
            assert f"{named}: is needed with --engine triton" in str(error)
        else:
            raise AssertionError("it starts")
