"""The board's reckoning in a real browser, held against traffic whose truth is known and against cases worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.board_pages import stage
from tests.browser.board_traffic import Asked, Paper, Traffic, visitors
from tests.browser.conftest import PATIENCE

pytestmark = pytest.mark.browser

# As much of a request's life as the statistics want.
REQUEST = """(life) => ({ id: 0, door: "page", mine: false, queued: 0, scheduled: null, first: null, last: null, ended: null,
end: null, promptTokens: 1, tokens: 0, worstItl: null, cachedTokens: null, split: true, stays: [], waits: [],
...life })"""
MODULES = {"reckoning": "./tests/browser/reckoning.js"}


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Page]:
    """A page that can import the board's modules."""
    with stage() as opened:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(opened.url)
        yield page
        page.close()


def reckon(page: Page, module: str, expression: str, argument: Any = None) -> Any:
    """What an expression of a module's exports `m` comes to, given an argument `a`; `r` makes a request."""
    address = MODULES.get(module, f"./assets/js/{module}.js")
    return page.evaluate(
        f'async (a) => {{ const m = await import("{address}"); const r = {REQUEST}; return {expression}; }}', argument
    )


def mixed(preempt_every: int = 90) -> Traffic:
    """Four lanes, more asked of them than they can do at once; everything that can happen happens."""
    asked = visitors(5, 90, 40_000, longest=90)
    return Paper(4, step=20, prefill=50, buckets=(1, 2, 4), preempt_every=preempt_every).run(asked, 60_000)


@pytest.mark.parametrize(
    ("percent", "value"), [(5, 15), (30, 20), (40, 20), (50, 35), (95, 50), (100, 50)], ids=lambda value: str(value)
)
def test_percentiles_are_nearest_rank(modules: Page, percent: int, value: int) -> None:
    # five values: the p-th percentile is the ceil(p/100 * 5)-th of them
    assert reckon(modules, "board_statistics", "m.percentile([15, 20, 35, 40, 50], a)", percent) == value


def test_a_summary_says_of_how_many(modules: Page) -> None:
    assert reckon(modules, "board_statistics", "m.summary([7, 1, 3])") == {"n": 3, "p50": 3, "p95": 7, "p99": 7, "max": 7}
    assert reckon(modules, "board_statistics", "m.summary([])") == {"n": 0, "p50": None, "p95": None, "p99": None, "max": None}


def test_every_latency_by_its_formula(modules: Page) -> None:
    life = {
        "queued": 1000,
        "scheduled": 1200,
        "first": 1450,
        "last": 2450,
        "ended": 2460,
        "end": "stop",
        "tokens": 11,
        "worstItl": 180,
    }
    times = reckon(modules, "board_statistics", "m.timesOf(r(a))", life)
    assert times == {"queue": 200, "prefill": 250, "decode": 1000, "ttft": 450, "tpot": 100, "itl": 180, "e2e": 1450}
    elsewhere = reckon(modules, "board_statistics", "m.timesOf(r(a))", {**life, "split": False})
    assert elsewhere == {**times, "queue": None, "prefill": None}
    one = reckon(modules, "board_statistics", "m.timesOf(r(a))", {**life, "last": 1450, "tokens": 1, "worstItl": None})
    assert (one["tpot"], one["itl"], one["e2e"]) == (None, None, 450), "one token has no gaps"
    running = reckon(modules, "board_statistics", "m.timesOf(r(a))", {**life, "ended": None, "end": None})
    assert (running["ttft"], running["tpot"], running["e2e"]) == (450, None, None), "the last token is not known yet"
    left = reckon(modules, "board_statistics", "m.timesOf(r(a))", {"queued": 5, "ended": 905, "end": "aborted"})
    assert set(left.values()) == {None}, "it never got a lane"


