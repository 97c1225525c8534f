"""The command `compile` with the real optimum-rbln: every kind of decoder, and what breaks off; `check` of what it wrote."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from optimum.rbln import RBLNQuantizationConfig

from tests.app_process import ROOT
from tests.rbln.models import DEMO, DEMO_OPTIONS, KINDS, README_COMPILE, Said, greedy, make_tiny, prompt, run
from tests.rbln.test_compile_and_generate import generate
from webui.rbln import check
from webui.rbln import compile as command
from webui.rbln.compiled import read
from webui.rbln.request import QUANTIZED

SMALL = "--max-seq-len 512 --batch-size 2 --dtype float32"


def compiled(source: Path, out: Path, options: str = SMALL) -> Said:
    return run(command.main, f"--model {source} --out {out} {options}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llama"])
def test_every_kind_of_decoder_answers_as_the_plain_model(tmp_path: Path, kind: str) -> None:
    source, out = make_tiny(tmp_path / kind, kind), tmp_path / "compiled"
    assert (said := compiled(source, out)).status == 0, said
    prompts = [prompt(seed, length) for seed, length in enumerate((5, 150))]
    assert generate(out, prompts, 20) == [greedy(source, one, 20) for one in prompts]


def test_flash_attention_across_its_partitions(tiny: Path, tmp_path: Path) -> None:
    flash = "--max-seq-len 2048 --attn-impl flash_attn --kvcache-partition-len 1024 --batch-size 4 --dtype float32"
    assert (said := compiled(tiny, tmp_path / "compiled", flash)).status == 0, said
    assert read(tmp_path / "compiled").attention == "flash_attn"
    prompts = [prompt(seed, length) for seed, length in enumerate((1000, 1100, 7, 1500))]
    assert generate(tmp_path / "compiled", prompts, 40) == [greedy(tiny, one, 40) for one in prompts]


def test_a_host_without_an_npu_compiles_for_a_named_one(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "compiled"
    monkeypatch.setenv("EMULATED_NPU", "")
    refused = compiled(tiny, out)
    assert refused.status == 1 and "--npu RBLN-CA25" in refused.err
    assert (said := compiled(tiny, out, f"{SMALL} --npu RBLN-CA25")).status == 0, said
    monkeypatch.undo()
    assert read(out).npu == "RBLN-CA25"
    prompts = [prompt(1, 9), prompt(2, 20)]
    assert generate(out, prompts, 8) == [greedy(tiny, one, 8) for one in prompts]


def test_a_kind_that_optimum_does_not_have_is_refused_in_a_sentence(tmp_path: Path) -> None:
    said = compiled(make_tiny(tmp_path / "model", "gpt_neox"), tmp_path / "compiled")
    assert said.status == 1 and "Not compiled: optimum-rbln does not support this model" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_optimum_has_the_formats_that_are_offered() -> None:
    offered = RBLNQuantizationConfig
    supported = (offered.SUPPORTED_WEIGHTS, offered.SUPPORTED_ACTIVATIONS, offered.SUPPORTED_KVCACHES)
    assert dict(zip(("weights", "activations", "kv_caches"), map(tuple, supported), strict=True)) == QUANTIZED


def test_the_same_compile_again_has_nothing_to_do(compiled_demo: Path) -> None:
    before = (compiled_demo / "prefill.rbln").stat().st_mtime_ns
    assert compiled(DEMO, compiled_demo, DEMO_OPTIONS) == Said(0, f"Already compiled: {compiled_demo}\n", "")
    assert compiled(DEMO, compiled_demo).status == 1
    assert (compiled_demo / "prefill.rbln").stat().st_mtime_ns == before


class Begun:
    """A compile in a process of its own that has come to its first graph."""

    def __init__(self, out: Path) -> None:
        arguments = ["--model", str(DEMO), "--out", str(out), *DEMO_OPTIONS.split()]
        started = [sys.executable, "-m", "webui", "compile", *arguments]
        self.process = subprocess.Popen(started, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        lines: list[str] = []
        while not lines or "compiling prefill" not in lines[-1]:
            lines.append(self._stderr.readline())
            assert lines[-1], lines

    @property
    def _stderr(self) -> IO[str]:
        assert self.process.stderr is not None
        return self.process.stderr

    def said(self) -> str:
        """What it says until it ends."""
        with self._stderr as stderr:
            rest = stderr.read()
        self.process.wait(180)
        return rest


def test_an_interrupted_compile_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    killed = Begun(tmp_path / "compiled")
    killed.process.kill()
    killed.said()
    assert [path.name for path in tmp_path.iterdir()] == [f"compiled.compiling-{killed.process.pid}"]
    stopped = Begun(tmp_path / "compiled")
    assert [path.name for path in tmp_path.iterdir()] == [f"compiled.compiling-{stopped.process.pid}"]
    stopped.process.terminate()
    assert "nothing was left behind" in stopped.said()
    assert stopped.process.returncode == 1 and list(tmp_path.iterdir()) == []


# ---- check


def test_the_app_would_start_on_an_emulated_device(compiled_demo: Path) -> None:
    said = run(check.main, f"--model {compiled_demo} --json")
    assert said.status == 0, said
    report = json.loads(said.out)
    assert report["starts"] and "emulated" in said.out
    assert [finding["name"] for finding in report["findings"] if finding["state"] != "ok"] == ["NPUs", "rebel-compiler"]


def test_the_readmes_transcripts_are_todays(readme: tuple[Path, Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the time that it took and the size of what it wrote."""
    folder, compiled = readme
    monkeypatch.chdir(folder.parent)
    checked = run(check.main, "--model rbln-demo --max-num-seqs 8")
    assert checked.status == 1
    first, *_, size, advice = compiled.out.splitlines()
    for name in ("README.md", "README.ko.md"):
        text = _without_figures((ROOT / name).read_text(encoding="utf-8"))
        beginning = f"$ python launch.py compile {README_COMPILE}\n{first}\n…\n"
        assert beginning + _without_figures(f"{compiled.err}{size}\n{advice}\n") in text
        assert f"$ python launch.py check --model rbln-demo --max-num-seqs 8\n{checked.out}" in text


def _without_figures(text: str) -> str:
    return re.sub(r"\d+:\d\d|[\d.]+ MiB", "…", text)


def test_the_tutorials_configuration_would_start_on_what_was_compiled(compiled_demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    tutorial = {
        **{"model": "meta-llama/Llama-2-7b-chat-hf", "device": "rbln", "max_num_seqs": 4, "max_num_batched_tokens": 2048},
        **{"max_model_len": 2048, "block_size": 2048, "compiled_model_dir": str(compiled_demo)},
    }
    file.write_text(json.dumps(tutorial))
    assert (said := run(check.main, f"--engine-config {file}")).status == 0, said
    file.write_text(json.dumps({**tutorial, "max_num_seqs": 8}))
    refused = run(check.main, f"--engine-config {file}")
    assert refused.status == 1 and "--max-num-seqs 8 ≠ 4" in refused.out


def test_devices_that_are_not_visible_are_not_there(compiled_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "3")
    assert (said := run(check.main, f"--model {compiled_demo}")).status == 0, said
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "4")  # there are four, from 0 on
    refused = run(check.main, f"--model {compiled_demo}")
    assert refused.status == 1 and "none is left by RBLN_VISIBLE_DEVICES=4" in refused.out
