"""Planted answers with scores that are known by hand."""

from __future__ import annotations

import time

import pytest

from webui.evaluation.prompts import Row, read
from webui.evaluation.scores import SCORES, Unscorable, fitting, last_number


def row(**said: object) -> Row:
    fields = {"number": 1, "id": "1", "messages": (("user", "?"),), **said}
    return Row(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "answer", "said", "score"),
    [
        ("exact", " Seoul\n", {"references": ("Busan", "Seoul")}, 1.0),
        ("exact", "seoul", {"references": ("Seoul",)}, 0.0),
        ("exact", "\u1100\u1161", {"references": ("가",)}, 1.0),  # the same syllable in two spellings
        ("exact", "x", {}, None),
        ("contains", "It is SEOUL.", {"references": ("Seoul",)}, 1.0),
        ("contains", "It is Busan.", {"references": ("Seoul",)}, 0.0),
        ("numeric", "2 + 2 is 4, so 4.05", {"references": ("4",), "tolerance": 0.1}, 1.0),
        ("numeric", "4.05", {"references": ("4",)}, 0.0),
        ("numeric", "no number", {"references": ("4",)}, 0.0),
        ("numeric", "4", {"references": ("four",)}, None),
        ("regex", "abc 12", {"regex": r"\d+$"}, 1.0),
        ("regex", "12 abc", {"regex": r"\d+$"}, 0.0),
        ("regex", "12", {}, None),
        ("json_schema", '{"a": 1}', {"schema": {"required": ["a"]}}, 1.0),
        ("json_schema", '```json\n{"a": 1}\n```', {"schema": {"required": ["a"]}}, 1.0),
        ("json_schema", '{"b": 1}', {"schema": {"required": ["a"]}}, 0.0),
        ("json_schema", 'Sure: {"a": 1}', {"schema": {"required": ["a"]}}, 0.0),
        ("json_schema", "[" * 100_000, {"schema": {}}, 0.0),
        ("chrf", "the cat", {"references": ("the cat",)}, 1.0),
        ("chrf", "xyz", {"references": ("the cat",)}, 0.0),
        # Longest common subsequence of 3 words, of 4 and of 3: F = 2 * 3/4 * 1 / (3/4 + 1) = 6/7.
        ("rouge_l", "the cat sat", {"references": ("the black cat sat",)}, 6 / 7),
        ("rouge_l", "봄 여름 겨울", {"references": ("봄, 여름, 가을, 겨울",)}, 6 / 7),
        ("rouge_l", "x", {"references": ("y", "X")}, 1.0),
    ],
)
def test_a_planted_answer_has_its_score(name: str, answer: str, said: dict[str, object], score: float | None) -> None:
    assert SCORES[name](answer, row(**said)) == (score if score is None else pytest.approx(score))


def test_a_regular_expression_that_takes_too_long_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(Unscorable, match="longer than"):
        SCORES["regex"]("a" * 60 + "!", row(regex=r"(a|a|aa)+$"))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("regex", {"regex": "("}),
        ("json_schema", {"schema": {"type": "nothing"}}),
        ("json_schema", {"schema": {"$ref": "#"}}),
        ("json_schema", {"schema": {"$ref": "http://127.0.0.1:9/schema.json"}}),
    ],
)
def test_what_a_row_says_wrongly_is_named(name: str, said: dict[str, object]) -> None:
    with pytest.raises(Unscorable):
        SCORES[name]('"x"', row(**said))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.5 km", 1234.5),
        ("Grade3", 3.0),
        ("CVE2024", 2024.0),
        ("x.5e2", 50.0),
        ("-3", -3.0),
        ("1e3", 1000.0),
        ("3.", 3.0),
        ("a1b2", 2.0),
        ("", None),
        ("-", None),
        ("1e999", None),
    ],
)
def test_the_last_number_is_found(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_only_what_rows_say_enough_for_is_scored() -> None:
    rows = read("x.jsonl", b'{"prompt": "q", "reference": "1"}\n{"prompt": "q", "schema": {}}').rows
    assert fitting(rows) == ["exact", "contains", "json_schema", "chrf", "rouge_l"]
    assert fitting(rows[1:]) == ["json_schema"]


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": r"(a|a|aa)+$"},
        {"allOf": [{"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": r"(a|a|aa)+$"}]},
    ],
)
def test_a_slow_pattern_of_a_schema_is_given_up(schema: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.evaluation.scores.REGEX_WITHIN", 0.05)
    with pytest.raises(Unscorable):
        SCORES["json_schema"]('"' + "a" * 40 + '!"', row(schema=schema))