def test_the_split_of_one_that_never_got_a_lane_is_all_queue(modules: Page) -> None:
    life = {"queued": 5, "ended": 905, "end": "aborted"}
    assert reckon(modules, "board_statistics", "m.splitOf(r(a), 5000)", life) == {"queue": 900, "prefill": 0, "decode": 0}
    assert reckon(modules, "board_statistics", "m.splitOf(r(a), 105)", life) == {"queue": 100, "prefill": 0, "decode": 0}
    whole = {"queued": 0, "scheduled": 10, "first": 30, "last": 90, "ended": 95, "end": "stop"}
    assert reckon(modules, "board_statistics", "m.splitOf(r(a), 500)", whole) == {"queue": 10, "prefill": 20, "decode": 60}
    assert reckon(modules, "board_statistics", "m.splitOf(r(a), 50)", whole) == {"queue": 10, "prefill": 20, "decode": 20}


def test_goodput_counts_those_that_met_every_limit(modules: Page) -> None:
    def whole(ttft: int, itl: int | None) -> dict[str, Any]:
        return {"scheduled": 0, "first": ttft, "last": 900, "ended": 900, "end": "stop", "tokens": 9, "worstItl": itl}

    # met: 200/50 exactly, 100/none; not met: 201/50, 200/51
    asked = [whole(200, 50), whole(100, None), whole(201, 50), whole(200, 51)]
    counted = reckon(modules, "board_statistics", "m.goodput(a.map(r), { ttft: 200, itl: 50 }, 8000)", asked)
    assert counted == {"n": 4, "good": 2, "perSecond": 0.25}


def test_stopped_and_failed_are_counted_apart_and_the_window_is_half_open(modules: Page) -> None:
    ends = [(100, "stop"), (101, "length"), (150, "aborted"), (160, "failed"), (200, "stop"), (201, "stop")]
    asked = [{"ended": ended, "end": end} for ended, end in ends]
    code = "Object.fromEntries(Object.entries(m.endedWithin(a.map(r), 100, 200)).map(([k, v]) => [k, v.map((x) => x.ended)]))"
    assert reckon(modules, "board_statistics", code, asked) == {"whole": [101, 200], "aborted": [150], "failed": [160]}


def test_a_histogram_has_every_value_once_and_the_empty_bins_between(modules: Page) -> None:
    bins = reckon(modules, "board_statistics", "m.histogram(a)", [0.4, 1, 1.4, 3, 4.9, 5])
    assert bins == [
        *({"from": 0, "to": 1, "n": 1}, {"from": 1, "to": 1.5, "n": 2}, {"from": 1.5, "to": 2, "n": 0}),
        *({"from": 2, "to": 3, "n": 0}, {"from": 3, "to": 5, "n": 2}, {"from": 5, "to": 7, "n": 1}),
    ]
    assert reckon(modules, "board_statistics", "m.histogram([])") == []


def test_a_column_of_steps_has_the_highest_and_a_prefill_wins(modules: Page) -> None:
    flat = [20, 1, 0, 1, 20, 3, 0, 4, 20, 2, 64, 0, 60, 2, 0, 2]
    assert reckon(modules, "reckoning", "m.columns(a, true, 100)", flat) == [
        {"place": 0, "running": 3, "prefill": True, "bucket": 4, "single": False},
        {"place": 1, "running": 2, "prefill": False, "bucket": 2, "single": True},
    ]


def test_a_time_without_work_is_no_part_of_the_step_after_it(modules: Page) -> None:
    code = "m.stepTimes({ steps: [20, 1, 8, 5000, 1, 8], steps_from: 1000 }, a.map(r))"
    first = {"queued": 990, "last": 1020, "ended": 1021, "end": "stop"}
    assert reckon(modules, "reckoning", code, [first, {"queued": 5900}]) == [[1000, 1020], [5900, 6020]]
    assert reckon(modules, "reckoning", code, [{**first, "last": 6020, "ended": 6021}])[1] == [1020, 6020], "it was busy"


