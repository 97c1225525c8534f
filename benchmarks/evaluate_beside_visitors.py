"""What an evaluation on the page costs and is worth: short prompts through it against vLLM alone, and a visitor beside it.

One engine of one process start. First a visitor alone sends short questions, one after another; then vLLM alone gets all
prompts at once; then the evaluation runs, and the visitor asks on beside it. Wanted: at least 0.9 of vLLM's tokens per second,
and the visitor's p95 TTFT within twice its idle value.

    python -m benchmarks.evaluate_beside_visitors --rows 1000 --lanes 16 --tokens 32
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable

from benchmarks.chat_load import bare
from benchmarks.in_process import in_process, leave
from webui.batch.latency import percentile
from webui.channel import Mailbox
from webui.conversation import Sampling
from webui.engines.local import LocalEngine
from webui.server.app import App
from webui.settings import Settings

VISITOR_TOKENS = 8
PAUSE = 0.1  # seconds between a visitor's answer and the next question


async def visitor(app: App, until: Callable[[int], bool]) -> list[float]:
    """A visitor's TTFT (s, ascending) as the engine tells it, one question after another in a conversation of its own each."""
    name, times = secrets.token_hex(8), []
    sampling = Sampling(temperature=0, max_tokens=VISITOR_TOKENS, min_tokens=VISITOR_TOKENS)
    while not until(len(times)):
        chat = await app.chats.library.open(secrets.token_hex(16), name)
        mailbox = Mailbox()
        chat.channel.join(mailbox)
        answer = await app.chats.send(chat, f"What is the {len(times)}th letter?", "", sampling)
        assert chat.turn is not None
        await chat.turn.wait()
        assert answer.timing is not None, answer.error
        times.append(answer.timing.ttft)
        chat.channel.leave(mailbox)
        await asyncio.sleep(PAUSE)
    return sorted(times)


def content(rows: int) -> bytes:
    """Different short questions, so that the prefix cache does not make them one."""
    return "\n".join(json.dumps({"prompt": question(i)}) for i in range(rows)).encode()


def question(number: int) -> str:
    """One of them."""
    return f"Tell me a story about the sea, number {number}."


async def measure(settings: Settings, rows: int, tokens: int, idle: int) -> None:
    """All three, and the report."""
    app = App(settings)
    app.history.start()
    app.supervisor.start()
    engine = await app.supervisor.ready()
    assert isinstance(engine, LocalEngine)
    warm = await bare(engine, [question(-i) for i in range(1, 65)], tokens)
    alone = await visitor(app, lambda asked: asked >= idle)
    without = await bare(engine, [question(i + 10 * rows) for i in range(rows)], tokens)
    sampling = {"temperature": 0.7, "max_tokens": tokens, "min_tokens": tokens}
    plan = {"variants": [{"name": "short", "sampling": sampling}], "scores": []}
    began = time.perf_counter()
    evaluation = app.evaluations.start("operator", plan, "rows.jsonl", content(rows))
    beside = await visitor(app, lambda asked: not evaluation.active)
    assert evaluation.task is not None
    await evaluation.task
    wall = time.perf_counter() - began
    summary = (await asyncio.to_thread(evaluation.results))["summary"]["variants"]["short"]
    assert summary["answered"] == rows, summary
    rate = summary["tokens_per_second"]
    print(f"{rows} prompts x {tokens} tokens, {settings.max_num_seqs} lanes, on {os.cpu_count()} cores")
    print(f"vLLM alone      {without.throughput:8.0f} tokens/s   (a round before it, to warm up: {warm.throughput:.0f})")
    print(f"the evaluation  {rate:8.0f} tokens/s   {rate / without.throughput:.2f} of vLLM   {wall:.1f} s")
    for label, times in (("idle", alone), ("beside it", beside)):
        p50, p95 = (percentile(times, percent) * 1000 for percent in (50, 95))
        print(f"visitor, {label:10} TTFT p50 {p50:6.1f} ms   p95 {p95:6.1f} ms of {len(times)}")
    print(f"p95 TTFT beside the evaluation: {percentile(beside, 95) / percentile(alone, 95):.2f} x idle")
    await app.evaluations.close()
    await app.chats.close(0)
    await app.history.close()
    await app.supervisor.stop()


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--idle", type=int, default=60, help="questions of the visitor alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(max_num_seqs=arguments.lanes, data_dir=data)
        in_process(settings, lambda: measure(settings, arguments.rows, arguments.tokens, arguments.idle))
    leave()


if __name__ == "__main__":
    main()
