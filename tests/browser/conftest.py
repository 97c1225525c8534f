"""A real browser: Chromium, Chrome or Edge, whichever the machine has; without one the tests are skipped in one loud line,
with CI=true they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.app_process import ROOT, AppProcess
from tests.paced_engine import WORDS, ServedApp

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
# Nothing of the browser's own may look for a network; its sandbox does not work as root.
FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-default-apps"),
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]
PICTURES = ROOT / "test-results"
PATIENCE = 180_000  # milliseconds; a machine that does other things besides stands still for some of them
GREEDY = """try { sessionStorage['batchat.controls'] ??= '{"system":"","sampling":{"temperature":0}}' } catch {}"""
DESKTOP, PHONE = {"width": 1280, "height": 820}, {"width": 390, "height": 844}


expect.set_options(timeout=PATIENCE)


def find_browser() -> str | None:
    """The path of a browser on this machine."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module; for longer its event loop would be in the way of the tests that have their own."""
    path = find_browser()
    if path is None:
        message = "NO BROWSER: install Chromium, Chrome or Edge to run the browser tests"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=4 * PATIENCE)
        yield running
        running.close()


class Visit:
    """One visitor's browser: tabs of a context of its own, and every request that they made."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.requested: list[str] = []
        self.complaints: list[str] = []
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: self.requested.append(request.url))
        context.on("console", lambda message: self._listen(message))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _listen(self, message: Any) -> None:
        # The browser itself reports a refused request; that is a test's business.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def tab(self, fragment: str = "", *, heard: bool = True) -> Page:
        """A new tab with the chat page, ready to be used; its stream has told of the engine, if it is to hear anything."""
        page = self.context.new_page()
        page.goto(self.url + fragment)
        page.locator("#message textarea").wait_for()
        known = ":not([data-stage=unknown])" if heard else ""
        page.locator(f"#engine-status[data-stage]{known}").wait_for(state="attached")
        return page

    def foreign_requests(self) -> list[str]:
        """What was asked of another origin."""
        own = urlsplit(self.url).netloc
        return [url for url in self.requested if urlsplit(url).scheme.startswith("http") and urlsplit(url).netloc != own]


@contextmanager
def visiting(browser: Browser, app: AppProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Makes visitors; whatever a page complains of in its console, or asks of another origin, fails the test."""
    visits: list[Visit] = []

    def make(**options: Any) -> Visit:
        context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", "reduced_motion": "reduce", **options})
        visits.append(Visit(context, app.url))
        return visits[-1]

    yield make
    for one in visits:
        for number, page in enumerate(one.context.pages):
            if getattr(request.node, "failed", False):
                page.screenshot(path=picture(f"failed-{request.node.name}-{number}"))
        one.context.close()
        assert one.complaints == []
        assert one.foreign_requests() == []


@pytest.fixture
def visit(browser: Browser, app: AppProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Visitors of the app with its engine, whose answers are the likeliest unless a test asks for others."""
    with visiting(browser, app, request) as make:

        def greedy(**options: Any) -> Visit:
            one = make(**options)
            one.context.add_init_script(GREEDY)
            return one

        yield greedy


@pytest.fixture
def echo_visit(browser: Browser, echo_app: AppProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Visitors of the app that says what it was asked."""
    with visiting(browser, echo_app, request) as make:
        yield make


def picture(name: str) -> Path:
    """Where a picture of this name goes; `test-results/` is not tracked."""
    PICTURES.mkdir(exist_ok=True)
    return PICTURES / f"{name}.png"


@pytest.fixture
def told(served: ServedApp) -> Iterator[ServedApp]:
    """The app that a file of tests serves, its engine afterwards as it was at the start."""
    yield served
    served.script.words = WORDS
    served.script.starts.set()
    served.script.steps.set()
