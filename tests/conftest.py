"""What tests share: one running app with its engine for the whole session, started when the first test wants it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.app_process import ROOT, AppProcess, running_app

GRACE = 40.0  # seconds that the shared app gives an answer after its last tab was closed; a busy machine's reload fits in
CONTEXT = 16_384  # tokens of the shared app
PATIENCE = 180.0  # seconds; a machine that does other things besides stands still for some of them
ENDLESS = 15_000  # tokens of an answer that outlives whatever a test does meanwhile: two minutes on two free cores


# No deadline for an example: a machine that stands still for a moment is no fault of what is tested.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def with_room(folder: Path) -> list[str]:
    """The model that ships with a longer context, as arguments of the app: what it says there is nonsense, but it goes on."""
    shutil.copytree(ROOT / "assets" / "demo_model", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": CONTEXT}), encoding="utf-8")
    return ["--model", str(folder), "--dtype", "float32", "--enforce-eager"]


@pytest.fixture(scope="session")
def starting_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app with the model that ships, four lanes, as soon as its address answers."""
    model = with_room(tmp_path_factory.mktemp("model") / "demo_model")
    with running_app(*model, "--grace", str(GRACE), "--max-turns", "64") as running:
        yield running


@pytest.fixture(scope="session")
def app(starting_app: AppProcess) -> AppProcess:
    """The same, ready."""
    starting_app.wait_until_ready()
    return starting_app


@pytest.fixture(scope="session")
def echo_app() -> Iterator[AppProcess]:
    """The app before an engine that says what it was asked, ready."""
    with running_app("--grace", str(GRACE), module="tests.echo_app") as running:
        running.wait_until_ready()
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no engine fails first; then what watches the shared app start; then all that uses it."""
    items.sort(key=lambda item: (item.path.parent.name != "unit", item.path.name != "test_first_load.py"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lets a fixture know that its test has failed, so that it can take a picture."""
    report = yield
    if report.failed:
        item.failed = True  # type: ignore[attr-defined]
    return report
