"""The OpenAI API of the page's own engine, asked by the clients that people have."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.app_process import ROOT, AppProcess, Tab, tab
from tests.conftest import CONTEXT, ENDLESS, PATIENCE
from tests.engine.test_answers import busy, idle
from webui.server.api_requests import DROPPED, LENGTHS, MEDIA, REFUSED
from webui.server.openai_api import ANSWERED, BLOCKED, OURS, PREFIXES

pytestmark = pytest.mark.engine

MODEL = "demo_model"
QUESTION: Any = [{"role": "user", "content": "What is the first letter of English alphabets?"}]
STORY: Any = [{"role": "user", "content": "Tell me a long story about a fox."}]
LONG: Any = {"max_tokens": ENDLESS, "extra_body": {"min_tokens": ENDLESS, "ignore_eos": True}}


@pytest.fixture
def client(app: AppProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(app: AppProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{app.url}/v1", api_key="none", max_retries=0) as client:
        yield client


# ---- the openai package


def test_the_model_is_listed_without_its_place_on_this_machine(client: OpenAI) -> None:
    (model,) = client.models.list().data
    assert model.id == MODEL and str(ROOT) not in model.model_dump_json()


def test_an_answer_whole_and_streamed_is_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    assert whole.choices[0].finish_reason == "stop" and "A" in (whole.choices[0].message.content or "")
    assert whole.usage is not None and whole.usage.completion_tokens > 1
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_completions_and_responses(client: OpenAI) -> None:
    completed = client.completions.create(
        model=MODEL, prompt=["Hello", "Good"], max_tokens=4, temperature=0, extra_body={"min_tokens": 4}
    )
    assert [choice.index for choice in completed.choices] == [0, 1] and all(c.text for c in completed.choices)
    response = client.responses.create(model=MODEL, input=QUESTION[0]["content"], temperature=0)
    assert response.status == "completed" and "A" in response.output_text
    events = client.responses.create(model=MODEL, input=QUESTION[0]["content"], temperature=0, stream=True)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == response.output_text


def test_stop_strings_several_answers_and_log_probabilities(client: OpenAI) -> None:
    counted = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Count from 1 to 20."}], temperature=0, stop=["3"]
    )
    text = counted.choices[0].message.content or ""
    assert "2" in text and "3" not in text
    several = client.chat.completions.create(model=MODEL, messages=STORY, n=3, max_tokens=8, temperature=1)
    assert len(several.choices) == 3
    told = client.chat.completions.create(
        model=MODEL, messages=QUESTION, logprobs=True, top_logprobs=2, max_tokens=3, temperature=0
    )
    assert told.choices[0].logprobs is not None and told.choices[0].logprobs.content is not None
    for token in told.choices[0].logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 2 and token.logprob == token.top_logprobs[0].logprob


def test_errors_are_the_packages_own(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
    with pytest.raises(openai.NotFoundError, match="/v1/embeddings"):
        client.embeddings.create(model=MODEL, input="a")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=-1)
    with pytest.raises(openai.BadRequestError, match=f"maximum context length is {CONTEXT}"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 30_000}])
    with pytest.raises(openai.BadRequestError, match="text only"):
        picture: Any = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/"}}]
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": picture}])


async def test_many_at_once(async_client: AsyncOpenAI) -> None:
    answers = await asyncio.gather(
        *(async_client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0) for _ in range(12))
    )
    assert all("A" in (answer.choices[0].message.content or "") for answer in answers)


async def test_a_stream_that_is_left_frees_its_lane(app: AppProcess, async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model=MODEL, messages=STORY, stream=True, **LONG)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await busy(app, running=1, waiting=0)
    await stream.close()
    await idle(app)


@pytest.mark.parametrize("call", ["chat", "completion", "response"])
async def test_a_whole_answer_that_nobody_waits_for_frees_its_lane(
    app: AppProcess, async_client: AsyncOpenAI, call: str
) -> None:
    requests: dict[str, Any] = {
        "chat": lambda: async_client.chat.completions.create(model=MODEL, messages=STORY, **LONG),
        "completion": lambda: async_client.completions.create(model=MODEL, prompt="Once", **LONG),
        "response": lambda: async_client.responses.create(
            model=MODEL, input=STORY[0]["content"], max_output_tokens=ENDLESS, extra_body={"ignore_eos": True}
        ),
    }
    asking = asyncio.create_task(requests[call]())
    await busy(app, running=1, waiting=0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await idle(app)


async def test_one_that_waits_leaves_the_line_too(app: AppProcess, async_client: AsyncOpenAI) -> None:
    chat = async_client.chat.completions.create
    async with tab(app.url) as watcher:

        def line() -> int:
            return int((watcher.latest("board") or {}).get("waiting", 0))

        asking = [asyncio.create_task(chat(model=MODEL, messages=STORY, **LONG)) for _ in range(5)]
        await watcher.wait_for(lambda: line() == 1)
        asking[-1].cancel()
        await watcher.wait_for(lambda: line() == 0)
        assert not any(one.done() for one in asking[:-1])
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    await idle(app)


# ---- the board


async def test_the_board_shows_each_request_once(app: AppProcess, async_client: AsyncOpenAI) -> None:
    chat = async_client.chat.completions.create
    async with tab(app.url) as watcher:
        await watcher.wait_for(lambda: watcher.latest("board") is not None)
        before = set(rows(watcher))
        await chat(model=MODEL, messages=QUESTION, temperature=0)
        async for _ in await chat(model=MODEL, messages=QUESTION, temperature=0, stream=True):
            pass
        await async_client.completions.create(model=MODEL, prompt=["a", "b"], max_tokens=3)
        await async_client.responses.create(model=MODEL, input="Hello!", max_output_tokens=3)
        named: Any = {"extra_body": {"request_id": "page-1"}, "extra_headers": {"x-request-id": "page-1"}}
        await chat(model=MODEL, messages=QUESTION, max_tokens=3, **named)

        def over() -> int:
            return sum({"stop", "length"} & set(row[7:9]) != set() for id, row in rows(watcher).items() if id not in before)

        await watcher.wait_for(lambda: over() >= 6)
        await asyncio.sleep(0.5)
        new = {id: row for id, row in rows(watcher).items() if id not in before}
    assert len(new) == 6 and {row[1] for row in new.values()} == {"api"}
    assert all("stop" in row or "length" in row for row in new.values()), new


def rows(watcher: Tab) -> dict[int, list[Any]]:
    """Number of a request -> the latest that the board said of it."""
    return {row[0]: row for kind, data in watcher.events if kind == "board" for row in data["requests"]}


async def test_visitors_go_before_programs(app: AppProcess, async_client: AsyncOpenAI) -> None:
    def ask(tokens: int) -> asyncio.Task[Any]:
        length: Any = {"max_tokens": tokens, "extra_body": {"min_tokens": tokens, "ignore_eos": True, "priority": -9}}
        return asyncio.create_task(async_client.chat.completions.create(model=MODEL, messages=STORY, **length))

    async with tab(app.url) as visitor:
        running = [ask(ENDLESS) for _ in range(4)]
        await busy(app, running=4, waiting=0)
        line = [ask(ENDLESS) for _ in range(6)]
        await busy(app, running=4, waiting=6)
        id = await visitor.send("Hello!", sampling={"temperature": 0})
        await busy(app, running=4, waiting=7)
        running[0].cancel()
        answer = await visitor.answered(id)
        assert answer.end == "stop" and not any(one.done() for one in line)
        for one in (*running, *line):
            one.cancel()
        await asyncio.gather(*running, *line, return_exceptions=True)
    await idle(app)


# ---- other clients


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readmes_commands(app: AppProcess, readme: str) -> None:
    commands = re.findall(r"^curl .*$", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        words = shlex.split(command.replace("http://127.0.0.1:7860", app.url))
        done = subprocess.run([*words, "--fail-with-body", "--silent"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
        if "stream" in command:
            assert done.stdout.rstrip().endswith("data: [DONE]")
        else:
            assert json.loads(done.stdout)["object"] in ("list", "chat.completion")


def test_the_readmes_program(app: AppProcess) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    program = program.replace("http://127.0.0.1:7860", app.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


@pytest.mark.parametrize("endpoint", ["/v1/completions", "/v1/chat/completions"])
def test_vllms_own_benchmark_finishes_without_a_failed_request(app: AppProcess, tmp_path: Path, endpoint: str) -> None:
    program = (
        "from vllm.benchmarks.serve import add_cli_args, main\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "parser = FlexibleArgumentParser()\nadd_cli_args(parser)\nmain(parser.parse_args())"
    )
    backend = "openai-chat" if "chat" in endpoint else "openai"
    arguments = f"--backend {backend} --endpoint {endpoint} --base-url {app.url} --model {MODEL} --dataset-name random "
    arguments += f"--tokenizer {ROOT}/assets/demo_model --random-input-len 50 --random-output-len 20 --num-prompts 20 "
    arguments += f"--disable-tqdm --save-result --result-dir {tmp_path} --result-filename result.json"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments.split()],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["completed"], result["failed"]) == (20, 0)


# ---- what must not get through


def every_path() -> set[str]:
    """Whatever vLLM's server can register for a model that generates text, with all that its flags can turn on."""
    program = (
        "import json\n"
        "from vllm.entrypoints.launchers.app import build_app\n"
        "from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "flags = ['--enable-tokenizer-info-endpoint', '--enable-scale-out']\n"
        "arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(flags)\n"
        "app = build_app(arguments, ('generate',), None)\n"
        "print('PATHS', json.dumps([route.path for route in app.routes]))"
    )
    switched_on = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, env={**os.environ, **switched_on}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout.rpartition("PATHS ")[2]))


