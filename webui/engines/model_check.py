"""Looks at a model before the engine does, so that what is wrong is said in a sentence and within a second.

It reads files of a local folder only, and knows the messages of the hub's client; it imports neither vLLM nor the hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webui.errors import (
    EngineFailed,
    ModelGated,
    ModelIncomplete,
    ModelNotFound,
    ModelNotText,
    ModelOffline,
    NoChatTemplate,
    WebuiError,
)

_TEXT_ARCHITECTURES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "ForVision2Seq")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf", "*.rbln")


def check_folder(model: str) -> None:
    """Checks a model that is given as a folder; a hub id is the hub's to judge.

    Raises:
        ModelNotFound, ModelIncomplete, ModelNotText: what is wrong with it.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or folder.exists():
            raise ModelNotFound(model=model)
        return
    config = folder / "config.json"
    if not config.is_file():
        raise ModelIncomplete(model=model, missing="config.json")
    try:
        architectures = json.loads(config.read_text(encoding="utf-8")).get("architectures") or []
    except (ValueError, AttributeError, OSError):
        raise ModelIncomplete(model=model, missing="a readable config.json") from None
    _check_architecture(model, architectures)
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        raise ModelIncomplete(model=model, missing="the weights (*.safetensors)")


def check_chat_template(tokenizer: str) -> None:
    """Checks that a tokenizer's folder holds a chat template; a hub id is looked at once it is loaded.

    Raises:
        NoChatTemplate: if it does not.
    """
    folder = Path(tokenizer)
    if not folder.is_dir() or (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if not config.get("chat_template"):
        raise NoChatTemplate(model=tokenizer)


def _check_architecture(model: str, architectures: list[str]) -> None:
    if architectures and not any(name.endswith(_TEXT_ARCHITECTURES) for name in architectures):
        raise ModelNotText(model=model, architecture=", ".join(architectures))


def explain(model: str, error: BaseException) -> WebuiError:
    """Turns whatever the engine's start raised into words a person can act on."""
    if isinstance(error, WebuiError):
        return error
    names = {type(e).__name__ for e in _chain(error)}
    text = " ".join(str(e) for e in _chain(error))
    if names & {"GatedRepoError"} or "gated repo" in text:
        return ModelGated(model=model)
    if names & {"LocalEntryNotFoundError", "OfflineModeIsEnabled"} or _says_offline(text):
        return ModelOffline(model=model)
    if names & {"RepositoryNotFoundError", "RevisionNotFoundError", "HFValidationError"} or _says_missing(text):
        return ModelNotFound(model=model)
    if "not supported for now" in text or "does not support the 'generate'" in text or "pooling" in text.lower():
        return ModelNotText(model=model, architecture="none that vLLM generates text with")
    return EngineFailed(reason=_first_sentence(error))


def _says_offline(text: str) -> bool:
    return any(words in text for words in ("couldn't connect to", "offline mode", "Network is unreachable", "Max retries"))


def _says_missing(text: str) -> bool:
    return any(words in text for words in ("is not a valid model identifier", "Repository Not Found", "Invalid repository ID"))


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    at: Any = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return chain


def _first_sentence(error: BaseException, length: int = 300) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = next((line for line in lines if "Value error" in line), lines[0])
    return line[:length]
