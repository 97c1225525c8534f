"""The tutorial's engine configuration (its model.json for Triton) -> settings of this app, each change said once.

The file is JSON with vLLM's names of its time. What has another name today is translated, what a compiled model decides by
itself is left out. It knows the names of settings, not what they do.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from webui.errors import BadSetting

# Fields that the compiled model or the environment decides today, and why nobody has to say them.
LEFT_OUT = {
    "device": "the environment decides it: python launch.py --device rbln",
    "block_size": "the compiled model's KV-cache block is taken",
    "max_num_batched_tokens": "it means the prefill chunk today, and the compiled model's is taken",
    "disable_log_requests": "requests are not logged",
    "disable_log_stats": "the panel needs the statistics",
}


def read_engine_config(path: str, known: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """Reads the file.

    Args:
        path: of the JSON file.
        known: the names of the app's engine settings.

    Returns:
        settings by name, and a note for each translation.

    Raises:
        BadSetting: naming the file and the field, for what is no JSON object or no setting of the engine.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(setting=path, reason=f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadSetting(setting=path, reason=f"is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadSetting(setting=path, reason="is not a JSON object")
    notes = [f"{path}: {name} is left out; {LEFT_OUT[name]}." for name in fields if name in LEFT_OUT]
    settings = {name: value for name, value in fields.items() if name not in LEFT_OUT and value is not None}
    _model(path, settings, notes)
    for name in settings:
        if name not in known:
            raise BadSetting(setting=f"{name} in {path}", reason="there is no such engine setting; see --help")
    return settings, notes


def _model(path: str, settings: dict[str, Any], notes: list[str]) -> None:
    """Today the compiled folder is the model; what was the model's id only gave the tokenizer, which lies in the folder."""
    compiled = settings.pop("compiled_model_dir", None)
    if compiled is None:
        return
    notes.append(f"{path}: compiled_model_dir is called model today.")
    model = settings.get("model")
    if model not in (None, compiled):
        notes.append(f"{path}: model {model} is left out; the compiled folder has its tokenizer.")
    settings["model"] = compiled
