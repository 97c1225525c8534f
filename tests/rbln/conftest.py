"""The real optimum-rbln and vllm-rbln on the emulated NPU. Only `python launch.py test --rbln` has what this needs."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.rbln.models import compile_model, make_tiny

HERE = Path(__file__).parent
STAND_IN = HERE / "rebel_on_cpu"

_found = importlib.util.find_spec("rebel")
_emulated = _found is not None and Path(str(_found.origin)).is_relative_to(STAND_IN)
collect_ignore_glob = ["rebel_on_cpu/*"] if _emulated else ["*"]

if _emulated:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    import rebel  # noqa: F401 - before transformers' models, as optimum wants it
    import torch

    # Engines are forked off this process, and OpenMP's threads do not survive that: there must be none.
    torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """TorchScript, which the emulation compiles with, is deprecated in favour of what cannot trace these models."""
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def eager(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model compiled for four lanes and three sizes of decode batch; a lane's KV cache is one block."""
    folder = tmp_path_factory.mktemp("eager")
    return compile_model(tiny, folder, batch_size=4, max_seq_len=1024, decoder_batch_sizes=[4, 2, 1])


@pytest.fixture(scope="session")
def flash(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model compiled with flash attention: a lane wants two KV blocks for its whole context, and there are five."""
    folder = tmp_path_factory.mktemp("flash")
    options = {"attn_impl": "flash_attn", "kvcache_partition_len": 1024, "kvcache_num_blocks": 5}
    return compile_model(tiny, folder, batch_size=4, max_seq_len=2048, **options)
