"""Folders of models, compiled and to be compiled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import LLAMA_2_7B, write_compiled

MakeFolder = Callable[..., Path]


@pytest.fixture
def compiled(tmp_path: Path) -> MakeFolder:
    """Writes a compiled folder with some fields of its rbln_config.json changed."""
    return lambda **changes: write_compiled(tmp_path / "rbln-model", **changes)


@pytest.fixture
def model(tmp_path: Path) -> MakeFolder:
    """Writes a small Hugging Face folder with some fields of its config.json changed."""

    def make(**changes: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({**LLAMA_2_7B, **changes}))
        header = json.dumps({"__metadata__": {}, "weight": {"dtype": "F16", "shape": [1000, 50], "data_offsets": [0, 100000]}})
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(100000))
        return folder

    return make
