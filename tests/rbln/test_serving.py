"""vLLM's AsyncLLM on compiled folders: every greedy token is plain transformers', whatever else runs in the batch."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.rbln.models import compile_model, greedy, make_tiny, prompt
from tests.rbln.npu_log import VARIABLE, NpuLog
from webui.batch.board import Board, EngineFacts
from webui.engines.local import STEP_DETAILS
from webui.rbln.compiled import read

pytestmark = pytest.mark.asyncio(loop_scope="module")
REQUEST = count()


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NpuLog]:
    """What every engine runs that is started from now on. Each is forked off this process: so it has to import nothing, and has
    what a mutation has broken here."""
    log = NpuLog(tmp_path_factory.mktemp("steps") / "npu.log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "fork")
        patch.setenv(VARIABLE, str(log.path))
        yield log


class Engine:
    """An AsyncLLM as the app has it, the board that watches it, and the weights that it must answer with."""

    def __init__(self, folder: Path, source: Path, **options: Any) -> None:
        from vllm import AsyncEngineArgs

        from webui.engines.observed_llm import ObservedLLM, StepLogger

        logger = StepLogger()
        config = AsyncEngineArgs(model=str(folder), **STEP_DETAILS, **options).create_engine_config()
        self.llm = ObservedLLM.from_vllm_config(config, stat_loggers=[logger])
        self.board = Board()
        compiled = read(folder)
        self.board.reset(EngineFacts(compiled.batch, "emulated", buckets=compiled.decode_buckets))
        self.llm.observe(self.board, logger)
        self._source = source

    def shutdown(self) -> None:
        self.llm.shutdown()
        del self.llm
        gc.collect()  # it would otherwise be shut down once more when Python ends, and complain

    def stream(self, ids: list[int], tokens: int) -> Any:
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        sampling = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        return self.llm.generate(TokensPrompt(prompt_token_ids=ids), sampling, request_id=f"request-{next(REQUEST)}")

    async def ask(self, ids: list[int], tokens: int) -> Any:
        """The last output of a request, once its tokens have been found right."""
        output = [output async for output in self.stream(ids, tokens)][-1]
        assert list(output.outputs[0].token_ids) == greedy(self._source, ids, tokens)
        return output

    async def ask_all(self, prompts: list[list[int]], tokens: int) -> list[Any]:
        """The same for several requests at once."""
        return await asyncio.gather(*(self.ask(ids, tokens) for ids in prompts))


def check_board(engine: Engine, steps: NpuLog) -> None:
    """Since the log was cleared the board has been told of the very steps that the emulated NPU has run, each in its bucket."""
    ran, told = steps.steps(), [tick.bucket for tick in engine.board.steps.last(engine.board.steps.count)]
    # A prompt is one step and one graph for each of its chunks, and the next one's may follow.
    ran, told = _prompts_once(ran), _prompts_once(told)
    assert told[-len(ran) :] == ran


def _prompts_once(buckets: list[int]) -> list[int]:
    return [bucket for bucket, same in groupby(buckets) for _ in (same if bucket else (0,))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(steps: NpuLog, eager: Path, tiny: Path) -> AsyncIterator[Engine]:
    """Four lanes, decode buckets of 4, 2 and 1."""
    engine = Engine(eager, tiny)
    yield engine
    engine.shutdown()


async def test_the_engine_takes_its_numbers_from_the_compiled_folder(engine: Engine) -> None:
    config = engine.llm.vllm_config
    assert (config.scheduler_config.max_num_seqs, config.model_config.max_model_len) == (4, 1024)


async def test_eight_requests_on_four_lanes(engine: Engine, steps: NpuLog) -> None:
    steps.clear()
    await engine.ask_all([prompt(seed, length) for seed, length in enumerate((5, 12, 300, 2, 129, 64, 128, 40))], 40)
    assert max(steps.buckets()) == 4
    assert steps.prefills() >= 8
    check_board(engine, steps)


@pytest.mark.parametrize(("requests", "bucket"), [(1, 1), (2, 2), (3, 4), (4, 4)])
async def test_decode_runs_in_the_smallest_bucket_that_fits(engine: Engine, steps: NpuLog, requests: int, bucket: int) -> None:
    steps.clear()
    await engine.ask_all([prompt(20 + seed, 10) for seed in range(requests)], 30)
    assert max(steps.buckets()) == bucket
    assert steps.buckets().count(bucket) >= 20
    check_board(engine, steps)


async def test_a_prefix_that_is_in_the_cache_is_copied_not_computed(engine: Engine, steps: NpuLog) -> None:
    common = prompt(100, 600)
    first = await engine.ask([*common, 300], 30)
    steps.clear()
    again = await engine.ask([*common, 301], 30)
    assert (first.num_cached_tokens, again.num_cached_tokens) == (0, 512)  # whole chunks of 128
    assert steps.prefills() == 1
    assert [tick.prompt_tokens for tick in engine.board.steps.last(30) if tick.prompt_tokens] == [601 - 512]
    together = await engine.ask_all([[*common, 310 + i] for i in range(6)], 30)
    assert all(output.num_cached_tokens >= 512 for output in together)


@pytest.mark.parametrize("how", ["aborted", "left"])
async def test_an_abandoned_request_frees_its_lane(engine: Engine, steps: NpuLog, how: str) -> None:
    others = [asyncio.create_task(engine.ask(prompt(200 + i, 20), 150)) for i in range(3)]
    async with aclosing(engine.stream(prompt(203, 20), 900)) as outputs:
        async for output in outputs:
            if len(output.outputs[0].token_ids) >= 10:
                if how == "left":
                    break
                await engine.llm.abort(output.request_id)
    assert how == "left" or output.outputs[0].finish_reason == "abort"
    assert not all(other.done() for other in others)  # it gave its lane up while the batch went on
    await engine.ask(prompt(204, 20), 30)
    await asyncio.gather(*others)
    steps.clear()
    await engine.ask(prompt(205, 20), 30)
    assert set(steps.buckets()) == {1}


async def test_sampled_answers_keep_to_the_likely_tokens(engine: Engine) -> None:
    """With top_k=1 the sampler has one token to choose from: a batch of greedy and sampled requests stays comparable."""
    from vllm import SamplingParams
    from vllm.inputs import TokensPrompt

    async def sampled(ids: list[int]) -> list[int]:
        sampling = SamplingParams(temperature=1.5, top_k=1, top_p=0.9, max_tokens=20, ignore_eos=True)
        outputs = engine.llm.generate(TokensPrompt(prompt_token_ids=ids), sampling, request_id=f"request-{next(REQUEST)}")
        return list([output async for output in outputs][-1].outputs[0].token_ids)

    asked = prompt(300, 20)
    answers = await asyncio.gather(sampled(asked), engine.ask(prompt(301, 20), 20), sampled(asked))
    assert answers[0] == answers[2] == list((await engine.ask(asked, 20)).outputs[0].token_ids)


@pytest.mark.parametrize("prefix_caching", [True, False])
async def test_lanes_that_are_short_of_blocks_are_preempted_and_come_back(
    steps: NpuLog, flash: Path, tiny: Path, prefix_caching: bool
) -> None:
    engine = Engine(flash, tiny, enable_prefix_caching=prefix_caching)
    try:
        steps.clear()
        # Five lanes' first blocks are full after some tokens, and there are no five second blocks.
        outputs = await engine.ask_all([prompt(400 + i, 1020) for i in range(5)], 10)
        assert sum(output.metrics.num_preemptions for output in outputs) > 0
        check_board(engine, steps)
        longer_than_a_block = prompt(500, 1500)
        await engine.ask(longer_than_a_block, 10)
        cached = (await engine.ask([*longer_than_a_block, 300], 10)).num_cached_tokens
        assert cached >= 1024 if prefix_caching else not cached
    finally:
        engine.shutdown()


async def test_another_kind_of_model_is_served(steps: NpuLog, tmp_path: Path) -> None:
    source = make_tiny(tmp_path / "qwen2", "qwen2")
    engine = Engine(compile_model(source, tmp_path / "compiled", batch_size=2, max_seq_len=512), source)
    try:
        await engine.ask_all([prompt(700 + i, 30) for i in range(3)], 20)
    finally:
        engine.shutdown()


async def test_two_engines_on_disjoint_devices_of_one_host(
    steps: NpuLog, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = compile_model(tiny, tmp_path, batch_size=2, max_seq_len=512, num_devices=2)
    engines = []
    try:
        for devices in ("0,1", "2,3"):
            monkeypatch.setenv("RBLN_VISIBLE_DEVICES", devices)
            engines.append(Engine(folder, tiny))
        await asyncio.gather(*(engine.ask_all([prompt(600 + i, 30) for i in range(3)], 20) for engine in engines))
        monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "3,4")  # there are four, from 0 on
        with pytest.raises(RuntimeError):
            Engine(folder, tiny)
    finally:
        for engine in engines:
            engine.shutdown()
