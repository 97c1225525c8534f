"""What the observer reads of vLLM; a detail that is missing is missing, said once, and nothing else breaks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("vllm")

from vllm.v1.metrics.stats import (
    FinishedRequestStats,
    IterationStats,
    PrefillStats,
    RequestStateStats,
    SchedulerIterationDetails,
    SchedulerStats,
)

from webui.batch.board import Board
from webui.engines.observer import Observer


class Front:
    """vLLM's front end, as far as the observer reads it."""

    def __init__(self) -> None:
        self.output_processor = SimpleNamespace(external_req_ids={}, request_states={})

    def add(self, name: str, index: int = 0) -> Any:
        id = f"{index}-{name}-{len(self.output_processor.request_states)}"
        stats = RequestStateStats(queued_ts=1.0)
        state = SimpleNamespace(request_id=id, request_index=index, stats=stats, prompt_len=7, num_cached_tokens=3)
        self.output_processor.request_states[id] = state
        self.output_processor.external_req_ids.setdefault(name, []).append(id)
        return state

    def remove(self, state: Any, name: str) -> None:
        del self.output_processor.request_states[state.request_id]
        self.output_processor.external_req_ids[name].remove(state.request_id)


def gives(state: Any, at: float, tokens: int = 1) -> None:
    stats = state.stats
    stats.num_generation_tokens += tokens
    stats.scheduled_ts = stats.scheduled_ts or at - 0.5
    stats.first_token_ts = stats.first_token_ts or at
    stats.last_token_ts = at


def step(running: int, waiting: int = 0, tokens: int = 0, finished: dict[str, int] | None = None) -> tuple[Any, Any]:
    scheduler = SchedulerStats(num_running_reqs=running, num_waiting_reqs=waiting, kv_cache_usage=0.5)
    scheduler.prefix_cache_stats.queries, scheduler.prefix_cache_stats.hits = 10, 5
    iteration = IterationStats()
    iteration.num_generation_tokens = tokens
    prefill = PrefillStats()
    prefill.set(num_prompt_tokens=7, num_local_cached_tokens=3, num_external_cached_tokens=0)
    iteration.prompt_token_stats.update_from_output(prefill)
    iteration.finished_requests = [FinishedRequestStats(end, request_id=name) for name, end in (finished or {}).items()]
    return scheduler, iteration


@pytest.fixture
def observed() -> Iterator[tuple[Front, Board, Observer]]:
    front, board = Front(), Board(4)
    yield front, board, Observer(board, front)


def test_a_request_without_outputs_is_followed_all_the_same(observed: tuple[Front, Board, Observer]) -> None:
    from vllm.v1.engine import FinishReason

    front, board, observer = observed
    (sequence,) = observer.opened("cmpl-1", 0, 1, 0, False)
    observer.stepped(*step(running=0))
    state = front.add("cmpl-1")
    observer.stepped(*step(running=1))
    assert sequence.request.state == "prefill"
    for at in (2.0, 2.1, 2.6):
        gives(state, at)
        observer.stepped(*step(running=1, tokens=1))
    request = sequence.request
    assert (request.state, request.tokens, request.prompt_tokens, request.cached_tokens) == ("decode", 3, 7, 3)
    assert (request.queued, request.scheduled, request.first, request.last) == (1.0, 1.5, 2.0, 2.6)
    assert request.worst_itl == pytest.approx(0.5)
    front.remove(state, "cmpl-1")
    observer.stepped(*step(running=0, finished={"cmpl-1": FinishReason.LENGTH}))
    assert (request.end, board.running) == ("length", 0)
    observer.closed([sequence], "stop")
    assert request.end == "length" and board.find("cmpl-1") is None


def test_every_answer_of_a_request_has_a_lane_and_its_own_end(observed: tuple[Front, Board, Observer]) -> None:
    from vllm.v1.engine import FinishReason

    front, _board, observer = observed
    two = observer.opened("cmpl-1", 7, 2, 0, False)
    same = observer.opened("cmpl-1", 7, 1, 0, False)
    states = [front.add("cmpl-1", 0), front.add("cmpl-1", 1), front.add("cmpl-1", 0)]
    for number, state in enumerate(states):
        gives(state, 2.0, number + 1)
    observer.stepped(*step(running=3, tokens=3))
    assert [sequence.request.tokens for sequence in (*two, *same)] == [1, 2, 3]
    front.remove(states[1], "cmpl-1")
    observer.stepped(*step(running=2, tokens=2, finished={"cmpl-1": FinishReason.STOP}))
    assert [sequence.request.end for sequence in (*two, *same)] == [None, "stop", None]
    observer.closed(two, "aborted")
    observer.closed(same, "failed")
    assert [sequence.request.end for sequence in (*two, *same)] == ["aborted", "stop", "failed"]


