"""The folder of a run: what was planned, the rows, every answer, what people said of them, and the reports.

    run.json       the plan, and where the answers come from
    prompts.jsonl  the rows as they were read
    answers.jsonl  the journal: every answer as it came
    ratings.jsonl  what people said of answers
    results.jsonl, summary.csv, report.html   what it comes to

It knows no engine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from webui.conversation import Sampling
from webui.errors import BadInput
from webui.evaluation import prompts, report
from webui.evaluation.arguments import CONCURRENCY, WARM_UP
from webui.evaluation.judge import RUBRIC, Judge
from webui.evaluation.prompts import BadRow, Prompts, Row
from webui.evaluation.provenance import app_provenance
from webui.evaluation.results import Rating, Results, results
from webui.evaluation.runs import Answer, Ask, read_journal
from webui.evaluation.scores import SCORES, fitting
from webui.evaluation.variants import GREEDY, Variant, checked

REPEATS_AT_MOST = 100
REPORTS = {"results.jsonl": report.jsonl, "summary.csv": report.summary_csv, "report.html": report.html}


@dataclass(slots=True)
class Plan:
    """What is asked, and how it is scored.

    Attributes:
        scores: names of SCORES.
        repeats: how often each row is asked of each variant.
        concurrency: rows on their way at once.
        warm_up: how many of each variant's first answers are left out of latencies.
        owner: whose run it is, on the page.
        created: in Unix seconds.
    """

    name: str
    variants: list[Variant]
    scores: list[str]
    repeats: int = 1
    concurrency: int = CONCURRENCY
    warm_up: int = WARM_UP
    judge: Judge | None = None
    owner: str = ""
    created: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, Any]:
        """As JSON types; `of` reads it back."""
        judge = self.judge and {"variant": self.judge.variant.as_dict(), "rubric": self.judge.rubric}
        return {**asdict(self), "variants": [variant.as_dict() for variant in self.variants], "judge": judge}

    @classmethod
    def of(cls, values: Mapping[str, Any], rows: list[Row]) -> Plan:
        """Reads a plan that a file or a page tells.

        Raises:
            BadInput: naming the field.
        """
        variants, judge = values.get("variants"), values.get("judge")
        if not isinstance(variants, list) or not all(isinstance(each, dict) for each in variants):
            raise BadInput(field="variants", reason="a list of variants is wanted")
        if judge and not (isinstance(judge, dict) and isinstance(judge.get("variant"), dict)):
            raise BadInput(field="judge", reason="an object with a variant is wanted")
        scores = values.get("scores")
        return cls(
            name=str(values.get("name", ""))[:120],
            variants=checked([Variant.of(each) for each in variants]),
            scores=fitting(rows) if scores is None else checked_scores(scores),
            repeats=_whole(values, "repeats", 1, 1, REPEATS_AT_MOST),
            concurrency=_whole(values, "concurrency", CONCURRENCY, 1, 10_000),
            warm_up=_whole(values, "warm_up", WARM_UP, 0, 10_000),
            judge=Judge(Variant.of(judge["variant"]), str(judge.get("rubric") or RUBRIC)) if judge else None,
            owner=str(values.get("owner", "")),
            created=float(values.get("created", time.time())),
        )

    def asks(self, rows: Sequence[Row], variant: Variant, engine: str) -> list[Ask]:
        """A variant's questions; each repeat has a seed of its own if the variant has one."""
        return [
            Ask(
                {"row": row.id, "variant": variant.name, "repeat": repeat},
                row.messages,
                "\n\n".join(text for text in (variant.system, row.system) if text),
                _seeded(variant.sampling, repeat),
                engine,
            )
            for repeat in range(self.repeats)
            for row in rows
        ]


def checked_scores(names: Any) -> list[str]:
    """Names of SCORES.

    Raises:
        BadInput
    """
    if not isinstance(names, list) or not all(isinstance(name, str) and name in SCORES for name in names):
        raise BadInput(field="scores", reason=f"of these: {', '.join(SCORES)}")
    return list(dict.fromkeys(names))


