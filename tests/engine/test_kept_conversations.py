"""Conversations of the real app: a server that is killed in the midst of an answer, and the one that is started after it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import stat
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.app_process import running_app, tab
from tests.conftest import ENDLESS, PATIENCE, with_room
from webui.data_folder import DATABASE, KEY
from webui.markdown import render

pytestmark = pytest.mark.engine

LONG = {"sampling": {"temperature": 1.0, "min_tokens": ENDLESS, "max_tokens": ENDLESS, "seed": 3}}


async def kept(data: Path, blocks: list[str]) -> None:
    """Waits until the database has what these blocks of a running answer were made from."""
    deadline = time.monotonic() + PATIENCE
    while list(render(_text_of_running_answer(data))[: len(blocks)]) != blocks:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def _text_of_running_answer(data: Path) -> str:
    with contextlib.closing(sqlite3.connect(data / DATABASE, timeout=PATIENCE)) as database:
        texts = database.execute("select text from message where role = 'assistant' and \"end\" is null").fetchall()
    return texts[0][0] if texts else ""


async def test_a_killed_servers_answer_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    data = (*with_room(tmp_path / "demo_model"), "--data-dir", str(tmp_path / "data"))
    with running_app(*data) as first:
        first.wait_until_ready()
        children = first.children()
        async with tab(first.url) as one:
            whole = await one.ask("Hello!")
            id = await one.send("Tell me a long story about a fox.", **LONG)
            await one.wait_for(lambda: len(one.answer(id).blocks) >= 2 or len(one.answer(id).streamed) > 1500)
            cookies, chat, blocks = one.client.cookies, one.chat, list(one.answer(id).blocks)
            await kept(tmp_path / "data", blocks)
            first.end(signal.SIGKILL)
        for child in children:
            if child.is_running():
                child.kill()
        psutil.wait_procs(children, 10)
    assert {DATABASE, KEY} <= {path.name for path in (tmp_path / "data").iterdir()}
    assert stat.S_IMODE((tmp_path / "data" / KEY).stat().st_mode) == 0o600
    with running_app(*data) as second:
        client = httpx.AsyncClient(base_url=second.url, timeout=120, cookies=cookies)
        async with tab(second.url, client=client, chat=chat) as again:
            shown = again.shown()
            assert [message["text"] for message in shown[:3]] == ["Hello!", whole.text, "Tell me a long story about a fox."]
            assert shown[3]["end"] == "interrupted" and shown[3]["blocks"][: len(blocks)] == blocks
            before = shown[3]["text"]
            response = await again.post("continue", message=id, sampling={"max_tokens": 20, "min_tokens": 20})
            assert response.status_code == 202, response.text
            answer = await again.answered(id)
            assert answer.text.startswith(before) and len(answer.text) > len(before) and answer.end == "length"
        async with tab(second.url, chat="0" * 32) as stranger:
            assert (await stranger.client.get(f"/api/chats/{chat}/export")).status_code == 404
