"""Lanes and board: counts are the engine's, lanes never overlap, and every request is there exactly once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from webui.batch.board import ENDED_AT_MOST, ROWS_AT_MOST, WINDOW, Board, EngineFacts, Progress
from webui.batch.frames import Frames
from webui.batch.lanes import Lanes
from webui.batch.latency import latencies
from webui.batch.rates import SlidingSum
from webui.batch.request import DOORS, Request, door_of, new_id
from webui.batch.steps import TICKS_AT_MOST, Step
from webui.engines.seen_from_here import SeenFromHere


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Truth:
    """What the engine knows of one request."""

    number: int
    priority: int
    length: int
    request: Request
    silent: int  # steps of prefill that give nothing
    given: int = 0
    preemptions: int = 0
    left: bool = False

    def turn(self) -> tuple[int, int]:
        return self.priority, self.number


class EngineModel:
    """A small engine of vLLM's kind: first by priority, then by arrival; preempts the last; hears late of who left."""

    def __init__(self, lanes: int, clock: Clock, board: Board) -> None:
        self.lanes, self.clock, self.board = lanes, clock, board
        self.running: list[Truth] = []
        self.waiting: list[Truth] = []
        self.count = self.preempted = 0

    def come(self, priority: int, length: int, silent: int) -> None:
        self.count += 1
        request = self.board.opened(f"page-{self.count}", 3, priority)
        self.waiting.append(Truth(self.count, priority, length, request, silent))

    def leave(self, pick: int) -> None:
        """Somebody leaves: the board hears at once, the engine when it listens again."""
        present = [truth for truth in (*self.running, *self.waiting) if not truth.left]
        if present:
            truth = present[pick % len(present)]
            truth.left = True
            self.board.closed(f"page-{truth.number}", [truth.request], "aborted")

    def step(self, listens: bool, preempts: bool, tokens: int) -> None:
        """One pass: schedule, compute, tell."""
        if listens:
            self.running = [truth for truth in self.running if not truth.left]
            self.waiting = [truth for truth in self.waiting if not truth.left]
        preempts = preempts and len(self.running) > 1
        if preempts:
            victim = max(self.running, key=Truth.turn)
            self.running.remove(victim)
            self.waiting.append(victim)
            victim.preemptions += 1
            self.preempted += 1
        while self.waiting and len(self.running) < self.lanes and not preempts:
            self.running.append(min(self.waiting, key=Truth.turn))
            self.waiting.remove(self.running[-1])
        sequences = len(self.running)
        for truth in list(self.running):
            self._compute(truth, tokens)
        self.board.stepped(Step(len(self.running), len(self.waiting), sequences, preemptions=int(preempts)))

    def _compute(self, truth: Truth, tokens: int) -> None:
        if truth.silent:
            truth.silent -= 1
            return
        truth.given = min(truth.length, truth.given + tokens)
        if not truth.left:
            now = self.clock.now
            self.board.gave(truth.request, Progress(truth.given, 3, last=now, preemptions=truth.preemptions))
        if truth.given == truth.length:
            self.running.remove(truth)
            if not truth.left:
                self.board.ended(truth.request, "length", freed=True)
                self.board.closed(f"page-{truth.number}", [truth.request], "aborted")


def actions(silent: int, deaf: bool) -> st.SearchStrategy[list[tuple[object, ...]]]:
    """Schedules. Prompts take up to `silent` steps; if `deaf`, the engine does not always hear at once of who left."""
    return st.lists(
        st.one_of(
            st.tuples(st.just("come"), st.integers(0, 3), st.integers(1, 12), st.integers(0, silent)),
            st.tuples(st.just("leave"), st.integers(0, 9)),
            st.tuples(st.just("step"), st.booleans() if deaf else st.just(True), st.booleans(), st.integers(1, 4)),
        ),
        max_size=80,
    )


def played(lanes: int, schedule: list[tuple[object, ...]], check: object) -> tuple[Board, EngineModel]:
    clock = Clock()
    board = Board(lanes, clock)
    engine = EngineModel(lanes, clock, board)
    for name, *arguments in schedule:
        clock.now += 0.01
        getattr(engine, str(name))(*arguments)
        taken = [request.lane for request in board.lanes.running]
        assert len(set(taken)) == len(taken) and all(lane is not None and lane < lanes for lane in taken)
        assert board.running <= lanes
        if name == "step":
            check(board, engine)  # type: ignore[operator]
    rows = sorted(row[0] for row in Frames(board).full()["requests"])
    assert rows == list(range(1, engine.count + 1))
    return board, engine


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5), actions(silent=0, deaf=False))
def test_lanes_hold_who_runs_in_the_engine_and_the_line_who_waits(lanes: int, schedule: list[tuple[object, ...]]) -> None:
    def check(board: Board, engine: EngineModel) -> None:
        assert board.running == len(engine.running)
        assert {r.id for r in board.lanes.running} == {truth.request.id for truth in engine.running}
        assert [r.id for r in board.lanes.waiting] == [t.request.id for t in sorted(engine.waiting, key=Truth.turn)]

    board, engine = played(lanes, schedule, check)
    assert board.preempted == engine.preempted
    for truth in (*engine.running, *engine.waiting):
        assert len(truth.request.stays) == truth.preemptions + (truth in engine.running)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5), actions(silent=3, deaf=True))
