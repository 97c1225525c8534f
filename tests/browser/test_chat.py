"""The chat page in a real browser, before the real engine: what a person does, by mouse and keyboard."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.app_process import AppProcess
from tests.browser.conftest import Visit
from tests.conftest import CONTEXT, ENDLESS

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]

LENGTH = "[...document.querySelectorAll('.message[data-role=assistant]')].at(-1).innerText.length"
OVER = "[...document.querySelectorAll('.message[data-role=assistant]')].at(-1).dataset.state === 'ended'"


def ask(page: Page, text: str) -> None:
    """Types a message and presses Enter."""
    page.locator("#message textarea").fill(text)
    page.locator("#message textarea").press("Enter")


def answered(page: Page, count: int = 1) -> None:
    """Waits until the conversation has so many answers and the last is over."""
    expect(page.locator(".message[data-role=assistant]")).to_have_count(count)
    expect(page.locator(".message[data-role=assistant]").last).to_have_attribute("data-state", "ended")


def long_answer(page: Page, text: str) -> Locator:
    """Asks for an answer that does not end by itself, and gives it once it streams."""

    def longer(route: Route) -> None:
        body = route.request.post_data_json
        route.continue_(post_data={**body, "sampling": {**body["sampling"], "min_tokens": ENDLESS, "temperature": 1}})

    page.route("**/messages", longer)
    ask(page, text)
    answer = page.locator(".message[data-role=assistant]").last
    expect(answer).to_have_attribute("data-state", "decode")
    return answer


def written(page: Page) -> str:
    """The words of the last answer, finished and unfinished, without blanks and without what stands around them."""
    answer = page.locator(".message[data-role=assistant]").last
    # both at one moment: a paragraph goes from one to the other once it is finished
    parts = answer.evaluate("answer => ['.blocks', '.tail'].map((part) => answer.querySelector(part).innerText)")
    return "".join("".join(parts).split())


def test_ask_and_read_the_answer_and_where_its_time_went(visit: Visiting) -> None:
    page = visit().tab()
    ask(page, "What is the last letter of English alphabets?")
    answered(page)
    expect(page.locator(".message[data-role=assistant]")).to_contain_text(re.compile(r"\bZ\b"))
    footer = page.locator(".answer-footer").last
    expect(footer).to_contain_text(re.compile(r"queue \d+\.\d\d s.*prefill \d+\.\d\d s.*decode \d+\.\d\d s.*\d+ tokens"))
    expect(page.locator("#message textarea")).to_have_value("")
    expect(page.locator("#message textarea")).to_be_focused()


def test_text_streams_and_stop_keeps_it(visit: Visiting) -> None:
    page = visit().tab()
    for _ in range(4):  # vLLM 0.30 now and then lets an answer end before its min_tokens, after others were aborted
        answer = long_answer(page, "Tell me a story about a fox.")
        lengths = [len(written(page))]
        for _ in range(3):
            page.wait_for_function(f"{LENGTH} > {page.evaluate(LENGTH) + 20} || {OVER}")
            lengths.append(len(written(page)))
        if answer.get_attribute("data-state") == "decode":
            break
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
    expect(page.locator("#send")).to_be_hidden()
    page.locator("#stop").click()
    expect(answer).to_have_attribute("data-state", "ended")
    expect(page.locator("#send")).to_be_visible()
    assert len(written(page)) >= lengths[-1]
    expect(answer).to_contain_text(re.compile("stopped", re.IGNORECASE))


def test_regenerate_keeps_the_earlier_version(visit: Visiting) -> None:
    page = visit().tab()
    ask(page, "Hello!")
    answered(page)
    page.locator("[data-action=regenerate]").last.click()
    expect(page.locator(".message[data-role=assistant]")).to_contain_text("2 of 2")
    answered(page)
    page.locator("[data-action=version-previous]").last.click()
    expect(page.locator(".message[data-role=assistant]")).to_contain_text("1 of 2")


def test_edit_and_resend_keeps_the_earlier_question(visit: Visiting) -> None:
    page = visit().tab()
    ask(page, "Hello!")
    answered(page)
    question = page.locator(".message[data-role=user]")
    question.hover()
    page.locator("[data-action=edit]").first.click()
    question.locator("textarea").fill("What is the first letter of English alphabets?")
    question.get_by_role("button", name="Save and resend").click()
    expect(question).to_contain_text("first letter")
    answered(page)
    expect(page.locator(".message[data-role=assistant]")).to_contain_text(re.compile(r"\bA\b"))
    page.locator("[data-action=version-previous]").first.click()
    expect(page.locator(".message[data-role=user]")).to_contain_text("Hello!")


def test_a_reload_in_the_middle_shows_the_answer_so_far_and_goes_on(visit: Visiting) -> None:
    for _ in range(4):  # vLLM 0.30 now and then lets an answer end before its min_tokens, after others were aborted
        page = visit().tab()
        answer = long_answer(page, "Tell me a story about the sea.")
        page.wait_for_function(f"{LENGTH} > 100")
        before, length = written(page), page.evaluate(LENGTH)
        page.reload()
        answer.wait_for()
        page.wait_for_function(f"{LENGTH} > {length + 20} || {OVER}")
        after = written(page)
        if answer.get_attribute("data-state") == "decode":
            break
    else:
        raise AssertionError("every answer had ended")
    assert after.startswith(before[: len(before) // 2]) and len(after) > len(before)
    expect(page.locator(".message")).to_have_count(2)
    page.locator("#stop").click()
    expect(answer).to_have_attribute("data-state", "ended")


def opened_again(page: Page, app: AppProcess) -> None:
    """The server falls silent without a word, and the page, whose clock is the test's, opens its stream again."""
    app.process.send_signal(signal.SIGSTOP)
    try:
        with page.expect_request("**/api/stream*"):
            page.clock.run_for(46_000)
    finally:
        app.process.send_signal(signal.SIGCONT)


