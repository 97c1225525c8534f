"""A model repository for Triton: what stands in its files, and what is refused before a server would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folders import write_compiled

from webui.errors import BadSetting, CompiledUnusable
from webui.rbln.model_repository import DECIDED, PACKAGES, main, parse, write

KNOWN = {"model", "disable_log_stats", "tokenizer", "seed", "additional_config", *DECIDED}


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """A folder that was compiled for four NPUs."""
    return write_compiled(tmp_path / "llama")


def arguments(compiled: Path, *more: str) -> list[str]:
    out = compiled.parent / "model_repository"
    return ["--compiled", str(compiled), "--out", str(out), "--container-path", "/models/llama", *more]


def test_what_stands_in_the_repository(compiled: Path) -> None:
    export = parse(arguments(compiled, "--set", "seed=7", "--set", 'tokenizer="/models/tokenizer"'))
    write(export, KNOWN)
    assert json.loads((export.out / "vllm_model" / "1" / "model.json").read_text()) == {
        "model": "/models/llama",
        "disable_log_stats": False,
        "seed": 7,
        "tokenizer": "/models/tokenizer",
    }
    config = (export.out / "vllm_model" / "config.pbtxt").read_text()
    assert 'backend: "vllm"' in config and "KIND_MODEL" in config and "REPORT_CUSTOM_METRICS" in config


def test_the_readme_names_every_device_and_the_locked_versions(compiled: Path) -> None:
    export = parse(arguments(compiled, "--model-name", "llama.8b"))
    write(export, KNOWN)
    text = (export.out / "README.md").read_text()
    assert "{" not in text.replace("{{", "")
    assert [f"--device /dev/rbln{index} " in text for index in range(5)] == [True] * 4 + [False]
    assert "RBLN_VISIBLE_DEVICES=0,1,2,3" in text and f'"{compiled}":/models/llama:ro' in text
    assert "--load-model llama.8b" in text and "atom-plus.device=4" in text
    for package in PACKAGES:
        assert f"'{package}" in text
    assert "exactly vLLM 0.30.0" in text


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--set", 'device="rbln"'], "--set device"),
        (["--set", "max_num_seqs=4"], "--set max_num_seqs"),
        (["--set", "tokenizer=/models/t"], "--set tokenizer"),
        (["--container-path", "models/llama"], "--container-path"),
        (["--model-name", "a/b"], "--model-name"),
    ],
)
def test_what_the_server_would_fail_on_is_refused(compiled: Path, more: list[str], named: str) -> None:
    with pytest.raises(BadSetting, match=named):
        write(parse(arguments(compiled, *more)), KNOWN)
    assert not (compiled.parent / "model_repository").exists()


@pytest.mark.parametrize("content", [None, "no json", "[]"])
def test_a_folder_without_a_compiled_model_is_refused(compiled: Path, content: str | None) -> None:
    (compiled / "rbln_config.json").unlink()
    if content is not None:
        (compiled / "rbln_config.json").write_text(content)
    with pytest.raises(CompiledUnusable, match=r"rbln_config\.json"):
        write(parse(arguments(compiled)), KNOWN)


def test_a_compiled_model_that_is_not_whole_is_refused(compiled: Path) -> None:
    (compiled / "decoder_batch_2.rbln").unlink()
    with pytest.raises(CompiledUnusable, match=r"decoder_batch_2\.rbln"):
        write(parse(arguments(compiled)), KNOWN)


def test_a_repository_that_is_there_is_not_overwritten(compiled: Path) -> None:
    write(parse(arguments(compiled)), KNOWN)
    with pytest.raises(BadSetting, match="there already"):
        write(parse(arguments(compiled)), KNOWN)


def test_the_names_are_those_of_the_vllm_that_is_installed(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(compiled, "--set", 'compiled_model_dir="/x"')) == 2
    assert "no such engine argument" in capsys.readouterr().err
    assert main(arguments(compiled, "--set", 'additional_config={"a": 1}')) == 0
