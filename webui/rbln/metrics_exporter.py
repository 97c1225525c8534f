"""What Rebellions' metrics exporter says of the NPUs: utilisation, power, temperature, memory, health; and tokens per joule.

The exporter (rbln-metrics-exporter, Prometheus text on port 9090) is an operator's affair: the app only reads it, if it is
told where. It does not know the engine; how many tokens there were is told by whoever asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

log = logging.getLogger(__name__)

SCRAPE_EVERY = 5.0  # seconds; the exporter itself collects that often
ANSWER_WITHIN = 2.0  # seconds
LARGEST_ANSWER = 4_000_000  # bytes

# The exporter's names, and those of its releases before 2026.
NAMES = {
    "rbln_npu_utilization": "utilization",
    "rbln_npu_power": "power",
    "rbln_npu_temperature": "temperature",
    "rbln_npu_memory_used": "memory_used",
    "rbln_npu_memory_total": "memory_total",
    "rbln_npu_health": "health",
    "RBLN_DEVICE_STATUS:UTILIZATION": "utilization",
    "RBLN_DEVICE_STATUS:CARD_POWER": "power",
    "RBLN_DEVICE_STATUS:TEMPERATURE": "temperature",
    "RBLN_DEVICE_STATUS:DRAM_USED": "memory_used",
    "RBLN_DEVICE_STATUS:DRAM_TOTAL": "memory_total",
    "RBLN_DEVICE_STATUS:HEALTH": "health",
}


@dataclass(slots=True)
class NpuMetrics:
    """One NPU. None: the exporter does not say.

    Attributes:
        name, card: such as rbln0 and RBLN-CA25.
        utilization: 0 to 1.
        power: watts. The exporter calls it the card's.
        temperature: degrees Celsius.
        memory_used, memory_total: bytes.
        healthy: what the driver says.
    """

    name: str
    card: str
    utilization: float | None = None
    power: float | None = None
    temperature: float | None = None
    memory_used: float | None = None
    memory_total: float | None = None
    healthy: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The values as JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


def parse(text: str) -> list[NpuMetrics]:
    """Reads the exporter's answer; what is not about an NPU is passed over.

    Raises:
        ValueError: if it is no Prometheus text.
    """
    npus: dict[str, NpuMetrics] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            field = NAMES.get(sample.name)
            if field is None or math.isnan(sample.value):
                continue
            name = sample.labels.get("name", "")
            npu = npus.setdefault(name, NpuMetrics(name, sample.labels.get("card", "")))
            if field == "health":
                npu.healthy = sample.value == 0
            else:
                setattr(npu, field, sample.value / 100 if field == "utilization" else sample.value)
    return [npus[name] for name in sorted(npus)]


class MetricsExporter:
    """Reads an exporter every few seconds while the app runs.

    Args:
        url: of its /metrics.
        tokens: how many tokens the engine has generated since it started.
        visible: RBLN_VISIBLE_DEVICES, numbers with commas: only these are shown; empty for all of the host.
    """

    def __init__(self, url: str, tokens: Callable[[], int], visible: str = "") -> None:
        self._url = url
        self._tokens = tokens
        self._visible = {f"rbln{number.strip()}" for number in visible.split(",") if number.strip()}
        self._npus: list[NpuMetrics] = []
        self._tokens_per_joule: float | None = None
        self._before: tuple[float, int, float] | None = None  # when, tokens, watts
        self._complaint = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to read, in the background."""
        self._task = asyncio.create_task(self._keep_reading(), name="NPU metrics")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def status(self) -> dict[str, Any] | None:
        """The NPUs and the tokens per joule between the last two readings; None while the exporter does not answer."""
        if not self._npus:
            return None
        return {
            "npus": [npu.as_dict() for npu in self._npus],
            "power": self._power(),
            "tokens_per_joule": self._tokens_per_joule,
        }

    async def read(self, client: httpx.AsyncClient) -> None:
        """Reads once. What goes wrong is logged once and leaves no old values standing."""
        try:
            answer = await client.get(self._url, timeout=ANSWER_WITHIN)
            answer.raise_for_status()
            if len(answer.content) > LARGEST_ANSWER:
                raise ValueError("the answer is too long")
            npus = [npu for npu in parse(answer.text) if not self._visible or npu.name in self._visible]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._npus, self._tokens_per_joule, self._before = [], None, None
            self._complain(str(error) or type(error).__name__)
            return
        self._complaint = ""
        self._npus = npus
        self._measure()

    def _measure(self) -> None:
        """Tokens / joules since the reading before; power is taken as the mean of the two readings."""
        now, tokens, power = time.monotonic(), self._tokens(), self._power()
        before, self._before = self._before, None if power is None else (now, tokens, power)
        self._tokens_per_joule = None
        if before is None or power is None:
            return
        joules = (now - before[0]) * (power + before[2]) / 2
        generated = tokens - before[1]
        if joules > 0 and generated >= 0:
            self._tokens_per_joule = generated / joules

    def _power(self) -> float | None:
        watts = [npu.power for npu in self._npus if npu.power is not None]
        return sum(watts) if watts else None

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            self._complaint = reason
            log.warning("The NPU metrics exporter cannot be read: %s", reason)

    async def _keep_reading(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await self.read(client)
                await asyncio.sleep(SCRAPE_EVERY)