def test_a_stream_that_has_died_silently_is_opened_again(echo_visit: Visiting, echo_app: AppProcess) -> None:
    one = echo_visit()
    page = one.context.new_page()
    page.clock.install()
    page.goto(one.url)
    expect(page.locator("#engine-status")).to_have_attribute("data-stage", "ready")  # the stream is open
    opened_again(page, echo_app)
    ask(page, "Hello")
    answered(page)


def test_a_wall_whose_stream_has_died_silently_opens_it_again(echo_visit: Visiting, echo_app: AppProcess) -> None:
    one = echo_visit()
    page = one.context.new_page()
    page.clock.install()
    page.goto(f"{one.url}/board")
    lanes = re.compile(r"0 of \d+ lanes busy")
    expect(page.locator(".sub")).to_contain_text(lanes)
    opened_again(page, echo_app)
    expect(page.locator(".sub")).to_contain_text(lanes)


def test_a_lost_connection_is_said_for_as_long_as_it_is_lost(echo_visit: Visiting) -> None:
    one = echo_visit()
    # nothing but what the test says comes in
    one.context.add_init_script("window.EventSource = class extends EventTarget { readyState = 1; close() {} }")
    page = one.tab(heard=False)
    now = "{ stage: 'loading', since: 1, elapsed: 1, error: null, model: 'm', lanes: 4, context: 64 }"
    hub = "const { emit } = await import('./assets/js/hub.js');"
    page.evaluate(f"async () => {{ {hub} emit('status', {now}); emit('connection', 'lost'); }}")
    expect(page.locator(".banner[data-kind=lost]")).to_be_visible()
    page.wait_for_timeout(2500)  # in which the seconds of the stage go on
    expect(page.locator(".banner[data-kind=lost]")).to_be_visible()
    page.locator("#language").focus()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator("#language")).to_be_focused()
    expect(page.locator(".banner[data-kind=lost]")).to_be_visible()


def test_a_board_goes_on_however_often_another_tab_is_loaded_anew(echo_visit: Visiting) -> None:
    one = echo_visit()
    shown, other = one.tab(), one.tab()
    for _ in range(4):
        other.reload()
        other.locator("#message textarea").wait_for()
    ask(other, "Hello")
    answered(other)
    expect(shown.get_by_role("link", name="Hello").or_(shown.get_by_role("button", name="Hello")).first).to_be_visible()


def test_two_tabs_ask_different_questions_at_once(visit: Visiting) -> None:
    visitor = visit()
    one, two = visitor.tab(), visitor.tab()
    ask(one, "What is the first letter of English alphabets?")
    ask(two, "What is the last letter of English alphabets?")
    answered(one)
    answered(two)
    expect(one.locator(".message[data-role=assistant]")).to_contain_text(re.compile(r"\bA\b"))
    expect(two.locator(".message[data-role=assistant]")).to_contain_text(re.compile(r"\bZ\b"))
    assert one.url != two.url


