"""The kiosk as an operator starts it, before the real engine: one visit, the measured comparison, and nothing kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.app_process import running_app
from tests.browser.conftest import PATIENCE, picture
from tests.paced_engine import kiosk_file

pytestmark = pytest.mark.browser

CANARY = "canary7f"


def test_a_visit_before_the_real_engine(browser: Browser, tmp_path: Path) -> None:
    file = kiosk_file(tmp_path, together_tokens="16", max_tokens="60", idle_seconds="3600")  # a busy machine starts slowly
    with running_app("--kiosk", str(file)) as app:
        context = browser.new_context(viewport={"width": 1920, "height": 1080}, has_touch=True, locale="en-US")
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(app.url)  # before the engine is ready
        screen = page.locator("kiosk-screen")
        page.locator("[data-action=begin][lang=ko]").tap(timeout=PATIENCE)
        page.locator("[data-action=ask]").first.tap(timeout=PATIENCE)
        expect(screen).to_have_attribute("data-screen", re.compile("waiting|streaming|answered"), timeout=PATIENCE)
        app.wait_until_ready()
        expect(screen).to_have_attribute("data-screen", "answered", timeout=PATIENCE)
        expect(page.locator(".blocks")).not_to_be_empty(timeout=PATIENCE)
        expect(page.locator(".answer-footer")).to_contain_text("프리필")
        page.screenshot(path=picture("kiosk-app-answered"))

        page.locator("[data-action=write]").tap()
        page.locator(".field").fill(f"My name is {CANARY}")
        page.locator("[data-action=send]").tap()
        expect(screen).to_have_attribute("data-screen", "answered", timeout=PATIENCE)
        page.locator("[data-action=examples]").tap()
        page.locator("[data-action=compare]").tap()
        expect(page.locator(".comparison")).to_have_attribute("data-phase", "done", timeout=PATIENCE)
        page.screenshot(path=picture("kiosk-app-together"))
        assert page.locator(".comparison .fine").inner_text().count("16") == 1
        page.locator("[data-action=over]").tap()
        expect(screen).to_have_attribute("data-screen", "attract", timeout=PATIENCE)
        app.wait_for(lambda status: status["history"] == "off" and not status["requests"]["waiting"])
        context.close()
        assert list(Path(app.data.name).iterdir()) == [], "nothing is kept"
        assert CANARY not in app.log.read_text()
