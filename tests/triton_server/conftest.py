"""A real Triton server. Only `python launch.py test --triton` has what this needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app_process import ROOT, AppProcess, running_app
from tests.triton_server.server import MODEL, TritonServer, is_installed, running_server

_is_there = is_installed() and importlib.util.find_spec("tritonclient") is not None
collect_ignore_glob = [] if _is_there else ["*"]

TOKENIZER = ROOT / "assets" / "demo_model"


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A Triton server with both models."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def app_before(server: TritonServer, model: str = MODEL, *arguments: str) -> list[str]:
    """The arguments of an app whose engine is a model of this server."""
    return ["--engine", "triton", "--url", server.url, "--model-name", model, "--tokenizer", str(TOKENIZER), *arguments]


@pytest.fixture(scope="session")
def page(triton: TritonServer) -> Iterator[AppProcess]:
    """The app before the server's model of today's release, ready."""
    with running_app(*app_before(triton), "--grace", "1", "--max-turns", "64") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a server of a test's own."""
    return tmp_path / "server"
