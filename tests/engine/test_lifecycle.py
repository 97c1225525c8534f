"""The app's own life: page first, messages before the engine is ready, a dead engine, the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.app_process import ROOT, AppProcess, Tab, running_app, tab
from tests.conftest import ENDLESS, PATIENCE, with_room

pytestmark = pytest.mark.engine

LONG = {"sampling": {"temperature": 1.0, "min_tokens": ENDLESS, "max_tokens": ENDLESS}}
LONG_ENOUGH = {"sampling": {"temperature": 1.0, "min_tokens": 1900, "max_tokens": 1900}}


def shared_memory(processes: list[psutil.Process]) -> set[Path]:
    """What these processes have open in the machine's shared memory."""
    mapped: set[Path] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it may have ended
            mapped |= {Path(region.path) for region in process.memory_maps()}
    return {path for path in mapped if path.parent == Path("/dev/shm")}


def lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def gone(children: list[psutil.Process], memory: set[Path]) -> None:
    """Waits until no child lives on and nothing of the shared memory is left, once their helper has tidied up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        alive = [child for child in children if lives(child)]
        left = {path for path in memory if path.exists()}
        if not alive and not left:
            return
        assert time.monotonic() < deadline, (alive, left)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app that has only just been started; the tests of this module follow it to its end."""
    with running_app(*with_room(tmp_path_factory.mktemp("model") / "demo_model")) as app:
        yield app


async def test_the_address_answers_within_two_seconds_and_says_what_is_loading(starting: AppProcess) -> None:
    page = httpx.get(starting.url, timeout=PATIENCE)
    assert page.status_code == 200 and "api/status" in page.text
    status = starting.status()
    # Counted in processor seconds of the app, which a busy machine does not stretch.
    user = psutil.Process(starting.process.pid).cpu_times().user
    assert starting.looks < 20 or user < 2 or status["elapsed"] < 2
    assert status["stage"] in ("importing", "loading")
    early = httpx.get(f"{starting.url}/v1/models", timeout=PATIENCE)
    assert early.status_code == 503 and early.json()["error"]["code"] == "engine_not_ready"
    assert httpx.get(f"{starting.url}/health", timeout=PATIENCE).status_code == 503


async def test_a_message_sent_before_the_engine_is_ready_waits_and_is_answered(starting: AppProcess) -> None:
    async with tab(starting.url) as one:
        assert one.latest("status")["stage"] in ("importing", "loading")
        id = await one.send("What is the first letter of English alphabets?", sampling={"temperature": 0})
        await one.wait_for(lambda: bool(one.shown()))
        assert one.shown()[-1]["state"] == "waiting"
        assert (await one.post("budget", text="x")).status_code == 503
        answer = await one.answered(id)
        assert answer.end == "stop" and "A" in answer.text
        stages = [data["stage"] for kind, data in one.events if kind == "status"]
        assert [s for i, s in enumerate(stages) if s not in stages[:i]][-3:] == ["loading", "warming", "ready"]
    assert httpx.get(f"{starting.url}/health", timeout=PATIENCE).status_code == 200
    assert "<gradio-app" in httpx.get(starting.url, timeout=PATIENCE).text


@pytest.mark.parametrize("victim", ["EngineCore"])
async def test_a_killed_engine_is_started_again(starting: AppProcess, victim: str) -> None:
    starting.wait_until_ready()
    async with tab(starting.url) as one, tab(starting.url) as two:
        id = await one.send("Tell me a story.", **LONG)
        await one.wait_for(lambda: len(one.answer(id).streamed) > 20)
        engine = next(child for child in starting.children() if victim in child.name() or victim in str(child.cmdline()))
        engine.kill()
        answer = await one.answered(id)
        assert answer.end == "failed" and len(answer.text) >= 20
        assert answer.error is not None and answer.error["code"] == "engine_stopped"
        waiting = await two.send("What is the last letter of English alphabets?", sampling={"temperature": 0})
        assert httpx.get(f"{starting.url}/health", timeout=PATIENCE).status_code == 503
        refused = httpx.get(f"{starting.url}/v1/models", timeout=PATIENCE)
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "engine_restarting"
        answered = await two.answered(waiting)
        assert answered.end == "stop" and "Z" in answered.text
        assert (await one.ask("Hello!")).end == "stop"
        program = httpx.post(f"{starting.url}/v1/completions", json={"prompt": "a", "max_tokens": 2}, timeout=120)
        assert program.status_code == 200, program.text
        assert two.latest("board")["running"] <= starting.status()["lanes"] == 4


