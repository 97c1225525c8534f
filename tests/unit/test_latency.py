"""Percentiles carry their n, goodput counts who met all limits, and those who left are counted apart."""

from __future__ import annotations

import pytest

from webui.batch.latency import Limits, Summary, goodput, latencies, percentile
from webui.batch.request import Request
from webui.conversation import End


def request(id: int, ttft: float = 0.1, gap: float | None = 0.02, tokens: int = 11, end: End = "stop") -> Request:
    first = 10 + ttft
    last = first + (tokens - 1) * 0.02
    return Request(
        id, "page", queued=10, scheduled=10.05, first=first, last=last, ended=last, end=end, tokens=tokens, worst_itl=gap
    )


def test_percentiles_are_nearest_rank() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([7], 95) == 7
    assert percentile(list(map(float, range(1, 101))), 95) == 95


def test_a_summary_says_of_how_many() -> None:
    assert Summary.of([3, 1, 2]) == Summary(3, 2, 3, 3, 3)
    assert Summary.of([]) == Summary(0, None, None, None, None)


def test_latencies_are_of_the_answered_alone() -> None:
    never = Request(9, "api", queued=10, ended=99, end="aborted")
    summed = latencies([request(1), request(2, ttft=0.3), request(3, end="aborted"), request(4, tokens=1, gap=None), never])
    assert {name: summary.n for name, summary in summed.items()} == {"queue": 3, "ttft": 3, "tpot": 2, "worst_itl": 2, "e2e": 3}
    assert summed["ttft"].max == pytest.approx(0.3) and summed["queue"].p50 == pytest.approx(0.05)
    assert summed["tpot"].p99 == pytest.approx(0.02) and summed["e2e"].max == pytest.approx(0.5)


def test_goodput_counts_who_met_all_limits() -> None:
    requests = [
        request(1),
        request(2, ttft=0.5),
        request(3, gap=0.2),
        request(4, tokens=1, gap=None),
        request(5, end="aborted"),
        request(6, end="failed"),
    ]
    found = goodput(requests, Limits(ttft=0.2, itl=0.05), seconds=10)
    assert (found.n, found.good, found.per_second, found.aborted, found.failed) == (4, 2, 0.2, 1, 1)
    assert goodput(requests, Limits(ttft=1, itl=1), seconds=10).good == 4
