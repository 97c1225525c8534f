"""vLLM's AsyncLLM, observed: every request of every door passes `generate()`, and every step the stat logger.

It does not know who asks, nor what an observer does with it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.outputs import RequestOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from webui.batch.board import Board
from webui.batch.request import door_of
from webui.conversation import End
from webui.engines.base import Priority
from webui.engines.observer import ENDS, Observer
from webui.engines.turnstile import Turnstile
from webui.rbln.devices import is_rbln_environment
from webui.rbln.sampling import refused

log = logging.getLogger(__name__)


class StepLogger(StatLoggerBase):
    """Hands each step's record on.

    Attributes:
        observer: who gets it; None while the engine warms up.
    """

    observer: Observer | None = None

    def __init__(self) -> None:
        """vLLM's own has arguments that this one has no use for."""

    def __call__(self, vllm_config: VllmConfig, engine_index: int = 0) -> StepLogger:
        """vLLM wants a factory; one logger serves the one engine."""
        return self

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """Called by vLLM on the event loop once per engine step."""
        if self.observer is None or scheduler_stats is None:
            return
        try:
            self.observer.stepped(scheduler_stats, iteration_stats)
        except Exception:  # would end the engine for everybody
            log.exception("The board could not follow the engine; it is not told of steps any more.")
            self.observer = None

    def log_engine_initialized(self) -> None:
        """Nothing to say: the app says what is in force."""


class ObservedLLM(AsyncLLM):
    """AsyncLLM that tells a board of each request's beginning, tokens and end."""

    _observer: Observer | None = None  # while the engine warms up, for those are nobody's requests

    def observe(self, board: Board, logger: StepLogger) -> None:
        """From now on this board is told of every request and of every step that this logger records."""
        self._observer = logger.observer = Observer(board, self, counts_cached=is_rbln_environment())

    @functools.cached_property
    def _turnstile(self) -> Turnstile:
        return Turnstile(self.vllm_config.scheduler_config.max_num_seqs)

    @property
    def by_priority(self) -> bool:
        """Whether the scheduler looks at priorities."""
        return str(self.vllm_config.scheduler_config.policy) == "priority"

    async def generate(
        self, prompt: Any, sampling_params: SamplingParams, request_id: str, *, priority: int = 0, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        """As AsyncLLM's own; the board hears of the request until it ends, is left, or fails.

        A program may set back what it asks for, but not put it before what visitors wait for.

        Raises:
            VLLMValidationError: for what would bring down an engine on RBLN.
        """
        _check_sampling(sampling_params)
        if door_of(request_id) == "api":
            priority = max(priority, Priority.API)
        told, before = (priority, 0) if self.by_priority else (0, priority)
        outputs = super().generate(prompt, sampling_params, request_id, priority=told, **options)
        if self._observer is None:
            async with aclosing(outputs):
                async for output in outputs:
                    yield output
            return
        tokens = len(prompt.get("prompt_token_ids") or ()) if isinstance(prompt, dict) else 0
        stoppable = bool(sampling_params.stop)
        observer = self._observer
        end: End = "aborted"
        sequences = observer.opened(request_id, tokens, sampling_params.n, priority, stoppable, held=before > 0)
        try:
            async with self._turnstile.passed(before, sampling_params.n), aclosing(outputs):
                async for output in outputs:
                    if len(sequences) == 1:
                        sequences[0].stats = sequences[0].stats or output.metrics
                    if output.finished:
                        end = ENDS.get(output.outputs[0].finish_reason, "failed")
                    yield output
        except Exception:
            end = "failed"
            raise
        finally:
            observer.closed(sequences, end)


def _check_sampling(asked: SamplingParams) -> None:
    if not is_rbln_environment():
        return
    fields = [name for name in SamplingParams.__struct_fields__ if not name.startswith("_")]
    if names := refused(fields, asked, SamplingParams()):
        raise VLLMValidationError(f"{', '.join(names)} cannot be used with RBLN", parameter=names[0])
