"""What the evaluation pages ask of the server: runs of one visitor, blind comparisons, votes and standings."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.answering_app import EvaluationWorld
from webui.engines.base import Priority
from webui.evaluation.comparisons import Comparisons, names_itself
from webui.evaluation.evaluations import differences
from webui.evaluation.variants import Variant
from webui.evaluation.votes import matches, table
from webui.history.records import Vote

ROWS = [{"id": f"r{i}", "prompt": f"say w{i}", "reference": f"w{i}", "tags": ["odd" if i % 2 else "even"]} for i in range(20)]
VARIANTS = [{"name": "plain"}, {"name": "loud", "system": "CAPITALS"}]
SIDES = [{"name": name, "system": system} for name, system in (("plain", ""), ("loud", "CAPITALS"))]


def file(*rows: dict[str, Any] | str) -> dict[str, str]:
    lines = b"\n".join(row.encode() if isinstance(row, str) else orjson.dumps(row) for row in rows)
    return {"name": "rows.jsonl", "content": base64.b64encode(lines).decode()}


async def begun(client: httpx.AsyncClient, *rows: dict[str, Any] | str, **plan: Any) -> str:
    answer = await client.post("/api/evaluations", json={**file(*rows), "plan": {"variants": VARIANTS, **plan}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def when(client: httpx.AsyncClient, id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while not condition(run := (await client.get(f"/api/evaluations/{id}")).json()):
            await asyncio.sleep(0.01)
    return run


def over(run: dict[str, Any]) -> bool:
    return not run["active"]


async def test_a_file_is_looked_at_with_its_bad_rows() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        seen = (await client.post("/api/evaluations/preview", json=file(*ROWS[:2], "broken"))).json()
        assert (seen["rows"], seen["tags"], seen["bad"]) == (2, ["even", "odd"], [{"number": 3, "reason": "is not JSON"}])
        assert "exact" in seen["scores"] and seen["first"][0]["prompt"] == "say w0"
        refused = await client.post("/api/evaluations/preview", json={"name": "x.doc", "content": ""})
        assert refused.status_code == 400


async def test_a_run_gives_the_planted_results_and_its_files() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        refused = {"id": "no", "prompt": "refuse", "reference": "x"}
        id = await begun(client, *ROWS, refused, scores=["exact", "contains"], judge={"variant": {"name": "judge"}})
        run = await when(client, id, over)
        assert run["progress"]["state"] == "finished" and run["error"] is None
        found = (await client.get(f"/api/evaluations/{id}/results")).json()
        variants = found["summary"]["variants"]
        assert variants["plain"]["scores"]["exact"]["mean"] == 1.0 and variants["loud"]["scores"]["exact"]["mean"] == 0.0
        assert variants["loud"]["scores"]["contains"]["mean"] == 1.0
        assert (variants["plain"]["failed"], variants["plain"]["latency"]["ttft"]["n"]) == (1, 16)
        (exact,) = [pair for pair in found["summary"]["pairs"] if pair["score"] == "exact"]
        assert exact["shown"] and exact["mean"] == 1.0
        assert found["summary"]["judge"]["agreed"] == 20 and len(found["rows"]) == 42 and found["plots"]
        parts = (await client.get(f"/api/evaluations/{id}/differences?row=r1&first=plain&second=loud")).json()["parts"]
        assert parts == [["gone", "w1"], ["new", "W1"]]
        report = await client.get(f"/api/evaluations/{id}/files/report.html")
        assert "sandbox" in report.headers["content-security-policy"] and b"planted" in report.content
        assert world.engine.priorities == {Priority.EVALUATION} and world.engine.most == 3  # of four lanes


async def test_a_run_pauses_goes_on_and_is_cancelled() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        id = await begun(client, *({**row, "prompt": f"wait and {row['prompt']}"} for row in ROWS), variants=VARIANTS[:1])
        await when(client, id, lambda _: world.engine.here == 3)
        await client.post(f"/api/evaluations/{id}/pause")
        assert (await client.get(f"/api/evaluations/{id}")).json()["progress"]["state"] == "paused"
        await client.post(f"/api/evaluations/{id}/cancel")
        run = await when(client, id, over)
        assert (run["progress"]["state"], run["progress"]["done"], world.engine.here) == ("cancelled", 0, 0)
        world.engine.go.set()
        await client.post(f"/api/evaluations/{id}/resume")
        assert (await when(client, id, over))["progress"]["done"] == 20


async def test_a_run_that_is_begun_before_the_engine_waits_for_it() -> None:
    world = EvaluationWorld(None)
    world.history.start()
    try:
        async with world.client() as client:
            id = await begun(client, *ROWS[:2])
            run = await when(client, id, lambda run: run["active"])
            assert (run["progress"]["state"], run["progress"]["done"]) == ("waiting", 0)
            world.supervisor.start()
            assert (await when(client, id, over))["progress"]["state"] == "finished"
    finally:
        await world.__aexit__()


async def test_what_failed_is_asked_again_and_the_results_know() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        id = await begun(client, {"id": "no", "prompt": "refuse and say yes"}, variants=VARIANTS[:1])
        assert (await when(client, id, over))["progress"]["failed"] == 1
        assert (await client.get(f"/api/evaluations/{id}/results")).json()["rows"][0]["error"]["code"] == "request_refused"
        world.engine.refuses = False
        await client.post(f"/api/evaluations/{id}/resume")
        assert (await when(client, id, over))["progress"]["done"] == 1
        (row,) = (await client.get(f"/api/evaluations/{id}/results")).json()["rows"]
        assert (row["answer"], row["error"]) == ("yes", None)


async def test_a_run_is_its_visitors_alone_and_outlives_the_server(tmp_path: Path) -> None:
    async with EvaluationWorld(tmp_path) as world, world.client() as client, world.client() as stranger:
        id = await begun(client, *ROWS[:4])
        await when(client, id, over)
        rating = {"row": "r1", "variant": "loud", "passed": False, "stars": 1, "comment": "too loud"}
        assert (await client.post(f"/api/evaluations/{id}/ratings", json=rating)).status_code == 200
        assert (await client.post(f"/api/evaluations/{id}/ratings", json={**rating, "row": "x"})).status_code == 400
        for path in ("", "/results", "/files/report.html"):
            assert (await stranger.get(f"/api/evaluations/{id}{path}")).status_code == 404
        assert (await stranger.delete(f"/api/evaluations/{id}")).status_code == 404
        assert (await stranger.get("/api/evaluations")).json()["evaluations"] == []
        cookies = dict(client.cookies)
    async with EvaluationWorld(tmp_path) as world, world.client() as client:
        client.cookies.update(cookies)
        (run,) = (await client.get("/api/evaluations")).json()["evaluations"]
        assert (run["progress"]["state"], run["progress"]["done"]) == ("finished", 8)
        found = (await client.get(f"/api/evaluations/{id}/results")).json()
        assert found["summary"]["variants"]["loud"]["scores"]["human_pass"]["mean"] == 0.0
        assert (await client.delete(f"/api/evaluations/{id}")).status_code == 204
        assert list((tmp_path / "evaluations").iterdir()) == []


async def test_each_variant_is_asked_of_the_engine_that_it_names() -> None:
    async with EvaluationWorld(None, models=["here", "there"]) as world, world.client() as client:
        variants = [{"name": "usual"}, {"name": "other", "model": "there"}]
        judge = {"variant": {"name": "judge", "model": "there"}}
        id = await begun(client, *ROWS[:8], variants=variants, scores=["exact"], judge=judge)
        run = await when(client, id, over)
        assert (run["progress"]["state"], run["error"]) == ("finished", None)
        asked = {name: engine.asked for name, engine in world.engines.items()}
        assert asked == {"here": 8, "there": 8 + 16}
        report = (await client.get(f"/api/evaluations/{id}/files/report.html")).text
        assert "here&#x27;s" in report and "there&#x27;s" in report
        assert [engine.most for engine in world.engines.values()] == [3, 3], "one lane of each is left free"
        plan = {"variants": [{"name": "a", "model": "nowhere"}]}
        refused = await client.post("/api/evaluations", json={**file(*ROWS[:1]), "plan": plan})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_model")


async def test_a_comparison_is_between_the_engines_that_it_names() -> None:
    async with EvaluationWorld(None, models=["here", "there"]) as world, world.client() as client:
        sides = [{"name": "one"}, {"name": "two", "model": "there"}]
        id, _ = await compared(client, "say hello", variants=sides)
        told = (await client.post(f"/api/comparisons/{id}/vote", json={"choice": "tie"})).json()
        assert {side["variant"]: side["model"] for side in told["sides"]} == {"one": "here's", "two": "there's"}
        assert [engine.most for engine in world.engines.values()] == [1, 1]
        body = {"prompt": "say x", "variants": [{"name": "a"}, {"name": "b", "model": "nowhere"}]}
        assert (await client.post("/api/comparisons", json=body)).status_code == 404


@pytest.mark.parametrize("method", ["/api/evaluations", "/api/evaluations/preview", "/api/comparisons"])
async def test_no_foreign_page_acts_in_a_visitors_name(method: str) -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        del client.headers["x-batchat"]
        assert (await client.post(method, json={})).status_code == 400


async def compared(client: httpx.AsyncClient, prompt: str, **more: Any) -> tuple[str, list[str]]:
    """(the comparison's id, the answers as they stand)."""
    texts: dict[int, str] = {}
    async with client.stream("POST", "/api/comparisons", json={"prompt": prompt, "variants": SIDES, **more}) as answer:
        assert answer.status_code == 200, await answer.aread()
        lines = [orjson.loads(line) async for line in answer.aiter_lines()]
    for event in lines[1:]:
        assert "variant" not in event and "name" not in event
        texts[event["side"]] = texts.get(event["side"], "") + event.get("text", "")
    return lines[0]["id"], [texts[i] for i in range(lines[0]["sides"])]


async def test_names_come_after_the_vote_and_votes_are_counted(tmp_path: Path) -> None:
    async with EvaluationWorld(tmp_path) as world, world.client() as client:
        orders = set()
        for _ in range(20):
            id, texts = await compared(client, "say hello", tags=["greeting"])
            orders.add(tuple(texts))
            told = (
                await client.post(f"/api/comparisons/{id}/vote", json={"choice": str(texts.index("HELLO")), "reason": "x"})
            ).json()
            assert [side["variant"] for side in told["sides"]] == ["loud" if text == "HELLO" else "plain" for text in texts]
            assert not told["void"] and all(side["timing"]["tokens"] == 2 for side in told["sides"])
            assert (await client.post(f"/api/comparisons/{id}/vote", json={"choice": "0"})).status_code == 404  # once
        assert orders == {("hello", "HELLO"), ("HELLO", "hello")}
    async with EvaluationWorld(tmp_path) as world, world.client() as client:
        found = (await client.get("/api/standings?tag=greeting")).json()
        assert (found["votes"], found["places"][0]["name"], found["few"], found["tags"]) == (20, "loud", True, ["greeting"])
        (vote, *_) = await world.votes.all()
        assert vote.prompt == "say hello" and vote.reason == "x" and len(vote.voter) == 16
        assert {side["answer"] for side in vote.sides} == {"hello", "HELLO"}
        assert (await client.get("/api/standings?tag=other")).json()["votes"] == 0


async def test_a_vote_is_void_if_an_answer_names_its_model() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        id, _ = await compared(client, "say I am Planted, of course")
        told = (await client.post(f"/api/comparisons/{id}/vote", json={"choice": "tie"})).json()
        assert told["void"]
        assert (await client.get("/api/standings")).json()["votes"] == 0


async def test_what_fails_says_the_id_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        id = await begun(client, {"prompt": "server fails"}, {"prompt": "refuse"}, variants=VARIANTS[:1])
        await when(client, id, over)
        failed, refused = (row["error"] for row in (await client.get(f"/api/evaluations/{id}/results")).json()["rows"])
        assert f"Error {failed['id']}, an answer of an evaluation" in caplog.text and "id" not in refused
        for prompt, code in (("server fails", "server_failed"), ("fault of ours", "internal")):
            id, _ = await compared(client, prompt)
            sides = (await client.post(f"/api/comparisons/{id}/vote", json={"choice": "tie"})).json()["sides"]
            assert [side["error"]["code"] for side in sides] == [code, code]
            assert all(f"Error {side['error']['id']}, an answer of a comparison" in caplog.text for side in sides)


async def test_a_comparison_that_is_left_frees_its_lanes() -> None:
    async with EvaluationWorld(None) as world:
        room = Comparisons(world.registry.backend, world.chats.prompt, world.votes)
        comparison = room.start("me", "wait and say x", [Variant("a"), Variant("b")], [])
        answers = room.answers(comparison)
        first = asyncio.ensure_future(anext(answers))
        async with asyncio.timeout(60):
            while world.engine.here < 2:
                await asyncio.sleep(0.005)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await answers.aclose()
        assert world.engine.here == 0


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("I am Llama 3.1!", "llama-3.1", True),
        ("As llama-3.1, I", "Llama 3.1", True),
        ("Llamas are animals", "llama", False),
        ("AB testing", "AB", False),  # too short to give anything away
        ("", "model", False),
    ],
)
def test_a_name_is_found_as_words(text: str, name: str, named: bool) -> None:
    assert names_itself(text, name) is named


