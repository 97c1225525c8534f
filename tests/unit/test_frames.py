"""What watchers are sent: a full frame and the changes after it make the same picture, cheaply and without anybody's words."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_board import Clock, EngineModel, actions
from webui.batch.board import FIGURES_WINDOW, Board, EngineFacts, Progress
from webui.batch.frames import Frames
from webui.batch.steps import Step


class Picture:
    """What a page knows from its frames alone."""

    def __init__(self, full: dict[str, Any]) -> None:
        assert full["full"]
        self.rows = {row[0]: row for row in full["requests"]}
        self.last = full
        self.steps: list[list[int]] = []
        self._add_steps(full)

    def add(self, frame: dict[str, Any]) -> None:
        self.rows |= {row[0]: row for row in frame["requests"]}
        for id, tokens in frame["tokens"]:
            self.rows[id] = [*self.rows[id][:10], tokens, *self.rows[id][11:]]
        self.last = self.last | frame
        self._add_steps(frame)

    def _add_steps(self, frame: dict[str, Any]) -> None:
        at, flat = frame["steps_from"], frame["steps"]
        width = 4 if self.last["engine"]["buckets"] else 3
        for i in range(0, len(flat), width):
            at += flat[i]
            self.steps.append([at, *flat[i + 1 : i + width]])


@settings(max_examples=200, deadline=None)
@given(actions(silent=1, deaf=True), st.integers(0, 79), st.booleans())
def test_a_full_frame_and_the_changes_after_it_make_the_same_picture(
    schedule: list[tuple[object, ...]], join: int, buckets: bool
) -> None:
    clock = Clock()
    board = Board(0, clock)
    board.reset(EngineFacts(3, "NPU", True, (1, 2, 4) if buckets else ()))
    frames, engine, picture = Frames(board), EngineModel(3, clock, board), None
    for index, (name, *arguments) in enumerate(schedule):
        clock.now += 0.15
        getattr(engine, str(name))(*arguments)
        frame = frames.frame()
        if picture is not None and frame is not None:
            picture.add(frame)
        if index == join:
            picture = Picture(orjson.loads(orjson.dumps(frames.full())))
    if picture is None:
        return
    for _ in range(2):
        clock.now += 1
        picture.add(frames.frame() or {"requests": [], "tokens": [], "steps": [], "steps_from": 0})
    now = Picture(frames.full())
    shown = [[*row[:6], *row[7:11]] for row in picture.rows.values()]  # without the last token, which a running one is not told
    assert sorted(shown) == sorted([*row[:6], *row[7:11]] for row in now.rows.values())
    assert picture.steps[-len(now.steps) :] == now.steps or not now.steps
    assert (picture.last["running"], picture.last["waiting"]) == (board.running, board.waiting)
    assert picture.last["figures"] == now.last["figures"]


def test_while_nothing_happens_a_frame_comes_once_a_second() -> None:
    clock = Clock()
    frames = Frames(Board(2, clock))
    assert frames.frame()["full"]  # type: ignore[index]
    kinds = []
    for _ in range(10):
        clock.now += 0.2
        kinds.append(frames.frame() is not None)
    assert kinds == [False, False, False, False, True] * 2


def test_a_new_engine_is_told_in_full_to_everybody() -> None:
    clock = Clock()
    board = Board(2, clock)
    frames = Frames(board)
    assert [(frames.frame() or {}).get("full") for _ in range(2)] == [True, None]
    board.reset(EngineFacts(8, "CPU", True))
    frame = frames.frame()
    assert frame is not None and frame["full"]
    told = {"lanes": 8, "buckets": False, "prefix_cache": True, "device": "CPU", "seen_from_here": False}
    assert frame["engine"] == told


def test_an_engine_that_starts_again_after_many_steps_is_told_too() -> None:
    board = Board(1)
    frames = Frames(board)
    for _ in range(5):
        board.stepped(Step(running=0, waiting=0, sequences=1))
    assert frames.frame() is not None
    board.reset(EngineFacts(1))
    frame = frames.frame()
    assert frame is not None and frame["full"] and frame["steps"] == []


def test_times_are_milliseconds_since_the_boards_birth() -> None:
    clock = Clock()
    board = Board(1, clock)
    clock.now += 1.5
    request = board.opened("demo-1", 7)
    board.stepped(Step(1, 0))
    clock.now += 0.25
    board.gave(request, Progress(3, 7, last=clock.now))
    clock.now += 0.25
    board.ended(request, "length", freed=True)
    assert Frames(board).row(request) == [1, "demo", 0, 1500, 1500, 1750, 1750, 2000, "length", 7, 3, None, None, 0]


def test_steps_are_differences_with_the_bucket_where_there_is_one() -> None:
    clock = Clock()
    board = Board(0, clock)
    board.reset(EngineFacts(4, "NPU", False, (4, 1, 2)))
    frames = Frames(board)
    frames.frame()
    # running after the step, sequences in it, prompt tokens
    for running, sequences, prompt in ((3, 1, 128), (3, 3, 0), (2, 2, 0), (0, 0, 0), (3, 1, 40), (9, 9, 0)):
        clock.now += 0.02
        board.stepped(Step(running, 0, sequences, prompt_tokens=prompt))
    frame = frames.frame()
    assert frame is not None
    assert (frame["steps_from"], frame["steps"]) == (20, [0, 1, 128, 0, 20, 3, 0, 4, 20, 2, 0, 2, 40, 1, 40, 0, 20, 9, 0, 0])


def test_savings_are_told_every_five_seconds_in_which_a_request_ended() -> None:
    clock = Clock()
    board = Board(1, clock)
    frames = Frames(board)
    frames.frame()
    told = []
    for second in range(20):
        clock.now += 1
        if second < 9:
            board.closed("page-a", [board.opened("page-a", 1)], "aborted")
        told += [second] if "saved" in (frames.frame() or {}) else []
    assert told == [0, 5, 10]


def test_what_is_known_of_the_npus_is_told() -> None:
    npu = {"npus": [], "power": 40.0, "tokens_per_joule": None}
    board = Board(2, Clock())
    assert Frames(board, npus=lambda: npu).full()["figures"]["npu"] == npu
    assert Frames(board).full()["figures"]["npu"] is None


def test_sixteen_busy_lanes_cost_a_watcher_three_kilobytes_a_second_at_most() -> None:
    clock = Clock()
    board = Board(16, clock)
    frames = Frames(board)
    frames.frame()
    size, names, count, given = 0, [f"page-{i}" for i in range(16)], 16, [i * 12 for i in range(16)]
    live = [board.opened(name, 40) for name in names]
    seconds = 20
    for step in range(seconds * 70):  # 16 lanes, 1100 tokens/s, 200 tokens each
        clock.now += 1 / 70
        for lane in range(16):
            given[lane] += 1
            board.gave(live[lane], Progress(given[lane], 40, last=clock.now))
            if given[lane] == 200:
                board.ended(live[lane], "length", freed=True)
                count, given[lane] = count + 1, 0
                live[lane] = board.opened(f"page-{count}", 40)
        board.stepped(Step(16, 0, 16, 0.21, 0, 16))
        if step % 14 == 0:
            frame = frames.frame()
            size += len(b"event: board\ndata: \n\n") + len(orjson.dumps(frame)) if frame else 0
    assert size / seconds <= 3000


def test_a_frame_holds_no_text_and_no_name() -> None:
    board = Board(1, Clock())
    board.opened("page-secret-name", 1)
    assert "secret" not in json.dumps(Frames(board).full())


@pytest.mark.parametrize("window", [1.0, FIGURES_WINDOW])
def test_a_full_frame_has_no_older_steps_than_wanted(window: float) -> None:
    clock = Clock()
    board = Board(1, clock)
    for _ in range(100):
        clock.now += 1
        board.stepped(Step(1, 0, 1))
    assert len(Frames(board).full(steps=window)["steps"]) == 3 * window
