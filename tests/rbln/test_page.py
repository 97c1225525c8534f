"""The page before the emulated NPU, in a real browser: which device it names, what it greys out, how it draws the buckets."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.app_process import AppProcess
from tests.browser.conftest import DESKTOP, PHONE, Visit, picture
from tests.browser.test_board_page import pale, sticking_out

pytestmark = pytest.mark.browser
Visiting = Callable[..., Visit]

SEED = "#sampling-seed input"
IGNORED = {"en-US": "This engine ignores this setting.", "ko-KR": "이 엔진은 이 설정을 따르지 않아요."}
DEVICE = {"en-US": "running on RBLN emulated on CPU", "ko-KR": "실행 장치: RBLN emulated on CPU"}
BUCKET = {"en-US": "3 running in bucket 4", "ko-KR": "버킷 4에서 3개 실행"}

# A step of three in the bucket of four with more of the kind on both sides, as the place of its pixels in the picture.
COLUMN = """() => {
  const { lanes, model } = document.querySelector("batch-board");
  const [scene, layout] = [lanes.scene(), lanes.layout()];
  const three = model.steps.list.filter(({ running, bucket, prompt }) => running === 3 && bucket === 4 && !prompt);
  const step = three[Math.floor(three.length / 2)];
  const x = layout.left + (layout.width - layout.left) * (1 - (scene.at - step.at) / scene.window);
  const unit = layout.stripHeight / layout.lanes;
  return { x, y: layout.strip + layout.stripHeight, unit };
}"""
# Whether a column near it shows three sequences in one colour and above them a paler one; columns have gaps between them.
DRAWN = """({ x, y, unit }) => {
  const canvas = document.querySelector("canvas.lanes");
  const ratio = canvas.width / canvas.clientWidth;
  const colours = (x) => [1.5, 2.5, 3.5].map((height) =>
    [...canvas.getContext("2d").getImageData(x * ratio, (y - height * unit) * ratio, 1, 1).data]);
  return [-2, -1, 0, 1, 2].map((offset) => colours(x + offset)).some(([one, other, padding]) =>
    String(one) === String(other) && one[3] === 255 && padding[3] > 0 && padding[3] < 255);
}"""


def answer(app: AppProcess, tokens: int) -> None:
    """One answer of exactly so many tokens, for a program."""
    body = {"model": app.status()["model"], "prompt": "Hello!", "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    httpx.post(f"{app.url}/v1/completions", json=body, timeout=300).raise_for_status()


def fill_buckets(app: AppProcess) -> None:
    """Three answers of different lengths: decode goes down from three in the bucket of four to one."""
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda tokens: answer(app, tokens), (150, 180, 210)))


def sampling_panel(page: Page) -> None:
    page.locator(".chip[data-panel=sampling]").click()
    expect(page.locator("#sampling")).to_be_visible()


def test_the_seed_is_greyed_out_with_its_reason_and_stays_so(visit: Visiting) -> None:
    page = visit().tab()
    sampling_panel(page)
    for _ in range(2):
        expect(page.locator(SEED)).to_be_disabled()
        expect(page.locator(SEED)).to_have_attribute("aria-description", IGNORED["en-US"])
        expect(page.locator("#sampling [data-ignored]")).to_have_count(1)
        assert (
            page.evaluate("getComputedStyle(document.querySelector('#sampling-seed'), '::after').content").strip('"')
            == (IGNORED["en-US"])
        )
        for name in ("temperature", "top_p", "max_tokens"):
            expect(page.locator(f"#sampling-{name} input").first).to_be_enabled()
        page.locator("#sampling-temperature input[type=number]").fill("0.3")
        page.locator("#sampling-reset").click()
    page.reload()
    sampling_panel(page)
    expect(page.locator(SEED)).to_be_disabled()
    page.locator("#message textarea").fill("Hello!")
    page.locator("#send").click()
    expect(page.locator(".message[data-role=assistant]").last).to_have_attribute("data-state", "ended")


@contextlib.contextmanager
def answering(app: AppProcess) -> Iterator[None]:
    """Whenever it is read there were tokens since the last time."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            answer(app, 100)

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        try:
            yield
        finally:
            over.set()
    going.result()


def test_the_npus_of_an_exporter_and_what_a_joule_gave(visit: Visiting, app: AppProcess) -> None:
    page = visit().tab()
    lines = page.locator(".npus li")
    expect(lines).to_have_text(
        [
            "rbln0 RBLN-CA25 · 88% busy · 40 W · 54 °C · 4.00 of 15.72 GiB",
            "rbln1 RBLN-CA25 · not healthy · 88% busy · 40 W · 54 °C · 4.00 of 15.72 GiB",
        ]
    )
    joule = re.compile(r"NPUs · 80 W · (0\.\d*[1-9]\d*|[1-9][\d.]*) tokens per joule")
    with answering(app):
        expect(page.locator(".npus p")).to_have_text(joule)


def test_a_variants_seed_is_greyed_out_too(visit: Visiting) -> None:
    visitor = visit()
    for address in ("evaluate", "compare"):
        page = visitor.context.new_page()
        page.goto(f"{visitor.url}/{address}")
        page.locator("[data-field=seed]").first.wait_for(state="attached")
        page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        seed = page.locator("[data-field=seed]")
        expect(seed.first).to_be_disabled()
        expect(page.get_by_text(IGNORED["en-US"]).first).to_be_visible()
        assert seed.count() == page.get_by_text(IGNORED["en-US"]).count() == 2
        expect(page.locator("[data-field=temperature]").first).to_be_enabled()
        page.screenshot(path=picture(f"rbln-{address}"), full_page=True)


@pytest.mark.parametrize(
    ("size", "scheme", "locale"),
    [(DESKTOP, "light", "en-US"), (DESKTOP, "dark", "ko-KR"), (PHONE, "light", "ko-KR"), (PHONE, "dark", "en-US")],
    ids=["desktop-light-en", "desktop-dark-ko", "phone-light-ko", "phone-dark-en"],
)
def test_device_buckets_and_seed_at_every_size(
    visit: Visiting, app: AppProcess, size: dict[str, Any], scheme: str, locale: str
) -> None:
    fill_buckets(app)
    page = visit(viewport=size, color_scheme=scheme, locale=locale).tab()
    name = f"rbln-{'phone' if size is PHONE else 'desktop'}-{scheme}-{locale[:2]}"
    expect(page.locator("page-header")).to_contain_text("RBLN emulated on CPU")
    if size is PHONE:
        page.locator(".handle").click()
        expect(page.locator("#batch-details")).to_be_visible()
    page.wait_for_function("() => document.querySelector('batch-board').model.steps.list.some(({ running }) => running === 3)")
    expect(page.locator("batch-board .device")).to_have_text(DEVICE[locale])
    page.evaluate("document.querySelector('batch-board').view.hold(Infinity)")  # the picture stands still
    page.wait_for_timeout(1500)  # with motion reduced one comes once a second
    three = page.evaluate(COLUMN)
    page.wait_for_function(DRAWN, arg=three)
    box = page.locator("canvas.lanes").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + three["x"], box["y"] + three["y"] - three["unit"])
    expect(page.locator(".card")).to_contain_text(BUCKET[locale])
    page.screenshot(path=picture(f"{name}-board"))
    assert (pale(page), sticking_out(page)) == ([], [])
    if size is PHONE:
        page.locator(".handle").click()
    sampling_panel(page)
    page.locator("#sampling-seed").scroll_into_view_if_needed()
    expect(page.locator("#sampling-seed")).to_have_attribute("data-ignored", IGNORED[locale])
    page.screenshot(path=picture(f"{name}-sampling"))
