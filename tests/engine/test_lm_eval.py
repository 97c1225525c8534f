"""EleutherAI's evaluation harness against the API.

Its packages are many and not the app's: it has an environment of its own, which README, “Working on it”, tells how to make.
Without that the test is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.app_process import ROOT, AppProcess

HARNESS = ROOT / ".venv-lm-eval" / "bin" / "lm_eval"
TASKS = Path(__file__).parent / "lm_eval"
pytestmark = [pytest.mark.engine, pytest.mark.skipif(not HARNESS.exists(), reason="there is no .venv-lm-eval")]


def test_the_harness_asks_and_scores(app: AppProcess, tmp_path: Path) -> None:
    where = f"base_url={app.url}/v1/chat/completions,model=demo_model,num_concurrent=4,max_retries=1"
    arguments = ["--model", "local-chat-completions", "--model_args", where, "--apply_chat_template"]
    arguments += ["--include_path", str(TASKS), "--tasks", "batchat_letters", "--output_path", str(tmp_path / "results.json")]
    done = subprocess.run(
        [str(HARNESS), *arguments],
        cwd=TASKS,  # the task names its questions by a path from here
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OPENAI_API_KEY": "none"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = tmp_path.glob("results*.json")
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["n-samples"]["batchat_letters"]["effective"] == 4
    assert results["results"]["batchat_letters"]["exact_match,letter"] == 1.0
