"""What a run's answers come to: every answer with its scores, and per variant means with intervals, latencies, differences.

Everything is made anew from the rows and the journal each time, so a report can be made again without asking anybody. It does
not know how it is shown.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from webui.batch.latency import GOOD, LATENCIES, goodput, latencies, percentile
from webui.batch.request import Request
from webui.evaluation.judge import JUDGE, Verdicts, verdict_of, verdicts
from webui.evaluation.prompts import BadRow, Prompts, Row
from webui.evaluation.runs import Answer
from webui.evaluation.scores import FORMULAS, SCORES, Unscorable
from webui.evaluation.statistics import difference, estimate

STARS = 5
SPREAD = ("ttft", "e2e")  # of which there is a distribution too
LATENCY_FORMULAS = {
    "queue": "scheduled - queued",
    "ttft": "first token - queued",
    "tpot": "(last token - first token) / (tokens - 1); none for one token",
    "worst_itl": "longest gap between two engine steps that gave this request a token",
    "e2e": "last token - queued",
    "goodput": (
        "answers that met both limits / seconds in which one of the variant was in the engine; "
        f"limits: TTFT {GOOD.ttft:g} s, worst ITL {GOOD.itl:g} s"
    ),
    "tokens_per_second": "tokens of all answers / seconds in which one of the variant was in the engine",
}


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person said of one answer.

    Attributes:
        passed: whether it is good enough; None if that was not said.
        stars: 1 to 5.
    """

    row: str
    variant: str
    repeat: int
    rater: str
    passed: bool | None = None
    stars: int | None = None
    comment: str = ""

    @property
    def place(self) -> tuple[str, str, int]:
        """Of which answer."""
        return self.row, self.variant, self.repeat


@dataclass(slots=True)
class Scored:
    """One answer to one row, with what it was given."""

    row: Row
    variant: str
    repeat: int
    answer: Answer
    scores: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON types; seconds."""
        request = self.answer.request()
        timing = request.timing().as_dict() if request is not None and request.first is not None else None
        return {
            "row": self.row.id,
            "number": self.row.number,
            "tags": list(self.row.tags),
            "prompt": self.row.prompt,
            "messages": [{"role": role, "content": text} for role, text in self.row.messages],
            "references": list(self.row.references),
            "variant": self.variant,
            "repeat": self.repeat,
            "answer": self.answer.text,
            "end": self.answer.end,
            "error": self.answer.error,
            "warm_up": self.answer.warm_up,
            "scores": self.scores,
            "notes": self.notes,
            "comments": self.comments,
            "timing": timing and {**timing, "worst_itl": request.worst_itl if request else None},
        }


@dataclass(slots=True)
class Results:
    """A run as far as it is answered.

    Attributes:
        judged: what the judge's answers say.
        said: these answers as they came.
        unheeded: variant -> the settings that it gives and its engine does not heed.
    """

    rows: list[Row]
    bad: list[BadRow]
    variants: list[str]
    scored: list[Scored]
    score_names: list[str]
    judged: Verdicts | None
    said: list[Answer]
    unheeded: dict[str, list[str]] = field(default_factory=dict)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Every answer, then everything that the judge said, as JSON types."""
        return [each.as_dict() for each in self.scored] + [_as_judged(answer) for answer in self.said]

    def summary(self) -> dict[str, Any]:
        """Per variant and between variants, as JSON types."""
        return {
            "rows": len(self.rows),
            "bad": [asdict(row) for row in self.bad],
            "scores": self.score_names,
            "tags": list(dict.fromkeys(tag for row in self.rows for tag in row.tags)),
            "variants": {name: self._of_variant(name) for name in self.variants},
            "pairs": list(self._pairs()),
            "judge": self._judge(),
            "unheeded": self.unheeded,
            "formulas": {name: FORMULAS[name] for name in self.score_names} | LATENCY_FORMULAS,
        }

    def _judge(self) -> dict[str, Any] | None:
        if self.judged is None:
            return None
        wins = [{"winner": winner, "loser": loser, "wins": wins} for (winner, loser), wins in self.judged.wins.items()]
        return {
            "agreed": self.judged.agreed,
            "changed": self.judged.changed,
            "unreadable": self.judged.unreadable,
            "wins": wins,
        }

    def _of_variant(self, name: str) -> dict[str, Any]:
        mine = [each for each in self.scored if each.variant == name]
        timed = [request for each in mine if not each.answer.warm_up and (request := each.answer.request())]
        seconds = busy_seconds(each.answer for each in mine if not each.answer.warm_up)
        tags = dict.fromkeys(tag for row in self.rows for tag in row.tags)
        return {
            "asked": len(mine),
            "answered": sum(each.answer.answered for each in mine),
            "failed": sum(not each.answer.answered for each in mine),
            "cut": sum(each.answer.end == "length" for each in mine),
            "warm_up": sum(each.answer.warm_up for each in mine),
            "scores": {score: self._estimate(name, score) for score in self.score_names},
            "by_tag": {tag: {score: self._estimate(name, score, tag) for score in self.score_names} for tag in tags},
            "latency": {each: asdict(summary) for each, summary in latencies(timed).items()},
            "spread": {each: _spread(timed, each) for each in SPREAD},
            "goodput": goodput(timed, GOOD, seconds).as_dict() if timed else None,
            "tokens": sum(request.tokens for request in timed),
            "seconds": seconds,
            "tokens_per_second": sum(request.tokens for request in timed) / seconds if seconds else None,
        }

    def _estimate(self, variant: str, score: str, tag: str | None = None) -> dict[str, Any] | None:
        found = estimate(list(self.values(variant, score, tag).values()))
        return None if found is None else asdict(found)

    def values(self, variant: str, score: str, tag: str | None = None) -> dict[str, float]:
        """A variant's scores: row -> the mean over its repeats."""
        found: dict[str, list[float]] = defaultdict(list)
        for each in self.scored:
            if each.variant == variant and score in each.scores and (tag is None or tag in each.row.tags):
                found[each.row.id].append(each.scores[score])
        return {row: math.fsum(values) / len(values) for row, values in found.items()}

    def _pairs(self) -> Iterable[dict[str, Any]]:
        for first, second in itertools.combinations(self.variants, 2):
            for score in self.score_names:
                mine, others = self.values(first, score), self.values(second, score)
                both = [row for row in mine if row in others]
                found = difference([mine[row] for row in both], [others[row] for row in both])
                if found is not None:
                    yield {"first": first, "second": second, "score": score, **asdict(found)}


