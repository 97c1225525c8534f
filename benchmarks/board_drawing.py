"""How fast the page draws the batch: frames per second and milliseconds per picture in a real Chromium, without the engine.

The traffic is worked out on paper (tests/browser/board_traffic.py) and played at the speed of life.
"""

from __future__ import annotations

import argparse
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.browser.board_pages import Stage, stage
from tests.browser.board_traffic import Asked, Paper, Traffic, visitors
from tests.browser.conftest import DESKTOP, FLAGS, find_browser

MOMENT = 105_000  # milliseconds; where the play begins
# Intervals between frames while the page scrolls by itself, then the time to paint one picture.
MEASURE = """async (seconds) => {
  const gaps = [], costs = [];
  const frame = () => new Promise(requestAnimationFrame);
  for (let last = await frame(), end = last + seconds * 1000; last < end;) {
    const now = await frame();
    gaps.push(now - last);
    last = now;
  }
  for (let i = 0; i < 60; i++) {
    await frame();
    const began = performance.now();
    board.lanes.paint();
    costs.push(performance.now() - began);
  }
  const rank = (values, share) => values.sort((a, b) => a - b)[Math.ceil(values.length * share) - 1];
  return { fps: gaps.length / seconds, gap: rank(gaps, .95), paint: rank(costs, .5), paint95: rank(costs, .95) };
}"""


def crowd(lanes: int, waiting: int) -> Traffic:
    """All lanes busy for two minutes, and at least so many in line at the end."""
    step, prefill = 20, 4
    requests = visitors(8, round(lanes * 30), MOMENT, longest=400, doors="page api demo evaluation")
    late = [Asked(len(requests) + 1 + i, "page", MOMENT - 5000, 9, 300) for i in range(waiting)]
    return Paper(lanes, step=step, prefill=prefill).run([*requests, *late], MOMENT + 35_000)


def measure(browser: Browser, theatre: Stage, traffic: Traffic, window: int, seconds: float) -> dict[str, Any]:
    """What one page did."""
    theatre.play(traffic, MOMENT)
    page = browser.new_page(viewport=DESKTOP)
    page.goto(theatre.url)
    page.wait_for_function("() => window.board?.model.known")
    page.evaluate("(window) => board.view.show(window)", window * 1000)
    page.wait_for_timeout(1000)
    figures = page.evaluate(MEASURE, seconds)
    page.close()
    return figures


def main() -> None:
    """Prints a row per load and window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each row is watched")
    arguments = parser.parse_args()
    print("| lanes, waiting, window | frames/s | p95 between frames | to paint, median | to paint, p95 |")
    print("| --- | --- | --- | --- | --- |")
    with stage() as theatre, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        for lanes, waiting in [(4, 0), (16, 50), (64, 500)]:
            traffic = crowd(lanes, waiting)
            for window in (60, 300):
                got = measure(browser, theatre, traffic, window, arguments.seconds)
                name = f"{lanes}, {traffic.waiting(MOMENT)}, {window} s"
                print(
                    f"| {name} | {got['fps']:.0f} | {got['gap']:.1f} ms | {got['paint']:.1f} ms | {got['paint95']:.1f} ms |",
                    flush=True,
                )
        browser.close()


if __name__ == "__main__":
    main()
