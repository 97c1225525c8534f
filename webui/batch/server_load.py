"""What servers elsewhere publish of themselves: vLLM's gauges and counters, of one server or summed over several.

It reads Prometheus' text and nothing else; who fetches it, and who is told, is not known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

RATE_WINDOW = 3.0  # seconds over which tokens per second are counted
NAMES = {  # vLLM's name -> ours; docs.vllm.ai, "Production Metrics"
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_cache",
    "vllm:gpu_cache_usage_perc": "kv_cache",  # its releases before 2025's summer
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:generation_tokens_total": "generation_tokens",
}


@dataclass(frozen=True, slots=True)
class Published:
    """One reading. None: not published.

    Attributes:
        running, waiting: requests, everybody's.
        kv_cache: share of the KV cache in use, 0 to 1; the fullest engine's.
        prompt_tokens, generation_tokens: since the server's start.
    """

    running: float | None = None
    waiting: float | None = None
    kv_cache: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What the servers say of themselves now. None: not published.

    Attributes:
        running, waiting, kv_cache: as of `Published`.
        prompt_rate, generation_rate: tokens per second.
        servers, asked: how many servers this is the sum of, and how many there should be.
    """

    running: float | None
    waiting: float | None
    kv_cache: float | None
    prompt_rate: float | None
    generation_rate: float | None
    servers: int = 1
    asked: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The values as JSON types."""
        return asdict(self)


def published(text: str) -> Published | None:
    """Reads one server's answer; None if it is not vLLM's."""
    lines = (line for line in text.splitlines() if line.startswith(tuple(NAMES)))
    found: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            for sample in family.samples:
                found.setdefault(NAMES.get(sample.name, ""), []).append(sample.value)
    except ValueError:
        return None
    values = {name: max(seen) if name == "kv_cache" else sum(seen) for name, seen in found.items() if name}
    return Published(**values) if values else None


class ServerLoads:
    """Turns readings, one after the other, into loads."""

    def __init__(self) -> None:
        self._before: deque[tuple[float, Published, int]] = deque()

    def add(self, readings: Sequence[Published | None], now: float) -> ServerLoad | None:
        """The load after another reading of each server; None if none of them says anything.

        Args:
            readings: of each server; None for one that says nothing.
            now: when they were taken, in seconds of any one clock.
        """
        found = [reading for reading in readings if reading is not None]
        if not found:
            self._before.clear()
            return None
        total = _sum(found)
        while self._before and self._before[0][2] != len(found):
            self._before.popleft()
        while len(self._before) > 1 and self._before[0][0] < now - RATE_WINDOW:  # however long a slow server took, one is left
            self._before.popleft()
        since, before, _ = self._before[0] if self._before else (now, total, 0)
        self._before.append((now, total, len(found)))
        return ServerLoad(
            total.running,
            total.waiting,
            total.kv_cache,
            _rate(before.prompt_tokens, total.prompt_tokens, now - since),
            _rate(before.generation_tokens, total.generation_tokens, now - since),
            len(found),
            len(readings),
        )


def _sum(readings: Sequence[Published]) -> Published:
    def of(name: str) -> list[float]:
        return [value for reading in readings if (value := getattr(reading, name)) is not None]

    sums = {name: sum(of(name)) if of(name) else None for name in Published.__slots__}
    return Published(**{**sums, "kv_cache": max(of("kv_cache"), default=None)})


def _rate(before: float | None, now: float | None, seconds: float) -> float | None:
    """Per second; None where it is not known, as after a restart, when the count has begun anew."""
    if before is None or now is None or seconds <= 0 or now < before:
        return None
    return round((now - before) / seconds, 1)
