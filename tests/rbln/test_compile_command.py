"""The command `compile` with the real optimum-rbln: every kind of decoder, and what breaks off; `check` of what it wrote."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from optimum.rbln import RBLNQuantizationConfig

from tests.app_process import ROOT
from tests.rbln.models import DEMO, KINDS, greedy, make_tiny, prompt
from tests.rbln.test_compile_and_generate import generate
from webui.rbln import check
from webui.rbln import compile as command
from webui.rbln.compiled import read
from webui.rbln.request import QUANTIZED

SMALL = ("--max-seq-len", "512", "--batch-size", "2", "--dtype", "float32")


@pytest.fixture
def terminable() -> Iterator[None]:
    """The command decides what SIGTERM does; the tests' own way comes back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llama"])
def test_every_kind_of_decoder_answers_as_the_plain_model(
    terminable: None, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_tiny(tmp_path / kind, kind)
    assert command.main(["--model", str(source), "--out", str(tmp_path / "compiled"), *SMALL]) == 0, capsys.readouterr()
    prompts = [prompt(seed, length) for seed, length in enumerate((5, 150))]
    assert generate(tmp_path / "compiled", prompts, 20) == [greedy(source, one, 20) for one in prompts]


def test_flash_attention_across_its_partitions(terminable: None, tiny: Path, tmp_path: Path) -> None:
    flash = "--max-seq-len 2048 --attn-impl flash_attn --kvcache-partition-len 1024 --batch-size 4 --dtype float32".split()
    assert command.main(["--model", str(tiny), "--out", str(tmp_path / "compiled"), *flash]) == 0
    assert read(tmp_path / "compiled").attention == "flash_attn"
    prompts = [prompt(seed, length) for seed, length in enumerate((1000, 1100, 7, 1500))]
    assert generate(tmp_path / "compiled", prompts, 40) == [greedy(tiny, one, 40) for one in prompts]


def test_optimum_has_the_formats_that_are_offered() -> None:
    offered = RBLNQuantizationConfig
    supported = (offered.SUPPORTED_WEIGHTS, offered.SUPPORTED_ACTIVATIONS, offered.SUPPORTED_KVCACHES)
    assert dict(zip(("weights", "activations", "kv_caches"), map(tuple, supported), strict=True)) == QUANTIZED


def test_a_host_without_an_npu_compiles_for_a_named_one(
    terminable: None, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMULATED_NPU", "")
    asked = ["--model", str(tiny), "--out", str(tmp_path / "compiled"), *SMALL]
    assert command.main(asked) == 1 and "--npu RBLN-CA25" in capsys.readouterr().err
    assert command.main([*asked, "--npu", "RBLN-CA25"]) == 0
    monkeypatch.undo()
    assert read(tmp_path / "compiled").npu == "RBLN-CA25"
    prompts = [prompt(1, 9), prompt(2, 20)]
    assert generate(tmp_path / "compiled", prompts, 8) == [greedy(tiny, one, 8) for one in prompts]


def test_a_kind_that_optimum_does_not_have_is_refused_in_a_sentence(
    terminable: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_tiny(tmp_path / "model", "gpt_neox")
    assert command.main(["--model", str(source), "--out", str(tmp_path / "compiled"), *SMALL]) == 1
    assert "Not compiled: optimum-rbln does not support this model" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_readmes_transcripts_are_todays(
    terminable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but the time that it took and the size of what it wrote."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    asked = (
        "--model assets/demo_model --out rbln-demo --max-seq-len 1024 --batch-size 4 --decoder-batch-sizes 2,1 --num-devices 4"
    )
    assert command.main(asked.split()) == 0
    compiled = capsys.readouterr()
    assert check.main("--model rbln-demo --max-num-seqs 8".split()) == 1
    checked = capsys.readouterr().out
    for name in ("README.md", "README.ko.md"):
        readme = _without_figures((ROOT / name).read_text(encoding="utf-8"))
        assert f"compile {asked}\n{compiled.out.splitlines()[0]}\n…\n{_without_figures(compiled.err)}" in readme
        assert _without_figures("\n".join(compiled.out.splitlines()[-2:])) in readme
        assert f"check --model rbln-demo --max-num-seqs 8\n{checked}" in readme


def _without_figures(text: str) -> str:
    return re.sub(r"\d+:\d\d|[\d.]+ MiB", "…", text)


def begun(out: Path) -> subprocess.Popen[str]:
    """A compile that has come to its first graph."""
    arguments = ["compile", "--model", str(DEMO), "--out", str(out), "--max-seq-len", "2048", "--batch-size", "4"]
    process = subprocess.Popen([sys.executable, "-m", "webui", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "compiling prefill" in line:
            return process
    raise AssertionError(f"it ended by {process.wait()}:\n{''.join(lines)}")


def test_an_interrupted_compile_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    out = tmp_path / "compiled"
    with begun(out) as killed:
        killed.kill()
    assert [path.name for path in tmp_path.iterdir()] == [f"compiled.compiling-{killed.pid}"]
    with begun(out) as stopped:
        assert [path.name for path in tmp_path.iterdir()] == [f"compiled.compiling-{stopped.pid}"]
        stopped.terminate()
        assert "nothing was left behind" in stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 1 and list(tmp_path.iterdir()) == []


def test_the_tutorials_configuration_would_start_on_what_was_compiled(
    compiled_demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tutorial = {
        **{"model": "meta-llama/Llama-2-7b-chat-hf", "device": "rbln", "max_num_seqs": 4, "max_num_batched_tokens": 2048},
        **{"max_model_len": 2048, "block_size": 2048, "compiled_model_dir": str(compiled_demo)},
    }
    (tmp_path / "model.json").write_text(json.dumps(tutorial))
    assert check.main(["--engine-config", str(tmp_path / "model.json")]) == 0, capsys.readouterr()
    (tmp_path / "model.json").write_text(json.dumps({**tutorial, "max_num_seqs": 8}))
    assert check.main(["--engine-config", str(tmp_path / "model.json")]) == 1
    assert "--max-num-seqs 8 ≠ 4" in capsys.readouterr().out


def test_devices_that_are_not_visible_are_not_there(
    compiled_demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "3")
    assert check.main(["--model", str(compiled_demo)]) == 0, capsys.readouterr()
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "4")  # there are four, from 0 on
    assert check.main(["--model", str(compiled_demo)]) == 1
    assert "none is left by RBLN_VISIBLE_DEVICES=4" in capsys.readouterr().out
