"""What requests waited for, summed up: percentiles that carry their n, and goodput. The formulas are the README's.

Only requests that were answered (ended by stop or length) count; aborted and failed ones are counted apart, since a request
that somebody left says nothing about how fast it would have been. It knows no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webui.batch.request import Request


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of ascending values: the smallest that at least `percent` % do not exceed."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


@dataclass(slots=True, frozen=True)
class Summary:
    """Percentiles of n values; None where there is no value."""

    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Sums values up."""
        ascending = sorted(values)
        if not ascending:
            return cls(0, None, None, None, None)
        p50, p95, p99 = (percentile(ascending, percent) for percent in (50, 95, 99))
        return cls(len(ascending), p50, p95, p99, ascending[-1])


def _queue(request: Request) -> float | None:
    timing = request.timing()
    return timing.queue if timing.split else None


def _worst_itl(request: Request) -> float | None:
    return request.worst_itl


def _tpot(request: Request) -> float | None:
    return request.timing().tpot


LATENCIES: dict[str, Callable[[Request], float | None]] = {
    "queue": _queue,
    "ttft": lambda request: request.timing().ttft,
    "tpot": _tpot,
    "worst_itl": _worst_itl,
    "e2e": lambda request: request.timing().e2e,
}


def latencies(requests: Iterable[Request]) -> dict[str, Summary]:
    """Seconds, by name, of those that were answered; a request without a value (TPOT of one token) is not counted in it."""
    answered = [request for request in requests if request.answered]
    every = {name: [value(request) for request in answered] for name, value in LATENCIES.items()}
    return {name: Summary.of(value for value in values if value is not None) for name, values in every.items()}


@dataclass(slots=True, frozen=True)
class Limits:
    """What is fast enough: seconds to the first token, and the longest gap between two steps that gave tokens."""

    ttft: float = 0.2
    itl: float = 0.05

    def met_by(self, request: Request) -> bool:
        """Whether a request was within all limits; one without a second token has no gap."""
        return request.timing().ttft <= self.ttft and (request.worst_itl or 0.0) <= self.itl


GOOD = Limits()


@dataclass(slots=True, frozen=True)
class Goodput:
    """Requests that met all limits.

    Attributes:
        limits: the limits.
        n: requests that were answered in the window.
        good: how many of them met all limits.
        per_second: good / seconds of the window.
        aborted, failed: those that were not answered, counted apart.
    """

    limits: Limits
    n: int
    good: int
    per_second: float
    aborted: int
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def goodput(requests: Iterable[Request], limits: Limits, seconds: float) -> Goodput:
    """Goodput over a window of so many seconds, of the requests that ended in it.

    The word is DistServe's (Zhong et al., OSDI 2024): the rate of requests that keep every latency objective.
    """
    ended = [request for request in requests if request.ended is not None]
    answered = [request for request in ended if request.answered]
    good = sum(limits.met_by(request) for request in answered)
    aborted = sum(request.end == "aborted" for request in ended)
    failed = sum(request.end == "failed" for request in ended)
    return Goodput(limits, len(answered), good, good / seconds if seconds > 0 else 0.0, aborted, failed)
