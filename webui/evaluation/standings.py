"""Standings from votes: Bradley-Terry strengths with bootstrap intervals, and who won against whom how often.

P(i beats j) = 1 / (1 + exp(s_j - s_i)) (Bradley and Terry 1952); a tie is half a win for each. The fit is choix's (I-LSR,
Maystre and Grossglauser 2015) with a little regularisation, so that it is finite. Every two that have met count one more win
for each: resampling votes that all say the same would else make a certainty of one vote. Strengths are shown on Elo's scale,
400 / ln 10 points per unit, their mean at 1000. It knows neither prompts nor voters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SCALE = 400 / math.log(10)
MIDDLE = 1000.0
REGULARISATION = 0.01
ITERATIONS = 10_000  # at most; where one always beats the next, a hundred are too few
RESAMPLES = 500
SEED = 20_000
FEW = 100  # votes, below which it is said how little they show


@dataclass(frozen=True, slots=True)
class Match:
    """What a vote says of two: `point` is 1 if the first was better, 0 if the second, 0.5 for a tie or both bad."""

    first: str
    second: str
    point: float


@dataclass(frozen=True, slots=True)
class Place:
    """One variant's place.

    Attributes:
        rank: 1 + how many are better beyond chance: whose interval lies wholly above this one's.
        strength, low, high: on Elo's scale, with the 95 % interval over resampled votes.
        votes: in how many it stood.
        score: wins and half of the ties, of those.
    """

    name: str
    rank: int
    strength: float
    low: float
    high: float
    votes: int
    score: float


@dataclass(frozen=True, slots=True)
class Standings:
    """All places, the strongest first.

    Attributes:
        wins: (winner, loser) -> wins, with half of the ties.
        votes: how many there were.
        shown: whether any two can be told apart by them.
    """

    places: list[Place] = field(default_factory=list)
    wins: dict[tuple[str, str], float] = field(default_factory=dict)
    votes: int = 0
    shown: bool = False


def standings(votes: Sequence[Sequence[Match]]) -> Standings:
    """What the votes say.

    Args:
        votes: each one's matches: one of two sides, several of more; they are resampled together.
    """
    matches = [match for vote in votes for match in vote]
    names = sorted({name for match in matches for name in (match.first, match.second)})
    if not names:
        return Standings()
    import numpy as np

    ballots = _Ballots(votes, names)
    strengths = ballots.strengths(np.ones(ballots.count))
    chance = np.random.default_rng(SEED)
    drawn = [ballots.strengths(chance.multinomial(ballots.count, ballots.even)) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    wins: dict[tuple[str, str], float] = {}
    for match in matches:
        wins[match.first, match.second] = wins.get((match.first, match.second), 0.0) + match.point
        wins[match.second, match.first] = wins.get((match.second, match.first), 0.0) + 1 - match.point
    places = [
        Place(
            name,
            rank=1 + int(np.sum(low > high[i])),
            strength=float(strengths[i]),
            low=float(low[i]),
            high=float(high[i]),
            votes=sum(any(name in (m.first, m.second) for m in vote) for vote in votes),
            score=_score(name, wins),
        )
        for i, name in enumerate(names)
    ]
    places.sort(key=lambda place: -place.strength)
    return Standings(places, wins, len(votes), shown=any(place.rank > 1 for place in places))


class _Ballots:
    """The votes as numbers, and two more for every two that have met, a win for each."""

    def __init__(self, votes: Sequence[Sequence[Match]], names: Sequence[str]) -> None:
        import numpy as np

        met = {tuple(sorted((match.first, match.second))) for vote in votes for match in vote}
        imagined = [[Match(a, b, point)] for a, b in sorted(met) for point in (0.0, 1.0)]
        everything = [*votes, *imagined]
        index = {name: i for i, name in enumerate(names)}
        self._size = len(names)
        self.count = len(everything)
        self.even = np.full(self.count, 1 / self.count)
        flat = [(ballot, index[m.first], index[m.second], m.point) for ballot, vote in enumerate(everything) for m in vote]
        self._ballot, self._first, self._second = (np.array([each[i] for each in flat]) for i in range(3))
        self._points = np.array([each[3] for each in flat])

    def strengths(self, weights: Any) -> Any:
        """Each one's strength if the votes count so often."""
        import choix
        import numpy as np

        weight = weights[self._ballot]
        wins = np.zeros((self._size, self._size))
        np.add.at(wins, (self._first, self._second), weight * self._points)
        np.add.at(wins, (self._second, self._first), weight * (1 - self._points))
        return MIDDLE + SCALE * choix.ilsr_pairwise_dense(wins, alpha=REGULARISATION, max_iter=ITERATIONS)


def _score(name: str, wins: dict[tuple[str, str], float]) -> float:
    won = sum(points for (winner, _), points in wins.items() if winner == name)
    lost = sum(points for (_, loser), points in wins.items() if loser == name)
    return won / (won + lost) if won + lost else 0.0
