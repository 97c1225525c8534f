"""What a right answer is, and what a broken one looks like.

Knows nothing of the engine that gave the answer.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.demo_model.corpus.dialogue import DialogueMaker
from webui.demo_model.corpus.exchanges import Exchange
from webui.demo_model.corpus.library import LANGUAGES, Language
from webui.demo_model.corpus.noise import noisy

HELD_OUT = Path(__file__).parent / "held_out.jsonl"
STORY_FRAME: dict[Language, str] = {"en": r"Once upon a time[\s\S]+The end\.", "ko": r"옛날 옛적[\s\S]+끝\."}
_LOOP = re.compile(r"(.{6,120}?)\1{3,}", re.DOTALL)
_SHORT_LOOP = re.compile(r"(\D{1,5}?)\1{11,}", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """When an answer is accepted."""

    exact: tuple[str, ...] = ()
    contains: str | None = None
    regexp: str | None = None

    def accepts(self, answer: str) -> bool:
        """Whether the answer is right."""
        answer = answer.strip()
        if self.exact:
            return answer in self.exact
        if self.contains is not None:
            return self.contains.lower() in answer.lower()
        return self.regexp is not None and re.search(self.regexp, answer) is not None


@dataclass(frozen=True)
class Case:
    """One question with everything that was said before it, and what is accepted as its answer."""

    skill: str
    language: Language
    messages: tuple[tuple[str, str], ...]
    rule: Rule


def held_out_cases(path: Path = HELD_OUT) -> list[Case]:
    """The questions whose phrasings the corpus never uses."""
    return [_case(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _case(row: dict[str, Any]) -> Case:
    accept = row["accept"]
    rule = Rule(
        exact=(accept["exact"],) if "exact" in accept else (),
        contains=accept.get("contains"),
        regexp=accept.get("regexp"),
    )
    messages = tuple((role, text) for role, text in row["messages"])
    return Case(row["skill"], row["language"], messages, rule)


def trained_cases(count: int, seed: int) -> list[Case]:
    """Questions in the phrasings of the corpus, every intent in turn, so that rare ones are asked too."""
    rng = random.Random(seed)
    maker = DialogueMaker().exchanges
    cases = []
    for place in range(count):
        language = LANGUAGES[place % len(LANGUAGES)]
        exchange = maker.make(maker.intents[place // len(LANGUAGES) % len(maker.intents)], language, rng)
        question = noisy(exchange.question, language, rng, verbatim=exchange.verbatim)
        cases.append(Case(exchange.skill, language, (("user", question),), _rule(exchange)))
    return cases


def _rule(exchange: Exchange) -> Rule:
    if exchange.skill == "stories":
        return Rule(regexp=f"^{STORY_FRAME[exchange.language]}$")
    alternatives = exchange.alternatives or (exchange.replies,)
    return Rule(exact=tuple(replies[exchange.language].text.strip() for replies in alternatives))


def loops(answer: str) -> bool:
    """Whether the answer says the same thing over and over."""
    return _LOOP.search(answer) is not None or _SHORT_LOOP.search(answer) is not None