def _spread(requests: Sequence[Request], latency: str) -> list[float]:
    """The percentiles 0 to 99 of one latency, in seconds; none of nothing."""
    values = sorted(value for each in requests if each.answered and (value := LATENCIES[latency](each)) is not None)
    return [round(percentile(values, percent), 6) for percent in range(100)] if values else []


def _as_judged(answer: Answer) -> dict[str, Any]:
    """What the judge said of two answers in one order; its `verdict` is 1 if the first is better, 0 if the second, else 0.5."""
    given = verdict_of(answer)
    return {**answer.about, "verdict": given, "answer": answer.text, "end": answer.end, "error": answer.error}


def results(
    prompts: Prompts,
    variants: Sequence[str],
    answers: Iterable[Answer],
    wanted: Sequence[str],
    ratings: Iterable[Rating] = (),
    unheeded: Mapping[str, list[str]] | None = None,
) -> Results:
    """Scores the answers.

    Args:
        prompts: the rows; answers to others are passed over.
        variants: their names, in the order in which they are shown.
        answers: of the journal, the judge's among them.
        wanted: names of SCORES.
        ratings: what people said; a later one of the same person and answer counts.
        unheeded: see Results.
    """
    known = {row.id: row for row in prompts.rows}
    everything = list(answers)
    judged = [answer for answer in everything if JUDGE in answer.about]
    scored = [
        Scored(known[answer.about["row"]], answer.about["variant"], answer.about["repeat"], answer)
        for answer in everything
        if JUDGE not in answer.about and answer.about["row"] in known and answer.about["variant"] in variants
    ]
    order = {name: i for i, name in enumerate(variants)}
    scored.sort(key=lambda each: (each.row.number, order[each.variant], each.repeat))
    for each in scored:
        _score(each, wanted)
    read = verdicts(judged) if judged else None
    if read is not None:
        _add(scored, "judge", read.scores)
    _add_ratings(scored, ratings)
    given = {name for each in scored for name in each.scores}
    names = [name for name in FORMULAS if name in given]
    return Results(prompts.rows, prompts.bad, list(variants), scored, names, read, judged, dict(unheeded or {}))


def _score(each: Scored, wanted: Sequence[str]) -> None:
    if not each.answer.answered:
        return
    for name in wanted:
        try:
            value = SCORES[name](each.answer.text, each.row)
        except Unscorable as error:
            each.notes.append(f"{name}: {error}")
            continue
        if value is not None:
            each.scores[name] = value


def _add(scored: Sequence[Scored], name: str, values: Mapping[tuple[str, str, int], float]) -> None:
    for each in scored:
        value = values.get((each.row.id, each.variant, each.repeat))
        if value is not None and each.answer.answered:
            each.scores[name] = value


def _add_ratings(scored: Sequence[Scored], ratings: Iterable[Rating]) -> None:
    latest = {(rating.place, rating.rater): rating for rating in ratings}
    passed: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    stars: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    comments: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for rating in latest.values():
        if rating.passed is not None:
            passed[rating.place].append(float(rating.passed))
        if rating.stars is not None:
            stars[rating.place].append((rating.stars - 1) / (STARS - 1))
        if rating.comment:
            comments[rating.place].append(rating.comment)
    _add(scored, "human_pass", {place: sum(each) / len(each) for place, each in passed.items()})
    _add(scored, "human_rating", {place: sum(each) / len(each) for place, each in stars.items()})
    for each in scored:
        each.comments = comments.get((each.row.id, each.variant, each.repeat), [])


def busy_seconds(answers: Iterable[Answer]) -> float:
    """Seconds in which at least one of the answers was in the engine; each session has a clock of its own."""
    sessions: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for answer in answers:
        request: Request | None = answer.request()
        if request is not None and request.ended is not None:
            sessions[answer.session].append((request.queued, request.ended))
    return math.fsum(_union(spans) for spans in sessions.values())


def _union(spans: list[tuple[float, float]]) -> float:
    total, until = 0.0, -math.inf
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
