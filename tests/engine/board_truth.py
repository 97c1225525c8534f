"""The board beside vLLM's own books, in one process: a mixed load on a KV cache too small for it. Prints what it found as JSON.

Run as a process of its own by `test_board_on_engine.py`. The lanes are held against every step that the engine tells of.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import aclosing
from typing import Any

from prometheus_client import REGISTRY
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind, SamplingParams

from webui.batch.board import Board
from webui.batch.steps import Step
from webui.engines.base import Priority
from webui.engines.local import LocalEngine, LocalEngines, prepare_environment
from webui.server.process import end_children, private_temporary_folder
from webui.settings import Settings

BOOKS = ("generation_tokens", "prompt_tokens", "prompt_tokens_cached", "num_preemptions")


class CheckedBoard(Board):
    """A board that looks at itself after each step."""

    steps_seen = 0
    most_running = 0

    def stepped(self, step: Step) -> None:
        """As the board's own, then compares."""
        super().stepped(step)
        self.steps_seen += 1
        self.most_running = max(self.most_running, self.running)
        if self.running != step.running or len({request.lane for request in self.lanes.running}) != len(self.lanes.running):
            self.wrong.append([self.steps_seen, self.running, step.running, self.waiting, step.waiting])

    def __init__(self) -> None:
        self.wrong: list[Any] = []
        super().__init__()


def books() -> dict[str, float]:
    """vLLM's own counters."""
    counts: Counter[str] = Counter()
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            name = sample.name.removeprefix("vllm:").removesuffix("_total")
            if name in BOOKS and sample.name.endswith("_total"):
                counts[name] += sample.value
            elif sample.name == "vllm:request_success_total":
                counts[sample.labels["finished_reason"]] += sample.value
    return dict(counts)


async def ask(engine: LocalEngine, name: str, tokens: int, leave_after: int | None = None, **options: Any) -> int:
    """One request straight to vLLM; gives how many tokens came."""
    length = options.pop("prompt", 20)
    priority = options.pop("priority", Priority.VISITOR)
    parameters = SamplingParams(temperature=0.7, max_tokens=tokens, min_tokens=options.pop("min_tokens", tokens), **options)
    prompt = [5 + i % 400 for i in range(length)]
    count = 0
    async with aclosing(engine.llm.generate(tokens_input(prompt), parameters, name, priority=priority)) as outputs:
        async for output in outputs:
            count += sum(len(answer.token_ids) for answer in output.outputs)
            if leave_after is not None and count >= leave_after:
                break
    return count


async def mixed_load(engine: LocalEngine, board: Board, seen: dict[str, Any]) -> None:
    """Ends by stop, length, abort and abort while waiting; several answers; no output until the end; preemptions."""
    delta, final = RequestOutputKind.DELTA, RequestOutputKind.FINAL_ONLY
    load = [ask(engine, f"page-{i}", 60 + 15 * i, output_kind=delta) for i in range(8)]
    load += [ask(engine, f"demo-{i}", 50, output_kind=delta, priority=Priority.DEMO) for i in range(3)]
    load += [ask(engine, f"page-long-{i}", 700, output_kind=delta, prompt=150) for i in range(4)]
    load += [ask(engine, f"page-left-{i}", 400, 30 + i, output_kind=delta) for i in range(3)]
    load += [ask(engine, f"cmpl-final-{i}", 90, output_kind=final) for i in range(2)]
    load += [ask(engine, "cmpl-two", 40, output_kind=final, n=2), ask(engine, "cmpl-three", 40, output_kind=delta, n=3)]
    load += [ask(engine, "cmpl-same", 30, output_kind=delta), ask(engine, "cmpl-same", 45, output_kind=final)]
    load += [ask(engine, f"page-stop-{i}", 300, min_tokens=0, stop=["e", "a", "이"], output_kind=delta) for i in range(3)]
    running = [asyncio.create_task(one) for one in load]
    impatient = [asyncio.create_task(ask(engine, f"page-impatient-{i}", 50, output_kind=delta)) for i in range(4)]
    await asyncio.sleep(0.3)
    for task in impatient[:3]:
        task.cancel()
    async with asyncio.timeout(120):
        while not all(task.done() for task in running):
            for request in board.lanes.running:
                if request.door == "api" and request.state == "decode" and request.tokens > 3:
                    seen["live without output"] = True
            await asyncio.sleep(0.02)
    await asyncio.gather(*running)
    await asyncio.gather(*impatient, return_exceptions=True)


async def compare() -> dict[str, Any]:
    """Runs the load and gives both sides' books of it."""
    board = CheckedBoard()
    settings = Settings(max_num_seqs=4, kv_cache_memory_bytes=int(sys.argv[1]))
    engine = await LocalEngines(settings, board)(lambda stage: None)
    seen: dict[str, Any] = {}
    before = books()
    try:
        await mixed_load(engine, board, seen)
        await asyncio.sleep(1)
        after = books()
    finally:
        await engine.shutdown()
    requests = board.within(600)
    return {
        "vllm": {name: after.get(name, 0) - before.get(name, 0) for name in (*BOOKS, "stop", "length")},
        "board": {
            "generation_tokens": board.tokens.total(),
            "prompt_tokens": sum(request.prompt_tokens for request in requests if request.first is not None),
            "prompt_tokens_cached": sum(request.cached_tokens or 0 for request in requests),
            "num_preemptions": board.preempted,
            "stop": sum(request.end == "stop" for request in requests),
            "length": sum(request.end == "length" for request in requests),
        },
        "requests": len(requests),
        "ids": len({request.id for request in requests}),
        "ends": Counter(str(request.end) for request in requests),
        "never scheduled": sum(request.scheduled is None for request in requests),
        "stays": sum(len(request.stays) - 1 for request in requests if request.stays),
        "without worst ITL": sum(request.tokens > 1 and not request.worst_itl for request in requests),
        "steps": board.steps_seen,
        "ticks": board.steps.count,
        "most running": board.most_running,
        "wrong": board.wrong,
        "left over": [board.running, board.waiting],
        **seen,
    }


def main() -> None:
    """Runs it."""
    with private_temporary_folder():
        prepare_environment(Settings())
        try:
            result = asyncio.run(compare())
        finally:
            end_children()
    print(json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
