"""Planted answers come to known numbers, and the files that say so are inert and say where they come from."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest

from webui.conversation import Sampling
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.judge import Judge
from webui.evaluation.plots import plots
from webui.evaluation.prompts import read
from webui.evaluation.results import Rating, busy_seconds
from webui.evaluation.runs import Answer, Journal
from webui.evaluation.variants import Variant

EVIL = "=cmd|' /C calc'!A0 <script>alert(1)</script><img src=x onerror=alert(1)>"
ENGINE = {"fingerprint": "sha256 abc", "model": "m", "effective": {"max_num_seqs": 4}, "versions": {"vllm": "0.30.0"}}


def times(queued: float, first: float, last: float, tokens: int) -> dict[str, Any]:
    moments = {"queued": queued, "scheduled": queued, "first": first, "last": last, "ended": last}
    return {**moments, "worst_itl": 0.01, "prompt_tokens": 3, "tokens": tokens, "split": True}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Two variants, eight rows: `good` is right 8 times, `poor` twice; one answer failed, one row is bad."""
    rows = [
        f'{{"id": "r{i}", "prompt": "q{i} {"{}"}", "reference": "yes", "tags": ["{"even" if i % 2 == 0 else "odd"}"]}}'
        for i in range(8)
    ]
    prompts = read("rows.jsonl", "\n".join([*rows, "broken"]).encode())
    made = Folder.make(tmp_path / "run", Plan(EVIL, [Variant("good"), Variant("poor", EVIL)], ["exact"]), prompts)
    made.engines = {"good": ENGINE, "poor": ENGINE}
    made.save()
    journal = Journal(made.journal)
    for variant in made.plan.variants:
        for i, ask in enumerate(made.plan.asks(prompts.rows, variant, "sha256 abc")):
            if variant.name == "poor" and i == 7:
                error = {"code": "request_refused", "message": EVIL, "params": {}}
                journal.add(Answer(ask.key, ask.about, error=error, end="failed"))
                continue
            text = "yes" if variant.name == "good" or i < 2 else EVIL
            journal.add(Answer(ask.key, ask.about, text, "stop", times=times(i, i + 0.1, i + 1.1, 11), warm_up=i == 0))
    journal.close()
    return Folder.open(made.path)


def test_the_numbers_are_those_that_were_planted(folder: Folder) -> None:
    summary = folder.results().summary()
    good, poor = summary["variants"]["good"], summary["variants"]["poor"]
    assert (good["answered"], poor["answered"], poor["failed"]) == (8, 7, 1)
    assert good["scores"]["exact"]["mean"] == 1.0
    assert poor["scores"]["exact"]["mean"] == pytest.approx(2 / 7) and poor["scores"]["exact"]["n"] == 7
    assert poor["by_tag"]["even"]["exact"]["mean"] == 0.25
    assert good["latency"]["ttft"] == {"n": 7, **dict.fromkeys(("p50", "p95", "p99", "max"), pytest.approx(0.1))}
    # Rows 1 to 7 without the warm-up, each in the engine from i to i + 1.1: 7.1 seconds in all.
    assert good["seconds"] == pytest.approx(7.1)
    assert good["tokens_per_second"] == pytest.approx(77 / 7.1)
    (pair,) = summary["pairs"]
    # Of the seven rows that both answered, five differ, all one way: p is 2 / 2 ** 5.
    assert (pair["n"], pair["mean"]) == (7, pytest.approx(5 / 7))
    assert pair["p"] == pytest.approx(2 / 2**5) and not pair["shown"]
    assert [bad["number"] for bad in summary["bad"]] == [9]


def test_what_people_said_counts_once_per_person(folder: Folder) -> None:
    for stars, rater in ((1, "x"), (5, "x"), (3, "y")):
        folder.rate(Rating("r0", "good", 0, rater, passed=stars > 1, stars=stars, comment=EVIL))
    found = Folder.open(folder.path).results()
    assert found.values("good", "human_rating") == {"r0": pytest.approx((1.0 + 0.5) / 2)}
    assert found.values("good", "human_pass") == {"r0": 1.0}
    assert found.scored[0].comments == [EVIL, EVIL]


def test_answers_to_another_plan_in_the_same_folder_do_not_count(folder: Folder) -> None:
    changed = Plan("later", [Variant("good", "another system prompt")], ["exact"])
    later = Folder.make(folder.path, changed, folder.prompts)
    assert later.results().scored == []


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attributes)))


