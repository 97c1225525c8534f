"""Scores the demo model as visitors meet it, through vLLM: `python -m webui.demo_model.evaluate`.

Asks questions in phrasings of the corpus, alone and inside conversations, and held-out ones, greedily and at other
temperatures; says how many answers are right per skill and language. On request it also counts answers that loop or do not end,
asks at the end of a full context, and compares the engine's tokens with those of transformers. Knows nothing of how the model
was trained.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from webui.demo_model.scoring import (
    HELD_OUT,
    Case,
    Messages,
    conversation_cases,
    held_out_cases,
    long_cases,
    loops,
    trained_cases,
)

ASSETS = Path(__file__).parents[2] / "assets" / "demo_model"
LONGEST_ANSWER = 700
"""In tokens; what is longer has no end."""
CONTEXT_LENGTH = 2048
ROOM_AFTER_LONG_CONVERSATIONS = 250
"""Tokens left for the answer at the end of a full context; the corpus's own answers are shorter."""


@dataclass(frozen=True)
class Answer:
    """What the model said, token by token, and whether it stopped by itself."""

    text: str
    ended: bool
    tokens: tuple[int, ...] = ()


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


class Tokens:
    """Conversations as the model's prompts, and its tokens as text."""

    def __init__(self, model: Path) -> None:
        from webui.demo_model.tokenizer import load_tokenizer

        self._tokenizer = load_tokenizer(model)

    def prompt(self, messages: Messages) -> list[int]:
        """The ids of the conversation, up to where the answer begins."""
        written = [{"role": role, "content": text} for role, text in messages]
        prompt = self._tokenizer.apply_chat_template(written, add_generation_prompt=True, tokenize=False)
        return list(self._tokenizer.encode(prompt, add_special_tokens=False))

    def said(self, text: str) -> tuple[int, ...]:
        """The ids of an answer, its end included."""
        from webui.demo_model.tokenizer import END_OF_TURN

        return tuple(self._tokenizer.encode(text + END_OF_TURN, add_special_tokens=False))

    def text(self, ids: list[int]) -> str:
        """What was said, without control tokens."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def fits(self, messages: Messages) -> bool:
        """Whether the conversation leaves room for an answer."""
        return len(self.prompt(messages)) <= CONTEXT_LENGTH - ROOM_AFTER_LONG_CONVERSATIONS


def vllm_engine(model: Path) -> Engine:
    """The model behind vLLM; no stop ids are passed, it has to stop by itself."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM, SamplingParams

    engine = LLM(str(model), dtype="float32", max_model_len=CONTEXT_LENGTH, max_num_seqs=32, enforce_eager=True, seed=0)
    tokens = Tokens(model)

    def ask(cases: Sequence[Case], temperature: float, seed: int) -> list[Answer]:
        inputs: Any = [{"prompt_token_ids": tokens.prompt(case.messages)} for case in cases]
        sampling = [
            SamplingParams(temperature=temperature, max_tokens=LONGEST_ANSWER, seed=seed + place) for place in range(len(cases))
        ]
        outputs = [output.outputs[0] for output in engine.generate(inputs, sampling, use_tqdm=True)]
        return [Answer(output.text, output.finish_reason == "stop", tuple(output.token_ids)) for output in outputs]

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
    return "\n".join([*lines, "", flaws(results)])


def flaws(results: Sequence[Result]) -> str:
    """How many answers did not end or repeat themselves."""
    unended = sum(not result.ended for result in results)
    looping = sum(result.loops for result in results)
    return f"{len(results)} answers, {unended} without an end, {looping} with a loop."


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