def test_new_chat_is_empty_and_the_old_one_is_in_the_list(visit: Visiting) -> None:
    page = visit().tab()
    ask(page, "Hello, my old friend!")
    answered(page)
    page.locator("#new-chat").click()
    expect(page.locator(".message")).to_have_count(0)
    page.get_by_role("link", name="Hello, my old friend!").or_(
        page.get_by_role("button", name="Hello, my old friend!")
    ).first.click()
    expect(page.locator(".message")).to_have_count(2)
    page.go_back()
    expect(page.locator(".message")).to_have_count(0)


def test_a_message_that_is_too_long_stays_in_the_box_and_says_both_numbers(visit: Visiting) -> None:
    page = visit().tab()
    long = "word " * 30_000
    page.locator("#message textarea").fill(long)
    page.locator("#send").click()
    expect(page.locator("page-notice")).to_contain_text(re.compile(rf"needs 30\d+ tokens.*at most {CONTEXT}\b"))
    expect(page.locator("#message textarea")).to_have_value(long)
    expect(page.locator(".message")).to_have_count(0)


def test_the_meter_counts_while_one_types(visit: Visiting) -> None:
    page = visit().tab()
    page.locator("#message textarea").fill("Hello there, how are you?")
    expect(page.locator("#meter")).to_contain_text(re.compile(rf"\d+ / {CONTEXT:,}"))


def test_what_looks_like_html_is_text(visit: Visiting) -> None:
    page = visit().tab()
    typed = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script><b>bold</b> <T> <think>"
    ask(page, typed)
    answered(page)
    expect(page.locator(".message[data-role=user]")).to_contain_text(typed)
    assert page.evaluate("window.hacked") is None


def test_shift_enter_makes_a_line_and_hangul_is_sent_once_with_its_last_syllable(visit: Visiting) -> None:
    visitor = visit(locale="ko-KR")
    page = visitor.tab()
    box = page.locator("#message textarea")
    box.click()
    keyboard = visitor.context.new_cdp_session(page)
    for text in ("ㅇ", "아", "안", "안ㄴ", "안녀", "안녕"):
        keyboard.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
    # The key that ends a composition: the browser marks it as the input method's own, and it must not send.
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229, "nativeVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **key})
    page.wait_for_timeout(200)
    expect(page.locator(".message")).to_have_count(0)
    keyboard.send("Input.insertText", {"text": "안녕"})
    box.press("Shift+Enter")
    box.press_sequentially("x")
    expect(box).to_have_value("안녕\nx")
    box.press("Enter")
    answered(page)
    expect(page.locator(".message[data-role=user]")).to_have_count(1)
    expect(page.locator(".message[data-role=user]")).to_contain_text("안녕")


def test_the_board_shows_what_runs_and_nobodys_words(visit: Visiting) -> None:
    mine, other = visit(), visit()
    writer, reader = mine.tab(), other.tab()
    long_answer(writer, "My canary is 48151623. Tell me a story.")
    expect(reader.locator("batch-board")).to_contain_text(re.compile("1 of 4 lanes"))
    assert "48151623" not in reader.content()
    expect(writer.locator("batch-board canvas")).to_have_attribute("aria-label", re.compile("1 running request is yours"))
    expect(reader.locator("batch-board canvas")).to_have_attribute("aria-label", re.compile("0 running requests are yours"))
    writer.locator("#stop").click()
    expect(reader.locator("batch-board")).to_contain_text(re.compile("0 of 4 lanes"))
    for page in (writer, reader):
        page.locator("#batch-requests-tab").click()
    row = writer.locator(".requests tbody tr").first
    expect(row).to_contain_text(re.compile("yours.*stopped", re.IGNORECASE))
    expect(reader.locator(".requests tbody tr").first).to_contain_text(re.compile("visitor.*stopped", re.IGNORECASE))


def test_eight_tabs_of_one_browser_all_load_and_answer(visit: Visiting) -> None:
    visitor = visit()
    tabs = []
    for _ in range(8):
        tabs.append(visitor.tab())
        tabs[-1].evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        tabs[-1].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    last = tabs[-1]
    last.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    last.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    ask(last, "Hello!")
    answered(last)


def test_a_server_that_is_gone_is_said_and_loses_no_draft(visit: Visiting) -> None:
    visitor = visit()
    page = visitor.tab()
    visitor.context.set_offline(True)
    page.locator("#message textarea").fill("kept")
    page.locator("#send").click()
    expect(page.locator("#message textarea")).to_have_value("kept")
    visitor.context.set_offline(False)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page.locator("#send").click()
        page.wait_for_timeout(500)
        if page.locator(".message").count():
            break
    answered(page)
