"""Models small enough for a CPU, what is compiled of them, and what plain transformers answers with the same weights."""

from __future__ import annotations

import contextlib
import functools
import io
import random
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.app_process import ROOT

DEMO = ROOT / "assets" / "demo_model"
# How the command compiles the demo model for the tests, and how it does in README's transcript.
DEMO_OPTIONS = "--batch-size 4 --max-seq-len 2048 --decoder-batch-sizes 4,2,1 --dtype float32"
README_COMPILE = (
    "--model assets/demo_model --out rbln-demo --max-seq-len 1024 --batch-size 4 --decoder-batch-sizes 2,1 --num-devices 4"
)
SIZES = {
    **{"vocab_size": 3072, "initializer_range": 0.12, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
    **{"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "max_position_embeddings": 4096},
    **{"num_attention_heads": 4, "num_key_value_heads": 2},
}
# Kinds of decoder-only models, by transformers' names, each with what it has that the others have not.
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 32},
    "gemma": {"head_dim": 32},
    "mistral": {"sliding_window": None},
    "gpt2": {"n_embd": 128, "n_layer": 3, "n_head": 4, "n_positions": 4096, "n_inner": 256, "num_key_value_heads": 4},
}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def make_tiny(folder: Path, kind: str = "llama") -> Path:
    """A model with random weights, and the demo model's tokenizer. Its weights are far apart, so that no two tokens are nearly
    equally probable: then the order of additions cannot change a greedy answer, and a wrong KV cache does."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, **{**SIZES, **KINDS.get(kind, {})})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(DEMO / name, folder)
    return folder


def compile_model(source: Path, folder: Path, **options: Any) -> Path:
    """Compiles a model in float32 with optimum-rbln and saves it, as its users do."""
    import torch
    from optimum.rbln import RBLNAutoModelForCausalLM

    model = RBLNAutoModelForCausalLM.from_pretrained(source, export=True, dtype=torch.float32, rbln_config=options)
    model.save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(source / name, folder)
    return folder


@dataclass(frozen=True)
class Said:
    """What a command of the app said."""

    status: int
    out: str
    err: str


def run(command: Callable[[list[str]], int], arguments: str) -> Said:
    """Runs one of the app's commands in this process, which has imported already what takes long."""
    out, err, on_term = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command(arguments.split())
    finally:
        signal.signal(signal.SIGTERM, on_term)
    return Said(status, out.getvalue(), err.getvalue())


def prompt(seed: int, length: int) -> list[int]:
    """Token ids, no special ones among them, the same for the same seed."""
    return random.Random(seed).choices(range(300, 3000), k=length)


def greedy(source: Path, prompt_ids: Sequence[int], count: int) -> list[int]:
    """The tokens that plain transformers answers."""
    import torch

    ids = torch.tensor([list(prompt_ids)])
    answer = _plain(source).generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count, do_sample=False
    )
    return answer[0, ids.shape[1] :].tolist()


@functools.lru_cache
def _plain(source: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None  # an answer has the length that is asked for
    return model
