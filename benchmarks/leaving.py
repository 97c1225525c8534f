"""How soon a lane, or a place in line, is free once nobody wants the answer: Stop, a closed tab, a program that hangs up.

The app runs as a process of its own; how many requests run and wait is what its engine reports, asked for every 10 ms. Each way
of leaving is tried several times, alone in the batch and beside a full one. For a closed tab the grace time is taken off.

    python -m benchmarks.leaving --tries 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from benchmarks.browser_sessions import Http
from benchmarks.start import SAME_ARGUMENTS, answers, free_port, process, until
from webui.batch.latency import percentile

GRACE = 1.0  # seconds
LANES = 4
LOOK_EVERY = 0.01  # seconds
LENGTH = {"max_tokens": 1900, "min_tokens": 1900}
QUESTION = "Tell me a long story about a fox."


@dataclass(frozen=True)
class Way:
    """A way of leaving, and within how many seconds the lane is to be free."""

    label: str
    promised: float


STOP, CLOSE, HANG_UP = Way("Stop pressed", 0.5), Way("tab closed, after the grace time", 1.0), Way("program hung up", 0.5)


class Tab:
    """One tab of the chat page with an answer that is being written or waited for."""

    def __init__(self, url: str) -> None:
        self._http = Http(url)
        self._chat = secrets.token_hex(16)
        self._events: AsyncIterator[Any] = self._http.events(f"/api/stream?chat={self._chat}")

    async def ask(self) -> None:
        """Opens the stream and sends a message."""
        await self._http.request("GET", "/api/status")
        await anext(self._events)
        body = {"text": QUESTION, "sampling": LENGTH}
        status, response = await self._http.request("POST", f"/api/chats/{self._chat}/messages", body)
        assert status == 202, response

    async def leave(self, way: Way) -> None:
        """Presses Stop, or closes the tab."""
        if way is STOP:
            await self._http.request("POST", f"/api/chats/{self._chat}/stop", {})
        await self._events.aclose()  # type: ignore[attr-defined]


class Program:
    """One program that streams a completion."""

    def __init__(self, url: str) -> None:
        body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True, **LENGTH}
        self._events: AsyncIterator[Any] = Http(url).events("/v1/chat/completions", body)
        self._first: asyncio.Task[Any] | None = None

    async def ask(self) -> None:
        """Sends the request; its first line may take until a lane is free."""
        self._first = asyncio.ensure_future(anext(self._events))
        await asyncio.sleep(0)

    async def leave(self, way: Way) -> None:
        """Closes the connection."""
        assert self._first is not None
        self._first.cancel()
        await asyncio.gather(self._first, return_exceptions=True)
        await self._events.aclose()  # type: ignore[attr-defined]


async def until_there_are(requests: int, http: Http) -> float:
    """The moment at which the engine first says that so many run and wait."""
    while True:
        seen = json.loads((await http.request("GET", "/api/status"))[1])["requests"]
        if seen["running"] + seen["waiting"] == requests:
            return time.perf_counter()
        await asyncio.sleep(LOOK_EVERY)


async def one_try(url: str, way: Way, others: int) -> float:
    """Seconds until the engine has one request less."""
    http, beside = Http(url), [Tab(url) for _ in range(others)]
    for tab in beside:
        await tab.ask()
    leaving = Program(url) if way is HANG_UP else Tab(url)
    await leaving.ask()
    await until_there_are(others + 1, http)
    began = time.perf_counter()
    await leaving.leave(way)
    seconds = await until_there_are(others, http) - began
    for tab in beside:
        await tab.leave(STOP)
    await until_there_are(0, http)
    return seconds - (GRACE if way is CLOSE else 0)


async def measure(url: str, tries: int) -> dict[tuple[Way, int], list[float]]:
    """Every way, alone, as the last lane's, and while it waits; in turns."""
    cases = [(way, others) for way in (STOP, CLOSE, HANG_UP) for others in (0, LANES - 1, LANES)]
    results: dict[tuple[Way, int], list[float]] = {case: [] for case in cases}
    for _ in range(tries):
        for way, others in cases:
            results[way, others].append(await one_try(url, way, others))
        print(".", end=" ", flush=True)
    print()
    return results


def report(results: dict[tuple[Way, int], list[float]]) -> None:
    """A table in milliseconds."""
    tries = len(next(iter(results.values())))
    print(f"milliseconds until the lane or the place in line is free; {tries} tries each, on {os.cpu_count()} cores")
    print(f"{'':34}{'beside':>8}{'median':>8}{'p95':>8}{'longest':>9}{'promised':>10}")
    for (way, others), times in results.items():
        figures = (statistics.median(times), percentile(sorted(times), 95), max(times), way.promised)
        place = f"{others}, waiting" if others == LANES else str(others)
        print(
            f"{way.label:32}{place:>10}" + "".join(f"{1000 * f:>{w}.0f}" for f, w in zip(figures, (8, 8, 9, 10), strict=True))
        )


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=20)
    arguments = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = ["--port", str(port), "--grace", str(GRACE), "--data-dir", "none"]
    with process([sys.executable, "-m", "webui", *own, *SAME_ARGUMENTS]):
        until(lambda: answers(url, "/health") is not None, time.perf_counter())
        results = asyncio.run(measure(url, arguments.tries))
    report(results)


if __name__ == "__main__":
    main()
