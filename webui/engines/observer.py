"""Tells a board what vLLM's front end knows after each step: how far every request is, how many run and wait.

Much of it is what vLLM calls unstable. Each such detail is read by one small function; one that cannot be read any more is
named once in the log and missing from then on, and nothing else breaks. It does not know who asks, nor what is drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from webui.batch.board import Board, Progress
from webui.batch.request import Request
from webui.batch.steps import Step
from webui.conversation import End

log = logging.getLogger(__name__)

ENDS: dict[str | None, End] = {"stop": "stop", "length": "length", "abort": "aborted", "repetition": "stop"}
Value = TypeVar("Value")


class Details:
    """Reads what a later vLLM may not tell any more."""

    def __init__(self) -> None:
        self._missing: set[str] = set()

    def read(self, name: str, reader: Callable[..., Value], default: Value, *sources: Any) -> Value:
        """What the reader finds in the sources; the default from the first time on that it fails."""
        if name in self._missing:
            return default
        try:
            return reader(*sources)
        except Exception as error:
            self._missing.add(name)
            log.warning("vLLM does not tell %s any more; the board goes on without it (%r).", name, error)
            return default


@dataclass(slots=True, eq=False)
class Sequence:
    """One answer of one request, as vLLM counts running requests: a request for n answers is n sequences.

    Attributes:
        request: the board's.
        name: the request's id, which is not always unique.
        index: which of its answers.
        stoppable: whether stop strings may end it, which the engine hears of later than its front end.
        held: whether it stood in a line before the engine, which then does not know since when it has waited.
        state: the front end's record of it, once found; private to vLLM.
        stats: its count of tokens and times, once found.
    """

    request: Request
    name: str
    index: int
    stoppable: bool
    held: bool = False
    state: Any = None
    stats: Any = None


class Observer:
    """Between one engine and one board.

    Args:
        board: is told.
        llm: vLLM's front end.
        counts_cached: whether the engine's scheduler counts all tokens of a prompt as computed, also those whose KV was in the
            prefix cache, as vllm-rbln's does.
    """

    def __init__(self, board: Board, llm: Any, counts_cached: bool = False) -> None:
        self._board = board
        self._llm = llm
        self._counts_cached = counts_cached
        self._details = Details()
        self._live: dict[Sequence, None] = {}

    def opened(
        self, name: str, prompt_tokens: int, answers: int, priority: int, stoppable: bool, held: bool = False
    ) -> list[Sequence]:
        """A request goes to the engine, for so many answers."""
        requests = [self._board.opened(name, prompt_tokens, priority) for _ in range(answers)]
        sequences = [Sequence(request, name, index, stoppable, held) for index, request in enumerate(requests)]
        self._live.update(dict.fromkeys(sequences))
        return sequences

    def closed(self, sequences: list[Sequence], end: End) -> None:
        """Nobody listens to a request any more: what has not ended of it has ended so."""
        for sequence in sequences:
            if sequence in self._live:
                del self._live[sequence]
                self._details.read("how far requests are", self._advance_one, None, sequence)
        self._board.closed(sequences[0].name, [sequence.request for sequence in sequences], end)

    def stepped(self, scheduler: SchedulerStats, iteration: IterationStats | None) -> None:
        """One step is over."""
        self._details.read("how far requests are", self._advance, None)
        if iteration is not None:
            finished: list[tuple[str, End]] = self._details.read("who has finished", _finished, [], iteration)
            for name, end in finished:
                self._finish(name, end)
        self._board.stepped(self._step(scheduler, iteration))

    def _advance(self) -> None:
        for sequence in self._live:
            self._advance_one(sequence)

    def _advance_one(self, sequence: Sequence) -> None:
        stats = sequence.stats or self._find(sequence)
        if stats is not None and stats.num_generation_tokens != sequence.request.tokens:
            progress = _progress(sequence.state, stats)
            self._board.gave(sequence.request, replace(progress, queued=0.0) if sequence.held else progress)

    def _find(self, sequence: Sequence) -> Any:
        """Finds vLLM's record of a sequence; without it the board waits for the first output."""
        sequence.state = self._details.read("its live requests", self._state, None, sequence)
        if sequence.state is not None:
            sequence.stats = sequence.state.stats
        return sequence.stats

    def _state(self, sequence: Sequence) -> Any:
        processor = self._llm.output_processor
        for id in processor.external_req_ids.get(sequence.name, ()):
            state = processor.request_states[id]
            if state.request_index == sequence.index and all(other.state is not state for other in self._live):
                return state
        return None

    def _finish(self, name: str, end: End) -> None:
        """The engine has ended one sequence of this name: the one that its front end has no record of any more."""
        candidates = [sequence for sequence in self._live if sequence.name == name]
        if len(candidates) > 1:
            candidates = [s for s in candidates if self._details.read("its live requests", self._is_gone, True, s)]
        for sequence in candidates[:1]:
            del self._live[sequence]
            self._board.ended(sequence.request, end, freed=not sequence.stoppable)

    def _is_gone(self, sequence: Sequence) -> bool:
        state = sequence.state
        return state is not None and state.request_id not in self._llm.output_processor.request_states

    def _step(self, scheduler: SchedulerStats, iteration: IterationStats | None) -> Step:
        read = self._details.read
        generated = read("tokens of a step", _generated, 0, iteration)
        running = read("how many run", _running, None, scheduler)
        if computed := read("what a step computed", _computed, None, scheduler):
            sequences, prompt_tokens = computed
            if self._counts_cached:
                prompt_tokens -= read("cached tokens of a step", _cached_tokens, 0, iteration)
        else:
            sequences = (running or 0) if generated else 0
            prompt_tokens = read("prompt tokens of a step", _prompt_tokens, 0, iteration)
        queries, hits = read("its prefix cache", _prefix_cache, (0, 0), scheduler)
        return Step(
            running,
            read("how many wait", _waiting, None, scheduler),
            sequences,
            read("its KV cache", _kv_cache, None, scheduler),
            prompt_tokens,
            generated,
            queries,
            hits,
            read("preemptions", _preemptions, 0, iteration),
        )


