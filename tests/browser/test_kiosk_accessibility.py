"""Everybody can use the kiosk: axe-core on every screen and state, in high contrast and at 200 % too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PATIENCE
from tests.browser.kiosk_screen import ENDLESS, Screen, screen
from tests.browser.test_accessibility import EVERYTHING, Walk
from tests.paced_engine import WORDS, ServedApp, kiosk_file, served_app
from webui.kiosk.pin import hash_pin

pytestmark = pytest.mark.browser

PIN = "246810"
WIDE, UPRIGHT, TABLET = (1920, 1080), (1080, 1920), (800, 1280)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kiosk")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[ServedApp]:
    file = kiosk_file(
        folder,
        attract_requests="0",
        requests_per_minute="1000",
        max_tokens="100000",
        together_tokens="8",
        idle_seconds="3600",
        topics="{ en = 'bread and batching', ko = '빵과 배칭' }",
        blocked_words="['naughty']",
        blocked_answer="{ en = 'Let us talk about bread.', ko = '빵 이야기를 해요.' }",
        admin_pin_hash=f"'{hash_pin(PIN)}'",
    )
    with pytest.MonkeyPatch.context() as patch, served_app(patch, "--kiosk", str(file)) as app:
        yield app


def set_theme(told: ServedApp, folder: Path, theme: str) -> None:
    """As an operator changes it: in the file, which is then read again."""
    file = folder / "kiosk.toml"
    other = {"dark": "light", "light": "dark"}[theme]
    file.write_text(file.read_text("utf-8").replace(f'theme = "{other}"', f'theme = "{theme}"'), "utf-8")
    assert told.app.kiosk is not None
    told.app.kiosk.read_file()
    assert told.app.kiosk.file.theme == theme


@pytest.mark.parametrize(
    ("size", "look", "theme", "language"),
    [
        (WIDE, "", "dark", "en"),
        (UPRIGHT, "", "light", "ko"),
        (UPRIGHT, "contrast", "light", "en"),
        (WIDE, "large", "light", "en"),
        (TABLET, "large", "dark", "ko"),
        (TABLET, "contrast large", "dark", "en"),
    ],
    ids=["wide", "upright-light-ko", "contrast", "200%-light", "200%-ko", "contrast-200%"],
)
def test_axe_finds_nothing_in_any_state(
    browser: Browser, told: ServedApp, folder: Path, size: tuple[int, int], look: str, theme: str, language: str
) -> None:
    set_theme(told, folder, theme)
    pixels = {"width": size[0], "height": size[1]}
    with screen(browser, told, viewport=pixels, screen=pixels) as one:
        walk = Walk(one.page)
        for each in look.split():
            one.press(each)
        walk.look("attract")
        one.begin(language)
        walk.look("ready")
        _write(one, walk)
        _ask(one, walk)
        _compare(one, walk)
        _warn(one, walk)
        _lose_the_engine(one, walk)
        _open_corner(one, walk)
        one.press("over")
        one.shows("attract")
        assert walk.found == {}


def _write(one: Screen, walk: Walk) -> None:
    one.press("write")
    one.shows("asking")
    keys = one.page.locator(".keys .wide")
    for name in ("letters", "signs", "other letters"):
        walk.look(f"keyboard: {name}")
        keys.nth(3 if name == "signs" else 2).tap(timeout=PATIENCE)
    keys.first.tap(timeout=PATIENCE)
    one.page.locator(".field").fill("a naughty thing")
    walk.look("keyboard: shifted, with a question")


def _ask(one: Screen, walk: Walk) -> None:
    script = one.script
    one.press("send")
    one.shows("answered")
    expect(one.page.locator(".declined")).to_be_visible(timeout=PATIENCE)
    walk.look("declined")
    script.words = EVERYTHING
    script.steps.clear()
    one.press("examples")
    one.press("ask")
    one.shows("waiting")
    walk.look("waiting")
    script.steps.set()
    one.shows("answered")
    expect(one.page.locator(".message[data-end=stop]").first).to_be_visible(timeout=PATIENCE)
    walk.look("answered")
    script.words = ENDLESS
    one.press("examples")
    one.press("ask", 1)
    one.shows("streaming")
    walk.look("streaming")
    one.press("stop")
    one.shows("answered")
    expect(one.page.locator(".mark:not([hidden])")).to_be_visible(timeout=PATIENCE)
    walk.look("stopped")
    one.press("examples")


def _compare(one: Screen, walk: Walk) -> None:
    comparison = one.page.locator(".comparison")
    one.script.steps.clear()
    one.press("compare")
    expect(comparison).to_have_attribute("data-phase", "reading", timeout=PATIENCE)
    walk.look("comparison: reading")
    one.script.steps.set()
    expect(comparison).to_have_attribute("data-phase", "done", timeout=PATIENCE)
    walk.look("comparison: measured")
    one.script.steps.clear()
    one.press("again")
    expect(one.page.locator("[data-action=stop]")).to_be_enabled(timeout=PATIENCE)
    one.press("stop")
    expect(comparison).to_have_attribute("data-phase", "stopped", timeout=PATIENCE)
    walk.look("comparison: stopped")
    one.script.steps.set()


def _warn(one: Screen, walk: Walk) -> None:
    # An hour without use, on the page's clock alone.
    tick = "(screen) => screen.change({ type: 'tick', at: performance.now() + 3_600_000 })"
    one.page.locator("kiosk-screen").evaluate(tick)
    expect(one.page.get_by_role("alertdialog")).to_be_visible(timeout=PATIENCE)
    walk.look("warning")
    one.press("stay")
    expect(one.page.get_by_role("alertdialog")).to_be_hidden(timeout=PATIENCE)


def _lose_the_engine(one: Screen, walk: Walk) -> None:
    one.script.starts.clear()
    one.script.killed.set()
    expect(one.page.locator("kiosk-screen")).to_have_attribute("data-engine", "gone", timeout=PATIENCE)
    walk.look("engine gone")
    one.script.words = WORDS
    one.press("examples")
    one.press("ask")
    one.shows("waiting")
    walk.look("waiting for the engine")
    one.script.starts.set()
    one.shows("answered")


def _open_corner(one: Screen, walk: Walk) -> None:
    one.page.locator("kiosk-screen").evaluate("(screen) => screen.admin.open()")
    walk.look("corner: pad")
    pad = one.page.locator(".pad")
    for pin in ("1111", PIN):
        for digit in pin:
            pad.get_by_role("button", name=digit, exact=True).tap(timeout=PATIENCE)
        pad.locator("button").last.tap(timeout=PATIENCE)
        if pin != PIN:
            expect(one.page.locator(".admin .words")).not_to_be_empty(timeout=PATIENCE)
            walk.look("corner: wrong PIN")
    expect(one.page.locator(".admin table")).to_be_visible(timeout=PATIENCE)
    walk.look("corner: status")
    one.page.locator(".admin .card > button").tap(timeout=PATIENCE)
    expect(one.page.locator(".admin")).to_be_hidden(timeout=PATIENCE)
