"""The whole app on the emulated NPU: the product's own compile, then page, stream, lanes and end, with the model that ships."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import openai
import pytest

from tests.app_process import GUARD, AppProcess, Tab, tab
from tests.engine.test_answers import busy, fill, idle, leave
from tests.rbln.models import DEMO, greedy
from tests.rbln.npu_log import NpuLog

LETTERS = [f"What is the {which} letter of English alphabets?" for which in ("first", "last")]


def plain_answer(question: str) -> str:
    """What plain transformers answers, greedily, with the same weights."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    message = {"role": "user", "content": question}
    ids = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_dict=True)["input_ids"]
    answer = greedy(DEMO, ids, 60)
    return tokenizer.decode(answer[: answer.index(tokenizer.convert_tokens_to_ids("<|eot_id|>"))])


def test_the_page_says_which_device_really_runs(app: AppProcess) -> None:
    status = app.status()
    assert status["device"] == "RBLN emulated on CPU"
    assert (status["lanes"], status["context"]) == (4, 2048)
    assert "<gradio-app" in httpx.get(app.url, timeout=60).text


async def test_two_visitors_get_plain_transformers_answers(app: AppProcess) -> None:
    async with tab(app.url) as one, tab(app.url) as two:
        answers = await asyncio.gather(one.ask(LETTERS[0]), two.ask(LETTERS[1]))
    assert [answer.end for answer in answers] == ["stop", "stop"]
    assert [answer.text for answer in answers] == [plain_answer(question) for question in LETTERS]


async def test_eight_visitors_share_four_lanes_and_who_leaves_frees_one(app: AppProcess) -> None:
    tabs = await fill(app, 8)
    try:
        await busy(app, running=4, waiting=4)
        watcher = tabs[-1]
        await watcher.wait_for(lambda: (watcher.latest("board") or {}).get("waiting") == 4)
        engine = next(data["engine"] for kind, data in watcher.events if kind == "board" and "engine" in data)
        assert (engine["lanes"], engine["device"]) == (4, "RBLN emulated on CPU")
        assert watcher.latest("board")["running"] == 4
        await tabs[0].post("stop")
        await busy(app, running=4, waiting=3)
    finally:
        await leave(tabs)
    await idle(app)
    async with tab(app.url) as one:
        assert (await one.ask(LETTERS[0])).text == plain_answer(LETTERS[0])


def told_steps(app: AppProcess) -> list[list[int]]:
    """The board's steps: ms, sequences, prompt tokens, bucket."""
    flat = httpx.get(f"{app.url}/api/board", params={"steps": 300}, timeout=60).json()["steps"]
    return [flat[i : i + 4] for i in range(0, len(flat), 4)]


async def test_the_board_has_every_step_in_the_bucket_that_it_ran_in(app: AppProcess, npu_log: NpuLog) -> None:
    """Three answers of different lengths: what the board says is held against what the emulated NPU has noted."""

    async def answer(one: Tab, number: int, tokens: int) -> None:
        await one.ask(f"Say {number}.", min_tokens=tokens, max_tokens=tokens)

    async with tab(app.url) as one, tab(app.url) as two, tab(app.url) as three:
        await idle(app)
        npu_log.clear()
        await asyncio.gather(*(answer(each, i, 40 * (i + 1)) for i, each in enumerate((one, two, three))))
    ran = npu_log.steps()
    told = told_steps(app)[-len(ran) :]
    assert [bucket for *_, bucket in told] == ran, "each of these prompts is one chunk, so that a step is a graph"
    assert set(ran) == {0, 1, 2, 4}
    assert {(sequences, bucket) for _, sequences, prompt, bucket in told if not prompt} == {(1, 1), (2, 2), (3, 4)}
    assert {(sequences, bucket) for _, sequences, prompt, bucket in told if prompt} == {(1, 0)}


DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": LETTERS[0]}]},
    "/v1/completions": {"prompt": "Hello!"},
    "/v1/responses": {"input": LETTERS[0]},
}


@pytest.mark.parametrize("door", DOORS)
def test_no_request_of_a_program_brings_the_engine_down(app: AppProcess, door: str) -> None:
    engine = app.children()
    with httpx.Client(base_url=app.url, timeout=120) as client:

        def ask(**fields: Any) -> httpx.Response:
            return client.post(door, json={"model": app.status()["model"], "temperature": 0, **DOORS[door], **fields})

        plain = ask()
        assert plain.status_code == 200, plain.text
        assert "x-batchat-ignored" not in plain.headers
        for name, value in {"prompt_logprobs": 1, "thinking_token_budget": 5, "logprob_token_ids": [5]}.items():
            answer = ask(**{name: value})
            # A field that a door does not have does not reach the engine.
            assert answer.status_code == 200 or (answer.status_code == 400 and name in answer.text), (name, answer.text)
        refused = ask(prompt_logprobs=1).status_code
        assert refused == 400 or door == "/v1/responses"
        seeded = ask(seed=7)
        assert seeded.status_code == 200 and seeded.headers["x-batchat-ignored"] == "seed"
    assert app.children() == engine, "nobody had to start it anew"


async def test_neither_page_nor_evaluation_brings_the_engine_down(app: AppProcess) -> None:
    rows = base64.b64encode(json.dumps({"id": "r", "prompt": LETTERS[0]}).encode()).decode()

    def plan(**sampling: Any) -> dict[str, Any]:
        return {"name": "rows.jsonl", "content": rows, "plan": {"variants": [{"name": "v", "sampling": sampling}]}}

    async with tab(app.url) as one:
        refused = await one.post("messages", text="Hello!", sampling={"prompt_logprobs": 1})
        assert refused.status_code == 400 and "prompt_logprobs" in refused.text
        assert (await one.ask(LETTERS[0], seed=7)).text == plain_answer(LETTERS[0])
        refused = await one.client.post("/api/evaluations", json=plan(prompt_logprobs=1), headers=GUARD)
        assert refused.status_code == 400 and "prompt_logprobs" in refused.text
        begun = await one.client.post("/api/evaluations", json=plan(temperature=0, seed=7), headers=GUARD)
        assert begun.status_code == 201, begun.text
        address = f"/api/evaluations/{begun.json()['id']}"
        async with asyncio.timeout(120):
            while (await one.client.get(address)).json()["active"]:
                await asyncio.sleep(0.1)
        report = await one.client.get(f"{address}/files/results.jsonl")
        head, answer = map(json.loads, report.text.splitlines())
        assert answer["answer"] == plain_answer(LETTERS[0])
        assert [engine["ignored"] for engine in head["provenance"]["engines"].values()] == [["seed"]]


def test_the_api_gives_the_pages_answer_and_survives_what_kills_an_rbln_engine(app: AppProcess) -> None:
    with openai.OpenAI(base_url=f"{app.url}/v1", api_key="none", max_retries=0) as client:

        def ask(**options: Any) -> str | None:
            message: Any = {"role": "user", "content": LETTERS[0]}
            model = client.models.list().data[0].id
            answer = client.chat.completions.create(model=model, messages=[message], temperature=0, **options)
            return answer.choices[0].message.content

        with pytest.raises(openai.BadRequestError, match="prompt_logprobs"):
            ask(extra_body={"prompt_logprobs": 1})
        assert ask() == plain_answer(LETTERS[0])