def test_lanes_in_use_are_as_many_as_run_however_late_the_engine_hears(lanes: int, schedule: list[tuple[object, ...]]) -> None:
    def check(board: Board, engine: EngineModel) -> None:
        known = sum(not truth.left for truth in (*engine.running, *engine.waiting))
        if known >= len(engine.running):
            assert board.running == len(engine.running)

    played(lanes, schedule, check)


def test_the_first_in_line_gets_the_lowest_free_lane() -> None:
    lanes = Lanes(2)
    requests = [Request(i, "page", queued=float(i), priority=int(i == 2)) for i in range(4)]
    for request in requests:
        lanes.enter(request)
    lanes.match(2, now=0)
    lanes.leave(requests[0], freed=True)
    lanes.match(2, now=1)
    assert [r.lane for r in requests] == [0, 1, None, 0]
    assert lanes.waiting == [requests[2]]


def test_a_lane_that_was_left_is_in_use_until_the_engine_has_heard_of_it() -> None:
    lanes = Lanes(2)
    requests = [Request(i, "page", queued=float(i)) for i in range(3)]
    for request in requests:
        lanes.enter(request)
    lanes.match(2, now=0)
    lanes.leave(requests[1], freed=False)
    assert (lanes.in_use, lanes.leaving) == (2, 1)
    assert lanes.match(2, now=1) == ([], [])  # told before the engine heard of it
    assert lanes.match(2, now=2) == ([requests[2]], [])
    assert (lanes.in_use, lanes.leaving, requests[2].lane) == (2, 0, 1)


def test_a_preempted_request_keeps_its_stays_and_stands_in_line_again() -> None:
    clock = Clock()
    board = Board(2, clock)
    first, second, third = (board.opened(f"page-{i}", 3) for i in range(3))
    board.stepped(Step(2, 1, 2))
    for request in (first, second):
        board.gave(request, Progress(1, 3, scheduled=clock.now, last=clock.now))
    clock.now += 1
    board.gave(first, Progress(2, 3, last=clock.now))
    board.stepped(Step(1, 2, 1))
    assert (second.lane, second.state, board.places()) == (None, "waiting", {second.id: 1, third.id: 2})
    assert Frames(board).row(second)[13] == [[1, 0, 1000]]
    clock.now += 1
    board.ended(first, "stop", freed=True)
    board.stepped(Step(1, 1, 1, preemptions=1))
    row = Frames(board).row(second)
    assert (row[2], row[4], row[13]) == (0, 0, [[1, 0, 1000], [0, 2000, None]])
    assert board.preempted == 1


def test_who_gave_nothing_in_a_step_is_who_has_lost_a_lane() -> None:
    lanes = Lanes(3)
    requests = [Request(i, "page", queued=float(i)) for i in range(3)]
    for request in requests:
        lanes.enter(request)
    lanes.match(3, now=0)
    for request in requests:
        lanes.gave(request)
    assert lanes.match(3, now=1) == ([], [])
    lanes.gave(requests[0])
    lanes.gave(requests[2])
    assert lanes.match(2, now=2) == ([], [requests[1]])


def test_stays_that_the_engine_never_heard_of_are_joined_again() -> None:
    request = Request(1, "page", queued=0)
    request.seated(0, 1)
    request.preempted(2)
    request.seated(1, 3)
    request.corrected(scheduled=0.5, preemptions=0)
    assert [(stay.lane, stay.since, stay.until) for stay in request.stays] == [(1, 0.5, None)]


def test_a_request_is_told_from_beginning_to_end_in_the_engines_own_times() -> None:
    clock = Clock()
    board = Board(1, clock)
    request = board.opened("page-a", 7)
    assert (request.state, board.places()) == ("waiting", {request.id: 1})
    clock.now += 1
    board.stepped(Step(1, 0))
    assert request.state == "prefill"
    clock.now += 1
    told = {"queued": 1000.1, "scheduled": 1000.9, "first": 1001.9}
    board.gave(request, Progress(tokens=1, last=1001.9, cached_tokens=4, **told))
    board.gave(request, Progress(tokens=2, last=1003.4, **told))
    board.gave(request, Progress(tokens=5, last=1003.9, **told))
    assert board.find("page-a") is request
    clock.now += 1
    board.ended(request, "stop", freed=True)
    board.closed("page-a", [request], "aborted")
    timing = request.timing()
    assert [round(x, 3) for x in (timing.queue, timing.prefill, timing.decode)] == [0.8, 1.0, 2.0]
    assert timing.tokens == 5 and request.state == "ended" and request.end == "stop"
    assert (round(request.worst_itl or 0, 3), request.cached_tokens) == (1.5, 4)
    assert board.find("page-a") is None
    assert (board.ends["page", "stop"], board.ends.total(), board.tokens["page"]) == (1, 1, 5)


