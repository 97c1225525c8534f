"""What a kiosk survives with nobody there: a server elsewhere that goes away and comes back, and its own server killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app_process import AppProcess, running_app
from tests.browser.conftest import PATIENCE, picture
from tests.faulty_server import DONE, Do, FaultyServer, event, says, streams
from tests.paced_engine import kiosk_file

pytestmark = pytest.mark.browser

CHAT = "/v1/chat/completions"
MODELS = {"object": "list", "data": [{"id": "far", "owned_by": "vllm", "max_model_len": 8192}]}


def says_words(count: int) -> Do:
    """An answer of so many tokens, at a walk."""
    words = [event("word ", usage={"prompt_tokens": 9, "completion_tokens": 1 + i}) for i in range(count)]
    return streams(*words, event("", "stop", usage={"prompt_tokens": 9, "completion_tokens": count}), DONE, every=0.02)


class Elsewhere:
    """An OpenAI-compatible server in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._server = FaultyServer({"/v1/models": [says(200, MODELS)]})
        self.answer(says_words(60))

    def answer(self, do: Do) -> None:
        """What it does with every question from now on."""
        self._server.told[CHAT] = [do]

    def asked(self) -> int:
        """How many questions it got."""
        return len(self._server.asked(CHAT))

    def come(self) -> None:
        """Listens, always at the same port."""
        self._run(self._server.start())

    def go(self) -> None:
        """Is gone, and every connection to it with it."""
        self._run(self._server.stop())

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(180)

    def arguments(self) -> tuple[str, ...]:
        """Of an app before it."""
        return ("--engine", "openai", "--base-url", self._server.url)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Elsewhere(loop)
    server.come()
    yield server
    server.go()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str) -> Iterator[tuple[Page, Locator]]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, has_touch=True, locale="en-US")
    context.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    page.goto(url)
    yield page, page.locator("kiosk-screen")
    context.close()
    assert complaints == []


def shows(screen: Locator, name: str) -> None:
    expect(screen).to_have_attribute("data-screen", name, timeout=PATIENCE)


def engine_is(screen: Locator, where: str) -> None:
    expect(screen).to_have_attribute("data-engine", where, timeout=PATIENCE)


def press(page: Page, action: str, nth: int = 0) -> None:
    page.locator(f"[data-action={action}]").nth(nth).tap()


def test_a_server_elsewhere_goes_away_and_comes_back(browser: Browser, elsewhere: Elsewhere, tmp_path: Path) -> None:
    file = kiosk_file(tmp_path, attract_requests="4", idle_seconds="3600", together_tokens="8")
    with running_app("--kiosk", str(file), *elsewhere.arguments()) as app, opened(browser, app.url) as (page, screen):
        engine_is(screen, "here")
        expect(page.locator(".batch .sentence")).to_contain_text("As seen from here: 4 being answered")
        elsewhere.go()
        engine_is(screen, "gone")
        expect(page.locator(".news")).to_contain_text("not answering yet")
        page.screenshot(path=picture("kiosk-remote-gone"))
        before = elsewhere.asked()
        elsewhere.come()
        engine_is(screen, "here")
        expect(page.locator(".news")).to_be_hidden()
        expect(page.locator(".batch .sentence")).to_contain_text("4 being answered", timeout=PATIENCE)
        assert elsewhere.asked() > before, "the attract loop goes on"

        press(page, "begin")
        shows(screen, "ready")
        elsewhere.answer(streams(event("on and "), then="endless"))
        press(page, "ask")
        shows(screen, "streaming")
        elsewhere.go()
        shows(screen, "answered")
        expect(page.locator(".message[data-end=failed]")).to_contain_text("on and")
        engine_is(screen, "gone")
        press(page, "examples")
        press(page, "ask", 1)
        shows(screen, "answered")
        expect(page.locator(".message").last).to_contain_text("could not be finished")
        page.screenshot(path=picture("kiosk-remote-refused"))
        elsewhere.answer(says_words(8))
        elsewhere.come()
        engine_is(screen, "here")
        press(page, "examples")
        press(page, "ask", 2)
        shows(screen, "answered")
        expect(page.locator(".message").last).to_contain_text("word word")

        press(page, "examples")
        press(page, "compare")
        comparison = page.locator(".comparison")
        expect(comparison).to_have_attribute("data-phase", "done", timeout=PATIENCE)
        expect(comparison.locator(".fine")).to_contain_text("8 prompts of 8 tokens.")
        assert "lane" not in comparison.locator(".fine").inner_text(), "how many there are is not known here"
        assert "127.0.0.1" not in page.content(), "where the server is concerns nobody here"
        page.screenshot(path=picture("kiosk-remote-together"))


def test_the_kiosks_own_server_is_killed_and_started_again(browser: Browser, elsewhere: Elsewhere, tmp_path: Path) -> None:
    file = kiosk_file(tmp_path, attract_requests="0", idle_seconds="3600")
    app = AppProcess("--kiosk", str(file), *elsewhere.arguments())
    port = urlsplit(app.url).port
    with opened(browser, app.url) as (page, screen):
        engine_is(screen, "here")
        press(page, "begin")
        press(page, "ask")
        shows(screen, "answered")
        app.end(signal.SIGKILL)
        expect(page.locator(".news")).to_contain_text("connection is lost")
        with running_app("--kiosk", str(file), *elsewhere.arguments(), "--port", str(port)):
            shows(screen, "attract")
            engine_is(screen, "here")
            expect(page.locator(".news")).to_be_hidden()
            press(page, "begin")
            press(page, "ask", 1)
            shows(screen, "answered")
            expect(page.locator(".message").last).to_contain_text("word word")
