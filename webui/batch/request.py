"""One request's life: its timestamps, from which every duration that a person sees is derived.

All times are seconds of the engine's monotonic clock (`time.monotonic()` of this machine); wall-clock time never enters.
It does not know which lane others have, nor any text.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from webui.conversation import End, Timing

Door = Literal["page", "api", "evaluation", "demo"]
State = Literal["waiting", "prefill", "decode", "ended"]

DOORS: tuple[Door, ...] = ("page", "api", "evaluation", "demo")
ENDS: tuple[End, ...] = ("stop", "length", "aborted", "failed")


def new_id(door: Door) -> str:
    """An id for the engine, which tells the door that a request came through."""
    return f"{door}-{secrets.token_hex(8)}"


def door_of(engine_id: str) -> Door:
    """The door that a request came through, as its id tells; whatever bears none of ours is the API's."""
    return next((door for door in DOORS if engine_id.startswith(f"{door}-")), "api")


@dataclass(slots=True)
class Stay:
    """From when to when a request had a lane; `until` is None while it has it."""

    lane: int
    since: float
    until: float | None = None


@dataclass(slots=True)
class Request:
    """What is known of one request. Without text and without a name: every visitor sees every request.

    Attributes:
        id: its public number on the board; a later request has a higher one.
        priority: the lower, the sooner it gets a lane.
        queued, scheduled, first, last, ended: when it reached the engine, first got a lane, gave its first and its last token,
            and was over. `scheduled` is first seen at a step's end and corrected when the engine tells the exact time.
        lane: nominal index of the lane that it has or, once it has ended, had last; None while it waits.
        worst_itl: seconds, the longest gap between two steps that gave it tokens; None before the second of them.
        cached_tokens: tokens of its prompt that the prefix cache spared; None: not told (yet).
        stays: every time that it sat in a lane; more than one if it was preempted.
        split: whether waiting and prefill can be told apart; not so if the engine is elsewhere.
    """

    id: int
    door: Door
    queued: float
    prompt_tokens: int = 0
    tokens: int = 0
    priority: int = 0
    scheduled: float | None = None
    first: float | None = None
    last: float | None = None
    ended: float | None = None
    end: End | None = None
    lane: int | None = None
    worst_itl: float | None = None
    cached_tokens: int | None = None
    stays: list[Stay] = field(default_factory=list)
    split: bool = True

    @property
    def state(self) -> State:
        """Where it is now."""
        if self.ended is not None:
            return "ended"
        if self.lane is None:
            return "waiting"
        return "prefill" if self.first is None else "decode"

    @property
    def answered(self) -> bool:
        """Whether it came to an end of its own: aborted and failed requests are counted apart."""
        return self.end in ("stop", "length") and self.first is not None

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

    # Its stays, as the lanes change

    def seated(self, lane: int, now: float) -> None:
        """It got a lane."""
        self.lane = lane
        self.stays.append(Stay(lane, now))
        self.scheduled = self.scheduled or now

    def preempted(self, now: float) -> None:
        """It lost its lane and waits again."""
        self.lane = None
        self.stays[-1].until = now

    def unseated(self) -> None:
        """It never had the lane that it was thought to have."""
        self.lane = None
        self.stays.pop()
        if not self.stays:
            self.scheduled = None

    def corrected(self, scheduled: float, preemptions: int) -> None:
        """The engine told when it first got a lane (0: not told) and how often it has lost one since."""
        if scheduled and self.stays:
            self.scheduled = self.stays[0].since = scheduled
        while len(self.stays) > preemptions + 1:
            last = self.stays.pop()
            self.stays[-1] = Stay(last.lane, self.stays[-1].since, last.until)
