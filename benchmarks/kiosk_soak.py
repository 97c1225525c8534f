"""A thousand visits of a kiosk, as a browser makes them: what grows in the page and in the server.

Each visit touches to begin, asks an example, sees the answer and starts over. Behind the app is the tests' engine without a
model, so that hours of a hall pass in minutes. Printed for the first tenth and the end: JavaScript heap and DOM nodes after a
collection, resident memory of the server, and what its maps hold.

    python -m benchmarks.kiosk_soak --visits 1000
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, find_browser
from tests.browser.kiosk_screen import Screen, screen
from tests.paced_engine import ServedApp, kiosk_file, served_app

MB = 1e6


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


def visit(one: Screen, number: int) -> None:
    """Somebody comes, asks and goes."""
    one.begin("ko" if number % 2 else "en")
    one.touch("ask", number % 4)
    one.shows("answered")
    one.touch("over")
    one.shows("attract")


def main() -> None:
    """Runs the visits and prints what has grown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=1000)
    visits = parser.parse_args().visits
    folder = Path(tempfile.mkdtemp())
    file = kiosk_file(folder, requests_per_minute="100000", attract_requests="0")
    path = find_browser()
    if path is None:
        raise SystemExit("Chromium, Chrome or Edge is wanted.")
    print(f"{'visits':>7} {'heap MB':>9} {'nodes':>6} {'listeners':>10} {'server MB':>9} {'held':>5} {'seconds':>8}")
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, served_app(patch, "--kiosk", str(file)) as served, sync_playwright() as play:
        served.script.words = "Each step gives every request a token. "
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        with screen(browser, served) as one:
            for number in range(1, visits + 1):
                visit(one, number)
                served.script.prompts.clear()
                if number % max(1, visits // 10) == 0:
                    report(number, one, served, began)
        browser.close()


if __name__ == "__main__":
    main()
