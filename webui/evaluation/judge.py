"""A model as judge: it reads two answers to one question, in both orders, and says which is better, or that neither is.

Only what it says in both orders counts: a judge that prefers whatever stands first has said nothing. It knows neither engines
nor files; its questions are asked as any others are.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webui.evaluation.prompts import Row
from webui.evaluation.runs import Answer, Ask
from webui.evaluation.variants import Variant

RUBRIC = "Prefer the answer that is right, does what was asked, and says no more than is needed. Length and order do not count."
_TASK = (
    "Two assistants have answered the same question. Compare their answers by this rubric:\n{rubric}\n\n"
    "Say in one or two sentences why, then end with exactly one of [[A]], [[B]] or [[TIE]]."
)
_CASE = "[Question]\n{question}\n\n{reference}[Answer A]\n{first}\n\n[Answer B]\n{second}\n\n[End of the answers]"
_VERDICT = re.compile(r"\[\[\s*(A|B|TIE|C)\s*\]\]", re.IGNORECASE)
JUDGE = "judge"  # what the questions to the judge are marked with


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judges, and by what."""

    variant: Variant
    rubric: str = RUBRIC

    def asks(self, rows: Sequence[Row], answers: Mapping[tuple[str, str, int], str], engine: str) -> list[Ask]:
        """The questions: every pair of answers to the same row and repeat, in both orders.

        Args:
            answers: (row, variant, repeat) -> text.
            engine: what tells the judge's engine from others.
        """
        by_place: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for (row, variant, repeat), text in answers.items():
            by_place[row, repeat][variant] = text
        known = {row.id: row for row in rows}
        return [
            self._ask(known[row], repeat, first, second, texts, engine)
            for (row, repeat), texts in by_place.items()
            for first, second in itertools.permutations(texts, 2)
        ]

    def _ask(self, row: Row, repeat: int, first: str, second: str, texts: Mapping[str, str], engine: str) -> Ask:
        question = "\n\n".join(f"{role}: {text}" for role, text in row.messages) if len(row.messages) > 1 else row.prompt
        reference = f"[Reference]\n{row.references[0]}\n\n" if row.references else ""
        case = _CASE.format(question=question, reference=reference, first=texts[first], second=texts[second])
        about = {JUDGE: self.variant.name, "row": row.id, "repeat": repeat, "first": first, "second": second}
        system = "\n\n".join(text for text in (self.variant.system, _TASK.format(rubric=self.rubric)) if text)
        return Ask(about, (("user", case),), system, self.variant.sampling, engine)


def verdict(text: str) -> float | None:
    """What a judge's answer says of the first of the two: 1 better, 0 worse, 0.5 as good; None if it cannot be read."""
    found = _VERDICT.findall(text)
    return {"A": 1.0, "B": 0.0, "TIE": 0.5, "C": 0.5}[found[-1].upper()] if found else None


def verdict_of(answer: Answer) -> float | None:
    """The same of an answer; one that was cut may only have been weighing."""
    return verdict(answer.text) if answer.answered and answer.end == "stop" else None


@dataclass(slots=True)
class Verdicts:
    """What a judge has said.

    Attributes:
        scores: (row, variant, repeat) -> the mean over the other variants, 0 to 1.
        agreed, changed: pairs of which both orders said the same, and of which they did not: these are ties.
        unreadable: pairs in which an order's verdict could not be read, or was not given: these do not count.
        wins: (winner, loser) -> how often; each of two variants gets half of a tie.
    """

    scores: dict[tuple[str, str, int], float]
    agreed: int
    changed: int
    unreadable: int
    wins: dict[tuple[str, str], float]


def verdicts(answers: Iterable[Answer]) -> Verdicts:
    """Reads the judge's answers, each pair's two orders together."""
    said: dict[tuple[str, int, str, str], float | None] = {}
    for answer in answers:
        about = answer.about
        place = (str(about["row"]), int(about["repeat"]), str(about["first"]), str(about["second"]))
        said[place] = verdict_of(answer)
    points: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    wins: dict[tuple[str, str], float] = defaultdict(float)
    counts = {"agreed": 0, "changed": 0, "unreadable": 0}
    for (row, repeat, first, second), forwards in said.items():
        backwards = said.get((row, repeat, second, first))
        if first > second and (row, repeat, second, first) in said:
            continue  # the pair is looked at once
        if forwards is None or backwards is None:
            counts["unreadable"] += 1
            continue
        agreed = forwards == 1.0 - backwards
        counts["agreed" if agreed else "changed"] += 1
        point = forwards if agreed else 0.5
        points[row, first, repeat].append(point)
        points[row, second, repeat].append(1.0 - point)
        wins[first, second] += point
        wins[second, first] += 1.0 - point
    scores = {place: sum(each) / len(each) for place, each in points.items()}
    return Verdicts(scores, wins=dict(wins), **counts)
