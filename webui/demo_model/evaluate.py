"""Scores the demo model as visitors meet it, through vLLM: `python -m webui.demo_model.evaluate`.

Asks questions in phrasings of the corpus and in held-out ones, greedily and at other temperatures; says per skill and language
how many answers are right, and counts answers that loop or do not end. Knows nothing of how the model was trained.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from webui.demo_model.scoring import Case, held_out_cases, loops, trained_cases

ASSETS = Path(__file__).parents[2] / "assets" / "demo_model"
LONGEST_ANSWER = 700
CONTEXT_LENGTH = 2048


@dataclass(frozen=True)
class Answer:
    """What the model said, and whether it stopped by itself."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Result:
    """One answer, judged."""

    skill: str
    language: str
    question: str
    answer: str
    right: bool
    ended: bool
    loops: bool


Engine = Callable[[Sequence[Case], float, int], list[Answer]]


def vllm_engine(model: Path) -> Engine:
    """The model behind vLLM; no stop ids are passed, it has to stop by itself."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM, SamplingParams

    engine = LLM(str(model), dtype="float32", max_model_len=CONTEXT_LENGTH, max_num_seqs=32, enforce_eager=True, seed=0)
    tokenizer = engine.get_tokenizer()

    def ask(cases: Sequence[Case], temperature: float, seed: int) -> list[Answer]:
        prompts = [
            tokenizer.apply_chat_template(
                [{"role": role, "content": text} for role, text in case.messages],
                add_generation_prompt=True,
                tokenize=False,
            )
            for case in cases
        ]
        inputs = [{"prompt_token_ids": tokenizer.encode(prompt, add_special_tokens=False)} for prompt in prompts]
        sampling = [
            SamplingParams(temperature=temperature, max_tokens=LONGEST_ANSWER, seed=seed + place) for place in range(len(cases))
        ]
        outputs = engine.generate(inputs, sampling, use_tqdm=True)
        return [Answer(output.outputs[0].text, output.outputs[0].finish_reason == "stop") for output in outputs]

    return ask


def judge(cases: Sequence[Case], answers: Sequence[Answer]) -> list[Result]:
    """Compares every answer with the rule of its question."""
    return [
        Result(
            case.skill,
            case.language,
            case.messages[-1][1],
            answer.text,
            answer.ended and case.rule.accepts(answer.text),
            answer.ended,
            loops(answer.text),
        )
        for case, answer in zip(cases, answers, strict=True)
    ]


def table(title: str, results: Sequence[Result]) -> str:
    """The scores as a Markdown table, one row per skill."""
    by_skill: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_skill[result.skill].append(result)
    lines = [f"### {title}", "", "| Skill | English | Korean | Both |", "| --- | --- | --- | --- |"]
    for skill, rows in [*sorted(by_skill.items()), ("**all**", list(results))]:
        english = [row for row in rows if row.language == "en"]
        korean = [row for row in rows if row.language == "ko"]
        lines.append(f"| {skill} | {_share(english)} | {_share(korean)} | {_share(rows)} |")
    unended = sum(not result.ended for result in results)
    looping = sum(result.loops for result in results)
    lines += ["", f"{len(results)} answers, {unended} without an end, {looping} with a loop."]
    return "\n".join(lines)


def _share(results: Sequence[Result]) -> str:
    if not results:
        return "-"
    right = sum(result.right for result in results)
    return f"{100 * right / len(results):.0f} % ({right}/{len(results)})"


def failures(results: Iterable[Result]) -> str:
    """The wrong answers, for reading."""
    return "\n".join(
        f"[{result.skill}/{result.language}] {result.question!r} -> {result.answer!r}" for result in results if not result.right
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m webui.demo_model.evaluate", description="Score the demo model through vLLM."
    )
    parser.add_argument("--model", type=Path, default=ASSETS, help="model folder (default: the one that ships)")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.7, 1.0], help="0 is greedy (default: 0 0.7 1)")
    parser.add_argument("--trained", type=int, default=600, help="questions in phrasings of the corpus (default 600)")
    parser.add_argument("--seed", type=int, default=2024, help="draws those questions, and samples answers")
    parser.add_argument("--failures", action="store_true", help="also print every wrong answer")
    parser.add_argument("--json", type=Path, help="also write every answer to this file")
    return parser.parse_args(arguments)


def main(arguments: list[str], connect: Callable[[Path], Engine] = vllm_engine) -> int:
    """Prints the tables that the arguments ask for."""
    options = parse(arguments)
    sets = {"Trained phrasings": trained_cases(options.trained, options.seed), "Held-out phrasings": held_out_cases()}
    engine = connect(options.model)
    everything: list[dict[str, object]] = []
    for temperature in options.temperatures:
        for name, cases in sets.items():
            results = judge(cases, engine(cases, temperature, options.seed))
            print(table(f"{name}, temperature {temperature:g}", results), end="\n\n", flush=True)
            if options.failures:
                print(failures(results), end="\n\n")
            everything += [{"set": name, "temperature": temperature, **asdict(result)} for result in results]
    if options.json:
        options.json.write_text(json.dumps(everything, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
