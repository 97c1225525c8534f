"""Logging in, chatting and logging out in a real browser, under the path of a proxy; the engine does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESKTOP, PATIENCE, PHONE, Visit, picture
from tests.browser.test_accessibility import violations
from tests.told_app import HASH, PASSWORD, House, PrefixProxy, house, served, users_file
from webui.settings import Settings
from webui.ui.texts import load_texts

pytestmark = pytest.mark.browser

TEXTS = load_texts()


class Server:
    """The application behind a proxy, in a thread with a loop of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, one: House, url: str) -> None:
        self._loop = loop
        self._engine: Any = one.app.supervisor.engine
        self.url = url

    def say(self, text: str, end: Any = None) -> None:
        """The engine says this to the request that runs."""
        asyncio.run_coroutine_threadsafe(self._engine.say(text, end), self._loop).result(120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for this module, with alice and bob."""
    users = users_file(tmp_path_factory.mktemp("login"), alice=HASH, bob=HASH)
    started: Future[Server] = Future()
    stop = asyncio.Event()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            one = await stack.enter_async_context(house(patch, auth=str(users), root_path="/chat", grace=60))
            await one.app.page.mount("/chat")
            address = await stack.enter_async_context(served(one.app.asgi, one.app.settings))
            public = await stack.enter_async_context(served(PrefixProxy(address, "/chat"), Settings()))
            started.set_result(Server(asyncio.get_running_loop(), one, f"http://{public}/chat/"))
            await stop.wait()
            one.app.everybody.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    yield started.result(120)
    loop.call_soon_threadsafe(stop.set)
    thread.join(120)


@contextlib.contextmanager
def visiting(browser: Browser, server: Server, **options: Any) -> Iterator[Visit]:
    """A browser of somebody new; what its pages complain of, or ask of another origin, fails the test."""
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", "reduced_motion": "reduce", **options})
    visit = Visit(context, server.url)
    try:
        yield visit
    finally:
        context.close()
    assert visit.complaints == [] and visit.foreign_requests() == []


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.locator("#name").fill(name)
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def test_login_chat_logout(browser: Browser, server: Server) -> None:
    with visiting(browser, server) as visit:
        page = visit.context.new_page()
        chat = "c" * 32
        page.goto(f"{server.url}#{chat}")
        expect(page.locator("#name")).to_be_focused(timeout=PATIENCE)
        log_in(page, "alice", "a wrong password")
        expect(page.locator("#problem")).to_have_text(TEXTS["en"]["error.login_failed"], timeout=PATIENCE)
        expect(page.locator("#password")).to_be_focused()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.locator("#message textarea").wait_for(timeout=PATIENCE)
        assert page.url == f"{server.url}#{chat}", "it is the conversation that was asked for"
        expect(page.locator("#account")).to_have_text("alice", timeout=PATIENCE)

        page.locator("#message textarea").fill("Who am I?")
        page.locator("#send").click()
        server.say("You are **alice**.\n\n")
        server.say("", "stop")
        answer = page.locator(".message[data-role=assistant]").last
        expect(answer).to_have_attribute("data-state", "ended", timeout=PATIENCE)
        expect(answer.locator("strong")).to_have_text("alice")
        page.screenshot(path=picture("login-inside"))

        page.evaluate("sessionStorage.setItem('batchat.draft', 'x'); localStorage.setItem('batchat.draft', 'x')")
        page.locator("#account").click()
        page.get_by_role("menuitem").click()
        page.locator("#name").wait_for(timeout=PATIENCE)
        assert page.evaluate("[sessionStorage.length, localStorage.getItem('batchat.draft')]") == [0, None]

        log_in(page, "bob")
        expect(page.locator("#account")).to_have_text("bob", timeout=PATIENCE)
        expect(page.locator("#middle .banner, page-notice, chat-transcript").first).not_to_contain_text("Who am I?")
        expect(page.locator("chat-list nav a")).to_have_count(0)


def test_an_open_page_becomes_the_login_when_its_session_ends(browser: Browser, server: Server) -> None:
    with visiting(browser, server) as visit:
        page, other = visit.context.new_page(), visit.context.new_page()
        for tab in (page, other):
            tab.goto(server.url)
            if tab is page:
                log_in(tab, "alice")
            expect(tab.locator("#account")).to_have_text("alice", timeout=PATIENCE)
        page.bring_to_front()
        page.locator("#account").click()
        page.get_by_role("menuitem").click()
        page.locator("#name").wait_for(timeout=PATIENCE)
        other.bring_to_front()
        other.locator("#name").wait_for(timeout=PATIENCE)


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_login_fits_its_window(browser: Browser, server: Server, size: dict[str, Any], scheme: str, locale: str) -> None:
    texts = TEXTS[locale[:2]]
    with visiting(browser, server, viewport=size, color_scheme=scheme, locale=locale) as visit:
        page = visit.context.new_page()
        page.goto(server.url)
        expect(page.locator("h1")).to_have_text(texts["login.title"], timeout=PATIENCE)
        assert violations(page) == []
        page.get_by_label(texts["login.name"]).fill("nobody")
        page.get_by_label(texts["login.password"]).fill("a wrong password")
        page.get_by_role("button", name=texts["login.submit"]).click()
        expect(page.get_by_role("alert")).not_to_be_empty(timeout=PATIENCE)
        assert violations(page) == []
        page.screenshot(path=picture(f"login-{'phone' if size is PHONE else 'desktop'}-{scheme}-{locale[:2]}"))
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth && scrollY === 0")
        dark = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).every((x) => x < 60)"
        )
        assert dark == (scheme == "dark") and page.locator("html").get_attribute("lang") == locale[:2]
