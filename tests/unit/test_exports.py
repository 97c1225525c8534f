"""The board as data: JSON with names, a trace, a table no spreadsheet runs."""

from __future__ import annotations

import csv
import json

import pytest

from tests.unit.test_board import Clock
from webui.batch.board import Board, Progress
from webui.batch.exports import safe_cell, snapshot, table, trace
from webui.batch.frames import Frames
from webui.batch.latency import GOOD
from webui.batch.steps import Step


def lived() -> tuple[Board, Clock]:
    """One that waited, was preempted, came back and was answered; one that runs; one that was left while it waited."""
    clock = Clock()
    board = Board(2, clock)
    names = ("page-canary-name", "cmpl-canary", "demo-1")
    answered, runs, left = (board.opened(name, 30) for name in names)
    clock.now += 1
    board.stepped(Step(2, 1, 2, prompt_tokens=60))
    for tokens in (1, 2):
        clock.now += 0.5
        board.gave(answered, Progress(tokens, 30, last=clock.now, cached_tokens=16))
        board.gave(runs, Progress(tokens, 30, last=clock.now))
        board.stepped(Step(2, 1, 2))
    clock.now += 1
    board.gave(runs, Progress(3, 30, last=clock.now))
    board.closed(names[2], [left], "aborted")
    board.stepped(Step(1, 1, 1, preemptions=1))
    clock.now += 1
    board.stepped(Step(2, 0, 2))
    clock.now += 1
    board.gave(answered, Progress(3, 30, last=clock.now, preemptions=1))
    board.ended(answered, "stop", freed=True)
    board.stepped(Step(1, 0, 2))
    return board, clock


def test_the_snapshot_names_every_field_and_sums_the_window_up() -> None:
    board, _ = lived()
    data = json.loads(json.dumps(snapshot(board, Frames(board), 60, 60, GOOD)))
    assert (data["version"], data["unit"], data["window"], data["preempted"]) == (2, "ms", 60, 1)
    first = data["requests"][1]
    assert first == {
        **{"id": 1, "door": "page", "lane": 0, "end": "stop", "prompt_tokens": 30, "tokens": 3, "cached_tokens": 16},
        **{"queued": 0, "scheduled": 1000, "first": 1500, "last": 5000, "ended": 5000, "worst_itl": 3000},
        "stays": [[0, 1000, 3000], [0, 4000, 5000]],
    }
    assert data["latency"]["ttft"] == {"n": 1, "p50": 1500, "p95": 1500, "p99": 1500, "max": 1500}
    assert data["latency"]["queue"]["p50"] == 1000 and data["latency"]["tpot"]["p50"] == 1750
    assert data["goodput"] == {
        "limits": {"ttft": 0.2, "itl": 0.05},
        **{"n": 1, "good": 0, "per_second": 0, "aborted": 1, "failed": 0},
    }
    assert data["engine"]["lanes"] == 2 and len(data["steps"]) == 3 * 6


def test_the_trace_has_a_track_per_lane_and_the_steps_as_counters() -> None:
    board, _ = lived()
    events = json.loads(json.dumps(trace(board, 60)))["traceEvents"]
    assert all("ph" in event and "pid" in event and ("ts" in event or event["ph"] == "M") for event in events)
    slices = [(e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X" and e["name"].endswith(" 1")]
    assert slices == [
        ("prefill 1", 1_000_000, 500_000),
        ("decode 1", 1_500_000, 1_500_000),
        ("decode 1", 4_000_000, 1_000_000),
    ]
    waits = [(e["ph"], e["ts"]) for e in events if e["ph"] in "be" and e["id"] == 1]
    assert waits == [("b", 0), ("e", 1_000_000), ("b", 3_000_000), ("e", 4_000_000)]
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {"lane 0", "lane 1"}
    assert [e["args"]["sequences"] for e in events if e["ph"] == "C" and e["name"] == "sequences"] == [2, 2, 2, 1, 2, 2]
    by_track: dict[int, int] = {}
    for event in sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"]):
        assert event["ts"] >= by_track.get(event["tid"], 0)
        by_track[event["tid"]] = event["ts"] + event["dur"]


def test_the_table_has_a_line_per_request() -> None:
    board, _ = lived()
    rows = list(csv.DictReader(table(board, 60).splitlines()))
    assert [(row["id"], row["door"], row["state"], row["end"]) for row in rows] == [
        ("3", "demo", "ended", "aborted"),
        ("1", "page", "ended", "stop"),
        ("2", "api", "decode", ""),
    ]
    assert (rows[1]["ttft_ms"], rows[1]["worst_itl_ms"], rows[1]["preemptions"]) == ("1500.0", "3000.0", "1")
    assert rows[0]["ttft_ms"] == ""


@pytest.mark.parametrize("start", list("=+-@\t\r"))
def test_no_cell_is_taken_for_a_formula(start: str) -> None:
    assert safe_cell(start + "cmd") == "'" + start + "cmd"
    assert [safe_cell(cell) for cell in ("", "a=b", -3, None)] == ["", "a=b", -3, None]


def test_nothing_of_it_holds_a_name() -> None:
    board, _ = lived()
    everything = json.dumps(snapshot(board, Frames(board), 60, 60, GOOD)) + json.dumps(trace(board, 60)) + table(board, 60)
    assert "canary" not in everything


def test_goodput_is_per_second_that_the_board_knows_of() -> None:
    clock = Clock()
    board = Board(1, clock)
    request = board.opened("page-a", 7)
    board.stepped(Step(1, 0))
    board.gave(request, Progress(1))
    board.ended(request, "stop", freed=True)
    clock.now += 10
    assert snapshot(board, Frames(board), 600, 60, GOOD)["goodput"]["per_second"] == pytest.approx(0.1)
