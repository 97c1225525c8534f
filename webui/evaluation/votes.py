"""What people think of answers: votes side by side, and thumbs in the chat as a file of prompts.

The standings of votes are everybody's; their texts are nobody's but the operator's, who has the database.

It knows the history as that which keeps records; neither engines nor HTTP.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from typing import Any

from webui.conversation import Conversation
from webui.errors import HistoryUnavailable
from webui.evaluation.standings import FEW, Match, Standings, standings
from webui.history.keeper import History
from webui.history.records import SaveVote, Vote


def feedback_prompts(conversations: Iterable[Conversation]) -> bytes:
    """The answers that were given a thumb, as a file of prompts: each up to its question, a good one as the reference."""
    lines = []
    for conversation in conversations:
        for answer in conversation:
            if answer.feedback is None or answer.parent is None:
                continue
            thumb, reason = answer.feedback["thumb"], answer.feedback["reason"]
            messages = [{"role": m.role, "content": m.text} for m in conversation.path(until=answer.parent) if m.text.strip()]
            row: dict[str, Any] = {"id": answer.id, "messages": messages, "tags": [f"thumb {thumb}"], "reason": reason}
            if answer.sources:
                row["model"] = ", ".join(source.name for source in answer.sources)
            row["reference" if thumb == "up" else "answer"] = answer.text
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


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


def matches(vote: Vote) -> list[Match]:
    """What a vote says of each two: the one that was chosen beats every other; after a tie, or all bad, each two are even."""
    names = [side["variant"] for side in vote.sides]
    if not vote.choice.isdigit():
        return [Match(a, b, 0.5) for a, b in itertools.combinations(names, 2)]
    chosen = int(vote.choice)
    return [Match(names[chosen], name, 1.0) for i, name in enumerate(names) if i != chosen]


def table(votes: list[Vote], tag: str = "") -> dict[str, Any]:
    """The standings as JSON types, of votes with this tag or of all; void ones say nothing. Blocks for a second."""
    valid = [vote for vote in votes if not vote.void and (not tag or tag in vote.tags)]
    found: Standings = standings([matches(vote) for vote in valid])
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