def test_every_path_of_vllms_is_allowed_or_blocked_by_name(app: AppProcess) -> None:
    paths = every_path()
    assert set(ANSWERED) <= paths and "/metrics" in paths
    known = {*ANSWERED, *OURS, *BLOCKED, "/health"}
    assert {path for path in paths if path not in known and not path.startswith(PREFIXES)} == set()
    with httpx.Client(base_url=app.url, timeout=PATIENCE) as client:
        for path in sorted(paths - {*ANSWERED, *OURS, "/health"}):
            for method in ("GET", "POST"):
                response = client.request(method, path, json={"prompt": "a"} if method == "POST" else None)
                assert response.status_code == 404 and response.json()["error"]["code"] == "unknown_path", path


PASSING = """
    add_generation_prompt add_special_tokens allowed_token_ids bad_words cache_salt chat_template_kwargs
    continue_final_message documents echo enable_response_messages frequency_penalty ignore_eos include include_reasoning
    include_stop_str_in_output input instructions length_penalty logit_bias logprob_token_ids logprobs max_completion_tokens
    max_output_tokens max_tokens max_tool_calls messages metadata min_p min_tokens model n parallel_tool_calls
    presence_penalty previous_input_messages priority prompt prompt_cache_key prompt_logprobs reasoning reasoning_effort
    repetition_detection repetition_penalty response_format return_assistant_tokens_mask return_prompt_text
    return_token_ids return_token_offsets return_token_strs return_tokens_as_token_ids routed_experts_prompt_start seed
    service_tier session_id skip_special_tokens spaces_between_special_tokens stop stop_token_ids store stream
    stream_interval stream_options structured_outputs suffix temperature text thinking_token_budget tokens tool_choice tools
    top_k top_logprobs top_p truncate_prompt_tokens truncation truncation_side user watermarking
""".split()