def test_every_request_is_in_one_place_at_every_moment(modules: Page) -> None:
    """Lanes in use and the line are what the engine had, no lane has two at once, nobody is in both or missing."""
    traffic = mixed()
    moments = list(range(500, 59_000, 777))
    told = {"frame": traffic.full(59_000, 59_000), "moments": moments}
    shown = reckon(modules, "reckoning", "m.places(a.frame, a.moments)", told)
    assert any(each["waiting"] for each in shown) and any(len(each["running"]) == 4 for each in shown)
    for at, each in zip(moments, shown, strict=True):
        alive = {asked.id for asked in traffic.requests if asked.queued <= at < asked.ended}
        assert len(each["running"]) == traffic.running(at), at
        assert len(each["waiting"]) == traffic.waiting(at), at
        assert sorted(each["running"] + each["waiting"]) == sorted(alive), at
        assert each["waiting"] == each["inLine"] and each["overlaps"] == 0, at


def test_frame_after_frame_comes_to_what_a_full_frame_says(modules: Page) -> None:
    traffic, since, until = mixed(), 10_000, 50_000
    frames = [traffic.full(since), *(traffic.frame(at, at + 200) for at in range(since, until, 200))]
    gathered = reckon(modules, "reckoning", f"m.knowledge(a, {since})", frames)
    assert gathered == reckon(modules, "reckoning", f"m.knowledge(a, {since})", [traffic.full(until, until - since)])
    assert len(gathered["requests"]) > 50 and len(gathered["steps"]) > 500


def test_a_preempted_request_goes_back_into_the_line_and_keeps_its_first_turn(modules: Page) -> None:
    row = [7, "page", 0, 100, 200, 260, None, None, None, 9, 5, None, None, [[2, 200, 500], [0, 900, None]]]
    assert reckon(modules, "reckoning", "m.stays(a)", row) == {
        "stays": [{"lane": 2, "from": 200, "to": 500}, {"lane": 0, "from": 900, "to": None}],
        "waits": [{"from": 100, "to": 200}, {"from": 500, "to": 900}],
    }
    waits = [*row[:2], None, *row[3:13], [[2, 200, 500]]]
    assert reckon(modules, "reckoning", "m.stays(a)", waits)["waits"][-1] == {"from": 500, "to": None}


def test_another_server_is_another_clock(modules: Page) -> None:
    old, new = Traffic(4, [Asked(1, "page", 10, 5, 5)], []), Traffic(4, [], [], epoch="another")
    moment, known = reckon(modules, "reckoning", "m.after(a, [1000, 2000])", [old.full(500_000), new.full(3000)])
    assert 2000 < moment <= 3000 and known == 0


def test_what_a_lost_connection_does_not_tell_is_not_made_up(modules: Page) -> None:
    assert reckon(modules, "reckoning", "m.drawn(5000, 1000, [1250, 2250, 60000])") == [5000, 6000, 8000]


@pytest.mark.parametrize("column", ["request", "queue", "prefill", "ttft", "tpot", "itl", "e2e", "tokens", "end"])
def test_the_table_sorts_by_every_column_and_what_has_no_value_comes_last(modules: Page, column: str) -> None:
    rows = [
        {"id": 1, "scheduled": 30, "first": 90, "last": 190, "ended": 191, "end": "stop", "tokens": 3, "worstItl": 70},
        {"id": 2, "scheduled": 10, "first": 20, "last": 220, "ended": 221, "end": "length", "tokens": 5, "worstItl": 90},
        {"id": 3, "tokens": 0},
    ]
    code = "[true, false].map((down) => m.ordered(a.rows.map(r), { column: a.column, down }).map(({ id }) => id))"
    descending, ascending = reckon(modules, "board_order", code, {"rows": rows, "column": column})
    # by hand: queue 30/10, prefill 60/10, ttft 90/20, tpot 50/50, itl 70/90, e2e 190/220
    expected = {
        **{"request": ([3, 2, 1], [1, 2, 3]), "tokens": ([2, 1, 3], [3, 1, 2]), "end": ([1, 2, 3], [2, 1, 3])},
        **dict.fromkeys(("queue", "prefill", "ttft"), ([1, 2, 3], [2, 1, 3])),
        **dict.fromkeys(("itl", "e2e"), ([2, 1, 3], [1, 2, 3])),
        "tpot": ([2, 1, 3], [2, 1, 3]),
    }
    assert (descending, ascending) == expected[column]
