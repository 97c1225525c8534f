"""The board beside the real engine: its books agree with vLLM's, it can be read by programs, and shows nobody's words."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from tests.app_process import GUARD, ROOT, AppProcess, Tab, tab
from tests.conftest import GRACE, PATIENCE
from tests.engine.test_answers import LONG, STORY, busy, fill, idle, leave

pytestmark = pytest.mark.engine

SMALL_KV_CACHE = 7_077_888  # bytes: 18 blocks of 128 tokens of the demo model, hardly more than one full context
CANARY = "canary-5814"


def client(app: AppProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=app.url, timeout=PATIENCE, headers=GUARD)


async def board(app: AppProcess, **query: Any) -> dict[str, Any]:
    async with client(app) as http:
        response = await http.get("/api/board", params=query)
        assert response.status_code == 200, response.text
        return response.json()


def demo(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [request for request in requests if request["door"] == "demo"]


async def until(condition: Any, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_the_books_agree_with_vllms_own_and_the_lanes_with_every_step() -> None:
    """A process of its own: the engine's counters and steps are looked at from within."""
    command = [sys.executable, "-m", "tests.engine.board_truth", str(SMALL_KV_CACHE)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["board"] == found["vllm"]
    assert found["wrong"] == [] and found["steps"] > 200 and found["most running"] == 4
    assert found["board"]["prompt_tokens_cached"] > 0
    assert found["left over"] == [0, 0]
    assert found["requests"] == found["ids"] == 8 + 3 + 4 + 3 + 2 + 2 + 3 + 2 + 3 + 4
    assert found["ends"]["aborted"] >= 3 and found["never scheduled"] >= 1 and found["ends"]["stop"] >= 1
    assert found["board"]["num_preemptions"] > 0 and found["stays"] > 0
    assert found["live without output"] and found["without worst ITL"] == 0


async def test_twelve_on_four_lanes_as_programs_see_it(app: AppProcess) -> None:
    await idle(app)
    tabs = await fill(app, 12)
    try:
        await busy(app, running=4, waiting=8)
        seen = await board(app)
        live = [request for request in seen["requests"] if request["ended"] is None]
        assert (seen["version"], seen["engine"]["lanes"], seen["running"], seen["waiting"]) == (2, 4, 4, 8)
        assert sorted(request["lane"] for request in live if request["lane"] is not None) == [0, 1, 2, 3]
        assert sum(request["lane"] is None for request in live) == 8
        assert all(0 <= request["queued"] <= seen["t"] for request in live)
    finally:
        await leave(tabs)
    await idle(app)
    seen = await board(app, window=600)
    assert (seen["running"], seen["waiting"]) == (0, 0)
    assert sum(request["end"] == "aborted" for request in seen["requests"]) >= 12


async def test_the_trace_and_the_table_are_the_boards(app: AppProcess) -> None:
    async with tab(app.url) as one:
        await one.ask("Hello!")
    async with client(app) as http:
        trace = await http.get("/api/board/trace", params={"window": 600})
        table = await http.get("/api/board/requests.csv")
        assert "batchat-trace.json" in trace.headers["content-disposition"]
        assert {event["ph"] for event in trace.json()["traceEvents"]} >= {"M", "X", "C"}
        rows = list(csv.DictReader(table.text.splitlines()))
        known = [request["id"] for request in (await board(app, window=600))["requests"]]
        assert known and [int(row["id"]) for row in rows][-len(known) :] == known  # the oldest may have gone meanwhile
        last = max(rows, key=lambda row: int(row["id"]))
        assert last["end"] == "stop" and float(last["e2e_ms"]) >= float(last["ttft_ms"]) > 0


@pytest.mark.parametrize("query", [{"window": "0"}, {"window": "601"}, {"steps": "x"}, {"ttft": "-1"}, {"itl": "nan"}])
async def test_a_window_is_checked(app: AppProcess, query: dict[str, str]) -> None:
    async with client(app) as http:
        response = await http.get("/api/board", params=query)
    assert (response.status_code, response.json()["error"]["params"]["field"]) == (400, next(iter(query)))


async def test_a_wall_gets_the_engine_and_the_board_alone(app: AppProcess) -> None:
    kinds: list[str] = []
    async with client(app) as http, tab(app.url) as one, http.stream("GET", "/api/stream?board=1") as wall:
        await one.ask("Hello!", max_tokens=30)
        async for line in wall.aiter_lines():
            kinds += [line[7:]] if line.startswith("event: ") else []
            if kinds.count("board") > 3:
                break
    assert set(kinds) - {"ping"} == {"status", "board"}


async def test_nobodys_words_names_or_addresses_are_told(app: AppProcess) -> None:
    seen: list[str] = []
    async with client(app) as http, tab(app.url) as one, http.stream("GET", "/api/stream?board=1") as wall:
        answer = await one.ask(f"My name is {CANARY}. {STORY}", max_tokens=60)
        row = f'[{one.shown()[-1]["request"]},"page"'
        async for line in wall.aiter_lines():
            seen.append(line)
            if row in line and f'"{answer.end}"' in line:
                break
        for path in ("/api/board?window=600", "/api/board/trace", "/api/board/requests.csv", "/metrics", "/api/status"):
            seen.append((await http.get(path)).text)
        seen += [json.dumps(data) for kind, data in one.events if kind == "board"]
        visitor = one.client.cookies["batchat_visitor"]
        told = "\n".join(seen)
        for secret in (CANARY, visitor, one.chat, "127.0.0.1", answer.text[:40]):
            assert secret and secret not in told


async def test_metrics_count_turns_requests_watchers_and_bytes(app: AppProcess) -> None:
    async def nobody() -> bool:
        return (await metrics(app))["webui_watchers"] == 0

    await until(nobody)
    before = await metrics(app)
    async with tab(app.url) as one:
        for _ in range(2):
            assert (await one.ask(STORY, max_tokens=3)).end == "length"
        await one.send(STORY, **LONG)
        await one.wait_for(lambda: one.shown()[-1].get("state") == "decode")
        assert (await metrics(app))["webui_watchers"] - before["webui_watchers"] == 1
        await one.post("stop")
    await idle(app)
    after = await metrics(app)

    def grew(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grew('webui_turns_total{end="length"}') == grew('webui_requests_total{door="page",end="length"}') == 2
    assert grew('webui_turns_total{end="aborted"}') == 1
    vllm = {name.partition("{")[0]: name for name in after if name.startswith("vllm:generation_tokens_total")}
    assert grew(vllm["vllm:generation_tokens_total"]) == grew('webui_tokens_total{door="page"}') > 6
    assert grew("webui_stream_bytes_total") > 1000


async def test_every_metric_of_the_dashboard_is_there(app: AppProcess) -> None:
    dashboard = json.loads((ROOT / "assets" / "grafana" / "batchat.json").read_text(encoding="utf-8"))
    there = {name.partition("{")[0] for name in await metrics(app)}
    wanted = {name for expression in expressions(dashboard) for name in names(expression)}
    assert any(name.startswith("vllm:") for name in wanted) and any(name.startswith("webui_") for name in wanted)
    assert wanted <= there, wanted - there


def expressions(node: Any) -> list[str]:
    """Every PromQL expression of a dashboard."""
    if isinstance(node, dict):
        own = [node["expr"]] if isinstance(node.get("expr"), str) else []
        return own + [found for value in node.values() for found in expressions(value)]
    return [found for value in node for found in expressions(value)] if isinstance(node, list) else []


def names(expression: str) -> list[str]:
    """The metrics that an expression reads."""
    return re.findall(r"\b(?:vllm:|webui_)[a-z0-9_]+", expression)


async def metrics(app: AppProcess) -> dict[str, float]:
    async with client(app) as http:
        response = await http.get("/metrics")
    assert response.status_code == 200
    lines = [line.rpartition(" ") for line in response.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_the_grace_time_that_ran_out_is_counted(app: AppProcess) -> None:
    before = (await metrics(app))["webui_grace_expiries_total"]
    one = await Tab(app.url).open()
    await one.send(STORY, **LONG)
    await busy(app, running=1, waiting=0)
    await one.close()
    await idle(app)
    assert (await metrics(app))["webui_grace_expiries_total"] - before == 1
    await one.client.aclose()


async def test_show_me_fills_the_batch_yields_to_people_and_stops_at_once(app: AppProcess) -> None:
    await idle(app)
    async with tab(app.url) as one:
        for _ in range(8):  # a lane may become free by itself just then, or all be over before anybody looks
            known = {each["id"] for each in demo((await board(app, window=600))["requests"])}
            response = await one.client.post("/api/demo", json={"count": 64}, headers=GUARD)
            assert (response.status_code, response.json()) == (202, {"count": 64})

            async def full_or_over() -> bool:
                seen = await board(app)
                return (seen["running"] == 4 and seen["figures"]["demo"] >= 5) or not seen["figures"]["demo"]

            await until(full_or_over)
            answer = await one.ask("Hello!", max_tokens=10)
            assert answer.timing is not None and answer.timing["tokens"] > 0
            seen = await board(app, window=600)
            shown = [each for each in demo(seen["requests"]) if each["id"] not in known]
            assert (await one.client.delete("/api/demo", headers=GUARD)).status_code == 204
            await idle(app)
            assert (await board(app))["figures"]["demo"] == 0
            if any(each["end"] == "aborted" for each in shown):
                break
        else:
            raise AssertionError("no lane was given up for it")
        mine = next(each for each in seen["requests"] if each["id"] == one.shown()[-1]["request"])
        assert any(each["ended"] is None or each["ended"] > mine["ended"] for each in shown), "it waited for all of them"


async def test_show_me_ends_when_who_asked_for_it_has_gone(app: AppProcess) -> None:
    await idle(app)
    one = await Tab(app.url).open()
    asked = time.monotonic()
    assert (await one.client.post("/api/demo", json={"count": 64}, headers=GUARD)).status_code == 202
    response = await one.client.post("/api/demo", json={"count": 64}, headers=GUARD)
    full = (response.status_code, response.json().get("error", {}).get("code")) == (429, "demo_full")
    assert full or time.monotonic() - asked > 5, "only if they are over already there is room for more"
    left = time.monotonic()
    await one.close()
    await one.client.aclose()
    await asyncio.sleep(1)
    seen = await board(app)
    newest = sorted(demo(seen["requests"]), key=lambda request: request["id"])[-64:]
    stopped = any(request["end"] == "aborted" for request in newest)
    assert not stopped or time.monotonic() - left >= GRACE
    await idle(app)


@pytest.mark.parametrize("body", [{"count": 3}, {"count": 65}, {"count": True}, {"count": "8"}, {}])
async def test_how_many_to_show_is_checked(app: AppProcess, body: dict[str, Any]) -> None:
    async with client(app) as http:
        response = await http.post("/api/demo", json=body)
        assert (response.status_code, response.json()["error"]["params"]["field"]) == (400, "count")
    async with httpx.AsyncClient(base_url=app.url, timeout=PATIENCE) as stranger:
        assert (await stranger.post("/api/demo", json={"count": 4})).status_code == 400
        assert (await stranger.delete("/api/demo")).status_code == 400
