"""How fast the model that ships answers: the first token and the tokens per second of each stream, several streams at once.

The engine is started as the app starts it. The streams begin together, several rounds; the first round warms everything up and
is not counted.

    python -m benchmarks.demo_model_speed --streams 4
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from dataclasses import dataclass

from benchmarks.chat_load import prompts
from benchmarks.in_process import in_process, leave
from webui.batch.latency import percentile
from webui.conversation import Message, Sampling
from webui.data_folder import NONE
from webui.engines.local import LocalEngine
from webui.prompt import Prompt, PromptBuilder
from webui.server.app import App
from webui.settings import Settings


@dataclass(frozen=True)
class Stream:
    """One answer: seconds until its first token, tokens per second after it."""

    first: float
    speed: float


async def stream(engine: LocalEngine, prompt: Prompt, tokens: int, name: str) -> Stream:
    """One answer of exactly that many tokens."""
    began, first = time.perf_counter(), 0.0
    async for piece in engine.generate(name, prompt, Sampling(max_tokens=tokens, min_tokens=tokens)):
        first = first or (time.perf_counter() if piece.text else 0.0)
    return Stream(first - began, (tokens - 1) / (time.perf_counter() - first))


async def measure(settings: Settings, streams: int, tokens: int, rounds: int) -> list[Stream]:
    """Every stream of every round but the first."""
    app = App(settings)
    app.supervisor.start()
    engine = await app.supervisor.ready()
    assert isinstance(engine, LocalEngine)
    builder = PromptBuilder(engine.tokenizer, engine.info.context)
    texts = prompts(streams * (rounds + 1))
    measured: list[Stream] = []
    for number in range(rounds + 1):
        made = [builder.build([Message("user", text)]) for text in texts[number * streams : (number + 1) * streams]]
        names = [f"speed-{number}-{place}" for place in range(streams)]
        together = await asyncio.gather(*(stream(engine, one, tokens, name) for one, name in zip(made, names, strict=True)))
        measured += together if number else []
    await app.supervisor.stop()
    return measured


def report(measured: list[Stream], streams: int, tokens: int) -> None:
    """Medians, and the worst of all."""
    firsts, speeds = sorted(one.first * 1000 for one in measured), sorted(one.speed for one in measured)
    print(f"{streams} streams x {tokens} tokens, {len(measured)} answers, on {os.cpu_count()} cores")
    print(f"first token: p50 {percentile(firsts, 50):.0f} ms, p95 {percentile(firsts, 95):.0f} ms, worst {firsts[-1]:.0f} ms")
    print(f"per stream: median {statistics.median(speeds):.0f} tokens/s, worst {speeds[0]:.0f} tokens/s")


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    settings = Settings(max_num_seqs=arguments.streams, data_dir=NONE)
    answers = in_process(settings, lambda: measure(settings, arguments.streams, arguments.tokens, arguments.rounds))
    report(answers, arguments.streams, arguments.tokens)
    leave()


if __name__ == "__main__":
    main()
