"""Reads the corpus's text files into intents: what may be asked, in which words, and what the answer is.

The format is described in `data/README.md`. Knows nothing of conversations: an intent is one question with its answer.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from webui.demo_model.corpus.phrasing import choose, matcher, normalised, variety

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, Language] = ("en", "ko")
DATA = Path(__file__).parent / "data"
INTENT_FILES = ("talk.txt", "batchat.txt", "facts.txt", "texts.txt", "skills.txt", "unknown.txt")

COMPUTED_SLOTS: Mapping[str, str] = {
    "a": r"\d+",
    "b": r"\d+",
    "task": r"\d+[^0-9]+\d+",
    "letter": "[a-z]",
    "ordinal": r"(?:\d+(?:st|nd|rd|th|번째)|[a-z]{5,7})",
    "number": r"\d+",
    "first": r"(?:\d+|[a-z-]{3,12}|[가-힣]{1,5})",
    "last": r"(?:\d+|[a-z-]{3,12}|[가-힣]{1,5})",
    "count": r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|[한두세네]|다섯|여섯|일곱|여덟|열)(?:개|가지|마리)?",
    "things": r"(?:[a-z]{4,20}|[가-힣]{1,5})",
    "word": "[a-z]{2,12}",
    "person": r"(?:[a-z]{2,9}|[가-힣]{2,5})",
}
"""What the computed skills put into their slots, as patterns of the normalised text."""

Both = Mapping[Language, str]
"""The same text in both languages."""


@dataclass(frozen=True)
class Row:
    """One row of a fact table: for each column and language the names that it goes by, the usual one first."""

    fields: Mapping[str, Mapping[Language, tuple[str, ...]]]

    def answer_slots(self, language: Language) -> dict[str, str]:
        """The usual name of each column in the language, and as `column.en` and `column.ko` in both."""
        slots: dict[str, str] = {}
        for column, names in self.fields.items():
            slots[column] = names[language][0]
            slots.update({f"{column}.{each}": names[each][0] for each in LANGUAGES})
        return slots

    def question_slots(self, language: Language, rng: random.Random) -> dict[str, str]:
        """Like `answer_slots`, with any of the names, as people use them."""
        slots = self.answer_slots(language)
        slots.update({column: rng.choice(names[language]) for column, names in self.fields.items()})
        return slots


@dataclass
class Intent:
    """One thing that can be asked."""

    id: str
    skill: str = "talk"
    weight: float = 1.0
    questions: dict[Language, list[str]] = field(default_factory=lambda: {"en": [], "ko": []})
    answers: list[Both] = field(default_factory=list)
    brief: Both | None = None
    more: Both | None = None
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)

    def phrase(self, language: Language, rng: random.Random) -> str:
        """One way to ask, its slots still open; templates that can be said in many ways come more often."""
        templates = self.questions[language]
        weights = [variety(template) ** 0.6 for template in templates]
        return choose(rng.choices(templates, weights)[0], rng)

    def matchers(self) -> Iterator[tuple[Language, re.Pattern[str]]]:
        """What recognises the questions of this intent, one pattern per phrasing."""
        slots = self.slot_patterns()
        for language in LANGUAGES:
            for template in self.questions[language]:
                yield language, matcher(template, slots)

    def slot_patterns(self) -> dict[str, str]:
        """What may fill the slots of the questions: the names in the rows, or what a computed skill puts there."""
        patterns = dict(COMPUTED_SLOTS)
        for column in self.columns:
            for suffix, languages in (("", LANGUAGES), (".en", ("en",)), (".ko", ("ko",))):
                names = {
                    normalised(name)
                    for row in self.rows
                    for language in languages
                    for name in row.fields[column]["en" if language == "en" else "ko"]
                }
                if names:
                    patterns[column + suffix] = "(?:" + "|".join(re.escape(name) for name in sorted(names)) + ")"
        return patterns


class Library:
    """All intents of the corpus, and the phrasings of follow-ups and system prompts."""

    def __init__(self, data: Path = DATA) -> None:
        frames = {intent.id: intent for intent in _read(data / "frames.txt", {})}
        self.intents: dict[str, Intent] = {}
        for name in INTENT_FILES:
            for intent in _read(data / name, frames, self.intents):
                self.intents[intent.id] = intent
        self.follow_ups = {intent.id: intent for intent in _read(data / "follow_ups.txt", frames)}
        self.manners = {intent.id: intent for intent in _read(data / "system.txt", frames)}

    def question_matchers(self) -> Iterator[tuple[Language, re.Pattern[str]]]:
        """For every phrasing of a question, what recognises the questions that it can produce."""
        for intents in (self.intents, self.follow_ups):
            for intent in intents.values():
                yield from intent.matchers()

    def system_matchers(self) -> Iterator[tuple[Language, re.Pattern[str]]]:
        """The same for system prompts."""
        for intent in self.manners.values():
            yield from intent.matchers()


def _read(path: Path, frames: Mapping[str, Intent], known: Mapping[str, Intent] | None = None) -> list[Intent]:
    intents: list[Intent] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            intents.append(Intent(line[3:].strip()))
            continue
        keyword, separator, value = line.partition(":")
        if not separator or not intents:
            raise ValueError(f"{path.name}:{number}: expected 'keyword: value' below '== intent'")
        siblings = {**(known or {}), **{intent.id: intent for intent in intents}}
        try:
            _apply(intents[-1], keyword.strip(), value.strip(), frames, siblings)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path.name}:{number}: {error}") from error
    return intents


def _apply(intent: Intent, keyword: str, value: str, frames: Mapping[str, Intent], siblings: Mapping[str, Intent]) -> None:
    match keyword:
        case "skill":
            intent.skill = value
        case "weight":
            intent.weight = float(value)
        case "en" | "ko":
            intent.questions["en" if keyword == "en" else "ko"].append(value)
        case "answer":
            intent.answers.append(read_both(value))
        case "brief":
            intent.brief = read_both(value)
        case "more":
            intent.more = read_both(value)
        case "columns":
            intent.columns = tuple(column.strip() for column in value.split(";"))
        case "row":
            intent.rows.append(_row(intent.columns, value))
        case "rows from":
            intent.rows.extend(siblings[value].rows)
        case "names en" | "names ko":
            _add_names(intent, "en" if keyword == "names en" else "ko", value)
        case "frames":
            for language in LANGUAGES:
                intent.questions[language].extend(frames[value].questions[language])
        case _:
            raise ValueError(f"unknown keyword {keyword!r}")


def read_both(value: str) -> Both:
    """English and Korean text of a line, `\\n` in it as a line break."""
    english, separator, korean = value.partition(" || ")
    if not separator:
        raise ValueError("expected 'English || Korean'")
    return {"en": english.replace("\\n", "\n"), "ko": korean.replace("\\n", "\n")}


def _row(columns: tuple[str, ...], value: str) -> Row:
    halves = value.split(" || ")
    if len(halves) != len(LANGUAGES):
        raise ValueError("expected 'English || Korean'")
    cells = {language: half.split(";") for language, half in zip(LANGUAGES, halves, strict=True)}
    if any(len(row) != len(columns) for row in cells.values()):
        raise ValueError(f"expected the columns {'; '.join(columns)}")
    return Row(
        {column: {language: _names(cells[language][place]) for language in LANGUAGES} for place, column in enumerate(columns)}
    )


def _names(cell: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in cell.split(" / "))


def _add_names(intent: Intent, language: Language, value: str) -> None:
    """An intent with names is a table with one row, whose one column is the name."""
    names: dict[Language, tuple[str, ...]] = dict(intent.rows[0].fields["name"]) if intent.rows else {}
    names[language] = _names(value)
    intent.columns = ("name",)
    intent.rows = [Row({"name": names})]
