"""What the tests without an engine share: both databases, and a small app around an engine that does as it is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.postgres import Cluster, find_programs, running_cluster
from webui.history.keeper import History


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """PostgreSQL; where it is not installed the tests that want it are skipped in one loud line, with CI=true they fail."""
    programs = find_programs()
    if programs is None:
        message = "NO POSTGRESQL: install Debian's package postgresql to run these tests"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return tmp_path / "data" / "conversations.sqlite3"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture
async def history(database: Path | str) -> AsyncIterator[History]:
    """One that keeps."""
    kept = History(database)
    kept.start()
    await settled(kept)
    yield kept
    await kept.close()


async def settled(history: History, state: str = "keeping", within: float = 120.0) -> None:
    """Waits until the history is in this state and, if it keeps, has written everything."""
    async with asyncio.timeout(within):
        while history.state != state or (state == "keeping" and history._pending):
            await asyncio.sleep(0.005)
