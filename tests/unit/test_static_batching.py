"""What batching saved, against cases worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.batch.request import Request
from webui.batch.static_batching import STEPS_AT_LEAST, Job, StepCost, saved, statically
from webui.batch.steps import Tick

TICK = StepCost(fixed=1)  # every step takes a second, whatever is in it


def jobs(*tokens: int, arrival: float = 0) -> list[Job]:
    return [Job(arrival, prompt_tokens=10, tokens=n) for n in tokens]


def test_eight_requests_on_four_lanes_one_of_which_is_long() -> None:
    # Batch 1: 20, 20, 20 and 400 tokens from second 0; batch 2, four of 20, begins when the long one has ended, at 400.
    assert statically(jobs(20, 20, 20, 400, 20, 20, 20, 20), 4, TICK) == [20, 20, 20, 400, 420, 420, 420, 420]
    # The long one in the second batch holds nobody up.
    assert statically(jobs(20, 20, 20, 20, 20, 20, 20, 400), 4, TICK) == [20, 20, 20, 20, 40, 40, 40, 420]
    # One at a time: each begins where the one before ended.
    assert statically(jobs(20, 20, 20, 400, 20, 20, 20, 20), 1, TICK) == [20, 40, 60, 460, 480, 500, 520, 540]


def test_a_batch_takes_those_who_wait_when_the_former_has_ended_and_nobody_later() -> None:
    late = [Job(0, 1, 10), Job(1, 1, 5), Job(2, 1, 5), Job(100, 1, 3)]
    # The first is alone, since the others were not there; they are a batch from 10 on; the last finds an empty engine.
    assert statically(late, 4, TICK) == [10, 15, 15, 103]


def test_ended_requests_are_computed_with_until_their_batch_has_ended() -> None:
    cost = StepCost(fixed=1, per_sequence=0.5, per_prompt_token=0.1)
    # Reading: 1 + 2 * 0.5 + 20 * 0.1 = 4 s and both first tokens; each further step 1 + 2 * 0.5 = 2 s, to the last.
    assert statically(jobs(1, 4), 2, cost) == [4, 10]
    # Alone: 1 + 0.5 + 1 = 2.5 s; then 2.5 s, and three steps of 1.5 s.
    assert statically(jobs(1, 4), 1, cost) == [2.5, 9.5]


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=30), st.integers(1, 6))
def test_a_job_is_neither_lost_nor_done_before_its_own_time(pairs: list[tuple[float, int]], lanes: int) -> None:
    given_jobs = [Job(arrival, 5, tokens) for arrival, tokens in sorted(pairs)]
    ends = statically(given_jobs, lanes, TICK)
    assert len(ends) == len(given_jobs)
    assert all(end >= job.arrival + job.tokens - 1e-9 for end, job in zip(ends, given_jobs, strict=True))


def ticks(cost: StepCost, shapes: list[tuple[int, int]]) -> list[Tick]:
    return [Tick(0, n, prompt, 0, cost.seconds(n, prompt)) for n, prompt in shapes]


def test_the_cost_of_a_step_is_found_from_steps() -> None:
    true = StepCost(0.01, 0.002, 0.0001)
    found = StepCost.of(ticks(true, [(n, prompt) for n in range(1, 9) for prompt in (0, 0, 50, 300)]))
    assert found is not None
    assert (found.fixed, found.per_sequence, found.per_prompt_token) == pytest.approx((0.01, 0.002, 0.0001))


def test_what_steps_do_not_show_costs_nothing() -> None:
    always_four = StepCost.of(ticks(StepCost(0.01, 0.002, 0.0001), [(4, 0), (4, 100)] * 20))
    assert always_four is not None
    assert (always_four.fixed, always_four.per_sequence) == pytest.approx((0.018, 0))
    assert always_four.per_prompt_token == pytest.approx(0.0001)
    falling = StepCost.of([Tick(0, n, 0, 0, 0.1 - n / 100) for n in range(1, 9)] * 5)
    assert falling is not None and (falling.per_sequence, falling.fixed) == pytest.approx((0, 0.055))
    assert StepCost.of(ticks(TICK, [(1, 0)] * (STEPS_AT_LEAST - 1))) is None
    assert StepCost.of([Tick(0, 1, 0, 0, None)] * 99) is None


def test_the_comparison_is_of_the_mean_time_from_arrival_to_last_token() -> None:
    # Continuously: the long one has a lane for itself, the others follow each other on the other three.
    ends = {20: [20.0, 20.0, 20.0, 40.0, 40.0, 40.0, 60.0], 400: [400.0]}
    order = (20, 20, 20, 400, 20, 20, 20, 20)
    requests = [
        Request(i, "page", queued=100, prompt_tokens=10, tokens=n, last=100 + ends[n].pop(0), end="length")
        for i, n in enumerate(order)
    ]
    result = saved(requests, ticks(TICK, [(4, 0)] * 99), lanes=4, window=60)
    assert result is not None
    assert (result.n, result.continuous) == (8, (3 * 20 + 3 * 40 + 60 + 400) / 8)
    assert result.static == pytest.approx((3 * 20 + 400 + 4 * 420) / 8)
    assert result.single == pytest.approx((20 + 40 + 60 + 460 + 480 + 500 + 520 + 540) / 8)


def test_too_little_says_nothing_and_one_who_never_got_a_token_is_not_counted() -> None:
    one = Request(1, "page", queued=0, tokens=5, last=9, end="stop")
    never = Request(2, "page", queued=0, end="aborted")
    measured = ticks(TICK, [(1, 0)] * 99)
    assert saved([one, never], measured, lanes=4, window=60) is None
    assert saved([one, one], [], lanes=4, window=60) is None
    assert saved([one, one, never], measured, lanes=4, window=60).n == 2  # type: ignore[union-attr]