async def test_a_signal_lets_a_running_answer_have_its_seconds_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    with running_app(temporary=tmp_path) as app:
        app.wait_until_ready()
        children = app.children()
        memory = shared_memory(children)
        assert any("EngineCore" in str(child.cmdline()) for child in children)
        port = int(app.url.rpartition(":")[2])
        one = await Tab(app.url).open()
        short = await one.send("Hello!", sampling={"temperature": 0})
        two = await Tab(app.url, client=one.client).open()
        endless = await two.send("Tell me a story.", **LONG_ENOUGH)
        await two.wait_for(lambda: len(two.answer(endless).streamed) > 0)
        began = time.monotonic()
        app.process.send_signal(signal.SIGINT)
        assert (await one.answered(short)).end == "stop" or time.monotonic() - began >= 4
        await two.wait_for(lambda: two.answer(endless).end is not None)
        answer = two.answer(endless)
        assert answer.end in ("interrupted", "length") and answer.text
        assert answer.end == "length" or time.monotonic() - began >= 4
        status = await asyncio.to_thread(app.end, signal.SIGCONT)
        await asyncio.gather(one.close(), two.close(), return_exceptions=True)
        await one.client.aclose()
    assert status == 0, app.output
    gone(children, memory)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    kept = f"torchinductor_{os.getuid()}"  # what torch compiles is kept for the next start
    assert [path.name for path in tmp_path.iterdir() if path.name != kept] == []
    assert "Traceback" not in app.output


async def test_a_signal_while_the_engine_starts_ends_everything_too(starting: AppProcess) -> None:
    with running_app() as app:
        # Whoever looks late finds it ready; then it ends all the same.
        app.wait_for(lambda status: status["stage"] in ("loading", "warming", "ready") and len(app.children()) > 1)
        children = app.children()
        memory = shared_memory(children)
        assert app.end(signal.SIGTERM) == 0
    gone(children, memory)


def broken_model(tmp_path: Path, change: Callable[[Path], None]) -> str:
    """A copy of the demo model with something wrong."""
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "assets" / "demo_model", folder)
    change(folder)
    return str(folder)


def without_chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = folder / "tokenizer_config.json"
    values = json.loads(config.read_text())
    values.pop("chat_template", None)
    config.write_text(json.dumps(values))


def an_encoder(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": ["BertModel"]}))


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [
        ("/no/such/model", "model_not_found", "/no/such/model"),
        ("no-such-organisation/no-such-model", "model_offline", "no-such-organisation/no-such-model"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model_incomplete", "weights"),
        (an_encoder, "model_not_text", "BertModel"),
        (without_chat_template, "no_chat_template", "--chat-template"),
    ],
)
async def test_a_model_that_cannot_be_used_is_said_on_the_page_and_on_the_terminal(
    tmp_path: Path, model: str | Callable[[Path], None], code: str, said: str
) -> None:
    path = model if isinstance(model, str) else broken_model(tmp_path, model)
    with running_app("--model", path) as app:
        status = app.wait_for(lambda status: status["stage"] == "failed")
        assert status["error"]["code"] == code and said in status["error"]["message"]
        assert status["error"]["message"] in app.log.read_text()
        assert httpx.get(f"{app.url}/health", timeout=PATIENCE).status_code == 503
        async with tab(app.url) as one:
            answer = await one.answered(await one.send("Hello!"))
            assert answer.end == "failed" and answer.error is not None and answer.error["code"] == code
        assert app.process.poll() is None
        assert app.end() == 0


def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "webui", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"Port {port} on 127.0.0.1 is taken")
    assert "Traceback" not in done.stderr


def test_a_bad_setting_is_one_clear_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "webui", "--max-num-seqs", "0"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "--max-num-seqs: 0 is outside of 1 and more"
