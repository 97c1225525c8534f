"""The real optimum-rbln and vllm-rbln on the emulated NPU. Only `python launch.py test --rbln` has what this needs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.app_process import AppProcess, running_app
from tests.browser.conftest import Visit, visiting
from tests.browser.conftest import browser as browser
from tests.npu_exporter import Exporter, running_exporter
from tests.rbln.models import DEMO, DEMO_OPTIONS, README_COMPILE, Said, compile_model, make_tiny, run
from tests.rbln.npu_log import VARIABLE, NpuLog
from webui.rbln.compile import main as compile_command

HERE = Path(__file__).parent
STAND_IN = HERE / "rebel_on_cpu"

_found = importlib.util.find_spec("rebel")
_emulated = _found is not None and Path(str(_found.origin)).is_relative_to(STAND_IN)
collect_ignore_glob = ["rebel_on_cpu/*"] if _emulated else ["*"]

if _emulated:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    import rebel  # noqa: F401 - before transformers' models, as optimum wants it
    import torch

    # Engines are forked off this process, and OpenMP's threads do not survive that: there must be none.
    torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """TorchScript, which the emulation compiles with, is deprecated in favour of what cannot trace these models."""
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def eager(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model compiled for four lanes and three sizes of decode batch; a lane's KV cache is one block."""
    folder = tmp_path_factory.mktemp("eager")
    return compile_model(tiny, folder, batch_size=4, max_seq_len=1024, decoder_batch_sizes=[4, 2, 1])


@pytest.fixture(scope="session")
def flash(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model compiled with flash attention: a lane wants two KV blocks for its whole context, and there are five."""
    folder = tmp_path_factory.mktemp("flash")
    options = {"attn_impl": "flash_attn", "kvcache_partition_len": 1024, "kvcache_num_blocks": 5}
    return compile_model(tiny, folder, batch_size=4, max_seq_len=2048, **options)


@pytest.fixture(scope="session")
def compiled_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that ships, compiled for four lanes and three sizes of decode batch by the app's own command."""
    folder = tmp_path_factory.mktemp("demo") / "compiled"
    said = run(compile_command, f"--model {DEMO} --out {folder} {DEMO_OPTIONS}")
    assert said.status == 0, said
    return folder


@pytest.fixture(scope="session")
def readme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """The same model, compiled as README's transcript does it, in its own number format; and what that said."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "assets").symlink_to(DEMO.parent)
    with contextlib.chdir(folder):
        said = run(compile_command, README_COMPILE)
    assert said.status == 0, said
    return folder / "rbln-demo", said


@pytest.fixture(scope="session")
def npu_log(tmp_path_factory: pytest.TempPathFactory) -> NpuLog:
    """What the app's engine has run."""
    return NpuLog(tmp_path_factory.mktemp("app") / "npu.log")


@pytest.fixture(scope="session")
def exporter() -> Iterator[Exporter]:
    """A metrics exporter for the app to read."""
    with running_exporter() as running:
        yield running


@pytest.fixture(scope="session")
def app(compiled_demo: Path, npu_log: NpuLog, exporter: Exporter) -> Iterator[AppProcess]:
    """The app with that folder and no other word about the engine; it ends without leaving a process behind."""
    arguments = ["--model", str(compiled_demo), "--grace", "5", "--npu-metrics-url", exporter.url]
    with running_app(*arguments, variables={VARIABLE: str(npu_log.path)}) as running:
        running.wait_until_ready()
        yield running
        children = running.children()
        assert running.end() == 0, running.output
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


@pytest.fixture
def visit(browser: Browser, app: AppProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Visitors of that app, each with a real browser."""
    with visiting(browser, app, request) as make:
        yield make
