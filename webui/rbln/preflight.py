"""What is asked of a compiled model against what it was compiled for, before the engine starts.

vllm-rbln overrides most of these silently with the compiled values, and fails late on the rest; here a difference is an
error that names the flag and both values. It does not start anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.errors import CompiledDiffers, CompiledForRbln, NotCompiled, NpuMissing
from webui.rbln.compiled import CompiledModel, is_compiled, read_whole
from webui.rbln.devices import Npus
from webui.settings import Settings, flag

# Settings that shape an engine which compiles by itself and do nothing to a model that is compiled already.
WITHOUT_EFFECT = (
    "quantization",
    "load_format",
    "download_dir",
    "revision",
    "kv_cache_dtype",
    "kv_cache_memory_bytes",
    "gpu_memory_utilization",
    "enforce_eager",
)
_SAME_DTYPE = {"half": "float16", "float": "float32"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: which setting, what was compiled for it, the option of `compile` that changes it.

    Attributes:
        setting: its name.
        compiled: the compiled values that it may have, the one to be named first.
        option: of the command `compile`.
    """

    setting: str
    compiled: Callable[[CompiledModel], tuple[Any, ...]]
    option: str


RULES = (
    Rule("max_num_seqs", lambda model: (model.batch,), "--batch-size"),
    Rule("max_model_len", lambda model: (model.context,), "--max-seq-len"),
    # With prefix caching, vllm-rbln counts in blocks of a prefill chunk inside the compiled ones: either may be meant.
    Rule("block_size", lambda model: (model.kv_block, model.chunk), "--kvcache-partition-len"),
    Rule("max_num_batched_tokens", lambda model: (model.chunk,), "--prefill-chunk-size"),
    Rule("dtype", lambda model: (model.dtype, "auto"), "--dtype"),
    Rule("tensor_parallel_size", lambda model: (model.devices,), "--num-devices"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not what was compiled."""

    setting: str
    asked: Any
    compiled: Any
    option: str

    def __str__(self) -> str:
        return f"{flag(self.setting)} {self.asked} ≠ {self.compiled}"

    @property
    def recompile(self) -> str:
        """The option of `compile` that would make it so."""
        return f"{self.option} {_SAME_DTYPE.get(self.asked, self.asked)}"


def differences(settings: Settings, model: CompiledModel) -> list[Difference]:
    """Every setting that somebody gave and that is not what was compiled."""
    found = []
    for rule in RULES:
        asked = settings.said(rule.setting)
        compiled = rule.compiled(model)
        if asked is not None and _SAME_DTYPE.get(asked, asked) not in compiled:
            found.append(Difference(rule.setting, asked, compiled[0], rule.option))
    return found


def without_effect(settings: Settings) -> list[str]:
    """The flags that somebody gave and that do nothing to a compiled model."""
    return [flag(name) for name in WITHOUT_EFFECT if settings.said(name) is not None]


def check_compiled(settings: Settings) -> CompiledModel:
    """Reads the compiled model of the settings and compares.

    Raises:
        CompiledUnusable: if the folder is not whole.
        CompiledDiffers: if something else is asked than was compiled.
    """
    model = read_whole(settings.model)
    check_differences(settings, model)
    return model


def check_differences(settings: Settings, model: CompiledModel) -> None:
    """Compares what somebody gave with what was compiled.

    Raises:
        CompiledDiffers: naming everything that differs.
    """
    if found := differences(settings, model):
        raise CompiledDiffers(
            model=settings.model,
            differences=", ".join(map(str, found)),
            recompile=" ".join(difference.recompile for difference in found),
        )


def check_npus(settings: Settings, model: CompiledModel, npus: Npus) -> None:
    """Compares with what this machine has.

    Raises:
        NpuMissing: if there are too few NPUs, or others.
    """
    wanted = f"{model.npu or 'RBLN'} x {model.devices}"
    if not npus.names:
        raise NpuMissing(model=settings.model, wanted=wanted, found=npus.reason)
    others = [name for name in npus.names[: model.devices] if model.npu and generation(name) != generation(model.npu)]
    if len(npus.names) < model.devices or others:
        raise NpuMissing(model=settings.model, wanted=wanted, found=f"{npus.name} x {len(npus.names)}")


def generation(npu: str) -> str:
    """The chip without the form factor of its card, as optimum compares: RBLN-CA25 and RBLN-CA22 run the same."""
    return npu[:-1] + "0" if npu[-2:].isdigit() else npu


def check_environment(settings: Settings, rbln: bool) -> None:
    """Sees to it that compiled models run in an RBLN environment, and only those.

    In an RBLN environment vllm-rbln would compile an ordinary model while the engine starts, for a very long time and without
    a word; that is left to those who ask for it with --block-size, and to the small model that ships.

    Args:
        rbln: whether vLLM runs on RBLN in this environment.

    Raises:
        CompiledForRbln, NotCompiled
    """
    compiled = is_compiled(settings.model)
    if compiled and not rbln:
        raise CompiledForRbln(model=settings.model)
    if rbln and not compiled and not settings.is_demo_model and settings.block_size is None:
        raise NotCompiled(model=settings.model, out=f"rbln-{Path(settings.model).name}")
