"""One kiosk's screen in a real browser, used by finger or by keyboard, before the real app around an engine that is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.paced_engine import Script, ServedApp

LONG = 60_000  # ms; a busy machine stalls
ENDLESS = "on and on and " * 2000


class Screen:
    """A page with the kiosk."""

    def __init__(self, page: Page, served: ServedApp) -> None:
        self.page = page
        self.served = served
        self.script: Script = served.script
        self.kiosk: Any = served.app.kiosk

    def shows(self, screen: str) -> None:
        """Waits until it shows this."""
        self.page.locator(f"kiosk-screen[data-screen={screen}]").wait_for(timeout=LONG)

    def touch(self, action: str, nth: int = 0) -> None:
        """Touches a button."""
        self.page.locator(f"[data-action={action}]").nth(nth).tap(timeout=LONG)

    def begin(self, language: str = "en") -> None:
        """Touches to begin."""
        self.shows("attract")
        self.page.locator(f"[data-action=begin][lang={language}]").tap(timeout=LONG)
        self.shows("ready")

    def write(self, keys: str) -> None:
        """Touches keys of the keyboard on the screen."""
        for key in keys:
            self.page.locator(f".keys button[aria-label='{key}']").tap(timeout=LONG)

    def pass_time(self, seconds: float) -> None:
        """Lets so many seconds pass on the page's clock; the page must have been opened with `clock`."""
        self.page.clock.run_for(int(seconds * 1000))

    def is_free(self) -> None:
        """Waits until nothing runs, waits or is remembered."""
        board, visits = self.served.app.board, self.kiosk.visits
        for _ in range(600):
            people = [request for request in [*board.lanes.running, *board.lanes.waiting] if request.door == "page"]
            if not people and not len(visits):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError((len(visits), board.running, board.waiting))


@contextmanager
def screen(browser: Browser, served: ServedApp, *, clock: bool = False, **options: Any) -> Iterator[Screen]:
    """A screen that somebody may touch; whatever its page complains of fails the test."""
    size = {"width": 1920, "height": 1080}
    context: BrowserContext = browser.new_context(
        **{"viewport": size, "has_touch": True, "locale": "en-US", "reduced_motion": "reduce", **options}
    )
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    if clock:
        page.clock.install()
    page.goto(served.url)
    one = Screen(page, served)
    one.shows("attract")
    expect(page.locator("kiosk-screen")).to_have_attribute("data-engine", "here", timeout=LONG)
    try:
        yield one
    finally:
        context.close()
    assert complaints == []
