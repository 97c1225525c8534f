"""Lanes and board: counts are the engine's, lanes never overlap, and a watcher's picture is always whole."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from webui.batch.board import ROWS_AT_MOST, WINDOW, Board, Progress, Step, percentile
from webui.batch.lanes import Lanes
from webui.batch.rates import SlidingSum
from webui.batch.request import Request, door_of
from webui.engines.seen_from_here import SeenFromHere


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class EngineModel:
    """First come, first served, as vLLM schedules; the truth that the board is held against."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.running: list[str] = []
        self.waiting: list[str] = []

    def schedule(self) -> None:
        while self.waiting and len(self.running) < self.lanes:
            self.running.append(self.waiting.pop(0))


ACTIONS = st.lists(
    st.one_of(
        st.just(("come", 0)),
        st.tuples(st.sampled_from(["finish", "abort_running", "abort_waiting", "preempt"]), st.integers(0, 9)),
        st.just(("step", 0)),
    ),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5), ACTIONS)
def test_lanes_in_use_equal_what_the_engine_runs(lanes: int, actions: list[tuple[str, int]]) -> None:
    clock = Clock()
    board, engine, count = Board(lanes, clock), EngineModel(lanes), 0
    for action, pick in actions:
        clock.now += 0.01
        finished: list[str] = []
        if action == "come":
            count += 1
            board.opened(f"page-{count}", 3)
            engine.waiting.append(f"page-{count}")
        elif action == "abort_waiting" and engine.waiting:
            board.closed(engine.waiting.pop(pick % len(engine.waiting)), "aborted")
        elif action == "abort_running" and engine.running:
            board.closed(engine.running.pop(pick % len(engine.running)), "aborted")
        elif action == "preempt" and engine.running:
            engine.waiting.insert(0, engine.running.pop())
            board.stepped(Step(len(engine.running), len(engine.waiting)))
            continue
        elif action == "finish" and engine.running:
            finished = [engine.running.pop(pick % len(engine.running))]
        engine.schedule()
        board.stepped(Step(len(engine.running), len(engine.waiting)), finished)
        for done in finished:
            board.closed(done, "stop")
        assert board.running == len(engine.running) <= lanes
        assert board.waiting == len(engine.waiting)
        taken = [request.lane for request in board.lanes.running]
        assert len(set(taken)) == len(taken) and all(lane is not None and lane < lanes for lane in taken)


def test_the_oldest_gets_the_lowest_free_lane() -> None:
    lanes = Lanes(2)
    requests = [Request(i, "page", queued=float(i)) for i in range(4)]
    for request in requests:
        lanes.enter(request)
    lanes.match(2)
    lanes.leave(requests[0])
    lanes.match(2)
    assert [r.lane for r in requests] == [0, 1, 0, None]
    assert lanes.waiting == [requests[3]]


def test_a_preempted_request_stands_first_in_line_again() -> None:
    lanes = Lanes(2)
    requests = [Request(i, "page", queued=float(i)) for i in range(3)]
    for request in requests:
        lanes.enter(request)
    lanes.match(2)
    _, sent_back = lanes.match(1)
    assert sent_back == [requests[1]]
    assert lanes.waiting == [requests[1], requests[2]]


def test_a_request_is_told_from_beginning_to_end_in_the_engines_own_times() -> None:
    clock = Clock()
    board = Board(1, clock)
    request = board.opened("page-a", 7)
    assert (request.state, board.places()) == ("waiting", {request.id: 1})
    clock.now += 1
    board.stepped(Step(1, 0))
    assert request.state == "prefill"
    clock.now += 1
    board.gave("page-a", Progress(tokens=1, queued=1000.1, scheduled=1000.9, first=1001.9, last=1001.9))
    board.gave("page-a", Progress(tokens=5, queued=1000.1, scheduled=1000.9, first=1001.9, last=1003.9))
    clock.now += 1
    board.closed("page-a", "stop")
    timing = request.timing()
    assert [round(x, 3) for x in (timing.queue, timing.prefill, timing.decode)] == [0.8, 1.0, 2.0]
    assert timing.tokens == 5 and request.state == "ended"


def test_one_that_left_while_it_waited_has_only_waited() -> None:
    clock = Clock()
    board = Board(1, clock)
    request = board.opened("page-a", 7)
    clock.now += 2
    board.closed("page-a", "aborted")
    timing = request.timing()
    assert (timing.queue, timing.prefill, timing.decode, timing.tokens) == (2.0, 0.0, 0.0, 0)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["come", "step", "give", "end", "frame"]), max_size=60), st.integers(0, 59))
