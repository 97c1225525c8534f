"""A run asks everything once: with pauses, when it is cancelled, when its process is killed, when answers fail."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from tests import told_run
from tests.app_process import ROOT
from webui.errors import BadInput, EngineFailed
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.prompts import read
from webui.evaluation.runs import Answer, Ask, Journal, Run, read_journal
from webui.evaluation.variants import Variant


def questions(count: int) -> list[Ask]:
    rows = read("rows.jsonl", "\n".join(f'{{"prompt": "{i}"}}' for i in range(count)).encode()).rows
    return Plan("x", [Variant("v")], []).asks(rows, Variant("v"), "engine")


class Teller:
    """Answers when told; knows how many questions are on their way."""

    def __init__(self, told: bool = True) -> None:
        self.asked: list[Ask] = []
        self.here = 0
        self.most = 0
        self.go = asyncio.Event()
        if told:
            self.go.set()

    async def __call__(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        self.here += 1
        self.most = max(self.most, self.here)
        try:
            await self.go.wait()
            await asyncio.sleep(0)
            return Answer(ask.key, ask.about, "yes", "stop")
        finally:
            self.here -= 1


async def until(condition: object) -> None:
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_everything_is_asked_once_and_no_more_at_once_than_allowed(tmp_path: Path) -> None:
    teller, journal = Teller(), Journal(tmp_path / "answers.jsonl")
    run = Run(questions(40), journal, teller, 7, warm_up=3)
    await run.run()
    assert Counter(ask.key for ask in teller.asked) == Counter(ask.key for ask in questions(40))
    assert teller.most == 7
    assert (run.progress.state, run.progress.done, run.progress.failed) == ("finished", 40, 0)
    assert sum(answer.warm_up for answer in journal.answers.values()) == 3
    again = Run(questions(40), journal, teller, 7)
    await again.run()
    assert len(teller.asked) == 40 and (again.progress.kept, again.progress.state) == (40, "finished")


async def test_no_variant_waits_behind_another(tmp_path: Path) -> None:
    rows = read("rows.jsonl", b"\n".join(b'{"prompt": "%d"}' % i for i in range(6))).rows
    asks = [ask for name in "ab" for ask in Plan("x", [], []).asks(rows, Variant(name), "engine")]
    teller = Teller(told=False)
    task = asyncio.create_task(Run(asks, Journal(tmp_path / "answers.jsonl"), teller, 100).run())
    await until(lambda: teller.here == 6)
    assert {ask.about["variant"] for ask in teller.asked} == {"a"}
    teller.go.set()
    await task
    assert len(teller.asked) == 12 and teller.most == 6


async def test_a_paused_run_asks_nothing_more_until_it_goes_on(tmp_path: Path) -> None:
    teller = Teller(told=False)
    run = Run(questions(20), Journal(tmp_path / "answers.jsonl"), teller, 4)
    task = asyncio.create_task(run.run())
    await until(lambda: teller.here == 4)
    run.pause()
    teller.go.set()
    await until(lambda: run.progress.done == 4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(teller.asked) == 4 and run.progress.state == "paused"
    run.resume()
    await task
    assert run.progress.done == 20


async def test_a_cancelled_run_leaves_every_lane_and_goes_on_later(tmp_path: Path) -> None:
    teller, journal = Teller(told=False), Journal(tmp_path / "answers.jsonl")
    run = Run(questions(20), journal, teller, 4)
    task = asyncio.create_task(run.run())
    await until(lambda: teller.here == 4)
    run.cancel()
    await task
    assert (run.progress.state, teller.here, len(journal.answers)) == ("cancelled", 0, 0)
    teller.go.set()
    await Run(questions(20), journal, teller, 4).run()
    assert len(journal.answers) == 20


async def test_a_failure_is_written_down_with_its_reason_and_asked_again_next_time(tmp_path: Path) -> None:
    journal, asked = Journal(tmp_path / "answers.jsonl"), []

    async def answer(ask: Ask) -> Answer:
        asked.append(ask.about["row"])
        if ask.about["row"] == "3" and asked.count("3") == 1:
            return Answer(ask.key, ask.about, error={"code": "request_refused", "message": "no", "params": {}})
        return Answer(ask.key, ask.about, "yes", "stop")

    first = Run(questions(5), journal, answer, 2)
    await first.run()
    assert (first.progress.done, first.progress.failed) == (4, 1)
    assert [a.error["message"] for a in journal.answers.values() if a.error] == ["no"]
    second = Run(questions(5), journal, answer, 2)
    await second.run()
    assert (second.progress.kept, second.progress.done, second.progress.failed) == (4, 5, 0)
    assert Counter(asked) == {"1": 1, "2": 1, "3": 2, "4": 1, "5": 1}


async def test_a_run_without_an_engine_ends_and_says_why(tmp_path: Path) -> None:
    async def answer(ask: Ask) -> Answer:
        raise EngineFailed(reason="no memory")

    run = Run(questions(5), Journal(tmp_path / "answers.jsonl"), answer, 2)
    with pytest.raises(EngineFailed):
        await run.run()
    assert run.progress.state == "failed" and run.error is not None and "no memory" in run.error["message"]


def test_two_runs_never_write_into_one_folder(tmp_path: Path) -> None:
    first = Journal(tmp_path / "answers.jsonl")
    with pytest.raises(BadInput, match="another run"):
        Journal(tmp_path / "answers.jsonl")
    first.close()
    Journal(tmp_path / "answers.jsonl").close()


def test_a_line_that_was_cut_short_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(
        orjson.dumps({"key": "a", "about": {}, "text": "x", "end": "stop", "from_later": 1}) + b'\n{"key": "b", "te'
    )
    journal = Journal(path)
    journal.add(Answer("c", {}, "y", "stop"))
    journal.close()
    assert [answer.key for answer in read_journal(path)] == ["a", "c"]


def test_the_key_is_that_of_all_that_is_asked() -> None:
    plan = Plan("x", [], [], repeats=2)
    rows = read("rows.jsonl", b'{"prompt": "x"}\n{"prompt": "x"}').rows
    seeded = {"temperature": 1, "seed": 7}
    variants = [
        Variant("a"),
        Variant("b"),
        Variant.of({"name": "a", "system": "s"}),
        Variant.of({"name": "a", "sampling": seeded}),
    ]
    asks = [ask for variant in variants for engine in ("one", "two") for ask in plan.asks(rows, variant, engine)]
    assert len({ask.key for ask in asks}) == len(asks) == 4 * 2 * 2 * 2
    assert [ask.sampling.seed for ask in plan.asks(rows, variants[3], "one")] == [7, 7, 8, 8]


ROWS, CONCURRENCY = 150, 8


def test_a_run_that_is_killed_asks_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.told_run", str(tmp_path), str(ROWS), str(CONCURRENCY)]
    kills = 3
    for _ in range(kills):
        assert subprocess.run([*command, "40"], cwd=ROOT).returncode == -signal.SIGKILL
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    wanted = {ask.key for ask in told_run.asks(Folder.open(tmp_path))}
    answered = Counter(answer.key for answer in read_journal(tmp_path / "answers.jsonl"))
    assert set(answered) == wanted and set(answered.values()) == {1} and len(wanted) == 2 * ROWS
    # Only what was on its way in the moment of a kill, its answer not yet there, was asked again.
    asked = Counter((tmp_path / "asked.log").read_text().split())
    assert sum(asked.values()) - len(wanted) <= kills * CONCURRENCY
    results = Folder.open(tmp_path).results()
    assert [results.values(name, "exact") for name in ("a", "b")] == [{str(i + 1): 1.0 for i in range(ROWS)}] * 2