def test_every_field_of_vllms_is_known_here() -> None:
    from vllm.entrypoints.chat_utils import MM_PARSER_MAP
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
    from vllm.entrypoints.serve.tokenize.protocol import DetokenizeRequest, TokenizeChatRequest, TokenizeCompletionRequest

    generating = {
        "/v1/chat/completions": ChatCompletionRequest,
        "/v1/completions": CompletionRequest,
        "/v1/responses": ResponsesRequest,
    }
    requests = [*generating.values(), DetokenizeRequest, TokenizeChatRequest, TokenizeCompletionRequest]
    fields = {field for request in requests for field in request.model_fields}
    assert fields == {*PASSING, *REFUSED, DROPPED}
    assert not {*PASSING} & {*REFUSED, DROPPED}
    for path, names in LENGTHS.items():
        assert {field for field in generating[path].model_fields if re.fullmatch(r"max_\w*tokens", field)} == set(names)
    assert set(MM_PARSER_MAP) - MEDIA == {"text", "thinking", "input_text", "output_text", "refusal", "tool_reference"}


def deep(levels: int) -> dict[str, Any]:
    """A schema of objects within objects."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def of_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields that want an answer by a schema."""
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


NASTY: list[dict[str, Any]] = [
    {"prompt": [10**6]},
    {"prompt": []},
    {"prompt": [[]]},
    {"prompt": "word " * 100_000},
    {"prompt": ["a"] * 3000},
    {"n": 10**6},
    {"n": -1},
    {"max_tokens": 2**64},
    {"min_tokens": 2**64},
    {"seed": 2**63 - 1},
    {"top_k": 2**63},
    {"temperature": 1e-30},
    {"repetition_penalty": 1e-40},
    {"logit_bias": {"99999999": 5}},
    {"logit_bias": {"5": 1e300}},
    {"allowed_token_ids": [-5]},
    {"stop_token_ids": [2**62], "min_tokens": 3},
    {"logprobs": 10**6},
    {"logprobs": 1, "logprob_token_ids": [99999999]},
    {"prompt_logprobs": -1},
    {"bad_words": [f"word{i}" for i in range(2000)]},
    {"stop": ["x" * 100_000]},
    {"truncate_prompt_tokens": 2**62},
    {"stream_interval": 2**62, "stream": True},
    {"repetition_detection": {"max_pattern_size": 2**40, "min_pattern_size": 1, "min_count": 2}},
    {"structured_outputs": {"regex": "((a{1,500}){1,500}){1,500}"}},
    {"structured_outputs": {"regex": "(" * 5000 + "a" + ")" * 5000}},
    {"structured_outputs": {"grammar": 'root ::= root "a" | "b"'}},
    {"structured_outputs": {"grammar": "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000}},
    {"structured_outputs": {"structural_tag": "{"}},
    of_schema({"$ref": "#"}),
    of_schema(deep(250)),
    of_schema({"type": "array", "items": {"type": "string"}, "minItems": 10**9}),
    of_schema({"type": "string", "pattern": "(a{1,900}){1,900}"}),
]


async def test_no_field_brings_the_engine_down_or_takes_it_for_itself(app: AppProcess) -> None:
    engine = {child.pid for child in app.children()}
    async with httpx.AsyncClient(base_url=app.url, timeout=120) as client:
        for fields in NASTY:
            response = await client.post("/v1/completions", json={"prompt": "a", "max_tokens": 5, **fields})
            assert response.status_code in (200, 400, 422, 429, 500), (fields, response.text)
            assert response.status_code < 500 or "json_schema" in str(fields), (fields, response.text)
            if response.status_code != 200:
                assert response.json()["error"]["message"]
            answer = await client.post("/v1/completions", json={"prompt": "a", "max_tokens": 2})
            assert answer.status_code == 200, (fields, answer.text)
    assert {child.pid for child in app.children()} == engine
    await idle(app)
