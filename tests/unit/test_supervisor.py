"""One engine, kept alive. Scripted engines stand in; the real one dies and comes back in `tests/engine/test_lifecycle.py`."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from webui.conversation import Sampling
from webui.engines import supervisor as module
from webui.engines.base import EngineInfo, Report
from webui.engines.supervisor import Supervisor
from webui.errors import EngineFailed, ModelNotFound, ServerUnreachable, ShuttingDown
from webui.prompt import Prompt


class ScriptedEngine:
    info = EngineInfo("m", "CPU", "scripted", lanes=2, context=64, sampling=Sampling())
    tokenizer: Any = None

    def __init__(self) -> None:
        self.alive = True
        self.ended = False

    def generate(self, request_id: str, prompt: Prompt, sampling: Sampling) -> Any:
        raise NotImplementedError

    async def shutdown(self) -> None:
        self.alive, self.ended = False, True


class Script:
    """Starts an engine at each call, or raises what stands in the script."""

    def __init__(self, *steps: Exception | None) -> None:
        self.steps = list(steps)
        self.engines: list[ScriptedEngine] = []

    async def __call__(self, report: Report) -> ScriptedEngine:
        report("importing")
        await asyncio.sleep(0)
        report("loading")
        step = self.steps.pop(0) if self.steps else None
        if step is not None:
            raise step
        self.engines.append(ScriptedEngine())
        return self.engines[-1]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "BACK_OFF", (0.01, 0.02))
    monkeypatch.setattr(module, "LOOK_EVERY", 0.005)
    yield


async def test_it_waits_until_the_engine_is_there() -> None:
    stages: list[str] = []
    supervisor = Supervisor(Script(), lambda: stages.append(supervisor.stage))
    waiting = asyncio.create_task(supervisor.ready())
    assert supervisor.engine is None
    supervisor.start()
    assert await waiting is supervisor.engine
    assert stages == ["importing", "loading", "ready"]
    assert supervisor.status()["lanes"] == 2
    await supervisor.stop()


@pytest.mark.parametrize("error", [ModelNotFound(model="x"), RuntimeError("no memory")])
async def test_an_engine_that_never_ran_is_not_tried_again(error: Exception) -> None:
    script = Script(error)
    supervisor = Supervisor(script)
    supervisor.start()
    with pytest.raises((ModelNotFound, EngineFailed)) as raised:
        await supervisor.ready()
    assert supervisor.stage == "failed" and supervisor.status()["error"] == raised.value.as_dict()
    await asyncio.sleep(0.05)
    assert script.engines == []
    await supervisor.stop()


@pytest.mark.parametrize("error", [ModelNotFound(model="x"), RuntimeError("the device is not there yet")])
async def test_unattended_even_one_that_never_ran_is_tried_again(error: Exception) -> None:
    script = Script(error, error)
    supervisor = Supervisor(script, unattended=True)
    supervisor.start()
    with pytest.raises((ModelNotFound, EngineFailed)):
        await supervisor.ready()
    assert supervisor.stage == "failed"
    while supervisor.engine is None:
        await asyncio.sleep(0.005)
    assert supervisor.stage == "ready" and supervisor.status()["error"] is None and len(script.engines) == 1
    await supervisor.stop()


async def test_one_that_died_is_started_again_even_if_that_fails_at_first() -> None:
    script = Script(None, RuntimeError("still no memory"), ModelNotFound(model="gone for a moment"))
    seen: list[tuple[str, bool]] = []
    supervisor = Supervisor(script, lambda: seen.append((supervisor.stage, supervisor.engine is None)))
    supervisor.start()
    first = await supervisor.ready()
    script.engines[0].alive = False
    while supervisor.engine is first:
        await asyncio.sleep(0.01)
    second = await supervisor.ready()
    assert second is not first and script.engines[0].ended
    assert ("restarting", True) in seen
    await supervisor.stop()


async def test_what_may_pass_is_said_at_once_and_tried_again() -> None:
    script = Script(*[ServerUnreachable(address="host:1", reason="refused")] * 3)
    stages: list[str] = []
    supervisor = Supervisor(script, lambda: stages.append(supervisor.stage))
    supervisor.start()
    with pytest.raises(ServerUnreachable):
        await supervisor.ready()
    assert supervisor.stage == "failed"
    while supervisor.stage != "ready":
        await asyncio.sleep(0.01)
    assert await supervisor.ready() is script.engines[0] and supervisor.status()["error"] is None
    assert "restarting" not in stages  # the reason stands until it is mended
    await supervisor.stop()


async def test_one_whose_server_goes_away_says_why_while_it_is_away() -> None:
    script = Script(None, ServerUnreachable(address="host:1", reason="refused"))
    supervisor = Supervisor(script)
    supervisor.start()
    await supervisor.ready()
    script.engines[0].alive = False
    waiting = asyncio.create_task(supervisor.ready())
    with pytest.raises(ServerUnreachable):
        await waiting
    while supervisor.stage != "ready":
        await asyncio.sleep(0.01)
    assert await supervisor.ready() is script.engines[1]
    await supervisor.stop()


async def test_an_error_that_is_told_again_and_again_keeps_nothing_of_whoever_was_told() -> None:
    supervisor = Supervisor(Script(ModelNotFound(model="x")))
    supervisor.start()
    depths = []
    for _ in range(5):
        with pytest.raises(ModelNotFound) as raised:
            await supervisor.ready()
        depths.append(len(list(traceback.walk_tb(raised.value.__traceback__))))
    assert len(set(depths)) == 1
    await supervisor.stop()


async def test_whoever_waits_when_it_stops_is_told() -> None:
    supervisor = Supervisor(Script())
    waiting = asyncio.create_task(supervisor.ready())
    await asyncio.sleep(0)
    await supervisor.stop()
    with pytest.raises(ShuttingDown):
        await waiting


async def test_stopping_ends_the_engine() -> None:
    script = Script()
    supervisor = Supervisor(script)
    supervisor.start()
    await supervisor.ready()
    await supervisor.stop()
    assert script.engines[0].ended and supervisor.engine is None