def _running(scheduler: SchedulerStats) -> int:
    return int(scheduler.num_running_reqs)


def _waiting(scheduler: SchedulerStats) -> int:
    return int(scheduler.num_waiting_reqs + scheduler.num_skipped_waiting_reqs)


def _kv_cache(scheduler: SchedulerStats) -> float:
    return round(scheduler.kv_cache_usage, 4)


def _prefix_cache(scheduler: SchedulerStats) -> tuple[int, int]:
    return scheduler.prefix_cache_stats.queries, scheduler.prefix_cache_stats.hits


def _computed(scheduler: SchedulerStats) -> tuple[int, int] | None:
    """Sequences and prompt tokens of the step; None for one that computed nothing, or where vLLM was not asked to say.

    A preempted request that comes back is read again with all that it had given: more than the one token of a decoded one.
    """
    details = scheduler.iteration_details
    if details is None:
        return None
    again = details.num_generation_tokens - details.num_generation_requests
    return details.num_ctx_requests + details.num_generation_requests, details.num_ctx_tokens + again


def _generated(iteration: IterationStats | None) -> int:
    return iteration.num_generation_tokens if iteration else 0


def _prompt_tokens(iteration: IterationStats | None) -> int:
    return iteration.prompt_token_stats.computed if iteration else 0


def _cached_tokens(iteration: IterationStats | None) -> int:
    return iteration.prompt_token_stats.cached_tokens if iteration else 0


def _preemptions(iteration: IterationStats | None) -> int:
    return iteration.num_preempted_reqs if iteration else 0


def _finished(iteration: IterationStats) -> list[tuple[str, End]]:
    return [(done.request_id, ENDS.get(str(done.finish_reason), "failed")) for done in iteration.finished_requests]


def _progress(state: Any, stats: Any) -> Progress:
    return Progress(
        tokens=stats.num_generation_tokens,
        prompt_tokens=0 if state is None else state.prompt_len,
        queued=stats.queued_ts,
        scheduled=stats.scheduled_ts,
        first=stats.first_token_ts,
        last=stats.last_token_ts,
        cached_tokens=None if state is None else state.num_cached_tokens,
        preemptions=stats.num_preemptions,
    )
