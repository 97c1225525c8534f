"""What tests share: one running app with its engine for the whole session, started when the first test wants it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app_process import AppProcess, running_app

GRACE = 2.0  # seconds that the shared app gives an answer after its last tab was closed


@pytest.fixture(scope="session")
def app() -> Iterator[AppProcess]:
    """The app with the model that ships, four lanes, ready."""
    with running_app("--grace", str(GRACE), "--max-turns", "64") as running:
        running.wait_until_ready()
        yield running
