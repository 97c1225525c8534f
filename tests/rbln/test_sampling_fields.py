"""Every sampling field that vLLM knows, sent to a running engine on the emulated NPU: it answers or refuses, and it lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from tests.rbln.models import Said
from webui.batch.board import Board
from webui.conversation import Sampling
from webui.engines.local import LocalEngine, LocalEngines, prepare_environment
from webui.prompt import Prompt
from webui.rbln.sampling import READ
from webui.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN: dict[str, Any] = {
    "n": 2,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 3,
    "min_p": 0.2,
    "repetition_penalty": 1.3,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "max_tokens": 4,
    "min_tokens": 5,
    "stop": ["e"],
    "stop_token_ids": [5],
    "ignore_eos": True,
    "logprobs": 3,
    "flat_logprobs": True,
    "logit_bias": {7: 5.0},
    "bad_words": ["the"],
    "allowed_token_ids": [7, 8, 9],
    "structured_outputs": StructuredOutputsParams(choice=["yes", "no"]),
    "detokenize": False,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "include_stop_str_in_output": True,
    "output_kind": RequestOutputKind.FINAL_ONLY,
    "stream_interval": 2,
    "skip_clone": True,
    "output_text_buffer_length": 1,
    "skip_reading_prefix_cache": True,
    "seed": 1,
}
REFUSED: dict[str, Any] = {
    "prompt_logprobs": 1,
    "thinking_token_budget": 5,
    "logprob_token_ids": [5],
    "extra_args": {"a": 1},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(readme: tuple[Path, Said]) -> AsyncIterator[LocalEngine]:
    """The engine as the app starts it, on the model that ships."""
    settings = Settings(model=str(readme[0]))
    prepare_environment(settings)
    engine = await LocalEngines(settings, Board())(lambda stage: None)
    yield engine
    await engine.shutdown()


async def answer(engine: LocalEngine, name: str, **fields: Any) -> Any:
    """Sends the fields as a door of vLLM's own would, beside a request without them in the same batch."""
    prompt = list(engine.tokenizer("Hello!", add_special_tokens=False)["input_ids"])

    async def one(number: int, **more: Any) -> Any:
        last = None
        parameters = SamplingParams(**{"max_tokens": 8, **more})
        async for output in engine.llm.generate(tokens_input(prompt), parameters, f"{name}-{number}"):
            last = output
        return last

    answers = await asyncio.wait_for(asyncio.gather(one(0, **fields), one(1), return_exceptions=True), 60)
    assert answers[1].finished and engine.alive
    return answers[0]


async def test_the_lists_hold_every_field_that_is_read() -> None:
    assert set(TAKEN) == READ


@pytest.mark.parametrize("name", sorted(TAKEN))
async def test_a_field_that_is_read_is_answered(engine: LocalEngine, name: str) -> None:
    output = await answer(engine, name, **{name: TAKEN[name]})
    assert not isinstance(output, BaseException), output
    assert output.finished and output.outputs


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_any_other_is_refused_and_harms_nobody(engine: LocalEngine, name: str) -> None:
    refusal = await answer(engine, name, **{name: REFUSED[name]})
    assert isinstance(refusal, VLLMValidationError) and name in str(refusal)


async def test_the_page_is_told_what_is_not_heeded_and_a_seed_does_no_harm(engine: LocalEngine) -> None:
    assert engine.info.ignored == ("seed",)
    assert (engine.info.device, engine.info.decode_buckets) == ("RBLN emulated on CPU", (1, 2, 4))
    ids = list(engine.tokenizer("Hello!", add_special_tokens=False)["input_ids"])
    pieces = [piece async for piece in engine.generate("seeded", Prompt(ids), Sampling(seed=7, max_tokens=5))]
    assert pieces[-1].end in ("stop", "length")
