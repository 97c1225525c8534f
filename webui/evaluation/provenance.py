"""Where numbers come from: the model by its content, engine, device, versions, values in force, sampling. As JSON types.

It knows no run.
"""

from __future__ import annotations

import hashlib
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

import webui
from webui.engines.base import EngineInfo
from webui.settings import Settings

PART = 1 << 20  # bytes read at once
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fingerprint(settings: Settings) -> str:
    """What tells the engine's model from another: the hash of a folder's content, or a hub's commit, or a server's address.

    Blocks for about two seconds per GB of a folder.
    """
    if settings.engine == "openai":
        return f"openai {settings.base_url} {settings.said('model') or ''}".rstrip()
    if settings.engine == "triton":
        return f"triton {settings.url} {settings.model_name}"
    if Path(settings.model).is_dir():
        return "sha256 " + _folder_hash(Path(settings.model).resolve())
    return f"{settings.model}@{_commit(settings.model, settings.revision) or settings.revision or 'main'}"


@cache
def _folder_hash(folder: Path) -> str:
    """Of all names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while part := file.read(PART):
                digest.update(part)
    return digest.hexdigest()[:32]


def _commit(model: str, revision: str | None) -> str | None:
    """The commit of a model of the hub, as it lies in the cache."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    return next((part for part in Path(found).parts if _COMMIT.fullmatch(part)), None) if isinstance(found, str) else None


def engine_provenance(info: EngineInfo, model: str) -> dict[str, Any]:
    """Of one engine.

    Args:
        model: its `fingerprint`.
    """
    return {
        "model": info.model,
        "fingerprint": model,
        "engine": info.engine,
        "device": info.device,
        "lanes": info.lanes,
        "context": info.context,
        "effective": info.effective,
        "versions": info.versions,
        "ignored": list(info.ignored),
    }


def app_provenance() -> dict[str, Any]:
    """Of this app and machine."""
    return {"batchat": webui.__version__, "machine": platform.machine(), "system": platform.system()}
