"""The board before the real engine: the stream's own frames, demo traffic and the wall."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, picture

pytestmark = pytest.mark.browser

# Ever more of them until they are stopped: on a machine that stands still they would be over before anybody looks.
MORE = """async () => {
  const { startDemo } = await import("./assets/js/server.js");
  const more = setInterval(() => startDemo(4).catch(() => undefined), 500);
  document.querySelector("#demo-stop").addEventListener("click", () => clearInterval(more), true);
}"""


def test_show_me_fills_the_batch_and_stops_at_once(visit: Callable[..., Visit]) -> None:
    visitor = visit()
    page = visitor.tab()
    wall = visitor.context.new_page()
    wall.goto(visitor.url + "/board")
    page.bring_to_front()
    page.locator("#demo-count").fill("64")
    page.get_by_role("button", name="Show me", exact=True).click()
    page.evaluate(MORE)
    expect(page.locator("batch-board .sub")).to_contain_text(re.compile(r"4 of 4 lanes busy, [1-9]\d* waiting"))
    expect(wall.locator(".sub")).to_contain_text(re.compile("[1-4] of 4 lanes busy"))
    wall.screenshot(path=picture("board-app-wall"))
    page.screenshot(path=picture("board-app-demo"))
    page.get_by_role("button", name=re.compile("Stop demo")).click()
    expect(page.locator("batch-board .sub")).to_contain_text("0 of 4 lanes busy, 0 waiting")
    page.get_by_role("tab", name="Requests").click()
    page.get_by_label("Door").select_option("demo")
    expect(page.locator(".requests tr[data-request]").first).to_contain_text(re.compile("demo.*(stopped|stop|length)"))
    steps = page.evaluate("document.querySelector('batch-board').model.steps.list.length")
    assert steps > 0, "the engine's steps arrive"
