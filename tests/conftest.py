"""What tests share: one running app with its engine for the whole session, started when the first test wants it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.app_process import AppProcess, running_app

GRACE = 8.0  # seconds that the shared app gives an answer after its last tab was closed; a busy machine's reload fits in


@pytest.fixture(scope="session")
def starting_app() -> Iterator[AppProcess]:
    """The app with the model that ships, four lanes, as soon as its address answers."""
    with running_app("--grace", str(GRACE), "--max-turns", "64") as running:
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
