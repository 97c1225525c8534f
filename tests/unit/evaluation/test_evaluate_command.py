"""The command `evaluate` before any engine: what it is told, and which engines it would start in which order."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from webui.errors import BadSetting, UnknownModel
from webui.evaluation import arguments, command
from webui.evaluation.folder import Folder, Plan
from webui.evaluation.judge import Judge
from webui.evaluation.provenance import fingerprint
from webui.evaluation.runs import Answer
from webui.evaluation.variants import Variant
from webui.settings import Settings


def test_each_engine_is_started_once_and_the_judge_comes_last() -> None:
    small, large = {"max_num_seqs": 2}, {"max_num_seqs": 8}
    variants = [Variant("a"), Variant("b", engine=small), Variant("c", "s"), Variant("d", engine=small)]
    plan = Plan("x", variants, [], judge=Judge(Variant("j", engine=large)))
    phases = [(s.max_num_seqs, [v.name for v in vs], judge) for s, vs, judge in command._phases(plan, Settings(port=1))]
    assert phases == [(4, ["a", "c"], False), (2, ["b", "d"], False), (8, ["j"], True)]


def test_a_variant_is_asked_of_the_engine_that_it_names() -> None:
    there = Settings(engine="openai", base_url="http://host:8000/v1", max_tokens=7)
    settings = Settings(port=1, engines=(("here", Settings(max_num_seqs=6)), ("there", there)))
    variants = [Variant("a"), Variant("b", model="there"), Variant("c", model="here"), Variant("d", model="there")]
    plan = Plan("x", variants, [], judge=Judge(Variant("j", model="there", engine={"max_model_len": 99})))
    phases = list(command._phases(plan, settings))
    assert [[v.name for v in variants] for _, variants, _ in phases] == [["a", "c"], ["b", "d"], ["j"]]
    here, other, judge = (engine for engine, _, _ in phases)
    assert (here.engine, here.max_num_seqs, here.engines) == ("local", 6, ())
    assert (other.base_url, other.max_tokens, judge.base_url, judge.max_model_len) == (there.base_url, 7, there.base_url, 99)
    with pytest.raises(UnknownModel, match="nowhere"):
        list(command._phases(Plan("x", [Variant("a", model="nowhere")], []), settings))


def test_two_servers_are_not_taken_for_one() -> None:
    first, second = (Settings(engine="openai", base_url=f"http://{host}/v1") for host in ("a", "b"))
    named = replace(first, model="m", given=frozenset({"model"}))
    triton = Settings(engine="triton", url="a:1", model_name="m")
    assert len({fingerprint(each) for each in (first, second, named, triton)}) == 4


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
    assert arguments.main([*paths, *more]) == 2
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


def test_back_at_an_earlier_model_its_own_answers_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(folder, settings, variants, judge, model, asks, journal):  # type: ignore[no-untyped-def]
        folder.engines |= {each.name: {"fingerprint": model} for each in variants}
        folder.save()
        for each in asks:
            if not journal.has(each):
                journal.add(Answer(each.key, each.about, f"of {model}", "stop"))

    monkeypatch.setattr(command, "_ask", ask)
    monkeypatch.setattr("webui.engines.local.prepare_environment", lambda settings: None)
    monkeypatch.setattr("webui.server.process.end_children", lambda: None)
    monkeypatch.setattr("webui.server.process.private_temporary_folder", contextlib.nullcontext)
    rows = command.read_path(_rows(tmp_path))
    for model in ("X", "Y", "X"):
        monkeypatch.setattr(command, "fingerprint", lambda settings, model=model: model)
        folder = Folder.make(tmp_path / "out", Plan("x", [Variant("a")], ["exact"]), rows)
        command._run_phase(folder, Settings(), folder.plan.variants, False)
    assert set(folder.texts().values()) == {"of X"}
