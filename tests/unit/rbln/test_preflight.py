"""What is asked against what was compiled: a test for each row of what vllm-rbln would override or die of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webui.batch.board import Board
from webui.engines import local
from webui.engines.local import LocalEngines, _arguments
from webui.errors import BadSetting, CompiledDiffers, CompiledForRbln, CompiledUnusable, NotCompiled, NpuMissing
from webui.rbln.compiled import read
from webui.rbln.devices import EMULATED, Npus
from webui.rbln.preflight import check_compiled, check_environment, check_npus, without_effect
from webui.settings import Settings, load


def asked(folder: Path, *flags: str) -> Settings:
    return load(["--model", str(folder), *flags], {})


@pytest.mark.parametrize(
    ("flags", "difference", "recompile"),
    [
        (["--max-num-seqs", "8"], "--max-num-seqs 8 ≠ 4", "--batch-size 8"),
        (["--max-num-seqs", "2"], "--max-num-seqs 2 ≠ 4", "--batch-size 2"),
        (["--max-model-len", "512"], "--max-model-len 512 ≠ 4096", "--max-seq-len 512"),
        (["--max-model-len", "8192"], "--max-model-len 8192 ≠ 4096", "--max-seq-len 8192"),
        (["--max-num-batched-tokens", "4096"], "--max-num-batched-tokens 4096 ≠ 128", "--prefill-chunk-size 4096"),
        (["--block-size", "16"], "--block-size 16 ≠ 1024", "--kvcache-partition-len 16"),
        (["--dtype", "half"], "--dtype half ≠ bfloat16", "--dtype float16"),
        (["--dtype", "float32"], "--dtype float32 ≠ bfloat16", "--dtype float32"),
        (["--tensor-parallel-size", "2"], "--tensor-parallel-size 2 ≠ 4", "--num-devices 2"),
    ],
)
def test_a_difference_names_the_flag_both_values_and_both_ways_out(
    compiled: Any, flags: list[str], difference: str, recompile: str
) -> None:
    with pytest.raises(CompiledDiffers) as refused:
        check_compiled(asked(compiled(), *flags))
    assert f": {difference}. Leave out what differs, or compile again with {recompile}." in refused.value.message


def test_several_differences_are_one_error(compiled: Any) -> None:
    with pytest.raises(CompiledDiffers) as refused:
        check_compiled(asked(compiled(), "--max-num-seqs", "8", "--dtype", "float32"))
    assert refused.value.params["differences"] == "--max-num-seqs 8 ≠ 4, --dtype float32 ≠ bfloat16"
    assert refused.value.params["recompile"] == "--batch-size 8 --dtype float32"


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--max-num-seqs", "4"],
        ["--max-model-len", "4096"],
        ["--max-num-batched-tokens", "128"],
        ["--block-size", "1024"],
        ["--block-size", "128"],
        ["--dtype", "bfloat16"],
        ["--dtype", "auto"],
        ["--tensor-parallel-size", "4"],
    ],
)
def test_the_same_or_nothing_passes(compiled: Any, flags: list[str]) -> None:
    assert check_compiled(asked(compiled(), *flags)).batch == 4


def test_the_default_of_a_setting_is_not_asked_for_but_the_same_value_given_is(compiled: Any) -> None:
    folder = compiled(batch_size=8, decoder_batch_sizes=[8])
    check_compiled(asked(folder))
    with pytest.raises(CompiledDiffers, match="--max-num-seqs 4 ≠ 8"):
        check_compiled(asked(folder, "--max-num-seqs", "4"))


def test_it_does_not_matter_where_a_value_stands(compiled: Any, tmp_path: Path) -> None:
    settings = load([], {"WEBUI_MODEL": str(compiled()), "WEBUI_MAX_NUM_SEQS": "4", "WEBUI_MAX_MODEL_LEN": "64"})
    with pytest.raises(CompiledDiffers, match="--max-model-len 64 ≠ 4096"):
        check_compiled(settings)
    file = tmp_path / "chat.toml"
    file.write_text("max_num_seqs = 2")
    with pytest.raises(CompiledDiffers, match="--max-num-seqs 2 ≠ 4"):
        check_compiled(load(["--config", str(file), "--model", str(compiled())], {}))


def test_a_folder_that_lacks_files_is_refused(compiled: Any) -> None:
    folder = compiled()
    (folder / "decoder_batch_1.rbln").unlink()
    with pytest.raises(CompiledUnusable, match=r"decoder_batch_1\.rbln"):
        check_compiled(asked(folder))


def test_what_was_decided_does_not_go_to_the_engine(compiled: Any) -> None:
    settings = asked(compiled(), "--max-num-seqs", "4", "--dtype", "bfloat16", "--enforce-eager", "--seed", "1")
    assert _arguments(settings) == {"model": settings.model, "seed": 1, "served_model_name": "rbln-model"}
    assert without_effect(settings) == ["--enforce-eager"]


def npus(*names: str, emulated: bool = False) -> Npus:
    return Npus(names, emulated, "" if names else "there is no /dev/rbln0", "")


def test_npus_of_the_same_chip_will_do(compiled: Any) -> None:
    model = read(compiled())
    for name in ("RBLN-CA25", "RBLN-CA22"):
        check_npus(Settings(), model, npus(*[name] * 4))


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (npus(), "there is no /dev/rbln0"),
        (npus("RBLN-CA25", "RBLN-CA25"), "RBLN-CA25 x 2"),
        (npus(*["RBLN-CA12"] * 4), "RBLN-CA12 x 4"),
        (npus(*["RBLN-CR03"] * 8), "RBLN-CR03 x 8"),
    ],
)
def test_too_few_or_other_npus_are_said(compiled: Any, there: Npus, found: str) -> None:
    with pytest.raises(NpuMissing, match=f"RBLN-CA25 x 4; what is here: {found}"):
        check_npus(Settings(), read(compiled()), there)


def test_an_emulated_npu_is_never_called_one() -> None:
    assert npus("RBLN-CA25", emulated=True).label(4) == EMULATED == "RBLN emulated on CPU"
    assert npus("RBLN-CA25").label(4) == "RBLN-CA25 x 4"


def test_compiled_models_and_rbln_environments_belong_together(compiled: Any) -> None:
    folder = asked(compiled())
    check_environment(folder, rbln=True)
    with pytest.raises(CompiledForRbln, match="--device rbln"):
        check_environment(folder, rbln=False)
    with pytest.raises(NotCompiled, match="compile --model org/name --out rbln-name"):
        check_environment(Settings(model="org/name"), rbln=True)
    check_environment(Settings(model="org/name", block_size=1024), rbln=True)
    check_environment(Settings(), rbln=True)
    check_environment(Settings(model="org/name"), rbln=False)


async def test_the_engine_does_not_start_on_a_difference(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "is_rbln_environment", lambda: True)
    stages: list[str] = []
    engines = LocalEngines(asked(compiled(), "--max-num-seqs", "8"), Board())
    with pytest.raises(CompiledDiffers):
        await engines(stages.append)
    assert stages == []


# ---- the tutorial's engine configuration


TUTORIAL = {
    "model": "meta-llama/Llama-2-7b-chat-hf",
    "device": "rbln",
    "max_num_seqs": 4,
    "max_num_batched_tokens": 4096,
    "max_model_len": 4096,
    "block_size": 4096,
}


def engine_config(tmp_path: Path, **fields: Any) -> str:
    file = tmp_path / "model.json"
    file.write_text(json.dumps(fields))
    return str(file)


def test_the_tutorials_file_is_translated_and_each_change_said_once(
    compiled: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = str(compiled())
    file = engine_config(tmp_path, **TUTORIAL, compiled_model_dir=folder)
    settings = load(["--engine-config", file], {})
    assert (settings.model, settings.max_num_seqs, settings.max_model_len) == (folder, 4, 4096)
    assert settings.block_size is None and settings.max_num_batched_tokens is None
    said = [record.getMessage().removeprefix(file + ": ") for record in caplog.records]
    assert sorted(line.split()[0] for line in said) == [
        "block_size",
        "compiled_model_dir",
        "device",
        "max_num_batched_tokens",
        "model",
    ]
    check_compiled(settings)


def test_the_tutorials_file_is_compared_with_what_was_compiled(compiled: Any, tmp_path: Path) -> None:
    file = engine_config(tmp_path, **{**TUTORIAL, "max_num_seqs": 8}, compiled_model_dir=str(compiled()))
    with pytest.raises(CompiledDiffers, match="--max-num-seqs 8 ≠ 4"):
        check_compiled(load(["--engine-config", file], {}))


def test_a_flag_is_stronger_than_the_engine_configuration(tmp_path: Path) -> None:
    file = engine_config(tmp_path, max_num_seqs=8, seed=None, model="a")
    settings = load(["--engine-config", file, "--max-num-seqs", "2"], {"WEBUI_MODEL": "b"})
    assert (settings.max_num_seqs, settings.model, settings.seed) == (2, "b", None)
    assert load([], {"WEBUI_ENGINE_CONFIG": file}).max_num_seqs == 8


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not a JSON object"),
        ('{"port": 1}', "port in"),
        ('{"max_num_seqs": "x"}', "whole number"),
    ],
)
def test_a_wrong_engine_configuration_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "model.json"
    file.write_text(text)
    with pytest.raises(BadSetting, match=named):
        load(["--engine-config", str(file)], {})
    with pytest.raises(BadSetting, match="cannot be read"):
        load(["--engine-config", str(tmp_path / "none.json")], {})
