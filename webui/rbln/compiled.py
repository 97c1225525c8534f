"""Reads a compiled model: the folder that optimum-rbln writes, by its rbln_config.json and its file names.

It needs the standard library alone, so that a machine without an NPU and an environment without optimum can look at one. It
does not know what anybody asks of the model, nor how it is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.errors import CompiledUnusable

CONFIG_FILE = "rbln_config.json"


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """What a model was compiled for. None: the folder does not say.

    Attributes:
        folder: where it lies.
        model_class: optimum's class, such as RBLNLlamaForCausalLM.
        batch: sequences in one batch (`batch_size`).
        context: tokens of prompt and answer together (`max_seq_len`).
        buckets: the compiled decode batch sizes, smallest first; the largest is the batch.
        devices: NPUs that share one copy of the model (`num_devices`).
        npu: the NPU that it was compiled for, such as RBLN-CA25.
        dtype: number format of weights and activations.
        attention: "eager" or "flash_attn".
        kv_block: tokens in one block of the KV cache (`kvcache_block_size`).
        kv_blocks: blocks of the KV cache (`kvcache_num_blocks`).
        chunk: tokens of a prompt that are prefilled at a time (`prefill_chunk_size`).
        slots_pinned: whether each request keeps its row of the full batch (sliding-window caches), so that no smaller
            bucket is ever chosen.
        optimum: the version of optimum-rbln that compiled it.
        missing: files that belong to it and are not there.
    """

    folder: Path
    model_class: str
    batch: int
    context: int
    buckets: tuple[int, ...]
    devices: int
    npu: str | None
    dtype: str | None
    attention: str
    kv_block: int
    kv_blocks: int | None
    chunk: int
    slots_pinned: bool
    optimum: str | None
    missing: tuple[str, ...]

    @property
    def decode_buckets(self) -> tuple[int, ...]:
        """The batch sizes that decode steps run in, by vllm-rbln's own rule: the smallest that holds all running requests."""
        return (self.batch,) if self.slots_pinned else self.buckets


def is_compiled(model: str | Path) -> bool:
    """Whether this is the folder of a compiled model."""
    return (Path(model) / CONFIG_FILE).is_file()


def read(folder: str | Path) -> CompiledModel:
    """Reads the folder of a compiled model.

    Raises:
        CompiledUnusable: if its rbln_config.json is not one of a text-generation model, or not one of today's.
    """
    folder = Path(folder)
    config = _config(folder)
    compiles = [compile for compile in config.get("_compile_cfgs") or () if isinstance(compile, dict)]
    batch, context = _number(folder, config, "batch_size"), _number(folder, config, "max_seq_len")
    buckets = config.get("decoder_batch_sizes") or [batch]
    if not isinstance(buckets, list) or not all(isinstance(size, int) and 0 < size <= batch for size in buckets):
        raise CompiledUnusable(model=str(folder), reason=f"its decoder_batch_sizes are {buckets!r}")
    names = ["prefill", *(f"decoder_batch_{size}" for size in buckets)]
    return CompiledModel(
        folder=folder,
        model_class=config["cls_name"].removesuffix("Config"),
        batch=batch,
        context=context,
        buckets=tuple(sorted({*buckets, batch})),
        devices=_first(compiles, "num_devices") or config.get("num_devices") or 1,
        npu=_first(compiles, "npu") or config.get("npu"),
        dtype=config.get("dtype"),
        attention=config.get("attn_impl") or "eager",
        kv_block=config.get("kvcache_block_size") or config.get("kvcache_partition_len") or context,
        kv_blocks=config.get("kvcache_num_blocks"),
        chunk=config.get("prefill_chunk_size") or 128,
        slots_pinned=config.get("cache_impl", "static") != "static",
        optimum=config.get("optimum_rbln_version"),
        missing=tuple(_missing(folder, names)),
    )


def read_whole(folder: str | Path) -> CompiledModel:
    """Reads the folder of a compiled model that can be served.

    Raises:
        CompiledUnusable: also if files are missing in it.
    """
    model = read(folder)
    if model.missing:
        raise CompiledUnusable(model=str(folder), reason=f"it lacks {', '.join(model.missing)}")
    return model


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompiledUnusable(model=str(folder), reason=f"its {CONFIG_FILE} cannot be read ({error})") from None
    if isinstance(config, dict) and "_meta" in config:
        raise CompiledUnusable(model=str(folder), reason="it was compiled by an optimum-rbln that is too old")
    if not isinstance(config, dict) or not isinstance(config.get("cls_name"), str):
        raise CompiledUnusable(model=str(folder), reason=f"its {CONFIG_FILE} names no model class")
    if "decode" not in config.get("phases", ["decode"]):
        raise CompiledUnusable(model=str(folder), reason=f"{config['cls_name']} does not generate text")
    return config


def _number(folder: Path, config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CompiledUnusable(model=str(folder), reason=f"its {CONFIG_FILE} has no usable {name} ({value!r})")
    return value


def _first(compiles: list[dict[str, Any]], name: str) -> Any:
    return next((compile[name] for compile in compiles if compile.get(name) is not None), None)


def _missing(folder: Path, names: list[str]) -> list[str]:
    """Files without which it neither loads nor chats; an empty one is a copy that broke off."""
    wanted = [*(f"{name}.rbln" for name in names), "config.json", "tokenizer_config.json"]
    missing = [name for name in wanted if not (folder / name).is_file() or not (folder / name).stat().st_size]
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        missing.append("tokenizer.json")
    return missing
