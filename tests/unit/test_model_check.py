"""What is wrong with a model, in a sentence and before the engine tries it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

from webui.engines.model_check import check_chat_template, check_folder, explain
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

RESPONSE = httpx.Response(403, request=httpx.Request("GET", "https://hub.example/model"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a model."""
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    return tmp_path


def test_a_good_folder_and_a_hub_id_pass(folder: Path) -> None:
    for model in (str(folder), "organisation/model", "model"):
        check_folder(model)
        check_chat_template(model)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda f: (f / "config.json").unlink(), ModelIncomplete),
        (lambda f: (f / "config.json").write_text("{"), ModelIncomplete),
        (lambda f: (f / "config.json").write_text("[]"), ModelIncomplete),
        (lambda f: (f / "model.safetensors").unlink(), ModelIncomplete),
        (lambda f: (f / "config.json").write_text('{"architectures": ["BertModel"]}'), ModelNotText),
    ],
)
def test_a_broken_folder_is_named_with_what_is_missing(
    folder: Path, change: Callable[[Path], object], error: type[WebuiError]
) -> None:
    change(folder)
    with pytest.raises(error, match=str(folder)):
        check_folder(str(folder))


@pytest.mark.parametrize("model", ["/no/such/folder", "./nothing", "a/b/c"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_id(model: str) -> None:
    with pytest.raises(ModelNotFound, match="--model"):
        check_folder(model)


@pytest.mark.parametrize("where", ["tokenizer_config.json", "chat_template.jinja", "nowhere"])
def test_a_chat_template_may_stand_in_either_file(folder: Path, where: str) -> None:
    (folder / "tokenizer_config.json").write_text('{"chat_template": "x"}' if where == "tokenizer_config.json" else "{}")
    if where == "chat_template.jinja":
        (folder / where).write_text("x")
    if where != "nowhere":
        check_chat_template(str(folder))
        return
    with pytest.raises(NoChatTemplate, match="--chat-template"):
        check_chat_template(str(folder))


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (GatedRepoError("gated", response=RESPONSE), ModelGated),
        (OSError("You are trying to access a gated repo.\nMake sure to have access to it"), ModelGated),
        (RepositoryNotFoundError("not found", response=RESPONSE), ModelNotFound),
        (OSError("x is not a local folder and is not a valid model identifier listed on the hub"), ModelNotFound),
        (LocalEntryNotFoundError("not cached"), ModelOffline),
        (OSError("We couldn't connect to the hub to load the files"), ModelOffline),
        (RuntimeError("Engine core initialization failed."), EngineFailed),
        (ModelNotText(model="m", architecture="a"), ModelNotText),
    ],
)
def test_what_a_library_raised_becomes_words(raised: Exception, told: type[WebuiError]) -> None:
    try:
        raise RuntimeError("outer") from raised
    except RuntimeError as outer:
        error = explain("m", outer if not isinstance(raised, WebuiError) else raised)
    assert type(error) is told
    assert "Traceback" not in error.message and len(error.message) < 500
