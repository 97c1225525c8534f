"""Triton's own vLLM backend with the model that ships, on a CPU, and the page before it: `launch.py test --triton-vllm PATH`.

PATH is a checkout of github.com/triton-inference-server/vllm_backend. The server's stub is built for numpy 1, so its
environment goes first and the app's, which has vLLM, behind it. Two imports of the backend are mended in the copy in use.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app_process import running_app, tab
from tests.triton_server.conftest import TOKENIZER, app_before
from tests.triton_server.server import TritonServer

BACKEND = os.environ.get("TRITON_VLLM_BACKEND")
NAME = "demo"
READY_WITHIN = 240.0  # seconds
MENDED = {
    "metrics.py": (
        "StatLoggerBase, build_1_2_5_buckets",
        "StatLoggerBase\nfrom vllm.v1.metrics.buckets import build_1_2_5_buckets",
    ),
    "request.py": ("from vllm.inputs.data import TokensPrompt", "from vllm.inputs import TokensPrompt"),
}
# At the end of the path: what is in the server's environment goes first.
PREFACE = "import locale, site\nlocale.setlocale(locale.LC_CTYPE, 'C.UTF-8')\nsite.addsitedir({packages!r})\n"

pytestmark = [
    pytest.mark.skipif(not BACKEND, reason="no vllm_backend was named"),
    pytest.mark.timeout(480),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with the official backend."""
    server = TritonServer(tmp_path_factory.mktemp("vllm"), models=[])
    backend = server.folder / "backends" / "vllm"
    shutil.copytree(Path(str(BACKEND)) / "src", backend)
    for name, (old, new) in MENDED.items():
        path = backend / "utils" / name
        path.write_text(path.read_text().replace(old, new))
    model = backend / "model.py"
    packages = sysconfig.get_path("purelib")
    model.write_text(PREFACE.format(packages=packages) + model.read_text())
    version = server.folder / "models" / NAME / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text('backend: "vllm"\ninstance_group [ { count: 1 kind: KIND_MODEL } ]\n')
    arguments = {"model": str(TOKENIZER), "dtype": "float32", "enforce_eager": True, "kv_cache_memory_bytes": 2**27}
    (version / "model.json").write_text(json.dumps({**arguments, "max_num_seqs": 4, "disable_log_stats": False}))
    try:
        yield server.start([NAME], READY_WITHIN, {"HF_HUB_OFFLINE": "1", "TORCHDYNAMO_DISABLE": "1"})
    finally:
        if server.process is not None:
            server.kill()


async def test_the_tutorials_two_questions_at_once(server: TritonServer) -> None:
    with running_app(*app_before(server, NAME)) as app:
        status = app.wait_until_ready()
        assert status["device"] == f"Triton at {server.url}"
        async with tab(app.url) as one, tab(app.url) as two:
            first, last = await asyncio.gather(
                one.ask("What is the first letter of English alphabets?"),
                two.ask("What is the last letter of English alphabets?"),
            )
            assert first.end == last.end == "stop", (first, last)
            assert re.search(r"\bA\b", first.text) and re.search(r"\bZ\b", last.text)
            cut = await one.ask("Tell me a long story about a fox.", max_tokens=5)
            assert cut.end == "length" and cut.timing is not None and cut.timing["tokens"] == 5
            id = await two.send("Tell me a long story about a fox.", sampling={"min_tokens": 1500, "max_tokens": 1500})
            await two.wait_for(lambda: len(two.answer(id).streamed) > 20)
            await two.post("stop")
            stopped = await two.answered(id)
            assert stopped.end == "aborted" and len(stopped.text) > 20
