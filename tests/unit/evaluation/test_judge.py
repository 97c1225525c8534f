"""A judge counts only where it says the same in both orders, and standings are those that votes were planted for."""

from __future__ import annotations

import math

import pytest

from webui.evaluation.judge import Judge, verdict, verdicts
from webui.evaluation.prompts import read
from webui.evaluation.runs import Answer
from webui.evaluation.standings import MIDDLE, Match, Standings
from webui.evaluation.standings import standings as standings_of
from webui.evaluation.variants import Variant


@pytest.mark.parametrize(
    ("text", "points"),
    [("… [[A]]", 1.0), ("[[b]]", 0.0), ("[[ TIE ]]", 0.5), ("[[C]]", 0.5), ("[[A]] no, [[B]]", 0.0), ("A is better", None)],
)
def test_a_verdict_is_read(text: str, points: float | None) -> None:
    assert verdict(text) == points


def test_every_pair_is_asked_in_both_orders_with_the_rubric() -> None:
    rows = read("x.jsonl", b'{"id": "r", "prompt": "Q?", "reference": "R"}').rows
    answers = {("r", name, 0): f"answer of {name}" for name in ("a", "b", "c")}
    asks = Judge(Variant("judge"), "Be kind.").asks(rows, answers, "engine")
    assert {(ask.about["first"], ask.about["second"]) for ask in asks} == {
        (a, b) for a in "abc" for b in "abc" if a != b
    } and len(asks) == 6
    text = asks[0].messages[0][1]
    assert text.index("Q?") < text.index("R") < text.index("answer of a") < text.index("answer of b")
    assert "Be kind." in asks[0].system and "a" not in [word.strip("[]") for word in text.split() if word == "variant"]


def said(first: str, second: str, text: str, row: str = "r") -> Answer:
    return Answer(
        f"{row}{first}{second}", {"judge": "j", "row": row, "repeat": 0, "first": first, "second": second}, text, "stop"
    )


def test_what_is_said_in_one_order_alone_is_a_tie() -> None:
    found = verdicts(
        [
            *(said("a", "b", "[[A]]", "1"), said("b", "a", "[[B]]", "1")),  # a, both times
            *(said("a", "b", "[[A]]", "2"), said("b", "a", "[[A]]", "2")),  # whoever stands first
            *(said("a", "b", "[[TIE]]", "3"), said("b", "a", "[[TIE]]", "3")),
            *(said("a", "b", "[[A]]", "4"), said("b", "a", "hm", "4")),
            said("a", "b", "[[A]]", "5"),
        ]
    )
    assert (found.agreed, found.changed, found.unreadable) == (2, 1, 2)
    assert {row: found.scores.get((row, "a", 0)) for row in "12345"} == {"1": 1.0, "2": 0.5, "3": 0.5, "4": None, "5": None}
    assert found.wins == {("a", "b"): 2.0, ("b", "a"): 1.0}


def standings(matches: list[Match]) -> Standings:
    return standings_of([[match] for match in matches])


def test_three_of_four_wins_are_so_many_points_of_elo() -> None:
    """With p = 3/4 the strengths differ by ln 3, which is 400 log10 3 on Elo's scale."""
    found = standings([Match("a", "b", 1.0)] * 300 + [Match("a", "b", 0.0)] * 100)
    first, second = found.places
    assert (first.name, first.rank, second.rank, found.shown) == ("a", 1, 2, True)
    assert first.strength - second.strength == pytest.approx(400 * math.log10(3), abs=2)
    assert first.low < first.strength < first.high and first.score == 0.75
    assert found.wins == {("a", "b"): 300.0, ("b", "a"): 100.0}


def test_twenty_votes_that_are_split_show_nothing() -> None:
    found = standings([Match("a", "b", 1.0)] * 11 + [Match("a", "b", 0.0)] * 9)
    assert not found.shown and [place.rank for place in found.places] == [1, 1]
    assert found.places[0].high - found.places[0].low > 50


@pytest.mark.parametrize(("votes", "shown"), [(1, False), (4, False), (12, True)])
def test_a_few_votes_that_agree_are_no_certainty(votes: int, shown: bool) -> None:
    assert standings([Match("a", "b", 1.0)] * votes).shown is shown


def test_what_one_vote_says_of_three_is_one_vote() -> None:
    of_three = standings_of([[Match("a", "b", 1.0), Match("a", "c", 1.0)]] * 3)
    assert (of_three.votes, [place.votes for place in of_three.places]) == (3, [3, 3, 3])
    assert of_three.places[0].name == "a"


def test_ties_are_half_a_win_for_each() -> None:
    found = standings([Match("a", "b", 0.5)] * 10)
    assert [place.strength for place in found.places] == [pytest.approx(MIDDLE), pytest.approx(MIDDLE)]
    assert found.wins == {("a", "b"): 5.0, ("b", "a"): 5.0}


def test_three_come_in_the_order_of_their_strength_also_if_two_never_met() -> None:
    votes = [
        *[Match("a", "b", 1.0)] * 60,
        *[Match("a", "b", 0.0)] * 20,
        *[Match("b", "c", 1.0)] * 60,
        *[Match("b", "c", 0.0)] * 20,
    ]
    found = standings(votes)
    assert [place.name for place in found.places] == ["a", "b", "c"] and [place.votes for place in found.places] == [
        80,
        160,
        80,
    ]


def test_of_nobody_there_are_no_standings() -> None:
    assert standings([]).places == []
