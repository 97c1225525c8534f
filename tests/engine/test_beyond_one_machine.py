"""Two page processes on one PostgreSQL before two engines, nginx between all of them: docs/nginx.conf, run as it stands."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.app_process import ROOT, AppProcess, Tab, running_app
from tests.engine.test_answers import STORY
from tests.engine.test_lifecycle import shared_memory
from tests.postgres import find_programs, running_cluster

pytestmark = pytest.mark.engine

PATIENT = 600.0  # seconds; the engine that stays writes all of it alone
LONG = {"sampling": {"temperature": 1.0, "min_tokens": 1500, "max_tokens": 1500}}  # the engine that stays writes it to its end
PAGES, ENGINES, FRONT, BACK = ("7861", "7862"), ("8001", "8002"), "8080", "8000"  # the ports in docs/nginx.conf
TABS_AT_MOST = 24


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, and that are given to nobody who asks for just any: those begin at 32768 (Linux)."""
    return list(itertools.islice(filter(is_free, random.sample(range(20_000, 32_000), 1000)), count))


def is_free(port: int) -> bool:
    with socket.socket() as one, contextlib.suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


def program() -> str:
    """nginx; where it, or PostgreSQL, is not installed, one loud line, with CI=true a failure."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None or find_programs() is None:
        message = "NO NGINX, OR NO POSTGRESQL: install Debian's packages nginx and postgresql to run this test"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    return str(nginx)


@contextlib.contextmanager
def running_nginx(program: str, folder: Path, ports: dict[str, str]) -> Iterator[None]:
    """nginx with docs/nginx.conf at other ports, until it listens."""
    (folder / "temp").mkdir()
    text = (ROOT / "docs" / "nginx.conf").read_text()
    for port, free in ports.items():
        assert port in text
        text = text.replace(f"127.0.0.1:{port};", f"127.0.0.1:{free};").replace(f"127.0.0.1:{port} ", f"127.0.0.1:{free} ")
        text = text.replace(f"listen {port};", f"listen 127.0.0.1:{free};")
    (folder / "nginx.conf").write_text(text)
    command = [program, "-p", str(folder), "-e", "error.log", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{ports[FRONT]}/")
                break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "error.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(180)


def kill(app: AppProcess) -> None:
    """Ends it and its engine at once, as a machine that loses its power."""
    children = app.children()
    memory = shared_memory([psutil.Process(app.process.pid), *children])
    app.process.kill()
    for child in children:
        with contextlib.suppress(Exception):
            child.kill()
    app.process.wait(180)
    for path in memory:
        path.unlink(missing_ok=True)  # who would have tidied up was killed too


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENT):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.2)


async def test_no_turn_is_lost_without_being_told_so(app: AppProcess, tmp_path: Path) -> None:
    nginx = program()
    free = [str(port) for port in free_ports(5)]
    ports = dict(zip((*PAGES, ENGINES[1], FRONT, BACK), free, strict=True)) | {ENGINES[0]: app.url.rpartition(":")[2]}
    with contextlib.ExitStack() as stack:
        programs = find_programs()
        assert programs is not None
        database = stack.enter_context(running_cluster(programs)).new_database()
        other = stack.enter_context(running_app("--data-dir", "none", "--port", ports[ENGINES[1]]))
        await asyncio.to_thread(other.wait_until_ready)
        stack.enter_context(running_nginx(nginx, tmp_path, ports))
        shared = ["--engine", "openai", "--base-url", f"http://127.0.0.1:{ports[BACK]}/v1", "--root-path", "/chat"]
        shared += ["--database-url", database, "--data-dir", str(tmp_path / "data"), "--max-turns", "64", "--grace", "60"]
        for engine in (app, other):
            shared += ["--metrics-url", f"{engine.url}/metrics"]
        pages = []
        for port in PAGES:
            pages.append(stack.enter_context(running_app(*shared, "--port", ports[port])))
            pages[-1].url = pages[-1].url.removesuffix("/chat")  # the proxy takes it off, and here is none between
            await asyncio.to_thread(pages[-1].wait_until_ready)
        tabs: list[Tab] = []
        try:
            await load(tabs, f"http://127.0.0.1:{ports[FRONT]}/chat", pages, (app, other))
            await asyncio.to_thread(kill, other)
            await check_that_everybody_was_told(tabs)
            await check_that_both_pages_know(tabs[0], pages, database)
        finally:
            for one in tabs:
                await one.close()
                await one.client.aclose()


async def load(tabs: list[Tab], url: str, pages: list[AppProcess], engines: tuple[AppProcess, AppProcess]) -> None:
    """Visitors with long answers until both pages have some and both engines are in the midst of some."""

    def spread() -> bool:
        watched = all(page.status()["requests"]["running"] > 0 for page in pages)
        return watched and all(engine.status()["requests"]["running"] > 0 for engine in engines)

    while len(tabs) < 4 or not await asyncio.to_thread(spread):
        if len(tabs) == TABS_AT_MOST:
            await until(spread)
            return
        one = await Tab(url).open()
        tabs.append(one)
        id = await one.send(STORY, **LONG)
        await one.wait_for(lambda one=one: bool(one.shown()), PATIENT)
        if len(tabs) <= 4:
            await one.wait_for(lambda one=one, id=id: len(one.answer(id).streamed) > 20, PATIENT)


async def check_that_everybody_was_told(tabs: list[Tab]) -> None:
    """Each answer has come to its end, or says that it broke, keeps its text and goes on at the engine that is left."""
    ids = [one.shown()[-1]["id"] for one in tabs]
    for one, id in zip(tabs, ids, strict=True):
        await one.wait_for(lambda one=one, id=id: one.answer(id).end is not None, PATIENT)
    answers = [one.answer(id) for one, id in zip(tabs, ids, strict=True)]
    broken = [(one, answer) for one, answer in zip(tabs, answers, strict=True) if answer.end == "failed"]
    # vLLM 0.30 now and then lets an answer end before its min_tokens, after others were aborted.
    ends = {answer.end for answer in answers} - {"stop"}
    assert broken and ends == {"length", "failed"}, [answer.end for answer in answers]
    for _, answer in broken:
        assert answer.error is not None and answer.error["code"] in ("connection_broken", "server_failed", "server_unreachable")
    one, answer = broken[0]
    assert answer.text
    response = await one.post("continue", message=answer.message, sampling={"temperature": 0, "max_tokens": 5})
    assert response.status_code == 202, response.text
    await one.wait_for(lambda: one.shown()[-1].get("end") in ("stop", "length"), PATIENT)
    assert one.shown()[-1]["text"].startswith(answer.text)


def is_written(database: str, chat: str, text: str) -> bool:
    """Whether a page process has written what it has shown, which it does a moment later."""
    with psycopg.connect(database) as connection:
        query = "SELECT 1 FROM message WHERE conversation = %s AND text = %s"
        return connection.execute(query, (chat, text)).fetchone() is not None


async def check_that_both_pages_know(one: Tab, pages: list[AppProcess], database: str) -> None:
    """A visitor who lands at the other page process finds the conversation there."""
    text = one.shown()[-1]["text"]
    await until(lambda: all(page.status()["history"] == "keeping" for page in pages))
    await until(lambda: is_written(database, one.chat, text))
    found = []
    for page in pages:
        there = Tab(page.url, chat=one.chat)
        # Its cookies are for /chat, which is the proxy's.
        there.client.headers["cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in one.client.cookies.jar)
        await there.open()
        found.append(there.shown()[-1]["text"] if there.shown() else "")
        await there.close()
        await there.client.aclose()
    assert found == [text, text]