def test_a_lane_ended_by_a_stop_string_is_in_use_until_the_engine_has_heard(observed: tuple[Front, Board, Observer]) -> None:
    from vllm.v1.engine import FinishReason

    front, board, observer = observed
    observer.opened("page-1", 7, 1, 0, True)
    state = front.add("page-1")
    gives(state, 2.0)
    observer.stepped(*step(running=1, tokens=1))
    front.remove(state, "page-1")
    observer.stepped(*step(running=1, tokens=1, finished={"page-1": FinishReason.STOP}))
    assert (board.running, len(board.lanes.running)) == (1, 0)
    observer.stepped(*step(running=0))
    assert board.running == 0


@pytest.mark.parametrize(("counts_cached", "prompt_tokens"), [(False, 7 + 29), (True, 4 + 29)])
def test_a_step_computes_prompts_and_what_was_preempted_again(counts_cached: bool, prompt_tokens: int) -> None:
    """One prompt of 7 tokens, three of them cached; two that decode; one that was preempted and is read again, 30 tokens."""
    front, board = Front(), Board(4)
    scheduler, iteration = step(running=4, tokens=4)
    scheduler.iteration_details = SchedulerIterationDetails(0, 1, 7, 3, 2 + 30, 0.0)
    Observer(board, front, counts_cached).stepped(scheduler, iteration)
    (tick,) = board.steps.last(1)
    assert (tick.sequences, tick.prompt_tokens) == (4, prompt_tokens)


DOCTORED = {
    "its live requests": lambda front, scheduler, iteration: delattr(front.output_processor, "request_states"),
    "its KV cache": lambda front, scheduler, iteration: delattr(scheduler, "kv_cache_usage"),
    "its prefix cache": lambda front, scheduler, iteration: setattr(scheduler, "prefix_cache_stats", None),
    "how many run": lambda front, scheduler, iteration: delattr(scheduler, "num_running_reqs"),
    "how many wait": lambda front, scheduler, iteration: delattr(scheduler, "num_skipped_waiting_reqs"),
    "what a step computed": lambda front, scheduler, iteration: delattr(scheduler, "iteration_details"),
    "tokens of a step": lambda front, scheduler, iteration: delattr(iteration, "num_generation_tokens"),
    "prompt tokens of a step": lambda front, scheduler, iteration: delattr(iteration, "prompt_token_stats"),
    "preemptions": lambda front, scheduler, iteration: delattr(iteration, "num_preempted_reqs"),
    "who has finished": lambda front, scheduler, iteration: delattr(iteration, "finished_requests"),
}


class Doctored:
    """An object of vLLM's whose attributes can be taken away."""

    def __init__(self, original: object) -> None:
        self.__dict__.update({n: getattr(original, n) for n in dir(original) if not n.startswith("_")})


@pytest.mark.parametrize("detail", DOCTORED)
def test_a_detail_that_is_missing_is_said_once_and_nothing_else_breaks(
    detail: str, observed: tuple[Front, Board, Observer], caplog: pytest.LogCaptureFixture
) -> None:
    front, board, observer = observed
    (sequence,) = observer.opened("page-1", 7, 1, 0, False)
    state = front.add("page-1")
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            scheduler, iteration = (Doctored(one) for one in step(running=1, tokens=1))
            if detail != "its live requests" or number == 0:
                DOCTORED[detail](front, scheduler, iteration)
            if number:
                gives(state, 2.0 + number)
                sequence.stats = state.stats  # as the first output has it
            observer.stepped(scheduler, iteration)  # type: ignore[arg-type]
        observer.closed([sequence], "stop")
    assert [record.args[0] for record in caplog.records] == [detail]  # type: ignore[index]
    request = sequence.request
    assert (request.tokens, request.end, request.first) == (4, "stop", 3.0)
    if detail != "how many run":
        assert board.step.running == 1
    if detail not in ("what a step computed", "tokens of a step", "how many run"):
        assert board.steps.count > 0


def test_a_missing_count_of_tokens_is_missing_and_said_once(
    observed: tuple[Front, Board, Observer], caplog: pytest.LogCaptureFixture
) -> None:
    front, board, observer = observed
    (sequence,) = observer.opened("page-1", 7, 1, 0, False)
    front.add("page-1").stats = SimpleNamespace()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            observer.stepped(*step(running=1))
        observer.closed([sequence], "stop")
    assert len(caplog.records) == 1
    assert (board.step.running, sequence.request.end) == (1, "stop")