def test_the_page_is_inert_and_needs_nothing_else(folder: Folder) -> None:
    page = folder.reports()["report.html"].decode()
    tags = _Tags()
    tags.feed(page)
    assert {tag for tag, _ in tags.seen}.isdisjoint({"script", "img", "link", "iframe", "object", "form", "a"})
    assert not [a for _, attributes in tags.seen for a in attributes if a.startswith("on") or a in ("src", "href", "style")]
    assert "default-src 'none'" in page and "url(" not in page and "@import" not in page
    assert page.count("<svg") >= 4 and "sha256 abc" in page and "0.30.0" in page


def test_plots_are_well_formed_and_nothing_leaves_them(folder: Folder) -> None:
    summary = folder.results().summary()
    assert summary["variants"]["good"]["spread"] == {"ttft": [0.1] * 100, "e2e": [1.1] * 100}
    drawn = plots(summary)
    assert [(plot.kind, plot.of) for plot in drawn] == [
        ("latency", "ttft"),
        ("latency", "e2e"),
        ("by_tag", "exact"),
        ("quality", "exact"),
    ]
    for plot in drawn:
        svg = ElementTree.fromstring(plot.svg)
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        for mark in svg.iter():
            across = [float(mark.attrib[name]) for name in ("x", "x1", "x2", "cx") if name in mark.attrib]
            down = [float(mark.attrib[name]) for name in ("y", "y1", "y2", "cy") if name in mark.attrib]
            assert all(0 <= x <= width for x in across) and all(0 <= y <= height for y in down), mark.attrib
    assert "good: p95 1100.0 ms, n=7" in drawn[1].svg and "poor · even: 0.250" in drawn[2].svg


def test_of_variants_without_an_answer_there_is_no_plot(folder: Folder) -> None:
    Path(folder.journal).unlink()
    assert plots(folder.results().summary()) == []


def test_no_cell_is_a_formula(folder: Folder) -> None:
    text = folder.reports()["summary.csv"].decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    texts = [cell for row in rows for cell in row if not re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)]
    assert [cell for cell in texts if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == [] and any(
        "'=cmd" in cell for cell in texts
    )
    exact = next(row for row in rows if row[:3] == ["good", "", "exact"])
    assert (exact[3], exact[6]) == ("1.0", "8") and exact[8].startswith("1 if the answer is a reference")
    assert ["good", "poor", "exact"] in [row[:3] for row in rows] and "no difference shown" in text


def test_the_lines_bear_provenance_and_every_answer(folder: Folder) -> None:
    folder.write_reports()
    head, *lines = [orjson.loads(line) for line in (folder.path / "results.jsonl").read_bytes().splitlines()]
    assert head["provenance"]["engines"]["good"]["fingerprint"] == "sha256 abc"
    assert head["provenance"]["plan"]["variants"][1]["sampling"]["temperature"] == 0
    assert len(lines) == 16 and {line["row"] for line in lines} == {f"r{i}" for i in range(8)}
    assert sum(line["error"] is not None for line in lines) == 1


def test_every_answer_of_the_judge_is_kept_as_it_came(folder: Folder) -> None:
    folder.plan.judge = Judge(Variant("judge"))
    folder.engines["judge"] = ENGINE
    asks = folder.judge_asks()
    journal = Journal(folder.journal)
    for ask in asks:
        better = "A" if ask.about["first"] == "good" else "B"
        journal.add(Answer(ask.key, ask.about, f"It says {EVIL}, so [[{better}]]", "stop"))
    journal.close()
    lines = [orjson.loads(line) for line in folder.reports()["results.jsonl"].splitlines()]
    said = [line for line in lines if "judge" in line]
    assert len(said) == len(asks) == 14 and {(line["first"], line["verdict"]) for line in said} == {("good", 1), ("poor", 0)}
    assert all(line["answer"].startswith("It says =cmd") and line["judge"] == "judge" for line in said)
    assert lines[0]["summary"]["variants"]["good"]["scores"]["judge"]["mean"] == 1.0


def test_a_seed_that_the_engine_does_not_heed_is_named(folder: Folder) -> None:
    sampled = Variant("sampled", sampling=Sampling(temperature=1.0, seed=7))
    made = Folder.make(folder.path, Plan("x", [Variant("good"), sampled], []), folder.prompts)
    made.engines = {name: {**ENGINE, "ignored": ["seed"]} for name in ("good", "sampled")}
    assert made.results().summary()["unheeded"] == {"sampled": ["seed"]}
    assert "sampled: its engine does not heed seed." in made.reports()["report.html"].decode()


def test_seconds_of_two_sessions_are_those_of_two_clocks() -> None:
    answers = [
        Answer(str(i), {}, session=s, end="stop", times=times(q, q, q + 2, 2))
        for i, (s, q) in enumerate([("a", 0), ("a", 1), ("b", 0)])
    ]
    assert busy_seconds(answers) == pytest.approx(3 + 2)
