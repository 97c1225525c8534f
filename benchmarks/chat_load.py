"""What the page costs: N browser-like sessions through it, the same prompts straight through vLLM, and the usual Gradio idiom.

All three run over the same engine of the same process start, in turns, several rounds; the figures are medians over the
rounds and ratios within this run. The sessions are made by another process, so that the front-end CPU is the server's own.

    python -m benchmarks.chat_load --sessions 16 --lanes 16 --tokens 200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import uvicorn

from benchmarks.in_process import in_process, leave
from webui.batch.latency import percentile
from webui.conversation import Message, Sampling
from webui.engines.local import LocalEngine
from webui.prompt import PromptBuilder
from webui.server.app import App
from webui.server.process import listen
from webui.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS = ("a fox", "the sea", "a small robot", "my cat", "a train", "the moon", "a bear", "a river")


@dataclass
class Round:
    """One round of one way: tokens per second, first tokens (s, ascending), CPU and bytes per token."""

    throughput: float
    ttft: list[float]
    cpu: float
    wire: float = 0.0


def prompts(count: int) -> list[str]:
    """Different questions, so that the prefix cache does not make them one."""
    return [f"Tell me a long story about {SUBJECTS[i % len(SUBJECTS)]}, number {i}." for i in range(count)]


async def bare(engine: LocalEngine, texts: list[str], tokens: int) -> Round:
    """AsyncLLM.generate and nothing else: not even the board's wrapper."""
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind, SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

    builder = PromptBuilder(engine.tokenizer, engine.info.context)
    ids = [builder.build([Message("user", text)]).ids for text in texts]
    kind = RequestOutputKind.DELTA
    parameters = SamplingParams(temperature=0.7, max_tokens=tokens, min_tokens=tokens, output_kind=kind)

    async def one(prompt: list[int], name: str) -> tuple[float, int]:
        first, count = 0.0, 0
        async with aclosing(AsyncLLM.generate(engine.llm, tokens_input(prompt), parameters, name)) as outputs:
            async for output in outputs:
                first = first or time.perf_counter() - began
                count += len(output.outputs[0].token_ids)
        return first, count

    cpu, began = time.process_time(), time.perf_counter()
    results = await asyncio.gather(*(one(prompt, f"bare-{i}-{began}") for i, prompt in enumerate(ids)))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    total = sum(count for _, count in results)
    return Round(total / wall, sorted(first for first, _ in results), cpu / total)


async def sessions(kind: str, url: str, texts: list[str], tokens: int) -> Round:
    """Browser-like sessions, made by another process."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.browser_sessions", kind, url, str(tokens)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        cwd=ROOT,
    )
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(json.dumps(texts).encode() + b"\n")
    assert await client.stdout.readline() == b"go\n"
    cpu = time.process_time()
    seen = json.loads(await client.stdout.readline())
    cpu = time.process_time() - cpu
    await client.wait()
    total = sum(one["tokens"] for one in seen)
    wall = max(one["total"] for one in seen)
    return Round(total / wall, sorted(one["ttft"] for one in seen), cpu / total, sum(one["bytes"] for one in seen) / total)


def gradio_idiom(engine: LocalEngine, tokens: int) -> Any:
    """What the usual tutorial has: gr.ChatInterface with a generator that yields the text so far at each token."""
    import gradio as gr
    from fastapi import FastAPI

    builder = PromptBuilder(engine.tokenizer, engine.info.context)
    count = 0

    async def answer(message: str, history: list[Any]) -> AsyncIterator[str]:
        nonlocal count
        count += 1
        text = ""
        prompt = builder.build([Message("user", message)])
        async for piece in engine.generate(f"api-gradio-{count}", prompt, Sampling(max_tokens=tokens, min_tokens=tokens)):
            text += piece.text
            yield text

    interface = gr.ChatInterface(answer, api_name="chat", concurrency_limit=None)
    return gr.mount_gradio_app(FastAPI(), interface, path="/", ssr_mode=False)


@asynccontextmanager
async def served(application: Any, lifespan: str = "off") -> AsyncIterator[str]:
    """An application on a free port of loopback."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan=lifespan, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def measure(settings: Settings, count: int, tokens: int, rounds: int) -> dict[str, list[Round]]:
    """All ways in turns, several rounds; the first round warms everything up and is not counted."""
    app = App(settings)
    app.history.start()
    app.supervisor.start()
    engine = await app.supervisor.ready()
    assert isinstance(engine, LocalEngine)
    texts = prompts(count)
    results: dict[str, list[Round]] = {"bare": [], "page": [], "gradio": []}
    async with served(app.asgi) as page, served(gradio_idiom(engine, tokens), "on") as gradio:
        for number in range(rounds + 1):
            measured = {
                "bare": await bare(engine, texts, tokens),
                "page": await sessions("page", page, texts, tokens),
                "gradio": await sessions("gradio", gradio, texts, tokens),
            }
            for name, one in measured.items():
                results[name] += [one] if number else []
            print("." if number else "warm", end=" ", flush=True)
        app.everybody.close()
    print()
    await app.chats.close(0)
    await app.history.close()
    await app.supervisor.stop()
    return results


def report(results: dict[str, list[Round]], count: int, tokens: int) -> None:
    """A table; every figure the median of its rounds, every ratio the median of the rounds' own ratios."""

    def median(name: str, value: Any) -> float:
        return statistics.median(value(one) for one in results[name])

    def ratio(name: str) -> float:
        pairs = zip(results[name], results["bare"], strict=True)
        return statistics.median(one.throughput / bare.throughput for one, bare in pairs)

    labels = {"bare": "vLLM alone", "page": "Batchat's page", "gradio": "gr.ChatInterface"}
    print(f"{count} sessions x {tokens} tokens, medians of {len(results['bare'])} rounds, on {os.cpu_count()} cores")
    print(f"{'':18}{'tokens/s':>9}{'of vLLM':>9}{'TTFT p50':>10}{'TTFT p95':>10}{'CPU/token':>11}{'bytes/token':>12}")
    for name, label in labels.items():
        p50, p95 = (median(name, lambda r, p=p: percentile(r.ttft, p)) * 1000 for p in (50, 95))
        print(
            f"{label:18}{median(name, lambda r: r.throughput):9.0f}{ratio(name):9.2f}{p50:7.0f} ms{p95:7.0f} ms"
            f"{median(name, lambda r: r.cpu) * 1000:8.3f} ms{median(name, lambda r: r.wire):12.0f}"
        )
    gap = statistics.median(
        (percentile(page.ttft, 95) - percentile(bare.ttft, 95)) * 1000
        for page, bare in zip(results["page"], results["bare"], strict=True)
    )
    print(f"p95 TTFT of the page: {gap:+.0f} ms against vLLM alone")


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(max_num_seqs=arguments.lanes, max_turns=10_000, data_dir=data)
        results = in_process(settings, lambda: measure(settings, arguments.sessions, arguments.tokens, arguments.rounds))
    report(results, arguments.sessions, arguments.tokens)
    leave()


if __name__ == "__main__":
    main()
