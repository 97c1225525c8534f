"""How an answer is drawn in a real browser: Markdown, thoughts, footnotes, formulas; what is copied and kept, errors."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app_process import GUARD, AppProcess
from tests.browser.conftest import Visit
from tests.browser.test_chat import answered, ask
from tests.browser.test_sidebar import kept, ours
from webui.open_chat import RENDERED_AT_ONCE

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
SAMPLE = """<think>
First I think.
</think>

Mass is $E = mc^2$[^1].

- [x] done
- [ ] open <b>not bold</b>

```python
x = 1
```

[^1]: By *somebody*.
"""
LONG = "every 20 ms\n" + "".join(f"Paragraph {number} of a long answer, with some words in it.\n\n" for number in range(1800))


def last(page: Page) -> Locator:
    """The last answer."""
    return page.locator(".message[data-role=assistant]").last


def drawn(page: Page) -> str:
    """The HTML of the last answer's blocks, without what only this moment has."""
    return str(page.evaluate("[...document.querySelectorAll('.blocks')].at(-1).innerHTML"))


def test_what_streams_ends_as_what_is_drawn_at_once(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, f"every 1 ms\n{SAMPLE}")
    answered(page)
    streamed = drawn(page)
    page.reload()
    answered(page)
    assert drawn(page) == streamed
    assert page.locator(".blocks math msup").count() == 1
    expect(page.locator(".blocks li").last).to_have_text("☐ open <b>not bold</b>")


def test_thoughts_are_folded_and_footnotes_lead_there_and_back(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, SAMPLE)
    answered(page)
    expect(last(page).get_by_text("First I think.")).to_be_hidden()
    last(page).get_by_text("Thoughts", exact=True).click()
    expect(last(page).get_by_text("First I think.")).to_be_visible()
    cite = last(page).get_by_role("button", name="Footnote 1")
    cite.click()
    expect(last(page).locator("[data-note]")).to_be_focused()
    last(page).get_by_role("button", name="Back to the text").click()
    expect(cite).to_be_focused()


def test_thoughts_without_a_beginning_are_folded_when_they_end(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, "Hm, let me see.\n\n</think>\n\nIt is 4.")
    answered(page)
    expect(last(page).get_by_text("Hm, let me see.")).to_be_hidden()
    expect(last(page).get_by_text("It is 4.")).to_be_visible()


def test_a_message_is_copied_as_its_markdown_and_code_as_code(echo_visit: Visiting) -> None:
    visitor = echo_visit(permissions=["clipboard-read", "clipboard-write"])
    page = visitor.tab()
    ask(page, SAMPLE)
    answered(page)
    last(page).get_by_role("button", name="Copy message").click()
    page.wait_for_function("async (text) => await navigator.clipboard.readText() === text", arg=SAMPLE.rstrip("\n"))
    last(page).get_by_role("button", name="Copy code").click()
    page.wait_for_function("async () => await navigator.clipboard.readText() === 'x = 1\\n'")