def differing(model: Path, cases: Sequence[Case], answers: Sequence[Answer]) -> list[Case]:
    """The questions to which transformers, greedily and in float32, says something else than these greedy answers.

    One pass over prompt and answer is enough: they are the same if every token of the answer is the likeliest one after all
    before it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32).eval()
    tokens = Tokens(model)
    found = []
    for case, answer in zip(cases, answers, strict=True):
        prompt, said = tokens.prompt(case.messages), list(answer.tokens)
        with torch.inference_mode():
            scores = reference(torch.tensor([prompt + said])).logits[0]
        if scores[len(prompt) - 1 : -1].argmax(-1).tolist() != said:
            found.append(case)
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m webui.demo_model.evaluate", description="Score the demo model through vLLM."
    )
    parser.add_argument("--model", type=Path, default=ASSETS, help="model folder (default: the one that ships)")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.0, 0.7, 1.0], help="0 is greedy (default: 0 0.7 1)")
    parser.add_argument("--trained", type=int, default=600, help="questions in phrasings of the corpus (default 600)")
    parser.add_argument("--conversations", type=int, default=200, help="questions inside conversations (default 200)")
    parser.add_argument("--no-held-out", action="store_true", help="leave the held-out questions alone")
    parser.add_argument("--flaws", type=int, default=0, help="count loops and missing ends over N answers at temperature 1")
    parser.add_argument("--full-context", type=int, default=0, help="ask N questions at the end of a full context")
    parser.add_argument("--against-transformers", type=int, default=0, help="compare N greedy answers with transformers'")
    parser.add_argument("--seed", type=int, default=2024, help="draws those questions, and samples answers")
    parser.add_argument("--failures", action="store_true", help="also print every wrong answer to a question of the corpus")
    parser.add_argument("--json", type=Path, help="also write every answer to a question of the corpus, and all scores")
    return parser.parse_args(arguments)


class Report:
    """Prints results and keeps them for the file."""

    def __init__(self, show_failures: bool) -> None:
        self._show_failures = show_failures
        self.scores: list[dict[str, object]] = []
        self.answers: list[dict[str, object]] = []

    def add(self, name: str, temperature: float, results: Sequence[Result], *, held_out: bool = False) -> None:
        """A table; the words of held-out questions stay unread, so that nobody tunes to them."""
        print(table(f"{name}, temperature {temperature:g}", results), end="\n\n", flush=True)
        mark = {"set": name, "temperature": temperature}
        self.scores += [{**mark, **score} for score in scores(results)]
        if held_out:
            return
        self.answers += [{**mark, **asdict(result)} for result in results]
        if self._show_failures:
            print(failures(results), end="\n\n", flush=True)

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        content = {"scores": self.scores, "answers": self.answers}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def scores(results: Sequence[Result]) -> list[dict[str, object]]:
    """How many are asked and right, per skill and language."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for result in results:
        counts[result.skill, result.language][0] += 1
        counts[result.skill, result.language][1] += result.right
    return [
        {"skill": skill, "language": language, "asked": asked, "right": right}
        for (skill, language), (asked, right) in sorted(counts.items())
    ]


def main(arguments: list[str], connect: Callable[[Path], Engine] = vllm_engine) -> int:
    """Prints the tables that the arguments ask for."""
    options = parse(arguments)
    sets = {
        "Trained phrasings": trained_cases(options.trained, options.seed),
        "Conversations": conversation_cases(options.conversations, options.seed),
        "Held-out phrasings": [] if options.no_held_out else held_out_cases(HELD_OUT),
    }
    engine = connect(options.model)
    report = Report(options.failures)
    for temperature in options.temperatures:
        for name, cases in sets.items():
            if cases:
                results = judge(cases, engine(cases, temperature, options.seed))
                report.add(name, temperature, results, held_out=name == "Held-out phrasings")
    if options.full_context:
        long = long_cases(options.full_context, options.seed, Tokens(options.model).fits)
        report.add("At the end of a full context", 0.0, judge(long, engine(long, 0.0, options.seed)))
    if options.flaws:
        many = trained_cases(options.flaws // 2, options.seed + 1)
        many += conversation_cases(options.flaws - len(many), options.seed + 1)
        print("Temperature 1:", flaws(judge(many, engine(many, 1.0, options.seed))), end="\n\n", flush=True)
    if options.against_transformers:
        some = trained_cases(options.against_transformers, options.seed + 2)
        other = differing(options.model, some, engine(some, 0.0, options.seed))
        print(f"{len(some) - len(other)} of {len(some)} greedy answers are transformers' own in float32.")
        print(*(case.messages[-1][1] for case in other), sep="\n", end="\n\n", flush=True)
    if options.json:
        report.write(options.json)
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
