"""The field and its settings in a real browser, and what is said while an answer waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.test_chat import answered, ask
from webui.ui.texts import load_texts

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
TEXTS = load_texts()
SETTLED = 1000  # milliseconds in which Gradio's controls show what is remembered; what they say before does not count
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed", "stop")
NEVER = "every 3600000 ms\nx"


def sent(page: Page, text: str, usual: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The system prompt and the settings that go with a message; what does not is as usual."""
    with page.expect_request("**/messages") as request:
        ask(page, text)
    body = request.value.post_data_json
    return body["system"], {**usual, **body["sampling"]}


def hears(page: Page) -> None:
    """Waits until the page hears Gradio's controls; the panel of sampling is open."""
    for attempt in range(60):
        value = 6 + attempt % 2
        control(page, "top_k").fill(str(value))
        control(page, "top_k").press("Tab")
        page.wait_for_timeout(SETTLED)
        if page.evaluate("(n) => JSON.parse(sessionStorage['batchat.controls'] ?? '{}').sampling?.top_k === n", value):
            return
    raise AssertionError("Gradio's controls are not heard")


def control(page: Page, name: str) -> Locator:
    """The field of one setting."""
    return page.locator(f"#sampling-{name} :is(textarea, input[type=number])").first


@pytest.mark.parametrize("way", ["Enter", "Send"])
def test_what_is_sent_before_the_scripts_are_there_is_not_lost(echo_visit: Visiting, way: str) -> None:
    one = echo_visit()
    page, scripts = one.context.new_page(), list[Route]()
    page.route("**/assets/js/main.js*", lambda route: scripts.append(route))
    page.goto(one.url, wait_until="commit")
    field = page.locator("#message textarea")
    field.fill("Hello!")
    if way == "Enter":
        field.press("Enter")
    else:
        page.locator("#send").click()
    assert scripts and page.locator(".message").count() == 0
    for script in scripts:
        script.continue_()
    answered(page)
    expect(page.locator(".message[data-role=user]")).to_have_text("Hello!")
    expect(field).to_have_value("")


def test_settings_go_with_the_message_survive_a_reload_and_are_reset(echo_visit: Visiting) -> None:
    visit = echo_visit()
    page = visit.tab()
    usual = page.request.get(f"{visit.url}/api/status").json()["sampling"]
    assert sent(page, "one", usual) == ("", usual)
    answered(page)
    page.locator(".chip[data-panel=sampling]").click()
    hears(page)
    for name, value in (("temperature", "0.3"), ("top_k", "5"), ("max_tokens", "77"), ("seed", "0"), ("stop", "END\n###")):
        control(page, name).fill(value)
        control(page, name).press("Tab")
    page.locator(".chip[data-panel=system]").click()
    page.locator("#system-prompt textarea").fill("Be short.")
    expect(page.locator(".chip[data-panel=sampling]")).to_contain_text("0.3")
    wanted = {**usual, "temperature": 0.3, "top_k": 5, "max_tokens": 77, "seed": 0, "stop": ["END", "###"]}
    page.wait_for_function(
        "() => { const { system, sampling } = JSON.parse(sessionStorage['batchat.controls'] ?? '{}');"
        " return system === 'Be short.' && sampling?.stop?.length === 2 && sampling.temperature === 0.3"
        " && sampling.top_k === 5 && sampling.max_tokens === 77 && sampling.seed === 0; }"
    )
    for count in (2, 3):
        assert sent(page, "two", usual) == ("Be short.", wanted)
        answered(page, count)
        page.reload()
        page.locator("#message textarea").wait_for()
    page.locator(".chip[data-panel=sampling]").click()
    expect(control(page, "temperature")).to_have_value("0.3")
    hears(page)
    page.locator("#sampling-reset").click()
    expect(control(page, "temperature")).to_have_value(str(usual["temperature"]))
    page.wait_for_function("() => !Object.keys(JSON.parse(sessionStorage['batchat.controls'] ?? '{}').sampling ?? {}).length")
    assert sent(page, "three", usual) == ("Be short.", usual)


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_each_setting_has_a_line_that_says_what_it_does(echo_visit: Visiting, locale: str) -> None:
    page = echo_visit(locale=locale).tab()
    page.locator(".chip[data-panel=sampling]").click()
    for name in SAMPLING:
        expect(page.locator(f"#sampling-{name}")).to_contain_text(TEXTS[locale[:2]][f"sampling.{name}.info"])


@pytest.mark.parametrize(
    ("locale", "third", "second"),
    [("en-US", "3rd in line", "2nd in line"), ("ko-KR", "3번째", "2번째")],
)
def test_whoever_waits_sees_the_place_in_line(echo_visit: Visiting, locale: str, third: str, second: str) -> None:
    visit = echo_visit(locale=locale)
    tabs = [visit.tab() for _ in range(3)]
    for place, tab in enumerate(tabs, 1):
        ask(tab, NEVER)
        expect(tab.locator(".message .waiting")).to_contain_text(str(place))
    expect(tabs[2].locator(".message .waiting")).to_contain_text(third)
    tabs[0].locator("#stop").click()
    expect(tabs[2].locator(".message .waiting")).to_contain_text(second)
    for tab in tabs[1:]:
        tab.locator("#stop").click()
        answered(tab)


def test_the_formulas_are_there_for_whoever_asks(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, "Hello!")
    answered(page)
    formulas = page.locator(".answer-footer .formulas")
    expect(formulas).to_be_hidden()
    page.locator(".answer-footer").focus()
    expect(formulas).to_be_visible()
    expect(formulas).to_contain_text("first token")
    page.reload()
    expect(page.locator(".answer-footer .formulas")).to_contain_text("first token")


def held(page: Page, text: str) -> Route:
    """Sends a message that stays on its way until it is let go."""
    messages: list[Route] = []
    page.route("**/messages", lambda route: messages.append(route))
    ask(page, text)
    while not messages:
        page.wait_for_timeout(50)
    return messages[0]


def test_what_is_typed_while_a_message_is_on_its_way_is_the_next_one(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    field, message = page.locator("#message textarea"), held(page, "Hello")
    expect(field).to_have_value("")
    field.press_sequentially("and then")
    message.continue_()
    answered(page)
    expect(page.locator(".message[data-role=user]")).to_have_text("Hello")
    expect(field).to_have_value("and then")
    page.reload()
    expect(field).to_have_value("and then")


def test_what_is_refused_comes_back_before_what_was_typed_meanwhile(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    field, message = page.locator("#message textarea"), held(page, "Hello")
    field.press_sequentially(" and then")
    message.abort()
    expect(field).to_have_value("Hello and then")
    expect(page.locator("page-notice")).to_have_text(TEXTS["en"]["error.unreachable"])
    page.reload()
    expect(field).to_have_value("Hello and then")