def vote(choice: str, *names: str, void: bool = False) -> Vote:
    return Vote(f"{choice}{names}", 0.0, "v", "p", [], [{"variant": name} for name in names], choice, "", void)


def test_one_of_three_beats_both_others_and_a_tie_is_even() -> None:
    votes = [vote("1", "a", "b", "c"), vote("bad", "a", "b"), vote("0", "a", "b", void=True)]
    assert [[(m.first, m.second, m.point) for m in matches(each)] for each in votes[:2]] == [
        [("b", "a", 1.0), ("b", "c", 1.0)],
        [("a", "b", 0.5)],
    ]
    found = table(votes)
    assert (found["votes"], found["void"]) == (2, 1) and {"winner": "a", "loser": "b", "wins": 0.5} in found["wins"]
    assert table([])["votes"] == 0


def test_differences_are_those_of_words() -> None:
    parts = differences("the quick fox", "the slow fox")
    assert parts == [("same", "the "), ("gone", "quick"), ("new", "slow"), ("same", " fox")]


async def test_a_fault_of_ours_costs_one_answer_and_is_told() -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        id = await begun(client, {"id": "bad", "prompt": "fault of ours"}, *ROWS, variants=VARIANTS[:1])
        progress = (await when(client, id, over))["progress"]
        assert (progress["state"], progress["done"], progress["failed"]) == ("finished", 20, 1)
        rows = (await client.get(f"/api/evaluations/{id}/results")).json()["rows"]
        assert [row["error"]["code"] for row in rows if row["error"]] == ["internal"]


@pytest.mark.parametrize("plan", [{"judge": 1}, {"judge": {"rubric": "x"}}, {"scores": [[]]}])
async def test_a_plan_that_makes_no_sense_is_refused(plan: dict[str, Any]) -> None:
    async with EvaluationWorld(None) as world, world.client() as client:
        answer = await client.post("/api/evaluations", json={**file(*ROWS), "plan": {"variants": VARIANTS, **plan}})
        assert answer.status_code == 400 and answer.json()["error"]["params"]["field"] == next(iter(plan))


def test_a_name_of_underscores_alone_costs_nothing() -> None:
    assert not names_itself("_" * 60 + "a", " ".join("_" * 30))
    assert names_itself("as llama_3.1, I", "Llama 3.1")
