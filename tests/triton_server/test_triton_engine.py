"""The engine before a real Triton server: both kinds of streaming, ends, counts, refusals, cancelling and lost connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.triton_server.conftest import app_before
from tests.triton_server.server import MODEL, OLD_MODEL, TritonServer, free_port, running_server
from webui.batch.board import Board
from webui.batch.frames import Frames
from webui.conversation import Message, Sampling
from webui.engines import triton_server as module
from webui.engines.triton_server import TritonEngine, TritonEngines
from webui.errors import ConnectionBroken, ModelNotServed, RequestRefused, ServerFailed, ServerStalled, ServerUnreachable
from webui.prompt import Prompt, PromptBuilder
from webui.settings import load

BOTH = pytest.mark.parametrize("model", [MODEL, OLD_MODEL])


@asynccontextmanager
async def connected(
    server: TritonServer, model: str = MODEL, *arguments: str, board: Board | None = None
) -> AsyncIterator[TritonEngine]:
    """An engine that is shut down at the end."""
    engine = await TritonEngines(load(app_before(server, model, *arguments), {}), board or Board())(lambda stage: None)
    try:
        yield engine
    finally:
        await engine.shutdown()


def prompt(engine: TritonEngine, text: str) -> Prompt:
    return PromptBuilder(engine.tokenizer, engine.info.context).build([Message("user", text)])


async def ask(engine: TritonEngine, text: str, id: str = "page-1", **sampling: Any) -> tuple[list[str], str | None]:
    """The pieces of an answer, and its end."""
    pieces = [piece async for piece in engine.generate(id, prompt(engine, text), Sampling.from_mapping(sampling))]
    assert [piece.end for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    return [piece.text for piece in pieces if piece.text], pieces[-1].end


@BOTH
async def test_an_answer_streams_word_by_word(triton: TritonServer, model: str) -> None:
    async with connected(triton, model) as engine:
        assert await ask(engine, "say fox") == (["fox0 ", "fox1 ", "fox2 ", "fox3 ", "fox4 "], "stop")


@BOTH
async def test_an_answer_may_be_longer_than_the_sixteen_tokens_that_are_the_servers_default(
    triton: TritonServer, model: str
) -> None:
    async with connected(triton, model) as engine:
        words, end = await ask(engine, "say fox for ever", max_tokens=40)
    assert (len(words), end) == (40, "length")


@BOTH
async def test_stop_strings_end_an_answer(triton: TritonServer, model: str) -> None:
    async with connected(triton, model) as engine:
        words, end = await ask(engine, "say fox for ever", stop=["x3"])
    assert ("".join(words), end) == ("fox0 fox1 fox2 fo", "stop")


async def test_every_setting_of_the_page_is_understood(triton: TritonServer) -> None:
    asked = {"temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 2, "seed": 7}
    async with connected(triton) as engine:
        assert (await ask(engine, "say fox", **asked, stop=["y"], max_tokens=9))[1] == "stop"


async def test_the_prompt_arrives_as_the_template_writes_it(triton: TritonServer) -> None:
    async with connected(triton) as engine:
        (shown,), _ = await ask(engine, "show the prompt")
        template = engine.tokenizer.apply_chat_template(
            [{"role": "user", "content": "show the prompt"}], tokenize=False, add_generation_prompt=True
        )
    assert shown == template


async def test_a_control_token_that_a_person_typed_arrives_as_text(triton: TritonServer) -> None:
    async with connected(triton) as engine:
        (shown,), _ = await ask(engine, "show the prompt <|eot_id|><|user|>")
        ids = engine.tokenizer(shown, add_special_tokens=False)["input_ids"]
        added = {token.content: id for id, token in engine.tokenizer.added_tokens_decoder.items()}
    assert ids.count(added["<|user|>"]) == 1 and ids.count(added["<|eot_id|>"]) == 1
    assert shown.replace("\u200b", "").count("<|eot_id|><|user|>") == 1


async def test_a_beginning_that_the_server_adds_itself_is_not_sent(
    triton: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "leading_bos", lambda tokenizer: tokenizer.bos_token)
    async with connected(triton) as engine:
        (shown,), _ = await ask(engine, "show the prompt")
        assert prompt(engine, "show the prompt").text == f"{engine.tokenizer.bos_token}{shown}"


async def test_many_streams_at_once_keep_their_own_text(triton: TritonServer) -> None:
    board = Board()
    async with connected(triton, board=board) as engine:
        names = [f"name{index}x" for index in range(12)]
        answers = await asyncio.gather(*(ask(engine, f"say {name}", id=f"page-{name}") for name in names))
    for name, (words, end) in zip(names, answers, strict=True):
        assert ("".join(words), end) == ("".join(f"{name}{index} " for index in range(5)), "stop")
    rows = Frames(board).full()["requests"]
    assert len(rows) == 12 and {row[10] for row in rows} == {5} and board.running == board.waiting == 0


@BOTH
async def test_a_left_answer_ends_on_the_server(triton: TritonServer, model: str) -> None:
    async with connected(triton, model) as engine:
        for _ in range(3):
            async with aclosing(engine.generate("page-1", prompt(engine, "say fox for ever"), Sampling())) as pieces:
                async for _ in pieces:
                    break
            await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 0, 60, model)


async def test_a_cancelled_task_ends_on_the_server_in_line_too(triton: TritonServer) -> None:
    async with connected(triton) as engine:
        tasks = [asyncio.create_task(ask(engine, "say fox for ever", id=f"page-{index}")) for index in range(7)]
        await asyncio.to_thread(triton.wait_for, lambda state: (state["running"], state["waiting"]) == (4, 3))
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == state["waiting"] == 0)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended)


async def test_what_the_server_refuses_is_said(triton: TritonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "parameters", lambda sampling, longest: '{"early_stopping": true}')
    async with connected(triton) as engine:
        with pytest.raises(RequestRefused, match="lora_name"):
            await ask(engine, "say fox")
        assert engine.alive


async def test_an_engine_that_dies_on_the_server_keeps_the_text(triton: TritonServer) -> None:
    board = Board()
    async with connected(triton, board=board) as engine:
        text = []
        with pytest.raises(ServerFailed, match="EngineCore encountered an issue"):
            async for piece in engine.generate("page-1", prompt(engine, "break the engine"), Sampling()):
                text.append(piece.text)
    assert "".join(text) == "word0 word1 word2 "
    assert Frames(board).full()["requests"][0][8] == "failed"


async def test_a_stalled_answer_is_ended(triton: TritonServer) -> None:
    async with connected(triton, MODEL, "--stall-after", "0.001") as engine:
        with pytest.raises(ServerStalled):
            await ask(engine, "say fox")
    await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 0)


async def test_a_model_that_is_not_there_and_a_server_that_is_not_there(triton: TritonServer) -> None:
    with pytest.raises(ModelNotServed, match="nobody") as missing:
        async with connected(triton, "nobody"):
            pass
    assert missing.value.passing
    nobody = ["--engine", "triton", "--url", f"127.0.0.1:{free_port()}", *app_before(triton)[4:]]
    with pytest.raises(ServerUnreachable) as gone:
        await TritonEngines(load(nobody, {}), Board())(lambda stage: None)
    assert gone.value.passing


async def test_a_server_that_goes_down_breaks_the_answer_and_is_noticed(folder: Path) -> None:
    with running_server(folder) as server:
        async with connected(server) as engine:
            text = ""
            with pytest.raises(ConnectionBroken):
                async for piece in engine.generate("page-1", prompt(engine, "say fox for ever"), Sampling()):
                    text += piece.text
                    if text.endswith("fox5 ") and server.process is not None:
                        server.kill()
            assert text.startswith("fox0 fox1 ")
            began = time.monotonic()
            while engine.alive:
                await asyncio.sleep(0.05)
                assert time.monotonic() - began < 60


async def test_shutting_down_breaks_what_runs_without_cancelling_whoever_waits_for_it(triton: TritonServer) -> None:
    async with connected(triton) as engine:
        running = asyncio.create_task(ask(engine, "say fox for ever"))
        await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 1)
        await engine.shutdown()
        with pytest.raises(ConnectionBroken):
            await running
    await asyncio.to_thread(triton.wait_for, lambda state: state["running"] == 0)
