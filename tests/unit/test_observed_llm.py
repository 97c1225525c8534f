"""Every request of every door is heard of to its end, and stands in line where its door says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("vllm")

from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM

from webui.batch.board import Board
from webui.engines.base import Priority
from webui.engines.observed_llm import ObservedLLM, StepLogger

PROMPT = {"prompt_token_ids": [1, 2, 3]}


class Scene:
    """An observed engine whose own generate() gives what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: str = "priority") -> None:
        self.asked: list[tuple[str, int]] = []
        self.outputs: list[Any] = [output(1), output(2, "stop")]
        scene = self

        async def generate(llm: object, prompt: Any, parameters: Any, id: str, **options: Any) -> AsyncIterator[Any]:
            scene.asked.append((id, options["priority"]))
            for one in scene.outputs:
                if isinstance(one, Exception):
                    raise one
                yield one

        monkeypatch.setattr(AsyncLLM, "generate", generate)
        self.llm = ObservedLLM.__new__(ObservedLLM)
        self.llm.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(policy=policy, max_num_seqs=4))
        self.llm.output_processor = SimpleNamespace(external_req_ids={}, request_states={})
        self.board = Board(4)

    def observe(self) -> None:
        self.llm.observe(self.board, StepLogger())

    async def ask(self, id: str, take: int = 99, priority: int = 0, n: int = 1) -> int:
        taken = 0
        outputs = self.llm.generate(PROMPT, SamplingParams(n=n), id, priority=priority)
        async for _ in outputs:
            taken += 1
            if taken == take:
                break
        await outputs.aclose()
        return taken


def output(tokens: int, end: str | None = None) -> Any:
    stats = SimpleNamespace(
        **{"num_generation_tokens": tokens, "num_preemptions": 0},
        **dict.fromkeys(("queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts"), 5.0),
    )
    return SimpleNamespace(metrics=stats, finished=end is not None, outputs=[SimpleNamespace(finish_reason=end)])


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_while_the_engine_warms_up_nobody_hears_of_it(scene: Scene) -> None:
    assert await scene.ask("warm-up-1") == 2
    assert scene.board.within(60) == []


@pytest.mark.parametrize(
    ("outputs", "take", "end"),
    [
        ([output(1), output(2, "stop")], 99, "stop"),
        ([output(1), output(2, "length")], 99, "length"),
        ([output(1), output(2, "error")], 99, "failed"),
        ([output(1), output(2)], 1, "aborted"),
        ([output(1), ValueError("refused")], 99, "failed"),
        ([ValueError("refused")], 99, "failed"),
        ([output(9, "length")], 99, "length"),
    ],
)
async def test_however_a_request_ends_it_is_heard_of_once(scene: Scene, outputs: list[Any], take: int, end: str) -> None:
    scene.observe()
    scene.outputs = outputs
    try:
        await scene.ask("page-1", take)
    except ValueError:
        assert end == "failed"
    (request,) = scene.board.within(60)
    assert (request.end, request.prompt_tokens) == (end, 3)
    assert scene.board.ends == {("page", end): 1}
    assert (scene.board.lanes.running, scene.board.waiting, scene.board.find("page-1")) == ([], 0, None)


async def test_a_request_for_several_answers_is_as_many(scene: Scene) -> None:
    scene.observe()
    await scene.ask("cmpl-1", n=3)
    assert len(scene.board.within(60)) == 3


async def test_nobody_at_the_api_gets_before_the_visitors(scene: Scene) -> None:
    scene.observe()
    for id, priority in (("page-1", 0), ("cmpl-1", -9), ("chatcmpl-1", 7), ("evaluation-1", 2), ("demo-1", 3)):
        await scene.ask(id, priority=priority)
    assert [priority for _, priority in scene.asked] == [0, 1, 7, 2, 3]
    assert [request.priority for request in scene.board.within(60)] == [0, 1, 7, 2, 3]
    assert list(Priority) == sorted(Priority) == [Priority.VISITOR, Priority.API, Priority.EVALUATION, Priority.DEMO]


async def test_an_engine_that_takes_who_came_first_is_told_no_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, "fcfs")
    scene.observe()
    await scene.ask("demo-1", priority=Priority.DEMO)
    assert scene.asked == [("demo-1", 0)] and scene.board.within(60)[0].priority == Priority.DEMO


def test_a_board_that_fails_does_not_end_the_engine(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    logger = StepLogger()
    logger.observer = SimpleNamespace(stepped=lambda *_: 1 / 0)  # type: ignore[assignment]
    for _ in range(3):
        logger.record(SimpleNamespace(), None)  # type: ignore[arg-type]
    assert len(caplog.records) == 1


async def test_what_waited_before_an_engine_has_waited_since_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch, "fcfs")
    scene.observe()
    came = scene.board.clock()
    await scene.ask("demo-1", priority=Priority.DEMO)
    assert scene.board.within(60)[0].queued >= came
