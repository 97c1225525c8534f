"""Demonstration requests yield to people, come back, stop at once, and end when nobody is there any more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from webui.batch.board import Board
from webui.batch.steps import Step
from webui.conversation import Message, Sampling
from webui.demo_traffic import AT_MOST, LOOK_EVERY, TOKENS, DemoTraffic, invented
from webui.engines.base import Piece, Priority
from webui.errors import BadInput, DemoFull, EngineNotReady
from webui.prompt import Prompt

LANES = 4
GRACE = 0.2


class EndlessEngine:
    """Gives nothing and never ends; tells the board as the real one does, and steps when told."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.priorities: list[Priority] = []

    async def generate(self, id: str, prompt: Prompt, sampling: Sampling, priority: Priority) -> AsyncIterator[Piece]:
        self.priorities.append(priority)
        request = self.board.opened(id, len(prompt.ids), priority)
        try:
            await asyncio.Event().wait()
            yield Piece("")
        finally:
            self.board.closed(id, [request], "aborted")

    def step(self) -> None:
        for _ in range(2):  # the second for those who left
            live = len(self.board.lanes.running) + self.board.waiting
            self.board.stepped(Step(min(LANES, live), max(0, live - LANES)))


class Scene:
    def __init__(self) -> None:
        self.board = Board(LANES)
        self.engine: Any = EndlessEngine(self.board)
        self.here = {"me"}
        supervisor: Any = SimpleNamespace(engine=self.engine)
        self.supervisor = supervisor
        self.demo = DemoTraffic(supervisor, self.board, self.prompt, self.here.__contains__, GRACE)

    @staticmethod
    async def prompt(engine: object, messages: list[Message], system: str, sampling: Sampling) -> Prompt:
        return Prompt(list(range(len(messages[0].text))), 0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.engine.step()
                await asyncio.sleep(0.01)

    def seated(self) -> list[str]:
        return [request.door for request in self.board.lanes.running]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_they_fill_the_batch_at_the_lowest_priority(scene: Scene) -> None:
    scene.demo.start("me", 10)
    await scene.until(lambda: scene.board.running == LANES)
    assert (scene.demo.count, scene.board.waiting, set(scene.engine.priorities)) == (10, 6, {Priority.DEMO})
    scene.demo.stop()


async def test_each_real_request_that_waits_is_given_a_lane_and_what_gave_it_up_comes_back(scene: Scene) -> None:
    scene.demo.start("me", 6)
    await scene.until(lambda: scene.board.running == LANES)
    oldest = scene.board.lanes.running[0]
    people = [scene.board.opened(f"page-{i}", 5, Priority.VISITOR) for i in range(2)]
    await scene.until(lambda: scene.seated().count("page") == 2)
    await asyncio.sleep(4 * LOOK_EVERY)
    scene.engine.step()
    assert sorted(scene.seated()) == ["demo", "demo", "page", "page"] and oldest in scene.board.lanes.running
    assert scene.demo.count == 6
    for i, person in enumerate(people):
        scene.board.closed(f"page-{i}", [person], "stop")
    await scene.until(lambda: scene.seated() == ["demo"] * 4 and scene.board.waiting == 2)
    scene.demo.stop()


async def test_they_stop_at_once(scene: Scene) -> None:
    scene.demo.start("me", 20)
    await scene.until(lambda: scene.board.running == LANES)
    scene.demo.stop()
    assert scene.demo.count == 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (len(scene.board.lanes.running), scene.board.waiting) == (0, 0)
    assert scene.board.ends["demo", "aborted"] == 20


async def test_they_end_when_who_started_them_has_left_for_the_grace_time_and_others_go_on(scene: Scene) -> None:
    scene.here.add("you")
    left = asyncio.get_running_loop().time()
    scene.demo.start("me", 4)
    scene.demo.start("you", 5)
    scene.here.remove("me")
    await scene.until(lambda: scene.demo.count == 5)
    assert asyncio.get_running_loop().time() - left >= GRACE
    scene.demo.stop()


async def test_their_number_is_bounded_for_the_whole_server(scene: Scene) -> None:
    for count in (3, 65, 0):
        with pytest.raises(BadInput):
            scene.demo.start("me", count)
    scene.demo.start("me", 60)
    scene.demo.start("you", 4)
    with pytest.raises(DemoFull) as refused:
        scene.demo.start("you", 4)
    assert refused.value.params == {"running": 64, "limit": AT_MOST}
    scene.demo.stop()


async def test_without_an_engine_there_is_nothing_to_show(scene: Scene) -> None:
    scene.supervisor.engine = None
    with pytest.raises(EngineNotReady):
        scene.demo.start("me", 4)


def test_they_are_varied_in_language_and_length() -> None:
    requests = invented(64, "me", random.Random(1))
    assert {any("가" <= c <= "힣" for c in request.text) for request in requests} == {True, False}
    lengths = [len(request.text) for request in requests]
    assert min(lengths) < 60 and max(lengths) > 400 and len({request.text for request in requests}) > 20
    assert min(r.tokens for r in requests) < 60 < 250 < max(r.tokens for r in requests)
    assert all(request.tokens in TOKENS for request in requests)