def _whole(values: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInput(field=name, reason=f"a whole number, {low} to {high}, is wanted")
    return value


def _seeded(sampling: Sampling, repeat: int) -> Sampling:
    if sampling.seed is None or repeat == 0:
        return sampling
    return Sampling.from_mapping({"seed": (sampling.seed + repeat) % 2**31}, defaults=sampling)


class Folder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: Plan
        self.prompts: Prompts
        self.engines: dict[str, Any] = {}  # variant -> where its answers come from

    @property
    def journal(self) -> Path:
        """The file of answers."""
        return self.path / "answers.jsonl"

    @property
    def _rated(self) -> Path:
        return self.path / "ratings.jsonl"

    def sizes(self) -> list[int]:
        """Of the two files that grow, in bytes: as long as they are the same, so are results."""
        return [path.stat().st_size if path.exists() else 0 for path in (self.journal, self._rated)]

    @classmethod
    def make(cls, path: Path, plan: Plan, rows: Prompts) -> Folder:
        """Writes down a new plan; answers that are there already stay, and count where the same is asked again."""
        folder = cls(path)
        folder.plan, folder.prompts = plan, rows
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (path / "run.json").exists():
            folder.engines = _read_json(path / "run.json").get("engines", {})
        _write(path / "prompts.jsonl", rows.as_jsonl())
        folder.save()
        return folder

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Reads a folder.

        Raises:
            BadInput: if it is none.
        """
        folder = cls(path)
        run = _read_json(path / "run.json")
        folder.prompts = prompts.read_path(path / "prompts.jsonl")
        folder.prompts.bad = [BadRow(int(each["number"]), str(each["reason"])) for each in run.get("bad", [])]
        folder.plan = Plan.of(run["plan"], folder.prompts.rows)
        folder.engines = run.get("engines", {})
        return folder

    def save(self) -> None:
        """Writes the plan and where the answers come from."""
        run = {"plan": self.plan.as_dict(), "bad": self.prompts.bad_as_dicts(), "engines": self.engines}
        _write(self.path / "run.json", orjson.dumps(run, option=orjson.OPT_INDENT_2))

    def answers(self) -> dict[str, Answer]:
        """Every answer by its key."""
        return {answer.key: answer for answer in read_journal(self.journal)}

    def asked(self) -> set[str]:
        """The keys of what this plan asks, as far as it is known which engines answer; answers to earlier plans of the same
        folder are none of its business."""
        variants = [variant for variant in self.plan.variants if variant.name in self.engines]
        fingerprints = {variant.name: self.engines[variant.name]["fingerprint"] for variant in variants}
        return {ask.key for each in variants for ask in self.plan.asks(self.prompts.rows, each, fingerprints[each.name])}

    def texts(self) -> dict[tuple[str, str, int], str]:
        """(row, variant, repeat) -> what was answered."""
        asked = self.asked()
        mine = [answer for key, answer in self.answers().items() if key in asked and answer.answered]
        return {(each.about["row"], each.about["variant"], each.about["repeat"]): each.text for each in mine}

    def counts(self) -> tuple[int, int]:
        """(how many were answered, how many were asked in vain)."""
        asked = self.asked()
        mine = [answer.answered for key, answer in self.answers().items() if key in asked]
        return sum(mine), len(mine) - sum(mine)

    def judge_asks(self) -> list[Ask]:
        """The questions to the judge about the answers that are there; none before it is known which engine judges."""
        judge = self.plan.judge
        if judge is None or "judge" not in self.engines:
            return []
        return judge.asks(self.prompts.rows, self.texts(), self.engines["judge"]["fingerprint"])

    def rate(self, rating: Rating) -> None:
        """Keeps what a person said."""
        with self._rated.open("ab") as file:
            file.write(orjson.dumps(asdict(rating)) + b"\n")

    def ratings(self) -> list[Rating]:
        """What people said, in the order in which they did."""
        lines = self._rated.read_bytes().splitlines() if self._rated.exists() else []
        return [Rating(**orjson.loads(line)) for line in lines if line]

    def results(self) -> Results:
        """What it comes to by now."""
        asked = self.asked() | {ask.key for ask in self.judge_asks()}
        answers = [answer for key, answer in self.answers().items() if key in asked]
        names = [variant.name for variant in self.plan.variants]
        return results(self.prompts, names, answers, self.plan.scores, self.ratings(), self._unheeded())

    def _unheeded(self) -> dict[str, list[str]]:
        """Variant -> the settings that it gives and its engine does not heed, such as a seed on RBLN."""
        found = {}
        for variant in self.plan.variants:
            ignored = self.engines.get(variant.name, {}).get("ignored", ())
            given = [name for name in ignored if getattr(variant.sampling, name) != getattr(GREEDY, name)]
            if given:
                found[variant.name] = given
        return found

    def provenance(self) -> dict[str, Any]:
        """Where the numbers come from."""
        return {"app": app_provenance(), "plan": {**self.plan.as_dict(), "owner": ""}, "engines": self.engines}

    def reports(self) -> dict[str, bytes]:
        """The reports by their files' names."""
        found, provenance = self.results(), self.provenance()
        summary = found.summary()
        return {name: make(found, summary, provenance) for name, make in REPORTS.items()}

    def write_reports(self) -> None:
        """Writes the reports into the folder."""
        for name, content in self.reports().items():
            _write(self.path / name, content)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise BadInput(field=str(path), reason="cannot be read") from None
    if not isinstance(value, dict):
        raise BadInput(field=str(path), reason="is no object")
    return value


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also if the process is killed meanwhile."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    fresh.replace(path)
