"""The engine's steps: one tick for each pass, with the sequences in it and the prompt tokens that it computed.

A fixed number of them is remembered, whatever the speed of the engine. It does not know which requests were in a step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

TICKS_AT_MOST = 60_000  # ten minutes of an engine that makes a step in 10 ms


@dataclass(slots=True, frozen=True)
class Step:
    """What the engine says after one step; None where it does not say.

    Attributes:
        running, waiting: requests after the step.
        sequences: how many were in the step; 0 if it computed nothing.
        kv_cache: share of the KV cache in use, 0 to 1.
        prompt_tokens: prompt tokens that the step computed, with those of a preempted request that is read again.
        generation_tokens: tokens that it gave.
        prefix_queries, prefix_hits: prompt tokens looked up in the prefix cache, and found there.
        preemptions: requests that have lost their lane, as far as it is told with this step.
    """

    running: int | None
    waiting: int | None
    sequences: int = 0
    kv_cache: float | None = None
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0


class Tick(NamedTuple):
    """One remembered step.

    Attributes:
        at: when it was over, seconds.
        sequences, prompt_tokens: as of `Step`.
        bucket: the compiled batch size that it ran in; 0 for none.
        seconds: how long it took; None if the engine had nothing to do before it.
    """

    at: float
    sequences: int
    prompt_tokens: int
    bucket: int
    seconds: float | None


class Steps:
    """The latest steps of one engine.

    Args:
        buckets: the batch sizes that decode steps are compiled for, if they are.
    """

    def __init__(self, buckets: Sequence[int] = ()) -> None:
        self.buckets = tuple(sorted(buckets))
        self.count = 0
        self._ticks: deque[Tick] = deque(maxlen=TICKS_AT_MOST)
        self._busy_since: float | None = None

    def add(self, step: Step, now: float) -> None:
        """Remembers a step that is just over."""
        if step.sequences:
            seconds = None if self._busy_since is None else now - self._busy_since
            self._ticks.append(Tick(now, step.sequences, step.prompt_tokens, self._bucket(step), seconds))
            self.count += 1
        self._busy_since = now if step.running or step.waiting else None

    def last(self, count: int) -> list[Tick]:
        """The latest ticks, oldest first."""
        ticks = list(islice(reversed(self._ticks), count))
        ticks.reverse()
        return ticks

    def since(self, moment: float) -> list[Tick]:
        """The ticks after a moment, oldest first."""
        count = 0
        for tick in reversed(self._ticks):
            if tick.at <= moment:
                break
            count += 1
        return self.last(count)

    def _bucket(self, step: Step) -> int:
        """The smallest that holds all sequences of a decode step. One that reads a prompt decodes nothing and runs in none."""
        if step.prompt_tokens:
            return 0
        return next((bucket for bucket in self.buckets if bucket >= step.sequences), 0)
