"""What the board costs: engine throughput with nobody and with many watching, the bytes each of them gets, and its CPU.

All over one engine of one process start, in turns, several rounds; figures are medians, ratios are within a round. The
watchers are made by another process. The CPU of the board itself (recording each step and making the frames) is measured
apart, with no engine, so that nothing else is in it.

    python -m benchmarks.board_cost --watchers 200 --lanes 16 --tokens 200
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any

from benchmarks.chat_load import ROOT, prompts, served
from benchmarks.in_process import in_process, leave
from webui.conversation import Message, Sampling
from webui.data_folder import NONE
from webui.engines.local import LocalEngine
from webui.prompt import PromptBuilder
from webui.server.app import App
from webui.settings import Settings

STEPS = 2000  # of the measurement without an engine
STEPS_PER_SECOND = 70  # what the demo model does on two cores with 16 lanes …
STEPS_PER_FRAME = 14  # … at 5 frames a second


async def throughput(engine: LocalEngine, count: int, tokens: int) -> float:
    """Tokens per second of as many requests, twice as many as there are lanes, so that some wait."""
    builder = PromptBuilder(engine.tokenizer, engine.info.context)
    sampling = Sampling(max_tokens=tokens, min_tokens=tokens)

    async def one(text: str, name: str) -> None:
        async for _ in engine.generate(name, builder.build([Message("user", text)]), sampling):
            pass

    began = time.perf_counter()
    await asyncio.gather(*(one(text, f"page-{began}-{i}") for i, text in enumerate(prompts(count))))
    return count * tokens / (time.perf_counter() - began)


async def watched(app: App, engine: LocalEngine, url: str, watchers: int, count: int, tokens: int) -> tuple[float, float]:
    """Throughput while so many watch, and the bytes that each of them got per second."""
    arguments = (sys.executable, "-m", "benchmarks.board_cost", "--watch", url, "--watchers", str(watchers))
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT) if watchers else None
    try:
        while app.everybody.watchers < watchers:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # the full frames are sent
        sent, began = app.everybody.bytes_sent, time.perf_counter()
        speed = await throughput(engine, count, tokens)
        seconds = time.perf_counter() - began
        return speed, (app.everybody.bytes_sent - sent) / seconds / max(1, watchers)
    finally:
        if process is not None:
            process.kill()
            await process.wait()
        while app.everybody.watchers:
            await asyncio.sleep(0.05)


async def measure(settings: Settings, ways: list[int], tokens: int, rounds: int) -> dict[int, list[tuple[float, float]]]:
    """All numbers of watchers in turns, several rounds, after one run that warms everything up and is not counted."""
    app = App(settings)
    app.supervisor.start()
    engine = await app.supervisor.ready()
    assert isinstance(engine, LocalEngine)
    results: dict[int, list[tuple[float, float]]] = {watchers: [] for watchers in ways}
    async with served(app.asgi) as url:
        await throughput(engine, settings.max_num_seqs, tokens)
        for number in range(rounds):
            # In turns forwards and backwards, so that a drift of the machine is nobody's.
            for watchers in ways if number % 2 else reversed(ways):
                results[watchers].append(await watched(app, engine, url, watchers, 2 * settings.max_num_seqs, tokens))
            print(".", end=" ", flush=True)
        app.everybody.close()
    print()
    await app.chats.close(0)
    await app.supervisor.stop()
    return results


async def watch(url: str, count: int) -> None:
    """So many tabs that only read; raw sockets, for the machine is the server's."""
    host, port = url.removeprefix("http://").split(":")

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /api/stream?board=1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while await reader.read(2**16):
            pass

    await asyncio.gather(*(one() for _ in range(count)))


