"""What the app chooses for an engine of its own before there is one."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from huggingface_hub import constants

from webui.engines.local import KV_CACHE_SHARE, _kv_cache_bytes
from webui.settings import Settings

CONFIG = {
    **{"num_attention_heads": 8, "num_key_value_heads": 2, "num_hidden_layers": 4, "hidden_size": 256},
    "max_position_embeddings": 1000,
}
PER_TOKEN = 2 * 4 * 4 * 2 * 32  # key and value x bytes x layers x KV heads x head size
COMMIT = "0" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with one model, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "models--team--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    return snapshot


def test_the_kv_cache_has_room_for_every_lane_whether_the_model_is_a_folder_or_the_hubs(hub: Path) -> None:
    wanted = PER_TOKEN * (1000 + 128) * 5
    assert wanted < KV_CACHE_SHARE * psutil.virtual_memory().available, "this machine is too full for the test"
    assert _kv_cache_bytes(Settings(model=str(hub), max_num_seqs=4)) == wanted
    assert _kv_cache_bytes(Settings(model="team/model", max_num_seqs=4)) == wanted


def test_of_a_model_that_says_too_little_nothing_is_reckoned(hub: Path) -> None:
    (hub / "config.json").write_text("{}")
    assert _kv_cache_bytes(Settings(model="team/model")) is None
    assert _kv_cache_bytes(Settings(model="team/another")) is None