def test_long_lines_are_wrapped_at_will_and_stay_so(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, "```\n" + "long " * 200 + "\n```")
    answered(page)
    wide = "() => { const pre = document.querySelector('.code pre'); return pre.scrollWidth > pre.clientWidth; }"
    assert page.evaluate(wide)
    page.get_by_role("button", name="Wrap lines").click()
    assert not page.evaluate(wide)
    page.reload()
    answered(page)
    expect(page.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
    assert not page.evaluate(wide)


def test_a_long_conversation_is_drawn_from_its_end_to_its_beginning(echo_visit: Visiting) -> None:
    visit = echo_visit()
    page = visit.tab()
    said = [text for number in range(60) for text in (f"Question {number}", f"Answer **{number}**")]
    answer = page.request.post(f"{visit.url}/api/import", data=ours(kept("long", *said)), headers=GUARD)
    asked: list[list[str]] = []
    page.on("request", lambda request: asked.append(request.post_data_json["messages"]) if "/blocks" in request.url else None)
    page.goto(f"{visit.url}/#{answer.json()['chats'][0]}")
    expect(last(page).locator("strong")).to_have_text("59")
    expect(page.locator(".message .blocks strong")).to_have_text([str(number) for number in range(60)])
    assert page.locator(".message").count() == 120
    older = [message for messages in asked for message in messages]
    assert len(older) == len(set(older)) == 60 - RENDERED_AT_ONCE // 2, "each is asked for once"
    page.wait_for_function(
        "() => { const {scrollHeight, scrollTop, clientHeight} = document.querySelector('.talk');"
        " return scrollHeight - scrollTop - clientHeight < 2; }",
    )


def test_a_reader_who_scrolled_up_stays_put(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, LONG)
    expect(last(page)).to_contain_text("Paragraph 40 of")
    page.locator(".talk").hover()
    for _ in range(100):  # a turn of the wheel in the very frame in which the text grew does not count
        page.mouse.wheel(0, -600)
        page.wait_for_timeout(200)
        if page.locator(".more").is_visible():
            break
    expect(page.locator(".more")).to_be_visible()
    page.wait_for_function(
        "() => { const { scrollTop } = document.querySelector('.talk'), stands = window.scrolledTo === scrollTop;"
        " window.scrolledTo = scrollTop; return stands; }",
        polling=300,
    )
    top = page.evaluate("document.querySelector('.talk').scrollTop")
    so_far = len(last(page).inner_text())
    page.wait_for_function("(n) => [...document.querySelectorAll('.blocks')].at(-1).innerText.length > n + 500", arg=so_far)
    assert page.evaluate("document.querySelector('.talk').scrollTop") == top
    page.locator(".more").click()
    expect(page.locator(".more")).to_be_hidden()
    page.wait_for_function(
        "() => { const {scrollHeight, scrollTop, clientHeight} = document.querySelector('.talk');"
        " return scrollHeight - scrollTop - clientHeight < 4; }",
    )
    page.locator("#stop").click()


def test_drafts_survive_a_reload_and_belong_to_their_conversation(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    box = page.locator("#message textarea")
    box.fill("half a thought")
    page.reload()
    expect(box).to_have_value("half a thought")
    first = page.url
    page.locator("#new-chat").click()
    expect(box).to_have_value("")
    ask(page, "sent")
    answered(page)
    page.reload()
    answered(page)
    expect(box).to_have_value("")
    page.goto(first)
    expect(box).to_have_value("half a thought")
    box.press("Enter")
    answered(page)
    expect(box).to_have_value("")


def test_an_error_bears_an_id_that_the_log_has_too(echo_visit: Visiting, echo_app: AppProcess) -> None:
    page = echo_visit().tab()
    ask(page, "fail\n")
    answered(page)
    found = re.search(r"Something went wrong.*\(error ([0-9a-f]{8})\)", last(page).inner_text())
    assert found and f"Error {found[1]}" in echo_app.log.read_text()
    page.evaluate("location.hash = 'f'.repeat(32)")
    with page.expect_response("**/export**") as refused:
        page.evaluate("fetch('api/chats/' + 'e'.repeat(32) + '/export')")
    error = refused.value.json()["error"]
    assert error["code"] == "chat_not_found" and "id" not in error, "who asked sees by themselves what is wrong"


def test_the_language_is_the_browsers_and_can_be_switched(echo_visit: Visiting) -> None:
    visitor = echo_visit(locale="ko-KR")
    page = visitor.tab()
    assert page.evaluate("document.documentElement.lang") == "ko"
    expect(page.locator("#new-chat")).to_contain_text("새 대화")
    ask(page, "hello")
    answered(page)
    expect(page.locator(".answer-footer")).to_contain_text("토큰")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#new-chat")).to_contain_text("New chat")
    expect(page.locator("#send")).to_have_text("Send")
    expect(page.locator("chat-list h2")).to_have_text("Today")
    expect(page.locator(".answer-footer")).to_contain_text(re.compile(r"\d+ tokens"))
    page.reload()
    expect(page.locator("#new-chat")).to_contain_text("New chat")
    expect(page.locator("#send")).to_have_text("Send")


def test_a_reason_stays_when_the_thumb_is_turned_and_the_keyboard_stays_on_it(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    ask(page, "Hello")
    answered(page)
    up, down, why = (page.locator(each) for each in ("[data-action=thumb-up]", "[data-action=thumb-down]", ".why"))
    up.focus()
    page.keyboard.press("Enter")
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(up).to_be_focused()
    why.fill("not so good after all")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(why).to_have_value("not so good after all")
    page.reload()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(why).to_have_value("not so good after all")