def own_cost(lanes: int, tokens: int) -> tuple[float, float]:
    """CPU of the board itself per step and running request, in microseconds, and bytes per second of its frames, at
    STEPS_PER_SECOND; every lane busy, each request so many tokens long."""
    from vllm.v1.metrics.stats import IterationStats, RequestStateStats, SchedulerIterationDetails, SchedulerStats

    from webui.batch.board import Board, EngineFacts
    from webui.batch.frames import Frames
    from webui.channel import encode
    from webui.engines.observer import Observer

    now = 0.0
    board = Board(clock=lambda: now)
    board.reset(EngineFacts(lanes, "CPU", True))
    frames, front = Frames(board), SimpleNamespace(output_processor=SimpleNamespace(external_req_ids={}, request_states={}))
    observer = Observer(board, front)
    processor, number, size = front.output_processor, 0, 0
    seats: list[Any] = [None] * lanes

    def renew(lane: int, given: int) -> None:
        nonlocal number
        if seats[lane] is not None:
            name, _, sequences = seats[lane]
            observer.closed(sequences, "length")
            del processor.request_states[name], processor.external_req_ids[name]
        number += 1
        name, stats = f"page-{number}", RequestStateStats(num_generation_tokens=given)
        state = SimpleNamespace(request_id=name, request_index=0, stats=stats, prompt_len=40, num_cached_tokens=0)
        processor.request_states[name], processor.external_req_ids[name] = state, [name]
        seats[lane] = (name, stats, observer.opened(name, 40, 1, 0, False))

    for lane in range(lanes):
        renew(lane, lane * tokens // lanes)
    frames.full()
    began = time.process_time()
    for step in range(STEPS):
        now += 1 / STEPS_PER_SECOND
        for lane in range(lanes):
            stats = seats[lane][1]
            if stats.num_generation_tokens >= tokens:
                renew(lane, 0)
                stats = seats[lane][1]
            stats.num_generation_tokens += 1
            stats.last_token_ts = now
        iteration = IterationStats()
        iteration.num_generation_tokens = lanes
        details = SchedulerIterationDetails(step, 0, 0, lanes, lanes, 14.0)
        observer.stepped(SchedulerStats(num_running_reqs=lanes, iteration_details=details), iteration)
        if step % STEPS_PER_FRAME == 0 and (frame := frames.frame()) is not None:
            size += len(encode("board", frame))
    cpu = time.process_time() - began
    return cpu / STEPS / lanes * 1e6, size / (STEPS / STEPS_PER_SECOND)


def report(results: dict[int, list[tuple[float, float]]], lanes: int, tokens: int) -> None:
    """A table; every ratio the median of the rounds' own."""
    print(f"{lanes} lanes, {tokens} tokens each, medians of {len(results[0])} rounds, on {os.cpu_count()} cores")
    print(f"{'watchers':>9}{'tokens/s':>10}{'of none':>9}{'bytes/s each':>14}")
    for watchers, rounds in results.items():
        ratio = statistics.median(one[0] / none[0] for one, none in zip(rounds, results[0], strict=True))
        speed, wire = (statistics.median(one[i] for one in rounds) for i in (0, 1))
        print(f"{watchers:9}{speed:10.0f}{ratio:9.3f}{wire:14.0f}")


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--watch", metavar="URL", help="only watch (what this benchmark starts)")
    parser.add_argument("--own-cost", action="store_true", help="only the board's own CPU, without an engine")
    arguments = parser.parse_args()
    if arguments.watch:
        asyncio.run(watch(arguments.watch, arguments.watchers))
        return
    cpu, size = own_cost(arguments.lanes, arguments.tokens)
    print(f"the board itself: {cpu:.1f} us per step and running request; {size:.0f} bytes/s per watcher")
    if arguments.own_cost:
        return
    settings = Settings(max_num_seqs=arguments.lanes, data_dir=NONE)
    results = in_process(settings, lambda: measure(settings, [0, 1, arguments.watchers], arguments.tokens, arguments.rounds))
    report(results, arguments.lanes, arguments.tokens)
    leave()


if __name__ == "__main__":
    main()
