"""One kiosk's screen in a real browser, used by finger or by keyboard, before the real app around an engine that is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE
from tests.paced_engine import Script, ServedApp

ENDLESS = "on and on and " * 2000
SLICE = 10  # seconds of the page's clock at once
KEYS_AT_MOST = 80  # steps from one end of a screen to the other

Hand = Literal["finger", "keys"]


class Screen:
    """A page with the kiosk, and how somebody uses it: by finger, or by a keyboard alone."""

    def __init__(self, page: Page, served: ServedApp, by: Hand = "finger") -> None:
        self.page = page
        self.served = served
        self.by = by
        self.script: Script = served.script
        self.kiosk: Any = served.app.kiosk

    def shows(self, screen: str) -> None:
        """Waits until it shows this."""
        self.page.locator(f"kiosk-screen[data-screen={screen}]").wait_for(timeout=PATIENCE)

    def press(self, action: str, nth: int = 0) -> None:
        """Presses a button."""
        button = self.page.locator(f"[data-action={action}]").nth(nth)
        if self.by == "finger":
            button.tap(timeout=PATIENCE)
            return
        expect(button).to_be_enabled(timeout=PATIENCE)
        for _ in range(KEYS_AT_MOST):
            if button.evaluate("one => one === document.activeElement"):
                self.page.keyboard.press("Enter")
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no key leads to {action}")

    def heard(self) -> str:
        """Waits until the screen listens to the visit that has begun; the id of that one."""
        for _ in range(PATIENCE // 100):
            heard = [id for id, visit in self.kiosk.visits._visits.items() if visit.chat.channel.watchers]
            if heard:
                return str(heard[0])
            self.page.wait_for_timeout(100)
        raise AssertionError(self.kiosk.visits._visits)

    def begin(self, language: str = "en") -> None:
        """Begins a visit."""
        self.shows("attract")
        self.press("begin", ["en", "ko"].index(language))
        self.shows("ready")

    def write(self, keys: Sequence[str]) -> None:
        """Touches keys of the keyboard on the screen, or uses one that is plugged in."""
        for key in keys:
            if self.by == "finger":
                named = f".keys button[aria-label='{key}'], .keys button[aria-label$=', {key}']"
                self.page.locator(".keys .space" if key == " " else named).tap(timeout=PATIENCE)
            else:
                self.page.keyboard.type(key)

    def pass_time(self, seconds: float) -> None:
        """Lets so many seconds pass on the page's clock, which must have been opened with `clock`; what the server sends
        meanwhile is heard."""
        while seconds > 0:
            self.page.clock.run_for(int(min(seconds, SLICE) * 1000))
            self.page.wait_for_timeout(100)
            seconds -= SLICE

    def is_free(self) -> None:
        """Waits until nothing runs, waits or is remembered."""
        board, visits = self.served.app.board, self.kiosk.visits
        for _ in range(PATIENCE // 100):  # longer than the grace of a visit that nobody watches
            people = [request for request in [*board.lanes.running, *board.lanes.waiting] if request.door == "page"]
            if not people and not len(visits):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError((len(visits), board.running, board.waiting))


@contextmanager
def screen(
    browser: Browser, served: ServedApp, *, by: Hand = "finger", clock: bool = False, **options: Any
) -> Iterator[Screen]:
    """A screen that somebody may use; whatever its page complains of fails the test."""
    size = {"width": 1920, "height": 1080}
    context: BrowserContext = browser.new_context(
        **{"viewport": size, "has_touch": True, "locale": "en-US", "reduced_motion": "reduce", **options}
    )
    context.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    page = context.new_page()
    if clock:
        page.clock.install()
    page.goto(served.url)
    one = Screen(page, served, by)
    one.shows("attract")
    expect(page.locator("kiosk-screen")).to_have_attribute("data-engine", "here", timeout=PATIENCE)
    try:
        yield one
    finally:
        context.close()
        for visit in list(one.kiosk.visits._visits.values()):
            served.loop.call_soon_threadsafe(one.kiosk.visits.end, visit)
    assert complaints == []
