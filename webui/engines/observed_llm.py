"""vLLM's AsyncLLM, observed: every request of every door passes `generate()`, and every step the stat logger.

The one place that reads what vLLM calls unstable (the stat logger's records). It does not know who asks, nor what is drawn.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.outputs import RequestOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from webui.batch.board import Board, Progress, Step
from webui.batch.request import door_of
from webui.conversation import End
from webui.engines.turnstile import Turnstile
from webui.rbln.devices import is_rbln_environment
from webui.rbln.sampling import refused

log = logging.getLogger(__name__)

ENDS: dict[str | None, End] = {"stop": "stop", "length": "length", "abort": "aborted", "repetition": "stop"}


class ObservedLLM(AsyncLLM):
    """AsyncLLM that tells a board of each request's beginning, tokens and end.

    Attributes:
        board: who is told; None while the engine warms up, for those are nobody's requests.
    """

    board: Board | None = None

    @functools.cached_property
    def _turnstile(self) -> Turnstile:
        return Turnstile(self.vllm_config.scheduler_config.max_num_seqs)

    @property
    def _by_priority(self) -> bool:
        """Whether the scheduler looks at priorities itself."""
        return str(self.vllm_config.scheduler_config.policy) == "priority"

    async def generate(
        self, prompt: Any, sampling_params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncGenerator[RequestOutput, None]:
        """As AsyncLLM's own; the board hears of the request until it ends, is left, or fails.

        Raises:
            VLLMValidationError: for what would bring down an engine on RBLN.
        """
        _check_sampling(sampling_params)
        board = self.board or Board()  # one that nobody sees
        end: End = "aborted"
        board.opened(request_id, len(prompt.get("prompt_token_ids") or ()) if isinstance(prompt, dict) else 0)
        try:
            priority = 0 if self._by_priority or door_of(request_id) == "page" else 1
            outputs = super().generate(prompt, sampling_params, request_id, **options)
            async with self._turnstile.passed(priority, sampling_params.n), aclosing(outputs):
                async for output in outputs:
                    board.gave(request_id, _progress(output))
                    if output.finished:
                        end = ENDS.get(output.outputs[0].finish_reason, "failed")
                    yield output
        except Exception:
            end = "failed"
            raise
        finally:
            board.closed(request_id, end)


def _check_sampling(asked: SamplingParams) -> None:
    if not is_rbln_environment():
        return
    fields = [name for name in SamplingParams.__struct_fields__ if not name.startswith("_")]
    if names := refused(fields, asked, SamplingParams()):
        raise VLLMValidationError(f"{', '.join(names)} cannot be used with RBLN", parameter=names[0])


def _progress(output: RequestOutput) -> Progress:
    prompt_tokens = len(output.prompt_token_ids or ())
    metrics = output.metrics
    if metrics is None:
        return Progress(tokens=sum(len(o.token_ids) for o in output.outputs), prompt_tokens=prompt_tokens)
    return Progress(
        tokens=metrics.num_generation_tokens,
        prompt_tokens=prompt_tokens,
        queued=metrics.queued_ts,
        scheduled=metrics.scheduled_ts,
        first=metrics.first_token_ts,
        last=metrics.last_token_ts,
    )


class BoardLogger(StatLoggerBase):
    """Hands each step's record to a board. If a later vLLM changes the record, the detail is missing and nothing else."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._complained = False

    def __call__(self, vllm_config: VllmConfig, engine_index: int = 0) -> BoardLogger:
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
        try:
            self._record(scheduler_stats, iteration_stats)
        except Exception:
            if not self._complained:
                self._complained = True
                log.exception("The engine's step record has changed; the board goes on without it.")

    def _record(self, scheduler: SchedulerStats | None, iteration: IterationStats | None) -> None:
        if scheduler is None:
            return
        step = Step(
            running=scheduler.num_running_reqs,
            waiting=scheduler.num_waiting_reqs + scheduler.num_skipped_waiting_reqs,
            kv_cache=round(scheduler.kv_cache_usage, 4),
            prompt_tokens=iteration.num_prompt_tokens if iteration else 0,
            generation_tokens=iteration.num_generation_tokens if iteration else 0,
        )
        finished = [cast(str, done.request_id) for done in iteration.finished_requests] if iteration else []
        self._board.stepped(step, finished)

    def log_engine_initialized(self) -> None:
        """Nothing to say: the app says what is in force."""
