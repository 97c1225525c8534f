"""Scores of one answer, each 0 to 1; None where its row does not say what would be right.

The libraries that count are imported when the first answer is scored. It knows rows and texts, nothing of runs.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webui.evaluation.prompts import Row


REGEX_WITHIN = 1.0  # seconds that a regular expression may search
_NUMBER = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_FENCE = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)
_WORD = re.compile(r"\w+")

Score = Callable[[str, "Row"], float | None]


class Unscorable(Exception):
    """Why an answer cannot be scored."""


def exact(answer: str, row: Row) -> float | None:
    """Whether it is a reference, in Unicode's NFC and without blanks around."""
    return _any(row, lambda reference: _plain(answer) == _plain(reference))


def contains(answer: str, row: Row) -> float | None:
    """Whether a reference is in it, whatever the case."""
    return _any(row, lambda reference: _plain(reference).casefold() in _plain(answer).casefold())


def numeric(answer: str, row: Row) -> float | None:
    """Whether its last number is within the row's tolerance (0 if it says none) of a reference."""
    wanted = [number for number in map(last_number, row.references) if number is not None]
    if not wanted:
        return None
    said = last_number(answer)
    return float(said is not None and any(abs(said - number) <= (row.tolerance or 0.0) for number in wanted))


def regular_expression(answer: str, row: Row) -> float | None:
    """Whether the row's regular expression is found in it.

    Raises:
        Unscorable: if it is none, or takes longer than REGEX_WITHIN.
    """
    if row.regex is None:
        return None
    import regex

    try:
        return float(regex.search(row.regex, answer, timeout=REGEX_WITHIN) is not None)
    except regex.error as error:
        raise Unscorable(f"{row.regex} is no regular expression: {error}") from None
    except TimeoutError:
        raise Unscorable(f"{row.regex} took longer than {REGEX_WITHIN:g} s") from None


def json_schema(answer: str, row: Row) -> float | None:
    """Whether it is JSON, alone or in one fence, that meets the row's schema (draft 2020-12).

    Raises:
        Unscorable: if the schema is none, or refers to something outside of itself.
    """
    if row.schema is None:
        return None
    import jsonschema
    import referencing
    import regex

    _limit_patterns()
    fenced = _FENCE.fullmatch(answer)
    try:
        value = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return 0.0
    try:
        jsonschema.Draft202012Validator.check_schema(row.schema)
        # With a registry of its own it never looks for anything on a network.
        return float(jsonschema.Draft202012Validator(row.schema, registry=referencing.Registry()).is_valid(value))
    except (TimeoutError, regex.error) as error:
        raise Unscorable(f"a pattern of the schema: {error or f'took longer than {REGEX_WITHIN:g} s'}") from None
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable, RecursionError, ValueError) as error:
        raise Unscorable(f"the schema cannot be used: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


@cache
def _limit_patterns() -> None:
    """jsonschema searches with `re`, which has no limit of time and lets no other thread run meanwhile."""
    import regex
    from jsonschema import _keywords, _legacy_keywords, _utils

    class Limited:
        @staticmethod
        def search(pattern: str, text: str) -> Any:
            return regex.search(pattern, text, timeout=REGEX_WITHIN)

    for module in (_keywords, _legacy_keywords, _utils):
        module.re = Limited


def chrf(answer: str, row: Row) -> float | None:
    """chrF2 (Popović 2015), sacrebleu's, divided by 100: character n-grams, so no words need to be told apart."""
    if not row.references:
        return None
    import sacrebleu

    return float(sacrebleu.sentence_chrf(answer, list(row.references)).score) / 100


def rouge_l(answer: str, row: Row) -> float | None:
    """ROUGE-L's F measure (Lin 2004), rouge_score's, of the best reference. Words are runs of letters and digits of any script,
    in lower case: the library's own would throw away all that is not a to z."""
    if not row.references:
        return None
    return max(_longest_common(reference, answer) for reference in row.references)


def _longest_common(reference: str, answer: str) -> float:
    numbers: dict[str, int] = {}

    def numbered(text: str) -> str:
        words = _WORD.findall(_plain(text).casefold())
        return " ".join(f"w{numbers.setdefault(word, len(numbers))}" for word in words)

    return float(_rouge().score(numbered(reference), numbered(answer))["rougeL"].fmeasure)


@cache
def _rouge() -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(["rougeL"])


SCORES: dict[str, Score] = {
    "exact": exact,
    "contains": contains,
    "numeric": numeric,
    "regex": regular_expression,
    "json_schema": json_schema,
    "chrf": chrf,
    "rouge_l": rouge_l,
}
FORMULAS = {
    "exact": "1 if the answer is a reference (NFC, blanks around it removed), else 0",
    "contains": "1 if a reference is in the answer, whatever the case, else 0",
    "numeric": "1 if |last number of the answer - reference| <= tolerance, else 0",
    "regex": "1 if the row's regular expression is found in the answer, else 0",
    "json_schema": "1 if the answer is JSON that meets the row's schema, else 0",
    "chrf": "chrF2 / 100 (sacrebleu)",
    "rouge_l": "F measure of the longest common subsequence of words (rouge_score)",
    "judge": "1 if the judge prefers it in both orders, 0 if the other one, else 1/2; the mean over the other variants",
    "human_pass": "1 if a person passed it, 0 if not",
    "human_rating": "(stars that a person gave - 1) / 4",
}


def fitting(rows: list[Row]) -> list[str]:
    """The scores that rows say enough for; of numbers only where a tolerance is given."""
    wants = {
        "exact": any(row.references for row in rows),
        "contains": any(row.references for row in rows),
        "numeric": any(row.references and row.tolerance is not None for row in rows),
        "regex": any(row.regex is not None for row in rows),
        "json_schema": any(row.schema is not None for row in rows),
        "chrf": any(row.references for row in rows),
        "rouge_l": any(row.references for row in rows),
    }
    return [name for name in SCORES if wants[name]]


def last_number(text: str) -> float | None:
    """The last number in a text; commas between thousands are passed over."""
    found = [each for each in _NUMBER.findall(text) if any(character.isdigit() for character in each)]
    if not found:
        return None
    number = float(found[-1].replace(",", ""))
    return number if math.isfinite(number) else None


def _any(row: Row, right: Callable[[str], bool]) -> float | None:
    return float(any(right(reference) for reference in row.references)) if row.references else None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