def test_one_that_left_while_it_waited_has_only_waited() -> None:
    clock = Clock()
    board = Board(1, clock)
    request = board.opened("page-a", 7)
    clock.now += 2
    board.closed("page-a", [request], "aborted")
    timing = request.timing()
    assert (timing.queue, timing.prefill, timing.decode, timing.tokens) == (2.0, 0.0, 0.0, 0)


def test_two_requests_of_one_name_are_two() -> None:
    board = Board(2, Clock())
    one, two = board.opened("cmpl-same", 1), board.opened("cmpl-same", 1)
    board.closed("cmpl-same", [one], "aborted")
    assert board.find("cmpl-same") is two and two.ended is None
    board.closed("cmpl-same", [two], "stop")
    assert (board.find("cmpl-same"), board.ends.total()) == (None, 2)


def test_a_dead_engine_ends_every_request_as_failed() -> None:
    board = Board(2, Clock())
    requests = [board.opened(f"page-{i}", 1) for i in range(3)]
    board.stepped(Step(2, 1))
    board.reset(EngineFacts(2))
    assert {request.end for request in requests} == {"failed"}
    assert (board.running, board.waiting) == (0, 0)


def test_memory_is_bounded_by_the_window_and_whatever_the_load() -> None:
    clock = Clock()
    board = Board(1, clock)
    for i in range(ENDED_AT_MOST + 50):
        board.closed(f"page-{i}", [board.opened(f"page-{i}", 1)], "stop")
    for _ in range(TICKS_AT_MOST + 50):
        board.stepped(Step(1, 0, 1))
    assert len(board.within(WINDOW)) == ENDED_AT_MOST
    assert len(board.steps.since(0)) == TICKS_AT_MOST
    clock.now += WINDOW + 1
    assert board.within(WINDOW) == []


def test_occupancy_is_weighted_by_time() -> None:
    clock = Clock()
    board = Board(2, clock)
    request = board.opened("page-a", 1)
    board.stepped(Step(1, 0))
    clock.now += 30
    board.ended(request, "stop", freed=True)
    clock.now += 30
    assert board.occupancy() == 0.25


def test_prefix_hits_are_of_the_last_minute_and_unknown_without_a_look_up() -> None:
    clock = Clock()
    board = Board(2, clock)
    assert board.prefix_hits() is None
    board.stepped(Step(1, 0, 1, prefix_queries=100, prefix_hits=75))
    assert board.prefix_hits() == 0.75
    clock.now += 61
    assert board.prefix_hits() is None


def test_of_an_engine_elsewhere_only_what_comes_back_is_drawn() -> None:
    board = Board(clock=(clock := Clock()))
    seen, frames = SeenFromHere(board), Frames(board)
    assert frames.frame() is not None  # the whole: another engine
    with ExitStack() as requests:
        given = [requests.enter_context(seen.request(f"page-{index}", 7)) for index in range(3)]
        assert (board.running, board.waiting, board.places()) == (0, 3, {})
        clock.now += 2
        for request in given[:2]:
            request.gave(1, 8)
        clock.now += 3
        given[0].gave(2)
        given[0].end = "stop"
        frame = frames.frame()
        assert frame is not None and (frame["running"], frame["waiting"]) == (2, 1)
        assert (frame["engine"]["seen_from_here"], frame["engine"]["lanes"]) == (True, 2)
        figures = frame["figures"]
        assert figures["occupancy"] is None and figures["kv"] is None and figures["tps"]["generation"] > 0
        timing = board.find("page-0").timing()  # type: ignore[union-attr]
        assert (timing.split, timing.ttft, timing.decode, timing.tokens, timing.prompt_tokens) == (False, 2, 3, 3, 8)
    assert [row[8] for row in frames.full()["requests"]] == ["aborted", "aborted", "stop"]
    ended = board.ended_within(WINDOW)
    assert latencies(ended)["queue"].n == 0 and latencies(ended)["ttft"].p50 == 2 and board.saved() is None
    assert (board.running, board.waiting, board.lanes.leaving, board.step.running) == (0, 0, 0, 0)


def test_there_are_as_many_rows_as_an_engine_elsewhere_answered_at_once_but_not_any_number() -> None:
    board = Board()
    seen = SeenFromHere(board)
    with ExitStack() as requests:
        for index in range(ROWS_AT_MOST + 5):
            requests.enter_context(seen.request(f"page-{index}", 1)).gave(1)
        assert (board.lanes.count, board.running, board.waiting) == (ROWS_AT_MOST, ROWS_AT_MOST, 5)
    assert (board.running, board.waiting) == (0, 0)


def test_doors_are_told_apart_by_the_ids_prefix() -> None:
    assert [door_of(new_id(door)) for door in DOORS] == list(DOORS) and new_id("page") != new_id("page")
    doors = [door_of(id) for id in ("page-1", "demo-1", "evaluation-1", "chatcmpl-1", "cmpl-1")]
    assert doors == ["page", "demo", "evaluation", "api", "api"]


def test_a_sliding_sum_forgets() -> None:
    total = SlidingSum(window=3, buckets=6)
    total.add(5, now=10.0)
    assert total.total(now=12.4) == 5
    assert total.total(now=13.6) == 0
    total.add(3, now=1e6)
    assert total.rate(now=1e6) == 1
