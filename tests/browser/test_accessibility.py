"""Everybody can use it: axe-core on every page and state, the whole flow by keyboard, what is read out, calm, big and small."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.test_chat import answered, ask

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What Gradio itself brings: the rule, and the element by its beginning. Nothing of ours may be added.
GRADIOS: set[tuple[str, str]] = set()
EVERYTHING = """# Heading

Words with `code`, *more*, a [link](https://a.example), $x^2$ and a note[^1].

- [x] done
- [ ] open

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x): return "a string", 1  # a comment
```

> quoted

$$
\\sum_{i=1}^n i
$$

[^1]: The note.
"""
THOUGHTS = "<think>\nHm.\n</think>\n\nYes.\n\n"
SLOW = "every 400 ms\n" + "".join(f"Sentence {number} of a long answer. It goes on.\n\n" for number in range(400))


def violations(page: Page) -> list[str]:
    """What axe-core finds beside what is Gradio's: rule, element, and why."""
    page.evaluate(AXE)
    found = page.evaluate("(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", RULES)["violations"]
    nodes = [(rule["id"], node["html"], node["failureSummary"]) for rule in found for node in rule["nodes"]]
    return [
        f"{rule}: {html[:160]} {why}"
        for rule, html, why in nodes
        if not any(rule == r and html.startswith(h) for r, h in GRADIOS)
    ]


class Walk:
    """Checks one state after the other and tells of all at once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: dict[str, list[str]] = {}

    def look(self, state: str) -> None:
        """Checks the page as it is."""
        if found := violations(self.page):
            self.found[state] = found


@pytest.mark.parametrize(
    ("size", "scheme", "locale"),
    [(DESKTOP, "light", "en-US"), (DESKTOP, "dark", "ko-KR"), (PHONE, "light", "ko-KR"), (PHONE, "dark", "en-US")],
    ids=["desktop-light", "desktop-dark-ko", "phone-light-ko", "phone-dark"],
)
def test_axe_finds_nothing_in_any_state(echo_visit: Visiting, size: dict[str, Any], scheme: Any, locale: str) -> None:
    page = echo_visit(viewport=size, color_scheme=scheme, locale=locale).tab()
    walk = Walk(page)
    walk.look("empty")
    ask(page, THOUGHTS + EVERYTHING)
    answered(page)
    page.locator(".thoughts summary").click()
    page.locator(".answer-footer").focus()
    walk.look("answered")
    ask(page, SLOW)
    expect(page.locator(".message").last).to_contain_text("Sentence 0", timeout=30_000)
    walk.look("in the middle of an answer")
    page.locator("#stop").click()
    expect(page.locator(".message").last).to_have_attribute("data-state", "ended", timeout=30_000)
    ask(page, "fail\n")
    answered(page, 3)
    walk.look("stopped and failed")
    page.locator("[data-action=edit]").last.click()
    expect(page.locator(".edit-field")).to_be_focused()
    walk.look("editing")
    page.keyboard.press("Escape")
    for panel in ("system", "sampling"):
        page.locator(f".chip[data-panel={panel}]").click()
        walk.look(f"{panel} panel")
        page.locator(f".chip[data-panel={panel}]").click()
    page.locator("#show-keys").click()
    walk.look("keys")
    page.keyboard.press("Escape")
    if size is PHONE:
        page.locator("#show-chats").click()
    walk.look("list")
    page.locator("#chat-search").fill("heading")
    expect(page.locator("chat-list mark").first).to_be_visible(timeout=15_000)
    walk.look("searched")
    page.locator("#chat-search").fill("")
    page.locator("#all-chats").click()
    walk.look("menu")
    page.get_by_role("menuitem").last.click()
    walk.look("delete all?")
    page.locator(".undo button").last.click()
    if size is PHONE:
        page.keyboard.press("Escape")
        page.locator(".handle").click()
    for tab in ("latency", "requests", "help"):
        page.locator(f"#batch-{tab}-tab").click()
        walk.look(f"board: {tab}")
    assert walk.found == {}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_wall(echo_visit: Visiting, size: dict[str, Any], scheme: Any) -> None:
    visitor = echo_visit(viewport=size, color_scheme=scheme)
    page = visitor.context.new_page()
    page.goto(f"{visitor.url}/board")
    expect(page.locator("canvas")).to_be_visible(timeout=30_000)
    assert violations(page) == []