def test_a_full_frame_and_the_changes_after_it_make_the_same_picture(actions: list[str], join: int) -> None:
    clock = Clock()
    board = Board(2, clock)
    picture: dict[int, list[object]] = {}
    count, ended = 0, 0
    for index, action in enumerate(actions):
        clock.now += 0.1
        if index == join:
            board.frame()
            picture = {row[0]: row for row in board.full_frame()["requests"]}
        if action == "come":
            count += 1
            board.opened(f"page-{count}", 1)
        elif action == "step":
            board.stepped(Step(min(2, count - ended), max(0, count - ended - 2)))
        elif action == "give" and count > ended:
            board.gave(f"page-{count}", Progress(tokens=index))
        elif action == "end" and count > ended:
            ended += 1
            board.closed(f"page-{ended}", "stop")
        elif action == "frame" and index > join:
            picture |= {row[0]: row for row in board.frame()["requests"]}
    picture |= {row[0]: row for row in board.frame()["requests"]}
    if join < len(actions):
        assert picture == {row[0]: row for row in board.full_frame()["requests"]}


def test_a_dead_engine_ends_every_request_as_failed_and_every_picture_starts_over() -> None:
    board = Board(2, Clock())
    board.frame()
    requests = [board.opened(f"page-{i}", 1) for i in range(3)]
    board.stepped(Step(2, 1))
    board.reset(2)
    assert {request.end for request in requests} == {"failed"}
    assert (board.running, board.waiting) == (0, 0)
    assert [board.frame()["full"] for _ in range(2)] == [True, False]


def test_memory_is_bounded_by_the_window() -> None:
    clock = Clock()
    board = Board(1, clock)
    for i in range(50):
        board.opened(f"page-{i}", 1)
        board.closed(f"page-{i}", "stop")
        clock.now += WINDOW / 10
    assert len(board.full_frame()["requests"]) == 10


def test_occupancy_is_weighted_by_time() -> None:
    clock = Clock()
    board = Board(2, clock)
    board.opened("page-a", 1)
    board.stepped(Step(1, 0))
    clock.now += 30
    board.closed("page-a", "stop")
    clock.now += 30
    assert board.frame()["occupancy"] == 0.25


def test_of_an_engine_elsewhere_only_what_comes_back_is_drawn() -> None:
    board = Board(clock=(clock := Clock()))
    seen = SeenFromHere(board)
    with ExitStack() as requests:
        given = [requests.enter_context(seen.request(f"page-{index}", 7)) for index in range(3)]
        assert (board.running, board.waiting, board.places()) == (0, 3, {})
        clock.now += 2
        for request in given[:2]:
            request.gave(1, 8)
        clock.now += 3
        given[0].gave(2)
        given[0].end = "stop"
        frame = board.frame()
        assert (frame["seen_from_here"], frame["running"], frame["waiting"], frame["lanes"]) == (True, 2, 1, 2)
        assert frame["occupancy"] is None and frame["kv"] is None and frame["tps"]["generation"] > 0
        timing = board.find("page-0").timing()  # type: ignore[union-attr]
        assert (timing.split, timing.ttft, timing.decode, timing.tokens, timing.prompt_tokens) == (False, 2, 3, 3, 8)
    assert [row[7] for row in board.full_frame()["requests"]] == ["aborted", "aborted", "stop"]


def test_there_are_as_many_rows_as_an_engine_elsewhere_answered_at_once_but_not_any_number() -> None:
    board = Board()
    seen = SeenFromHere(board)
    with ExitStack() as requests:
        for index in range(ROWS_AT_MOST + 5):
            requests.enter_context(seen.request(f"page-{index}", 1)).gave(1)
        assert (board.lanes.count, board.running, board.waiting) == (ROWS_AT_MOST, ROWS_AT_MOST, 5)
    assert (board.running, board.waiting) == (0, 0)


def test_a_frame_holds_no_text_and_no_name() -> None:
    board = Board(1, Clock())
    board.opened("page-secret-name", 1)
    assert "secret" not in str(board.full_frame())


def test_doors_are_told_apart_by_the_ids_prefix() -> None:
    doors = [door_of(id) for id in ("page-1", "demo-1", "evaluation-1", "chatcmpl-1", "cmpl-1")]
    assert doors == ["page", "demo", "evaluation", "api", "api"]


def test_a_sliding_sum_forgets() -> None:
    total = SlidingSum(window=3, buckets=6)
    total.add(5, now=10.0)
    assert total.total(now=12.4) == 5
    assert total.total(now=13.6) == 0
    total.add(3, now=1e6)
    assert total.rate(now=1e6) == 1


def test_percentiles_are_nearest_rank() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([7], 95) == 7
    assert percentile(list(map(float, range(1, 101))), 95) == 95
