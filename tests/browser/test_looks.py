"""The look at both sizes, in both themes and languages: nothing sticks out, and a picture of each is left to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Visit, picture

pytestmark = pytest.mark.browser

SENT = {"en-US": "Send", "ko-KR": "보내기"}
QUESTION = {"en-US": "What is continuous batching?", "ko-KR": "연속 배칭이 뭐야?"}


def inside(page: Page, selector: str) -> bool:
    """Whether an element lies wholly within the window."""
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    size = page.viewport_size
    assert size is not None
    return (
        box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= size["width"]
        and box["y"] + box["height"] <= size["height"]
    )


def scrolls(page: Page) -> tuple[bool, bool]:
    """Whether the page itself scrolls sideways, and down."""
    return tuple(  # type: ignore[return-value]
        page.evaluate(
            """() => { const page = document.scrollingElement;
            return [page.scrollWidth > innerWidth, page.scrollHeight > innerHeight]; }"""
        )
    )


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_its_window(visit: Callable[..., Visit], size: dict[str, Any], scheme: str, locale: str) -> None:
    name = f"{'phone' if size is PHONE else 'desktop'}-{scheme}-{locale[:2]}"
    page = visit(viewport=size, color_scheme=scheme, locale=locale).tab()
    page.screenshot(path=picture(f"{name}-welcome"))
    expect(page.locator("#send")).to_have_text(SENT[locale])
    page.locator("#message textarea").fill(QUESTION[locale])
    page.locator("#send").click()
    answer = page.locator(".message[data-role=assistant]").last
    expect(answer).to_have_attribute("data-state", "ended")
    page.screenshot(path=picture(f"{name}-answer"))
    assert scrolls(page) == (False, False)
    assert inside(page, "#message") and inside(page, "#send")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).every((x) => x < 60)")
    assert dark == (scheme == "dark")
    page.locator(".chip[data-panel=sampling]").click()
    expect(page.locator("#sampling")).to_be_visible()
    page.screenshot(path=picture(f"{name}-sampling"))
    assert scrolls(page) == (False, False)


def test_the_batch_is_a_drawer_on_a_phone(visit: Callable[..., Visit]) -> None:
    page = visit(viewport=PHONE, has_touch=True).tab()
    lanes = page.locator("batch-board canvas")
    closed = lanes.bounding_box()
    assert closed is not None and closed["height"] > 30, "the lanes show while the drawer is closed"
    page.locator(".handle").tap()
    expect(page.locator("#batch-details")).to_be_visible()
    page.wait_for_timeout(500)
    page.screenshot(path=picture("phone-drawer"))
    page.locator(".handle").tap()
    expect(page.locator("#batch-details")).to_be_hidden()
