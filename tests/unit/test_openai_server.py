"""The engine before an OpenAI-compatible server: what it finds out of it, asks of it and tells the board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.faulty_server import ANSWER, DONE, Do, FaultyServer, event, faulty_server, says, streams
from webui import errors
from webui.batch.board import Board
from webui.batch.frames import Frames
from webui.conversation import Message, Sampling
from webui.engines.base import Piece
from webui.engines.messages import ServerTokenizer
from webui.engines.openai_server import OpenAIEngine, OpenAIEngines, parameters
from webui.engines.supervisor import Supervisor
from webui.prompt import Prompt
from webui.settings import Settings, load

TOKENS = [says(200, {"count": 3, "tokens": [1, 2, 3]})]
METRICS = "vllm:num_requests_running 3.0\nvllm:num_requests_waiting 1.0\nvllm:kv_cache_usage_perc 0.25\n"
HELLO = Prompt([1, 2, 3], messages=[{"role": "user", "content": "Hello!"}])


def settings(faulty: FaultyServer, *arguments: str) -> Settings:
    return load(["--engine", "openai", "--base-url", faulty.url, *arguments], {})


@asynccontextmanager
async def engine_before(
    *chat: Do, arguments: tuple[str, ...] = (), board: Board | None = None, **others: list[Do]
) -> AsyncIterator[tuple[OpenAIEngine, FaultyServer]]:
    async with faulty_server(*chat, **others) as faulty:
        engine = await OpenAIEngines(settings(faulty, *arguments), board or Board())(lambda stage: None)
        try:
            yield engine, faulty
        finally:
            await engine.shutdown()


async def ask(engine: OpenAIEngine, prompt: Prompt = HELLO, sampling: Sampling | None = None) -> list[Piece]:
    return [piece async for piece in engine.generate("page-1", prompt, sampling or Sampling())]


def cards(*models: str, owner: str = "") -> list[Do]:
    return [says(200, {"data": [{"id": model, "owned_by": owner} for model in models]})]


async def test_vllm_is_known_by_what_it_says() -> None:
    async with engine_before(tokenize=TOKENS, metrics=[says(200, METRICS)], version=[says(200, {"version": "0.30.0"})]) as (
        engine,
        faulty,
    ):
        info = engine.info
        assert (info.model, info.device, info.engine, info.context) == ("m", faulty.url, "vLLM 0.30.0", 100)
        assert (info.ignored, set(info.cannot)) == ((), {"lanes", "api"})


async def test_any_other_server_is_asked_for_no_more_than_openais_api_has() -> None:
    async with engine_before(ANSWER, models=cards("gpt", owner="somebody")) as (engine, faulty):
        assert (engine.info.engine, engine.info.context) == ("OpenAI API", 0)
        assert set(engine.info.ignored) == {"top_k", "min_p", "repetition_penalty"}
        assert {"context", "tokens", "continue", "waiting", "kv_cache"} < set(engine.info.cannot)
        await ask(engine, sampling=Sampling(top_k=5, min_p=0.1, repetition_penalty=1.2, seed=7, max_tokens=9, min_tokens=3))
        (body,) = faulty.asked("/v1/chat/completions")
        assert set(body) == {"model", "messages", "stream", "stream_options", "temperature", "top_p", "seed", "max_tokens"}
        begun = Prompt([], messages=[*HELLO.messages, {"role": "assistant", "content": "He"}])
        with pytest.raises(errors.CannotContinue):
            await ask(engine, begun)


async def test_vllm_goes_on_with_an_answer() -> None:
    async with engine_before(ANSWER, tokenize=TOKENS) as (engine, faulty):
        begun = [*HELLO.messages, {"role": "assistant", "content": "He"}]
        await ask(engine, Prompt([], messages=begun))
        (body,) = faulty.asked("/v1/chat/completions")
        assert (body["add_generation_prompt"], body["continue_final_message"]) == (False, True) and body["messages"] == begun
        assert isinstance(engine.tokenizer, ServerTokenizer)
        await engine.tokenizer.build([Message("user", "Hello!"), Message("assistant", "He")])
        assert faulty.asked("/tokenize")[-1]["continue_final_message"] is True
        await engine.tokenizer.build([Message("user", "Hello!"), Message("assistant", "")])
        assert "continue_final_message" not in faulty.asked("/tokenize")[-1]


async def test_the_model_is_the_one_that_is_named_or_else_the_first() -> None:
    async with engine_before(models=cards("a", "b")) as (engine, _):
        assert engine.info.model == "a"
    async with engine_before(models=cards("a", "b"), arguments=("--model", "b")) as (engine, _):
        assert engine.info.model == "b"
    with pytest.raises(errors.ModelNotServed, match="does not serve c: it has a, b") as raised:
        async with engine_before(models=cards("a", "b"), arguments=("--model", "c")):
            pass
    assert raised.value.passing


async def test_the_context_is_the_servers_or_a_smaller_one_that_was_asked_for() -> None:
    async with engine_before(arguments=("--max-model-len", "64")) as (engine, _):
        assert engine.info.context == 64
    async with engine_before(models=cards("a"), arguments=("--max-model-len", "64")) as (engine, _):
        assert engine.info.context == 64 and "context" not in engine.info.cannot


async def test_the_board_sees_this_apps_request_and_the_servers_own_figures() -> None:
    board = Board()
    counted = streams(
        event("", usage={"prompt_tokens": 9, "completion_tokens": 0}),
        event("He", usage={"prompt_tokens": 9, "completion_tokens": 2}),
        event("", "length", usage={"prompt_tokens": 9, "completion_tokens": 3}),
        DONE,
    )
    async with engine_before(counted, board=board, metrics=[says(200, METRICS)]) as (engine, _):
        assert await ask(engine) == [Piece("He"), Piece("", "length")]
        async with asyncio.timeout(60):
            while board.server is None:
                await asyncio.sleep(0.01)
        frame = Frames(board).full()
        row, server = frame["requests"][0], frame["figures"]["server"]
        assert (row[1], row[8], row[9], row[10]) == ("page", "length", 9, 3)
        assert frame["engine"]["seen_from_here"] and frame["figures"]["kv"] is None
        assert (server["running"], server["waiting"], server["kv_cache"], server["generation_rate"]) == (3, 1, 0.25, None)


async def test_a_server_without_figures_has_none_on_the_board() -> None:
    board = Board()
    async with engine_before(ANSWER, board=board, metrics=[says(200, "process_open_fds 17.0\n")]) as (engine, _):
        await ask(engine)
        assert {"waiting", "kv_cache"} < set(engine.info.cannot) and Frames(board).full()["figures"]["server"] is None


async def test_a_failed_request_is_failed_on_the_board() -> None:
    board = Board()
    async with engine_before(streams(event("He"), then="cut"), board=board) as (engine, _):
        with pytest.raises(errors.ConnectionBroken):
            await ask(engine)
        assert Frames(board).full()["requests"][0][8] == "failed" and board.running == 0


async def test_a_server_that_goes_and_comes_back_is_found_again() -> None:
    async with faulty_server(ANSWER) as faulty:
        supervisor = Supervisor(OpenAIEngines(settings(faulty), Board()))
        supervisor.start()
        try:
            await asyncio.wait_for(supervisor.ready(), 60)
            await faulty.stop()
            async with asyncio.timeout(60):
                while supervisor.error is None:
                    await asyncio.sleep(0.05)
            assert isinstance(supervisor.error, errors.ServerUnreachable) and supervisor.stage == "failed"
            await faulty.start()
            async with asyncio.timeout(60):
                while supervisor.engine is None:
                    await asyncio.sleep(0.05)
            assert [piece async for piece in supervisor.engine.generate("page-1", HELLO, Sampling())]
        finally:
            await supervisor.stop()


async def test_a_server_that_is_still_starting_is_waited_for() -> None:
    starting = says(503, {"error": {"message": "The engine is still starting."}}, retry_after="5")
    async with faulty_server(models=[starting, *cards("a")]) as faulty:
        supervisor = Supervisor(OpenAIEngines(settings(faulty), Board()))
        supervisor.start()
        try:
            with pytest.raises(errors.ServerBusy):
                await asyncio.wait_for(supervisor.ready(), 60)
            async with asyncio.timeout(60):
                while supervisor.engine is None:
                    await asyncio.sleep(0.05)
        finally:
            await supervisor.stop()


def test_only_what_differs_is_sent() -> None:
    assert parameters(Sampling()) == {"temperature": 0.7, "top_p": 1.0}
    assert parameters(Sampling(top_k=5, stop=("x",))) == {"temperature": 0.7, "top_p": 1.0, "top_k": 5, "stop": ["x"]}


# Budgets


def letters(context: int) -> ServerTokenizer:
    """A server whose tokens are letters, eight of them around each message."""

    async def ids(messages: list[dict[str, str]]) -> list[int]:
        return [0] * sum(8 + len(message["content"]) for message in messages)

    return ServerTokenizer(ids, context)


def talk(*texts: str) -> list[Message]:
    return [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]


async def test_what_does_not_fit_is_left_out_oldest_first() -> None:
    messages = talk("a" * 30, "b" * 30, "c" * 30, "d" * 30, "e" * 10)
    prompt = await letters(100).build(messages, "s" * 10)
    assert [turn["content"][0] for turn in prompt.messages] == ["s", "e"] or prompt.messages[1]["content"][0] == "c"
    assert prompt.dropped in (2, 4) and len(prompt.ids) + 25 <= 100
    everything = await letters(1000).build(messages)
    assert everything.dropped == 0 and len(everything.messages) == 5


async def test_a_message_that_does_not_fit_by_itself_is_refused() -> None:
    with pytest.raises(errors.MessageTooLong) as raised:
        await letters(100).build(talk("a" * 95))
    assert raised.value.params == {"used": 103, "total": 100}
    assert (await letters(100).measure(talk("a" * 95))).fits is False


@pytest.mark.parametrize(("tells", "context", "used", "total"), [(True, 0, 13, None), (False, 100, None, 100)])
async def test_what_is_not_known_is_not_invented(tells: bool, context: int, used: Any, total: Any) -> None:
    async def silent(messages: list[dict[str, str]]) -> list[int] | None:
        return None

    tokenizer = ServerTokenizer(letters(0).ids if tells else silent, context)
    budget = await tokenizer.measure(talk("a" * 5))
    assert (budget.used, budget.total, budget.fits) == (used, total, True)
    assert (await tokenizer.build(talk("a" * 500))).messages[0]["content"] == "a" * 500
