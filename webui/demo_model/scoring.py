"""What a right answer is, and what a broken one looks like.

Knows nothing of the engine that gave the answer.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.demo_model.corpus.dialogue import LONGEST, Dialogue, DialogueMaker, Turn
from webui.demo_model.corpus.library import LANGUAGES, Language
from webui.demo_model.corpus.noise import noisy
from webui.demo_model.corpus.stories import Wish

HELD_OUT = Path(__file__).parent / "held_out.jsonl"
STORY_FRAME: dict[Language, str] = {"en": r"Once upon a time[\s\S]+The end\.", "ko": r"옛날 옛적[\s\S]+끝\."}
CONVERSATION_SKILLS = ("memory", "follow-ups", "language switches", "system prompts", "conversations")
LONGEST_CONVERSATION = 8
"""Turns before and with the question."""
Messages = tuple[tuple[str, str], ...]
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
    messages: Messages
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
        alternatives = exchange.alternatives or (exchange.replies,)
        answers = tuple(replies[language].text for replies in alternatives)
        cases.append(Case(exchange.skill, language, (("user", question),), rule_for(answers, exchange.wish)))
    return cases


def conversation_cases(count: int, seed: int) -> list[Case]:
    """The last questions of conversations as the corpus has them, every skill of `CONVERSATION_SKILLS` in turn."""
    rng = random.Random(seed)
    maker = DialogueMaker()
    wanted = [
        (CONVERSATION_SKILLS[place // len(LANGUAGES) % len(CONVERSATION_SKILLS)], LANGUAGES[place % len(LANGUAGES)])
        for place in range(count)
    ]
    return [_conversation_case(skill, language, maker, rng) for skill, language in wanted]


def _conversation_case(skill: str, language: Language, maker: DialogueMaker, rng: random.Random) -> Case:
    while True:
        dialogue, turns = maker.draw_judged(rng)
        for place, turn in reversed(list(enumerate(turns[:LONGEST_CONVERSATION]))):
            if turn.skill == skill and turn.language == language and (turn.answers or turn.wish):
                return _case_of(dialogue, turns, place)


def long_cases(count: int, seed: int, fits: Callable[[Messages], bool]) -> list[Case]:
    """Questions at the end of conversations that are as long as `fits` allows."""
    rng = random.Random(seed)
    maker = DialogueMaker()
    cases: list[Case] = []
    while len(cases) < count:
        dialogue, turns = maker.draw_judged(rng)
        if len(turns) < LONGEST:
            continue
        possible = [_case_of(dialogue, turns, place) for place in range(len(turns)) if turns[place].answers]
        cases += [case for case in possible if fits(case.messages)][-1:]
    return cases


def _case_of(dialogue: Dialogue, turns: Sequence[Turn], place: int) -> Case:
    """The question at a place of a conversation, with everything before it."""
    systems = sum(message.role == "system" for message in dialogue)
    before = dialogue[: systems + 2 * place + 1]
    turn = turns[place]
    messages = tuple((message.role, message.text) for message in before)
    return Case(turn.skill, turn.language, messages, rule_for(turn.answers, turn.wish))


def rule_for(answers: tuple[str, ...], wish: Wish | None = None) -> Rule:
    """Accepts these answers, or any story that grants the wish."""
    if wish is None:
        return Rule(exact=tuple(dict.fromkeys(answer.strip() for answer in answers)))
    return Rule(regexp="|".join(_story(wish, language) for language in LANGUAGES))


def _story(wish: Wish, language: Language) -> str:
    """What a story in that language must hold: its first and last words, the hero and the place."""
    words = [piece[language].removeprefix("a ").removeprefix("an ") for piece in (wish.hero, wish.place) if piece]
    held = "".join(rf"(?=[\s\S]*{re.escape(word)})" for word in words)
    return f"^{held}{STORY_FRAME[language]}$"


def loops(answer: str) -> bool:
    """Whether the answer says the same thing over and over."""
    return _LOOP.search(answer) is not None or _SHORT_LOOP.search(answer) is not None
