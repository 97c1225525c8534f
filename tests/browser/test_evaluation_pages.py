"""The evaluation pages in a real browser, before an engine that answers by rule: upload, run, look, vote, export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.answering_app import EvaluationWorld, served
from tests.browser.conftest import DESKTOP, PATIENCE, PHONE, picture
from tests.browser.test_accessibility import violations

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror='window.broken=1'>"
VARIANTS = [{"name": "plain", "system": "", "sampling": {}}, {"name": "loud", "system": "CAPITALS", "sampling": {}}]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[str, EvaluationWorld]]:
    with served(tmp_path / "data") as both:
        yield both


def opened(browser: Browser, address: str, **options: object) -> Page:
    """A visitor with two variants in their browser."""
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", "reduced_motion": "reduce", **options})  # type: ignore[arg-type]
    kept = json.dumps(json.dumps(VARIANTS))
    context.add_init_script(f"localStorage.getItem('batchat.variants') ?? localStorage.setItem('batchat.variants', {kept})")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    return page


def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    good = [
        {"id": f"r{i}", "prompt": f"say word{i}", "reference": f"word{i}", "tags": ["odd" if i % 2 else "even"]}
        for i in range(12)
    ]
    good += [
        {"id": "evil", "prompt": f"say {EVIL}", "reference": "x"},
        {"id": "no", "prompt": "refuse"},
        {"id": "7", "prompt": "say 7"},
    ]
    file.write_text("\n".join([*map(json.dumps, good), "broken"]))
    return file


def test_upload_run_look_and_export(browser: Browser, world: tuple[str, EvaluationWorld], tmp_path: Path) -> None:
    url, _ = world
    page = opened(browser, url + "evaluate")
    page.locator("#prompts").set_input_files(rows(tmp_path))
    expect(page.locator(".bad")).to_contain_text("Row 16: is not JSON", timeout=PATIENCE)
    expect(page.locator(".preview tbody tr")).to_have_count(15)
    page.locator("#start").click()
    expect(page.locator("#run .state")).to_contain_text("finished", timeout=PATIENCE)
    expect(page.locator("#run .state")).to_contain_text("28 of 30 answered · 2 failed")
    answers = page.locator("table.answers tbody tr")
    expect(answers).to_have_count(15, timeout=PATIENCE)
    expect(page.locator("#run svg.plot").first).to_be_visible()
    expect(page.locator("#run")).to_contain_text("plain is higher")
    page.locator("[data-filter=only]").select_option("failed")
    expect(answers).to_have_count(1)
    page.locator("[data-filter=only]").select_option("different")
    expect(answers).to_have_count(13)
    page.locator("tr[data-row=r3] .diff-button").click()
    expect(page.locator("tr[data-row=r3] .diff > del")).to_have_text("word3")
    expect(page.locator("tr[data-row=r3] .diff > ins")).to_have_text("WORD3")
    assert page.evaluate("window.broken") is None and page.locator("table.answers img").count() == 0
    rating = page.locator("tr[data-row=r3] .rating").last
    rating.locator("summary").click()
    rating.locator("select").first.select_option("fail")
    rating.locator("input").fill("too loud")
    rating.locator("button").click()
    expect(rating.locator("[role=status]")).to_have_text("Saved")
    expect(page.locator("#run thead").first).to_contain_text("passed by people", timeout=PATIENCE)
    with page.expect_download() as download:
        page.locator(".files a", has_text="report.html").click()
    report = download.value.path().read_text()
    assert "<script" not in report and "<img" not in report and "rule 1.0" in report
    page.reload()
    expect(answers).to_have_count(15, timeout=PATIENCE)
    expect(page.locator("tr[data-row=r3] .rating select").nth(2)).to_have_value("fail")
    expect(page.locator("tr[data-row=r3] .rating input").last).to_have_value("too loud")
    page.context.close()


def test_a_run_speaks_the_other_language_at_once_and_outlives_a_look_that_fails(
    browser: Browser, world: tuple[str, EvaluationWorld], tmp_path: Path
) -> None:
    url, _ = world
    page = opened(browser, url + "evaluate?lang=en")
    page.locator("#prompts").set_input_files(rows(tmp_path))
    expect(page.locator(".preview tbody tr")).to_have_count(15)  # that request does not fail
    fails = [True]
    looks = re.compile(r"/api/evaluations/\w+$")
    page.route(looks, lambda route: route.abort() if fails else route.continue_())
    page.locator("#start").click()
    expect(page.locator("#run .problem, #run > .problem").first).not_to_be_empty()
    fails.clear()
    expect(page.locator("#run .state")).to_contain_text("finished")
    page.locator("#language").click()
    expect(page.locator("#language")).to_have_text("English")
    expect(page.locator("#run .state")).to_contain_text("28")
    expect(page.locator("nav")).to_contain_text("평가")
    assert page.url.startswith(f"{url}evaluate#")
    page.context.close()


def test_ask_vote_and_see_who_it_was(browser: Browser, world: tuple[str, EvaluationWorld]) -> None:
    url, _ = world
    page = opened(browser, url + "compare")
    page.locator("#prompt").fill("say hello")
    page.locator("#ask").click()
    expect(page.locator(".voting")).to_be_visible(timeout=PATIENCE)
    cards = page.locator(".sides article")
    assert sorted(text.splitlines()[-1] for text in cards.all_inner_texts()) == ["HELLO", "hello"]
    assert "plain" not in page.locator(".sides").inner_text() and "loud" not in page.locator(".sides").inner_text()
    loud = next(i for i, text in enumerate(cards.all_inner_texts()) if "HELLO" in text)
    page.locator(f"[data-choice='{loud}']").click()
    expect(cards.nth(loud).locator("h3")).to_contain_text("loud")
    expect(cards.nth(1 - loud).locator("h3")).to_contain_text("plain")
    expect(page.locator("#standings")).to_contain_text("1 vote", timeout=PATIENCE)
    expect(page.locator("#standings .verdict")).to_contain_text("Nobody can be told apart")
    page.context.close()


def test_two_engines_are_compared_and_evaluated(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "data", ["here", "there"]) as (url, world):
        context = browser.new_context(viewport=DESKTOP, locale="en-US", reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url + "compare")
        page.locator("details.part").locator("summary").click()
        names = page.locator("[data-field=name]")
        models = page.locator("[data-field=model]")
        for fields in (models, names):  # each model is a variant to begin with, once the page knows which there are
            for place, name in enumerate(("here", "there")):
                expect(fields.nth(place)).to_have_value(name, timeout=PATIENCE)
            expect(fields).to_have_count(2)
        page.screenshot(path=picture("compare-models"), full_page=True)
        page.locator("#prompt").fill("say hello")
        page.locator("#ask").click()
        page.locator("[data-choice=tie]").click()
        for name in ("here", "there"):
            expect(page.locator(".sides .note", has_text=re.compile(rf"^{name}'s · rule 1\.0"))).to_have_count(1)
        names.nth(0).fill("changed")
        models.nth(0).select_option("there")
        page.goto(url + "evaluate")
        expect(models.first).to_have_value("there")
        page.locator("#prompts").set_input_files(rows(tmp_path))
        page.screenshot(path=picture("evaluate-models"), full_page=True)
        page.locator("#start").click()
        expect(page.locator("#run .state")).to_contain_text("finished", timeout=PATIENCE)
        asked = {name: engine.asked for name, engine in world.engines.items()}
        assert asked["here"] == 1 and asked["there"] == 1 + 2 * 14
        context.close()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "ko")])
def test_nothing_sticks_out(
    browser: Browser, world: tuple[str, EvaluationWorld], tmp_path: Path, viewport: dict[str, int], theme: str, language: str
) -> None:
    url, _ = world
    asked = f"?theme={theme}&lang={language}"
    name = f"{viewport['width']}-{theme}"
    page = opened(browser, f"{url}evaluate{asked}", viewport=viewport)
    page.locator("#prompts").set_input_files(rows(tmp_path))
    expect(page.locator(".preview tbody tr")).to_have_count(15, timeout=PATIENCE)
    page.screenshot(path=picture(f"evaluate-form-{name}"), full_page=True)
    assert violations(page) == []
    page.locator("#start").click()
    expect(page.locator("table.answers tbody tr")).to_have_count(15, timeout=PATIENCE)
    page.screenshot(path=picture(f"evaluate-{name}"), full_page=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{url}compare{asked}")
    page.locator("#prompt").fill("say hello")
    page.locator("#ask").click()
    page.locator("[data-choice=tie]").click()
    expect(page.locator("#standings table").first).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=picture(f"compare-{name}"), full_page=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.body.className") == "evaluation"  # paper is white
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.body.classList.contains('dark')") is (theme == "dark")
    missing = page.evaluate("document.body.innerText.match(/\\b(evaluate|compare|variants|score|rating|pages)\\.[a-z_.]+/g)")
    assert missing is None, missing
    page.context.close()
