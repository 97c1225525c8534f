"""The first seconds: a light page, then the chat, then the engine; a message need not wait for any of them."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.app_process import AppProcess
from tests.browser.conftest import DESKTOP, GREEDY, PHONE, picture

pytestmark = pytest.mark.browser


def test_the_light_page_becomes_the_chat_and_a_message_sent_early_is_answered(
    browser: Browser, starting_app: AppProcess
) -> None:
    early = starting_app.status()["stage"] in ("importing", "loading")
    assert early or time.monotonic() - starting_app.started > 10, "this test has to be the first to use the app"
    context = browser.new_context(viewport=DESKTOP, locale="en-US")
    context.set_default_timeout(120_000)
    context.add_init_script(GREEDY)
    page = context.new_page()
    page.goto(starting_app.url)
    assert page.locator("#message").count() == 0 or starting_app.status()["page"], "the light page has no composer yet"
    page.screenshot(path=picture("loading-desktop"))
    phone = browser.new_context(viewport=PHONE, locale="ko-KR", color_scheme="dark").new_page()
    phone.set_default_timeout(120_000)
    phone.goto(starting_app.url)
    phone.screenshot(path=picture("loading-phone-dark-ko"))
    phone.context.close()

    page.locator("#message textarea").fill("What is the first letter of English alphabets?", timeout=120_000)
    expect(page.locator("#engine-status")).not_to_contain_text("vLLM")
    page.keyboard.press("Enter")
    answer = page.locator(".message[data-role=assistant]")
    expect(answer).to_have_attribute("data-state", re.compile("."))
    assert answer.get_attribute("data-state") == "waiting" or starting_app.status()["stage"] == "ready"
    page.screenshot(path=picture("waiting-for-the-engine"))
    expect(answer).to_have_attribute("data-state", "ended", timeout=180_000)
    expect(answer).to_contain_text(re.compile(r"\bA\b"))
    context.close()
