"""What our door costs a program: the API of the app against vLLM's stock server, the same model and arguments, in one run.

Both are started once and asked in turns, several rounds, each round by so many streamed chat completions at once from another
process. CPU per token is that of the server's own process, without its engine's. The figures are medians over the rounds, the
ratios and differences are those of the rounds themselves.

    python -m benchmarks.api_overhead --sessions 16 --lanes 16 --tokens 200
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from contextlib import ExitStack

import psutil

from benchmarks.chat_load import Round, prompts, sessions
from benchmarks.start import CONTEXT, MEMORY, answers, free_port, process, until
from webui.batch.latency import percentile
from webui.engines.local import prepare_environment
from webui.settings import DEMO_MODEL, Settings

STOCK = "vllm.entrypoints.launchers.api_server.entry"


def servers(lanes: int) -> dict[str, list[str]]:
    """Each server's command line, without its port."""
    arguments = ["--model", str(DEMO_MODEL), "--max-num-seqs", str(lanes), "--max-model-len", CONTEXT]
    arguments += ["--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", MEMORY]
    return {
        "stock": [sys.executable, "-m", STOCK, *arguments, "--disable-uvicorn-access-log"],
        "ours": [sys.executable, "-m", "webui", *arguments],
    }


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process alone, without that of the engine that it started."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(count: int, lanes: int, tokens: int, rounds: int) -> dict[str, list[Round]]:
    """Both servers in turns; the first round warms them up and is not counted."""
    results: dict[str, list[Round]] = {name: [] for name in servers(lanes)}
    with ExitStack() as running:
        urls, front_ends = {}, {}
        for name, command in servers(lanes).items():
            port = str(free_port())
            server = running.enter_context(process([*command, "--port", port]))
            front_ends[name] = psutil.Process(server.pid)
            urls[name] = f"http://127.0.0.1:{port}"
            until(lambda url=urls[name]: answers(url, "/v1/models") is not None, time.perf_counter())  # type: ignore[misc]
        for number in range(rounds + 1):
            for name in sorted(urls, reverse=number % 2 == 0):
                before = cpu_seconds(front_ends[name])
                one = asyncio.run(sessions("api", urls[name], prompts(count), tokens))
                one.cpu = (cpu_seconds(front_ends[name]) - before) / (count * tokens)
                results[name] += [one] if number else []
            print("." if number else "warm", end=" ", flush=True)
    print()
    return results


def report(results: dict[str, list[Round]], count: int, tokens: int) -> None:
    """A table and the two figures."""
    pairs = list(zip(results["ours"], results["stock"], strict=True))
    print(f"{count} programs x {tokens} tokens, medians of {len(pairs)} rounds, on {os.cpu_count()} cores")
    print(f"{'':22}{'tokens/s':>9}{'TTFT p50':>10}{'TTFT p95':>10}{'CPU/token':>11}{'bytes/token':>12}")
    for name, label in (("stock", "vLLM's stock server"), ("ours", "Batchat's API")):
        rounds = results[name]
        p50, p95 = (statistics.median(percentile(one.ttft, p) for one in rounds) * 1000 for p in (50, 95))
        throughput, cpu, wire = (statistics.median(getattr(one, of) for one in rounds) for of in ("throughput", "cpu", "wire"))
        print(f"{label:22}{throughput:9.0f}{p50:7.0f} ms{p95:7.0f} ms{cpu * 1000:8.3f} ms{wire:12.0f}")
    ratio = statistics.median(ours.throughput / stock.throughput for ours, stock in pairs)
    gap = statistics.median(percentile(ours.ttft, 95) - percentile(stock.ttft, 95) for ours, stock in pairs) * 1000
    print(f"throughput {ratio:.2f} of the stock server's, p95 TTFT {gap:+.0f} ms")


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    prepare_environment(Settings())  # both servers inherit it
    results = measure(arguments.sessions, arguments.lanes, arguments.tokens, arguments.rounds)
    report(results, arguments.sessions, arguments.tokens)


if __name__ == "__main__":
    main()
