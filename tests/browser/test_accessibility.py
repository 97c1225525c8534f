"""Everybody can use it: axe-core on every page and state, the whole flow by keyboard, what is read out, calm, big and small."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.app_process import ROOT
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
    expect(page.locator(".message").last).to_contain_text("Sentence 0")
    walk.look("in the middle of an answer")
    page.locator("#stop").click()
    expect(page.locator(".message").last).to_have_attribute("data-state", "ended")
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
    expect(page.locator("chat-list mark").first).to_be_visible()
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
    expect(page.locator("canvas")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_light_page(echo_visit: Visiting, size: dict[str, Any], scheme: Any) -> None:
    visitor = echo_visit(viewport=size, color_scheme=scheme)
    page = visitor.context.new_page()
    page.route(f"{visitor.url}/", lambda route: route.fulfill(path=ROOT / "assets" / "loading.html"))
    status: dict[str, Any] = {"page": False}
    page.route("**/api/status", lambda route: route.fulfill(json=status))
    for stage, words in (("warming", "warming up the engine"), ("failed", "No model is there.")):
        status |= {"stage": stage, "error": {"message": words}}
        page.goto(f"{visitor.url}/")
        expect(page.locator("#words")).to_have_text(words)
        assert violations(page) == []


def focused(page: Page) -> str:
    """Name and words of what has the focus."""
    return str(page.evaluate("(({ariaLabel, innerText, id}) => ariaLabel || innerText || id)(document.activeElement)"))


def tab_to(page: Page, name: str, key: str = "Tab", at_most: int = 60) -> None:
    """Presses a key until this has the focus."""
    for _ in range(at_most):
        if name in focused(page):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{name} is not reached by {key}")


def test_the_whole_flow_by_keyboard(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    expect(page.locator("#message textarea")).to_be_focused()
    page.keyboard.type("Hello there")
    page.keyboard.press("Enter")
    answered(page)
    expect(page.locator("#message textarea")).to_be_focused()
    tab_to(page, "Regenerate", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".message").last).to_contain_text("2 of 2")
    answered(page)
    tab_to(page, "Edit message", "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+A")
    page.keyboard.type("Edited by keys")
    page.keyboard.press("Enter")
    expect(page.locator(".message").last).to_contain_text("Edited by keys")
    answered(page)
    page.keyboard.press("Control+K")
    expect(page.locator("#chat-search")).to_be_focused()
    page.keyboard.press("Tab")
    tab_to(page, "More for")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("chat-list h2")).to_have_text("Pinned")
    tab_to(page, "More for")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    expect(page.locator("chat-list .title")).to_have_text("By keys")
    page.keyboard.press("Shift+Escape")
    expect(page.locator("#message textarea")).to_be_focused()
    page.keyboard.type("every 400 ms\n")
    page.keyboard.press("Backspace")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".message")).to_have_count(0)
    page.keyboard.press("Shift+Escape")
    tab_to(page, "System prompt")
    page.keyboard.press("Enter")
    expect(page.locator("#system-panel textarea")).to_be_focused()
    page.keyboard.press("Escape")
    assert "System prompt" in focused(page)


def test_the_list_of_keys_opens_by_its_keys_and_its_sign_can_be_switched_off(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    dialog = page.get_by_role("dialog", name="Keys")
    page.keyboard.type("why?")
    expect(dialog).to_be_hidden()
    expect(page.locator("#message textarea")).to_have_value("why?")
    page.keyboard.press("Control+/")
    expect(dialog).to_contain_text("Search conversations")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.locator("#language").focus()
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    page.get_by_label("Open it with ? alone").uncheck()
    page.keyboard.press("Escape")
    page.locator("#language").focus()
    page.keyboard.press("?")
    page.locator("#show-keys").click()
    expect(dialog).to_have_count(1)
    expect(page.get_by_label("Open it with ? alone")).not_to_be_checked()


HEARD = """() => {
  window.heard = [];
  const collect = (node) => { if (node.textContent.trim()) heard.push(node.textContent.trim()); };
  new MutationObserver((changes) => changes.forEach(({addedNodes}) => addedNodes.forEach(collect)))
    .observe(document.querySelector(".spoken"), {childList: true});
}"""


def test_finished_sentences_are_read_out_once_and_no_tokens(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    page.evaluate(HEARD)
    ask(page, "every 5 ms\nThe first sentence. And one more.\n\n- an item\n\nThe end")
    answered(page)
    expect(page.locator(".spoken")).to_contain_text("The answer is complete.")
    heard = [each for each in page.evaluate("heard") if each not in ("waiting", "reading the prompt")]
    assert heard == ["The first sentence. And one more.", "an item", "The end", "The answer is complete."]
    assert page.locator(".col").get_attribute("aria-live") == "off"


def test_nothing_moves_for_whoever_wants_calm(echo_visit: Visiting) -> None:
    page = echo_visit(reduced_motion="reduce").tab()
    ask(page, SLOW)
    expect(page.locator(".message").last).to_contain_text("Sentence 0")
    assert page.evaluate("document.getAnimations().length") == 0
    page.locator("#stop").click()
    lively = echo_visit(reduced_motion="no-preference").tab()
    ask(lively, SLOW)
    lively.wait_for_function("document.getAnimations().length > 0")
    lively.locator("#stop").click()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_at_200_percent_everything_is_there(echo_visit: Visiting, locale: str) -> None:
    # What a browser does at 200 %: half the window, twice the pixels.
    page = echo_visit(viewport={"width": 640, "height": 410}, device_scale_factor=2, locale=locale).tab()
    ask(page, EVERYTHING)
    answered(page)
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    for selector in ("#message textarea", "#send", "#language", "#show-keys", "#show-chats", ".chip[data-panel=system]"):
        box = page.locator(selector).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 640 and box["y"] + box["height"] <= 410, (
            selector
        )
    cut = page.evaluate(
        "[...document.querySelectorAll('.blocks > p, .bubble')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert cut == 0
