"""Who passes when, before an engine that knows no priorities."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from webui.engines.turnstile import Turnstile


class Crowd:
    """Requests before and behind one turnstile.

    Attributes:
        order: names in the order in which they passed.
    """

    def __init__(self, lanes: int) -> None:
        self.turnstile = Turnstile(lanes)
        self.order: list[str] = []
        self.inside: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def comes(self, name: str, priority: int, sequences: int = 1) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._request(name, priority, sequences))
        await asyncio.sleep(0)

    async def _request(self, name: str, priority: int, sequences: int) -> None:
        async with self.turnstile.passed(priority, sequences):
            self.order.append(name)
            self.inside.add(name)
            try:
                await self._ends[name].wait()
            finally:
                self.inside.discard(name)

    async def ends(self, name: str) -> None:
        self._ends[name].set()
        await self._settle()

    async def leaves(self, name: str) -> None:
        self._tasks[name].cancel()
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def test_visitors_pass_at_once_and_others_when_a_lane_is_free() -> None:
    crowd = Crowd(lanes=1)
    await crowd.comes("api 1", 1)
    await crowd.comes("api 2", 1)
    await crowd.comes("evaluation", 2)
    await crowd.comes("api 3", 1)
    await crowd.comes("visitor 1", 0)
    await crowd.comes("visitor 2", 0)
    assert crowd.inside == {"api 1", "visitor 1", "visitor 2"}
    await crowd.ends("api 1")
    await crowd.ends("visitor 1")
    assert crowd.inside == {"visitor 2"}  # the only lane is taken
    for name in ("visitor 2", "api 2", "api 3", "evaluation"):
        await crowd.ends(name)
    assert crowd.order == ["api 1", "visitor 1", "visitor 2", "api 2", "api 3", "evaluation"]
    await crowd.close()


async def test_one_that_is_left_while_it_waits_holds_nobody_up() -> None:
    crowd = Crowd(lanes=1)
    for name in ("first", "left", "last"):
        await crowd.comes(name, 1)
    await crowd.leaves("left")
    await crowd.ends("first")
    assert crowd.inside == {"last"}
    await crowd.leaves("last")
    await crowd.comes("next", 1)
    await asyncio.sleep(0)
    assert crowd.inside == {"next"}
    await crowd.close()


async def test_one_that_is_left_in_the_moment_in_which_it_is_let_in_gives_its_lane_back() -> None:
    turnstile = Turnstile(1)
    first = turnstile.passed(1)
    await first.__aenter__()
    waiting = asyncio.create_task(turnstile.passed(1).__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)  # lets it in …
    waiting.cancel()  # … before it has noticed
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(60), turnstile.passed(1):
        pass


async def test_more_sequences_than_lanes_pass_once_one_is_free() -> None:
    crowd = Crowd(lanes=2)
    await crowd.comes("many", 1, sequences=5)
    await crowd.comes("one", 1)
    await asyncio.sleep(0)
    assert crowd.inside == {"many"}
    await crowd.ends("many")
    assert crowd.inside == {"one"}
    await crowd.close()


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from(["comes", "ends", "leaves"]), st.integers(0, 3)), max_size=40))
def test_the_important_are_never_behind_and_nothing_is_lost(lanes: int, steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        crowd = Crowd(lanes)
        priorities: dict[str, int] = {}
        waiting: list[str] = []
        for index, (step, value) in enumerate(steps):
            before = len(crowd.order)
            known = sorted([*waiting, *crowd.inside])
            if step == "comes":
                priorities[name := f"{index:02}"] = value
                waiting.append(name)
                await crowd.comes(name, value)
                await crowd._settle()
            elif known:
                name = known[value % len(known)]
                await (crowd.ends(name) if step == "ends" and name in crowd.inside else crowd.leaves(name))
                waiting = [one for one in waiting if one != name]
            for passed in crowd.order[before:]:
                better = min(waiting, key=lambda one: (priorities[one], one))
                assert passed == better
                waiting.remove(passed)
            assert not any(priorities[one] == 0 for one in waiting)
            assert not waiting or len(crowd.inside) >= lanes
        await crowd.close()

    asyncio.run(run())
