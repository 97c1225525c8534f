"""The command `evaluate` before any engine: what it is told, and which engines it would start in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.errors import BadSetting
from webui.evaluation import command
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.judge import Judge
from webui.evaluation.variants import Variant
from webui.settings import Settings


def test_each_engine_is_started_once_and_the_judge_comes_last() -> None:
    small, large = {"max_num_seqs": 2}, {"max_num_seqs": 8}
    variants = [Variant("a"), Variant("b", engine=small), Variant("c", "s"), Variant("d", engine=small)]
    plan = Plan("x", variants, [], judge=Judge(Variant("j", engine=large)))
    phases = [(s.max_num_seqs, [v.name for v in vs], judge) for s, vs, judge in command._phases(plan, Settings(port=1))]
    assert phases == [(4, ["a", "c"], False), (2, ["b", "d"], False), (8, ["j"], True)]


def test_an_engine_setting_of_the_wrong_type_is_named() -> None:
    plan = Plan("x", [Variant("a", engine={"max_num_seqs": "many"})], [])
    with pytest.raises(BadSetting, match="max_num_seqs in a"):
        list(command._phases(plan, Settings()))


@pytest.mark.parametrize(
    ("more", "named"),
    [(["--score", "beauty"], "scores"), (["--repeats", "0"], "repeats"), (["--dtype", "int4"], "--dtype")],
)
def test_what_makes_no_sense_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], named: str
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "x"}')
    (tmp_path / "a.toml").write_text("")
    paths = [str(tmp_path / "rows.jsonl"), "--variant", str(tmp_path / "a.toml"), "--out", str(tmp_path / "out")]
    assert command.main([*paths, *more]) == 2
    assert named in capsys.readouterr().err


def test_a_fresh_process_is_told_where_to_go_on() -> None:
    assert command._without_phase(["x", "--phase", "1", "--out", "y"]) == ["x", "--out", "y"]
    assert command._without_phase(["x"]) == ["x"]


def test_a_plan_outlives_its_process(tmp_path: Path) -> None:
    plan = Plan("x", [Variant("a", engine={"max_num_seqs": 2})], ["exact"], repeats=3, judge=Judge(Variant("j"), "Be kind."))
    rows = command.read_path(_rows(tmp_path))
    Folder.make(tmp_path / "out", plan, rows)
    again = Folder.open(tmp_path / "out")
    assert again.plan == plan and again.prompts == rows


def _rows(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text('{"prompt": "x", "reference": "y"}\nbroken\n')
    return path
