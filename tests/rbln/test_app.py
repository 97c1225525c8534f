"""The whole app on the emulated NPU: the product's own compile, then page, stream, lanes and end, with the model that ships."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.app_process import ROOT, AppProcess, running_app, tab
from tests.engine.test_answers import busy, fill, idle, leave
from tests.rbln.models import DEMO, greedy

LETTERS = [f"What is the {which} letter of English alphabets?" for which in ("first", "last")]


def webui(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the app's commands."""
    command = [sys.executable, "-m", "webui", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def compile_demo(folder: Path) -> subprocess.CompletedProcess[str]:
    options = "--batch-size 4 --max-seq-len 2048 --decoder-batch-sizes 4,2,1 --dtype float32".split()
    return webui("compile", "--model", str(DEMO), "--out", str(folder), *options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, compiled for four lanes by the app's own command."""
    folder = tmp_path_factory.mktemp("app") / "compiled"
    answer = compile_demo(folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


@pytest.fixture(scope="module")
def app(compiled: Path) -> Iterator[AppProcess]:
    """The app with that folder and no other word about the engine; it ends without leaving a process behind."""
    with running_app("--model", str(compiled), "--grace", "5") as running:
        running.wait_until_ready()
        yield running
        children = running.children()
        assert running.end() == 0, running.output
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def plain_answer(question: str) -> str:
    """What plain transformers answers, greedily, with the same weights."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    message = {"role": "user", "content": question}
    ids = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_dict=True)["input_ids"]
    answer = greedy(DEMO, ids, 60)
    return tokenizer.decode(answer[: answer.index(tokenizer.convert_tokens_to_ids("<|eot_id|>"))])


def test_the_same_compile_again_has_nothing_to_do(compiled: Path) -> None:
    before = (compiled / "prefill.rbln").stat().st_mtime_ns
    again = compile_demo(compiled)
    assert again.returncode == 0 and "already compiled" in (again.stdout + again.stderr).lower()
    assert (compiled / "prefill.rbln").stat().st_mtime_ns == before


def test_the_check_says_that_the_app_would_start_on_an_emulated_device(compiled: Path) -> None:
    answer = webui("check", "--model", str(compiled), "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "emulated" in answer.stdout and json.loads(answer.stdout)


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
