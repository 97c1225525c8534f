"""What batching saved: the same requests, had they been batched statically, and one at a time.

**Continuous** is what was measured: the mean time from a request's arrival to its last token.

**Static** batching is request-level scheduling as Orca describes it (Yu et al., "Orca: A Distributed Serving System for
Transformer-Based Generative Models", OSDI 2022, section 2): a batch of at most as many requests as there are lanes starts
when the former one has wholly ended, takes those that wait then, first come, first served, and nobody joins it later. The
lane of a request that ends early stays taken, and is computed with, until the longest has ended. **One at a time** is static
batching with one lane.

Both are computed from the real arrival times and token counts with a step's cost as the engine itself showed it in the same
minute: seconds = fixed + per sequence * sequences + per prompt token * prompt tokens, fitted by least squares to its steps.
A batch is one step that reads all its prompts (what the prefix cache spared stays spared) and gives each its first token,
then one step per further token of its longest answer. Where the model is open, it is in favour of the others: the first batch
finds an empty engine, every prompt of a batch is read in one step, and a request counts as answered with its own last token
although static batching often hands out whole batches.

It knows neither lanes nor clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webui.batch.request import Request
from webui.batch.steps import Tick

STEPS_AT_LEAST = 20  # to fit a cost to


@dataclass(slots=True, frozen=True)
class Job:
    """One request: when it arrived (seconds), and how many tokens its prompt and its answer had."""

    arrival: float
    prompt_tokens: int
    tokens: int


@dataclass(slots=True, frozen=True)
class StepCost:
    """Seconds of one engine step, by what is in it."""

    fixed: float
    per_sequence: float = 0.0
    per_prompt_token: float = 0.0

    def seconds(self, sequences: int, prompt_tokens: int = 0) -> float:
        """How long a step takes."""
        return self.fixed + self.per_sequence * sequences + self.per_prompt_token * prompt_tokens

    @classmethod
    def of(cls, ticks: Iterable[Tick]) -> StepCost | None:
        """Fitted to measured steps; None for too few.

        A cost that would come out negative, which is noise, is left out and the others are fitted without it.
        """
        timed = [tick for tick in ticks if tick.seconds is not None]
        if len(timed) < STEPS_AT_LEAST:
            return None
        table = np.array([(1.0, tick.sequences, tick.prompt_tokens) for tick in timed])
        seconds = np.array([tick.seconds for tick in timed], dtype=float)
        columns = _independent(table)
        while True:
            fit = np.linalg.lstsq(table[:, columns], seconds, rcond=None)[0]
            if fit.min() >= 0 or len(columns) == 1:
                costs = dict(zip(columns, map(float, fit), strict=True))
                return cls(*(costs.get(column, 0.0) for column in (0, 1, 2)))
            columns.pop(int(fit.argmin()))


@dataclass(slots=True, frozen=True)
class Saved:
    """Mean seconds from arrival to last token of n requests that ended within a window of so many seconds."""

    n: int
    window: float
    continuous: float
    static: float
    single: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON types, rounded to ms."""
        return {name: value if name == "n" else round(value, 3) for name, value in asdict(self).items()}


def statically(jobs: Sequence[Job], lanes: int, cost: StepCost) -> list[float]:
    """When each job would have its last token, batched statically; seconds on the clock of the arrivals.

    Args:
        jobs: in the order of their arrival.
        lanes: requests in one batch at most.
        cost: of a step.
    """
    ends: list[float] = []
    free = 0.0
    while len(ends) < len(jobs):
        begin = max(free, jobs[len(ends)].arrival)
        batch = [job for job in jobs[len(ends) : len(ends) + lanes] if job.arrival <= begin]
        first = begin + cost.seconds(len(batch), sum(job.prompt_tokens for job in batch))
        step = cost.seconds(len(batch))
        ends += [first + step * (job.tokens - 1) for job in batch]
        free = first + step * (max(job.tokens for job in batch) - 1)
    return ends


def saved(requests: Iterable[Request], ticks: Iterable[Tick], lanes: int, window: float) -> Saved | None:
    """Compares the requests that ended in a window and gave a token, however they ended, with what they would have taken.

    Args:
        requests: that ended in the window.
        ticks: steps of the window.
        lanes: of the engine.
        window: seconds.

    Returns:
        None if there are too few requests or steps to say anything.
    """
    counted = sorted((r for r in requests if r.tokens and r.last is not None), key=lambda request: request.queued)
    cost = StepCost.of(ticks)
    if len(counted) < 2 or cost is None or not lanes:
        return None
    jobs = [Job(r.queued, max(1, r.prompt_tokens - (r.cached_tokens or 0)), r.tokens) for r in counted]
    continuous = [(r.last or r.queued) - r.queued for r in counted]

    def mean_of(count: int) -> float:
        return _mean([end - job.arrival for end, job in zip(statically(jobs, count, cost), jobs, strict=True)])

    return Saved(len(jobs), window, _mean(continuous), mean_of(lanes), mean_of(1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _independent(table: NDArray[np.float64]) -> list[int]:
    """The columns that tell something which those before them do not."""
    columns: list[int] = []
    for column in range(table.shape[1]):
        if np.linalg.matrix_rank(table[:, [*columns, column]]) > len(columns):
            columns.append(column)
    return columns
