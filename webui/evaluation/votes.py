"""Votes on answers side by side, and who may read what of them: the standings are everybody's, the texts nobody's but the
operator's, who has the database.

It knows the history as that which keeps records; neither engines nor HTTP.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from webui.errors import HistoryUnavailable
from webui.evaluation.standings import FEW, Match, Standings, standings
from webui.history.keeper import History
from webui.history.records import SaveVote, Vote


def pseudonym(visitor: str) -> str:
    """What a voter is called: the same for all votes of one browser, and nothing that leads back to it."""
    return hashlib.sha256(b"voter:" + visitor.encode()).hexdigest()[:16]


class Votes:
    """Every vote there is: the kept ones, and those that this process has taken."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._taken: dict[str, Vote] = {}

    def take(self, vote: Vote) -> None:
        """Keeps a vote."""
        self._taken[vote.id] = vote
        self._history.put(SaveVote(vote))

    async def all(self) -> list[Vote]:
        """All votes, also while the database cannot be read."""
        try:
            kept = await self._history.votes()
        except HistoryUnavailable:
            kept = []
        return list({**{vote.id: vote for vote in kept}, **self._taken}.values())


def matches(votes: Iterable[Vote]) -> list[Match]:
    """What votes say of each two: the one that was chosen beats every other; after a tie, or both bad, each two are even. Void
    ones say nothing."""
    found = []
    for vote in votes:
        if vote.void:
            continue
        names = [side["variant"] for side in vote.sides]
        tags = tuple(vote.tags)
        if vote.choice.isdigit():
            chosen = int(vote.choice)
            found += [Match(names[chosen], name, 1.0, tags) for i, name in enumerate(names) if i != chosen]
        else:
            found += [Match(a, b, 0.5, tags) for a, b in itertools.combinations(names, 2)]
    return found


def table(votes: list[Vote], tag: str = "") -> dict[str, Any]:
    """The standings as JSON types, of votes with this tag or of all. Blocks for a second."""
    valid = [vote for vote in votes if not vote.void and (not tag or tag in vote.tags)]
    found: Standings = standings(matches(valid))
    return {
        "places": [
            {
                "name": p.name,
                "rank": p.rank,
                "strength": p.strength,
                "low": p.low,
                "high": p.high,
                "votes": p.votes,
                "score": p.score,
            }
            for p in found.places
        ],
        "wins": [{"winner": winner, "loser": loser, "wins": wins} for (winner, loser), wins in found.wins.items()],
        "votes": len(valid),
        "void": sum(vote.void for vote in votes),
        "tags": sorted({tag for vote in votes for tag in vote.tags}),
        "shown": found.shown,
        "few": len(valid) < FEW,
    }
