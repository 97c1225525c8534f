"""One request's life: four timestamps, from which every duration that a person sees is derived.

All times are seconds of the engine's monotonic clock (`time.monotonic()` of this machine); wall-clock time never enters.
It does not know which lane others have, nor any text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from webui.conversation import End, Timing

Door = Literal["page", "api", "evaluation", "demo"]
State = Literal["waiting", "prefill", "decode", "ended"]

DOOR_PREFIXES: dict[str, Door] = {"page-": "page", "evaluation-": "evaluation", "demo-": "demo"}


def door_of(engine_id: str) -> Door:
    """The door that a request came through, as told by the prefix of its id; whatever bears none of ours is the API's."""
    for prefix, door in DOOR_PREFIXES.items():
        if engine_id.startswith(prefix):
            return door
    return "api"


@dataclass(slots=True)
class Request:
    """What is known of one request. Without text and without a name: every visitor sees every request.

    Attributes:
        id: its public number on the board.
        queued, scheduled, first, last, ended: when it reached the engine, got a lane, gave its first and its last token, and
            was over. `scheduled` is first seen at a step's end and corrected when the engine tells the exact time.
        lane: nominal index of its lane; None while it waits.
        split: whether waiting and prefill can be told apart; not so if the engine is elsewhere.
    """

    id: int
    door: Door
    queued: float
    prompt_tokens: int = 0
    tokens: int = 0
    scheduled: float | None = None
    first: float | None = None
    last: float | None = None
    ended: float | None = None
    end: End | None = None
    lane: int | None = None
    split: bool = True

    @property
    def state(self) -> State:
        """Where it is now."""
        if self.ended is not None:
            return "ended"
        if self.first is not None:
            return "decode"
        return "waiting" if self.lane is None else "prefill"

    def timing(self) -> Timing:
        """Its time split by the definitions of the README; a phase that it never reached counts up to its end."""
        over = self.ended if self.ended is not None else self.last or self.queued
        scheduled = self.scheduled if self.scheduled is not None else over
        first = self.first if self.first is not None else over
        last = self.last if self.last is not None else first
        return Timing(
            queue=max(0.0, scheduled - self.queued),
            prefill=max(0.0, first - scheduled),
            decode=max(0.0, last - first),
            prompt_tokens=self.prompt_tokens,
            tokens=self.tokens,
            split=self.split,
        )
