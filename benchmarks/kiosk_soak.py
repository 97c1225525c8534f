"""A thousand visits of a kiosk, as a browser makes them: what grows in the page and in the server.

Five kinds of visit take turns: an example and its answer; one in Korean, in high contrast and at 200 %; a question written on
the screen's keyboard; an answer that is stopped; the comparison. Four of five start over, one in five is wiped by the warning's
end. Behind the app is the tests' engine without a model, so that hours of a hall pass in minutes. Printed ten times: JavaScript
heap, DOM nodes and listeners after a collection, resident memory of this process (the server and what drives the browser), and
what the server's maps hold between two visits. The first line is there to be compared with the last; the server's board, which
remembers 5,000 requests and 60,000 steps at most, remembers a tenth of them here, so that it is full from the first line on.
Python's memory holds Playwright's record of all requests too; `--without-browser` asks the server's routes instead, so that its
own memory is seen, and counts what there is of the app's objects.

    python -m benchmarks.kiosk_soak --visits 1000
    python -m benchmarks.kiosk_soak --visits 1000 --without-browser
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

from tests import paced_engine
from tests.browser.conftest import FLAGS, find_browser
from tests.browser.kiosk_screen import LONG, Screen, screen
from tests.paced_engine import ServedApp, kiosk_file, served_app
from tests.unit.test_kiosk_server import screens
from webui.batch import board, steps
from webui.channel import Mailbox

MB = 1e6
WORDS = "A token a step. "


def page_figures(page: Page) -> tuple[float, int, int]:
    """Megabytes of JavaScript heap, DOM nodes and listeners, after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"] / MB
    counters = session.send("Memory.getDOMCounters")
    session.detach()
    return heap, int(counters["nodes"]), int(counters["jsEventListeners"])


def report(after: int, one: Screen, served: ServedApp, began: float) -> None:
    """Prints a line."""
    gc.collect()
    heap, nodes, listeners = page_figures(one.page)
    resident = psutil.Process().memory_info().rss / MB
    library = served.app.chats.library
    held = len(library._visitors) + len(library._chats) + len(one.kiosk.visits)
    columns = f"{after:>7} {heap:>9.2f} {nodes:>6} {listeners:>10} {resident:>9.1f} {held:>5}"
    print(f"{columns} {time.monotonic() - began:>8.0f}", flush=True)


def touch(one: Screen, selector: str, nth: int = 0) -> None:
    """Touches something where it is. Playwright's own tap waits for two frames first, which is most of a short visit."""
    box = one.page.locator(selector).nth(nth).bounding_box(timeout=LONG)
    assert box is not None
    one.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def press(one: Screen, action: str, nth: int = 0) -> None:
    """Touches a button."""
    touch(one, f"[data-action={action}]:enabled", nth)


def begin(one: Screen, language: str) -> None:
    """Touches to begin."""
    press(one, "begin", ["en", "ko"].index(language))
    one.shows("ready")
    one.page.locator(f"html[lang={language}]").wait_for(timeout=LONG)


def visit(one: Screen, number: int) -> None:
    """Somebody comes, does what visitors do, and goes."""
    KINDS[number % len(KINDS)](one, number)
    one.shows("attract")
    one.page.locator("html[lang=en]").wait_for(timeout=LONG)


def ask_and_read(one: Screen, number: int) -> None:
    """Asks an example."""
    begin(one, "en")
    press(one, "ask", number % 4)
    one.shows("answered")
    press(one, "over")


def change_the_looks(one: Screen, number: int) -> None:
    """Asks in Korean, in high contrast and at 200 %."""
    begin(one, "ko")
    for look in ("contrast", "large"):
        press(one, look)
    press(one, "ask")
    one.shows("answered")
    press(one, "over")


def write(one: Screen, number: int) -> None:
    """Writes a question."""
    begin(one, "en")
    press(one, "write")
    one.shows("asking")
    for key in "hi":
        touch(one, f".keys button[aria-label={key}]")
    press(one, "send")
    one.shows("answered")
    press(one, "over")


def stop_and_leave(one: Screen, number: int) -> None:
    """Stops the answer and leaves, until the warning ends the visit."""
    begin(one, "en")
    one.script.steps.clear()
    press(one, "ask", number % 4)
    one.shows("waiting")
    press(one, "stop")
    one.shows("answered")
    one.script.steps.set()
    # An hour of the page's clock without use brings the warning, another its end.
    ticks = "(screen) => [1, 2].forEach((hour) => screen.change({ type: 'tick', at: performance.now() + hour * 3_600_000 }))"
    one.page.locator("kiosk-screen").evaluate(ticks)


def compare(one: Screen, number: int) -> None:
    """Runs one at a time against together."""
    begin(one, "en")
    press(one, "compare")
    one.page.locator(".comparison[data-phase=done]").wait_for(timeout=LONG)
    press(one, "over")


KINDS = (ask_and_read, change_the_looks, write, stop_and_leave, compare)


def short_memory(patch: pytest.MonkeyPatch) -> None:
    """A quick engine, and a board that is soon full."""
    patch.setattr(paced_engine, "STEP", 0.002)
    patch.setattr(board, "ENDED_AT_MOST", 500)
    patch.setattr(steps, "TICKS_AT_MOST", 6000)


async def without_browser(visits: int, file: Path) -> None:
    """The visits as requests to the server: a question, every fifth time a comparison too."""
    print(f"{'visits':>7} {'python MB':>9} {'objects of the app':>18}")
    with pytest.MonkeyPatch.context() as patch:
        short_memory(patch)
        async with screens(patch, file) as one:
            one.script.words = WORDS
            for number in range(1, visits + 1):
                one.events = Mailbox()
                await one.begin()
                await one.ask()
                await one.answered()
                if number % 5 == 0:
                    await one.post("together", language="en")
                    await one.until(lambda: not one.kiosk.together.running)
                await one.end()
                one.script.prompts.clear()
                if number % max(1, visits // 10) == 0:
                    gc.collect()
                    objects = sum(type(each).__module__.startswith("webui.") for each in gc.get_objects())
                    print(f"{number:>7} {psutil.Process().memory_info().rss / MB:>9.1f} {objects:>18}", flush=True)


def main() -> None:
    """Runs the visits and prints what has grown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=1000)
    parser.add_argument("--without-browser", action="store_true")
    arguments = parser.parse_args()
    file = kiosk_file(Path(tempfile.mkdtemp()), requests_per_minute="100000", attract_requests="0", together_tokens="8")
    if arguments.without_browser:
        asyncio.run(without_browser(arguments.visits, file))
    else:
        with_browser(arguments.visits, file)


def with_browser(visits: int, file: Path) -> None:
    """The visits by finger."""
    path = find_browser()
    if path is None:
        raise SystemExit("Chromium, Chrome or Edge is wanted.")
    print(f"{'visits':>7} {'heap MB':>9} {'nodes':>6} {'listeners':>10} {'python MB':>9} {'held':>5} {'seconds':>8}")
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as play:
        short_memory(patch)
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        with served_app(patch, "--kiosk", str(file)) as served, screen(browser, served) as one:
            served.script.words = WORDS
            for number in range(1, visits + 1):
                visit(one, number)
                served.script.prompts.clear()
                if number % max(1, visits // 10) == 0:
                    report(number, one, served, began)
        browser.close()


if __name__ == "__main__":
    main()
