"""A continuous-batching engine on paper: requests come, wait, get the lowest free lane, are prefilled, decode and end; and the
frames of the board that a server would send about it at any moment.

Everything is worked out beforehand from a seed, so a test knows the truth that the page has to show. It knows no browser.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

KEPT = 600_000  # milliseconds that a full frame tells of
STEPS_KEPT = 60_000
NEVER = 10**12


@dataclass
class Asked:
    """A request; times in milliseconds since the board's birth.

    Attributes:
        tokens: how many it will write.
        times: when it wrote each token.
        stays: [lane, from, to] of every stay in a lane.
        leaves: when its visitor gives up, if ever.
    """

    id: int
    door: str
    queued: int
    prompt: int
    tokens: int
    end: str = "stop"
    leaves: int = NEVER
    times: list[int] = field(default_factory=list)
    stays: list[list[int]] = field(default_factory=list)
    ended: int = NEVER

    def row(self, now: int) -> list[Any]:
        """What a server would say of it at this moment."""
        written = self.times[: bisect_right(self.times, now)]
        stays = [[lane, since, to if to <= now else None] for lane, since, to in self.stays if since <= now]
        over = self.ended <= now
        in_lane = bool(stays) and (stays[-1][2] is None or stays[-1][2] >= min(self.ended, now))
        gaps = [after - before for before, after in pairwise(written)]
        return [
            *(self.id, self.door, stays[-1][0] if in_lane else None, self.queued, stays[0][1] if stays else None),
            *(written[0] if written else None, written[-1] if written else None),
            *(self.ended if over else None, self.end if over else None, self.prompt, len(written)),
            *(max(gaps, default=None), 0, stays if len(self.stays) > 1 and len(stays) > 1 else 0),
        ]

    def changed(self, since: int, now: int) -> bool:
        """Whether its state did, in that time."""
        moments = [self.queued, self.ended, *self.times[:1], *(at for _, *stay in self.stays for at in stay)]
        return any(since < at <= now for at in moments)


@dataclass
class Traffic:
    """What came to pass.

    Attributes:
        steps: [at, sequences, prompt tokens, bucket] of every step.
        mine: ids of the requests of the visitor who looks.
        npu: what an exporter says of the NPUs.
    """

    lanes: int
    requests: list[Asked]
    steps: list[tuple[int, int, int, int]]
    buckets: bool = False
    mine: tuple[int, ...] = ()
    epoch: str = "paper"
    npu: dict[str, Any] | None = None

    def running(self, now: int) -> int:
        """Lanes in use at a moment."""
        return sum(since <= now < to for asked in self.requests for _, since, to in asked.stays)

    def waiting(self, now: int) -> int:
        """Requests without a lane at a moment."""
        alive = sum(asked.queued <= now < asked.ended for asked in self.requests)
        return alive - self.running(now)

    def steps_between(self, since: int, now: int) -> dict[str, Any]:
        """The steps after one moment and up to another, as a frame has them."""
        chosen = [step for step in self.steps if since < step[0] <= now]
        before = max((step[0] for step in self.steps if step[0] <= since), default=since)
        flat: list[int] = []
        start = before
        for at, running, prompt, bucket in chosen:
            flat += [at - before, running, prompt] + ([bucket] if self.buckets else [])
            before = at
        return {"steps": flat, "steps_from": start}

    def full(self, now: int, steps: int = STEPS_KEPT) -> dict[str, Any]:
        """The frame for a newcomer."""
        known = [asked for asked in self.requests if asked.queued <= now and asked.ended > now - KEPT]
        return {
            **self._frame(now, full=True, requests=[asked.row(now) for asked in known], tokens=[]),
            **self.steps_between(now - steps, now),
            "epoch": self.epoch,
            "engine": {"lanes": self.lanes, "buckets": self.buckets, "prefix_cache": True, "device": "paper"},
            "limits": {"ttft": 0.2, "itl": 0.05},
            "figures": self.figures(now),
            "saved": {"n": 41, "window": 60, "continuous": 21.3, "static": 55.4, "single": 168.2},
        }

    def frame(self, since: int, now: int) -> dict[str, Any]:
        """What changed."""
        changed = [asked.row(now) for asked in self.requests if asked.changed(since, now)]
        alive = [asked for asked in self.requests if asked.queued <= now < asked.ended and asked.times]
        tokens = [[asked.id, bisect_right(asked.times, now)] for asked in alive] if since // 1000 != now // 1000 else []
        figures = {"figures": self.figures(now)} if since // 1000 != now // 1000 else {}
        frame = self._frame(now, full=False, requests=changed, tokens=tokens)
        return {**frame, **self.steps_between(since, now), **figures}

    def figures(self, now: int) -> dict[str, Any]:
        """Rates and shares of the last seconds."""
        second = [asked for asked in self.requests if asked.queued <= now and asked.ended > now - 3000]
        written = sum(bisect_right(asked.times, now) - bisect_right(asked.times, now - 3000) for asked in second)
        read = sum(prompt for at, _, prompt, _ in self.steps if now - 3000 < at <= now)
        busy = [self.running(now - ago) / self.lanes for ago in range(0, min(60_000, now), 2000)]
        demo = sum(asked.door == "demo" and asked.queued <= now < asked.ended for asked in self.requests)
        occupancy = round(sum(busy) / len(busy), 3) if busy else None
        kv = round(0.7 * self.running(now) / self.lanes, 3)
        rates = {"prompt": round(read / 3, 1), "generation": round(written / 3, 1)}
        shares = {"kv": kv, "occupancy": occupancy, "prefix_hits": 0.31}
        return {**shares, "tps": rates, "demo": demo, "server": None, "npu": self.npu}

    def _frame(self, now: int, **rest: Any) -> dict[str, Any]:
        preempted = sum(max(0, sum(since <= now for _, since, _ in asked.stays) - 1) for asked in self.requests)
        return {"v": 2, "t": now, "running": self.running(now), "waiting": self.waiting(now), "preempted": preempted, **rest}


class Paper:
    """The engine.

    Args:
        lanes: how many it has.
        step: milliseconds of a decode step.
        prefill: milliseconds per prompt; everybody else's decode pauses so long.
        buckets: batch sizes of decode steps, if it has them.
        preempt_every: every how many steps it sends its newest request back, 0: never.
    """

    def __init__(self, lanes: int, step: int = 20, prefill: int = 60, buckets: tuple[int, ...] = (), preempt_every: int = 0):
        self.lanes, self.step, self.prefill, self.buckets, self.preempt_every = lanes, step, prefill, buckets, preempt_every
        self._free = list(range(lanes))
        self._running: list[Asked] = []
        self._waiting: list[Asked] = []
        self._steps: list[tuple[int, int, int, int]] = []

    def run(self, asked: list[Asked], until: int, mine: tuple[int, ...] = ()) -> Traffic:
        """Answers all of these, or as many as it can until then."""
        coming, now = sorted(asked, key=lambda each: (each.queued, each.id)), 0
        while now < until:
            while coming and coming[0].queued <= now:
                self._waiting.append(coming.pop(0))
            self._give_up(now)
            if not self._waiting and not self._running:
                if not coming:
                    break
                now = coming[0].queued
                continue
            now = self._advance(now)
        for each in self._running:
            each.stays[-1][2] = NEVER
        return Traffic(self.lanes, asked, self._steps, bool(self.buckets), mine)

    def _advance(self, now: int) -> int:
        admitted = []
        while self._waiting and self._free:
            self._waiting.sort(key=lambda each: (each.door == "demo", each.queued))
            each = self._waiting.pop(0)
            each.stays.append([self._free.pop(0), now, NEVER])
            admitted.append(each)
        self._running += admitted
        now += self.prefill * len(admitted) or self.step
        prompt = sum(each.prompt for each in admitted)
        size = len(self._running)
        bucket = next((each for each in self.buckets if each >= size), size)
        self._steps.append((now, size, prompt, 0 if prompt else bucket))
        for each in admitted or list(self._running):
            each.times.append(now)
            if len(each.times) >= each.tokens:
                self._end(each, now, now)
        if self.preempt_every and len(self._steps) % self.preempt_every == 0 and len(self._running) > 1:
            self._release(sent_back := self._running[-1], now)
            self._waiting.insert(0, sent_back)
        return now

    def _give_up(self, now: int) -> None:
        for each in [each for each in (*self._running, *self._waiting) if each.leaves <= now]:
            each.end = "aborted" if each.end == "stop" else each.end
            self._end(each, now, now)

    def _end(self, each: Asked, left: int, ended: int) -> None:
        each.ended = ended
        if each in self._running:
            self._release(each, left)
        else:
            self._waiting.remove(each)

    def _release(self, each: Asked, now: int) -> None:
        self._running.remove(each)
        each.stays[-1][2] = now
        self._free = sorted([*self._free, each.stays[-1][0]])


def visitors(
    seed: int, count: int, span: int, longest: int = 200, doors: str = "page page page api demo evaluation"
) -> list[Asked]:
    """Requests that come at random over a span of milliseconds: most end by themselves, some are cut, stopped or fail."""
    chance = random.Random(seed)
    asked = []
    for id, queued in enumerate(sorted(chance.randrange(span) for _ in range(count)), start=1):
        one = Asked(id, chance.choice(doors.split()), queued, chance.randrange(8, 400), chance.randrange(1, longest))
        one.end = chance.choices(["stop", "length", "failed"], [8, 2, 0])[0]
        if chance.random() < 0.12:
            one.leaves, one.end = queued + chance.randrange(200, 6000), chance.choice(["aborted", "aborted", "failed"])
        asked.append(one)
    return asked
