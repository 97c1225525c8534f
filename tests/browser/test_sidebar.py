"""The list beside the chat in a real browser: searched, named, pinned, deleted and brought back, branched, saved and read."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app_process import AppProcess, running_app
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.test_chat import answered, ask
from webui.data_folder import DATABASE

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
DAY = 86_400
HOSTILE = "<img src=x onerror=document.title='hacked'> <script>document.title='hacked'</script> **bold**"


def kept(title: str, *texts: str, days_ago: float = 0, pinned: bool = False) -> dict[str, Any]:
    """A conversation as our file has it: questions and answers in turns."""
    ids = [f"{number:032x}" for number in range(len(texts))]
    messages = [
        {
            "id": ids[number],
            "parent": ids[number - 1] if number else None,
            "role": "assistant" if number % 2 else "user",
            "text": text,
            "end": "stop" if number % 2 else None,
        }
        for number, text in enumerate(texts)
    ]
    updated = time.time() - days_ago * DAY
    heading = {"title": title, "named": True, "pinned": pinned, "created": updated, "updated": updated}
    return {**heading, "messages": messages}


def ours(*conversations: dict[str, Any]) -> bytes:
    """Our file."""
    return json.dumps({"format": "batchat-conversations", "version": 1, "conversations": conversations}).encode()


LISTEN = """(says) => {
  window.said = false;
  const said = () => [...document.querySelectorAll(".undo, page-notice")].some((each) => each.textContent.includes(says));
  const look = () => (window.said ||= said());
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def findable(visitor: Visit, words: str) -> None:
    """Waits until a search finds these words: what was added is written a moment later."""
    for _ in range(1800):
        if visitor.context.request.get(f"{visitor.url}/api/search", params={"q": words}).json()["chats"]:
            return
        time.sleep(0.1)
    raise AssertionError(words)


def add(page: Page, content: bytes, says: str) -> None:
    """Adds a file by the menu and waits for what is said of it."""
    page.locator("#all-chats").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Add from a file").click()
    page.evaluate(LISTEN, says)  # from now on: the words stand for some seconds only
    chooser.value.set_files({"name": "chats.json", "mimeType": "application/json", "buffer": content})
    page.wait_for_function("() => window.said")


def titles(page: Page) -> Locator:
    """The titles in the list, as they stand there."""
    return page.locator("chat-list nav .title")


def row(page: Page, title: str) -> Locator:
    """The row with this title."""
    return page.locator("chat-list li").filter(has=page.get_by_text(title, exact=True))


def choose(page: Page, title: str, action: str) -> None:
    """Opens a row's menu and takes an entry."""
    row(page, title).hover()
    row(page, title).get_by_role("button", name="More for").click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def groups(page: Page) -> list[str]:
    """The days above the rows."""
    return page.locator("chat-list nav h2").all_inner_texts()


def opened(page: Page, texts: Sequence[str]) -> None:
    """Waits until the conversation shows these messages."""
    expect(page.locator(".message")).to_contain_text(texts)  # of the one before there may be as many
    expect(page.locator(".message")).to_have_count(len(texts))


def test_the_list_is_by_day_with_the_pinned_above(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    expect(page.locator("#left")).to_be_visible()
    old = [kept("an old one", "q", "a", days_ago=70), kept("yesterday's", "q", "a", days_ago=1)]
    add(
        page, ours(*old, kept("days ago", "q", "a", days_ago=3), kept("kept up", "q", "a", days_ago=400, pinned=True)), "4 conv"
    )
    ask(page, "The words of today")
    answered(page)
    expect(titles(page)).to_have_text(["kept up", "The words of today", "yesterday's", "days ago", "an old one"])
    week, month = time.localtime(time.time() - 3 * DAY), time.localtime(time.time() - 70 * DAY)
    assert groups(page) == ["Pinned", "Today", "Yesterday", time.strftime("%A", week), time.strftime("%B %Y", month)]
    row(page, "yesterday's").get_by_role("link").click()
    opened(page, ["q", "a"])
    expect(page.locator("chat-list [aria-current=page]")).to_have_text("yesterday's")
    expect(page).to_have_title("yesterday's · Batchat")


def test_a_search_finds_inside_words_of_both_languages(echo_visit: Visiting) -> None:
    visitor = echo_visit()
    page = visitor.tab()
    add(
        page,
        ours(kept("School", "어디에서 배웠어?", "초등학교에서 배웠어요."), kept("Engine", "What?", "Continuous **batching**.")),
        "2 conv",
    )
    for words in ("배웠", "batching"):
        findable(visitor, words)
    for wanted, title, marked in (
        ("학교", "School", "학교"),
        ("등학교에", "School", "등학교에"),
        ("batch", "Engine", "batch"),
        ("TINU", "Engine", "tinu"),
    ):
        page.locator("#chat-search").fill(wanted)
        expect(page.locator(".found")).to_have_text("1 conversation found")
        expect(titles(page)).to_have_text([title])
        expect(page.locator("chat-list mark")).to_have_text(marked)
    page.locator("#chat-search").fill("school")
    expect(titles(page)).to_have_text(["School"])
    page.locator("#chat-search").fill("nowhere to be found")
    expect(page.locator(".found")).to_have_text("0 conversations found")
    page.locator("#chat-search").fill("배웠")
    expect(titles(page)).to_have_text(["School"])
    row(page, "School").get_by_role("link").click()
    opened(page, ["어디에서", "초등학교에서"])
    page.locator("#chat-search").fill("")
    expect(titles(page)).to_have_count(2)


def test_rename_and_pin_are_seen_in_the_other_tab(echo_visit: Visiting) -> None:
    visitor = echo_visit()
    page, other = visitor.tab(), visitor.tab()
    add(page, ours(kept("one", "q", "a"), kept("two", "q", "a", days_ago=1)), "2 conv")
    choose(page, "two", "Rename")
    field = page.get_by_label("New title")
    expect(field).to_have_value("two")
    field.fill("  여우와 나무  ")
    field.press("Enter")
    for tab in (page, other):
        expect(titles(tab)).to_have_text(["one", "여우와 나무"])
    choose(page, "one", "Rename")
    field.fill("never")
    field.press("Escape")
    expect(titles(page)).to_have_text(["one", "여우와 나무"])
    choose(page, "여우와 나무", "Pin")
    for tab in (page, other):
        expect(titles(tab)).to_have_text(["여우와 나무", "one"])
    choose(page, "여우와 나무", "Unpin")
    expect(titles(other)).to_have_text(["one", "여우와 나무"])


def test_what_is_deleted_can_be_brought_back(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    add(page, ours(kept("stays", "q", "a"), kept("goes", "the question", "the answer")), "2 conv")
    row(page, "goes").get_by_role("link").click()
    opened(page, ["the question", "the answer"])
    choose(page, "goes", "Delete")
    expect(titles(page)).to_have_text(["stays"])
    expect(page.locator(".message")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "goes")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    row(page, "goes").get_by_role("link").click()
    opened(page, ["the question", "the answer"])


def test_all_can_be_deleted_after_a_question_and_brought_back(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    add(page, ours(kept("one", "q", "a"), kept("two", "q", "a")), "2 conv")
    page.locator("#all-chats").click()
    page.get_by_role("menuitem", name="Delete all").click()
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.get_by_role("button", name="Keep").click()
    expect(titles(page)).to_have_count(2)
    page.locator("#all-chats").click()
    page.get_by_role("menuitem", name="Delete all").click()
    expect(page.locator(".undo")).to_contain_text("Delete all 2 conversations?")
    page.locator(".undo").get_by_role("button", name="Delete").click()
    expect(titles(page)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(titles(page)).to_have_count(2)


def test_a_branch_begins_with_the_messages_so_far(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    add(page, ours(kept("long", "first question", "first answer", "second question", "second answer")), "1 conv")
    row(page, "long").get_by_role("link").click()
    opened(page, ["first question", "first answer", "second question", "second answer"])
    before = page.url
    answer = page.locator(".message[data-role=assistant]").first
    answer.hover()
    answer.get_by_role("button", name="Branch into a new chat").click()
    opened(page, ["first question", "first answer"])
    assert page.url != before
    ask(page, "another question")
    answered(page, 2)
    opened(page, ["first question", "first answer", "another question", "another question"])
    page.go_back()
    opened(page, ["first question", "first answer", "second question", "second answer"])
    question = page.locator(".message[data-role=user]").last
    question.hover()
    question.get_by_role("button", name="Branch into a new chat").click()
    opened(page, ["first question", "first answer", "second question"])


def saved(page: Page, title: str, entry: str, folder: Path) -> Path:
    """The file that a menu entry saves."""
    row(page, title).hover()
    row(page, title).get_by_role("button", name="More for").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=entry).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_conversation_is_saved_in_three_ways_and_read_again(echo_visit: Visiting, tmp_path: Path) -> None:
    visitor = echo_visit()
    page = visitor.tab()
    add(page, ours(kept("여우 talk", "What is `x`?", HOSTILE)), "1 conv")
    markdown = saved(page, "여우 talk", "Save as Markdown", tmp_path)
    assert markdown.name == "여우 talk.md"
    assert markdown.read_text("utf-8") == f"# 여우 talk\n\n## You\n\nWhat is `x`?\n\n## The model\n\n{HOSTILE}\n"
    web = saved(page, "여우 talk", "Save as a web page", tmp_path)
    looked_at = visitor.context.new_page()
    looked_at.goto(web.as_uri())
    expect(looked_at.locator("body")).to_contain_text("<img src=x onerror=document.title='hacked'> <script>")
    assert looked_at.title() == "여우 talk" and looked_at.locator("img, script").count() == 0
    expect(looked_at.locator("strong")).to_have_text("bold")
    looked_at.close()
    again = saved(page, "여우 talk", "Save as JSON", tmp_path).read_bytes()
    somebody = echo_visit().tab()
    add(somebody, again, "1 conversation added")
    row(somebody, "여우 talk").get_by_role("link").click()
    opened(somebody, ["What is `x`?", "<script>"])
    assert somebody.title() == "여우 talk · Batchat"
    somebody.locator("#all-chats").click()
    with somebody.expect_download() as download:
        somebody.get_by_role("menuitem", name="Save all to a file").click()
    body = json.loads(Path(download.value.path()).read_bytes())
    assert [one["title"] for one in body["conversations"]] == ["여우 talk"]


def test_files_of_open_webui_and_chatgpt_are_read_and_others_refused_in_words(echo_visit: Visiting) -> None:
    page = echo_visit().tab()
    messages = {
        "q": {"id": "q", "parentId": None, "childrenIds": ["a"], "role": "user", "content": "Hi there"},
        "a": {"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "Hello from elsewhere"},
    }
    chat = {"title": "T", "history": {"messages": messages, "currentId": "a"}}
    add(page, json.dumps([{"id": "x", "title": "From Open WebUI", "chat": chat}]).encode(), "1 conversation added")
    said = {
        name: {
            "id": name,
            "parent": parent,
            "children": [],
            "message": {"id": name, "author": {"role": role}, "content": {"content_type": "text", "parts": [text]}},
        }
        for name, parent, role, text in (("q", None, "user", "Greetings"), ("a", "q", "assistant", "And to you"))
    }
    add(page, json.dumps([{"title": "From ChatGPT", "mapping": said, "current_node": "a"}]).encode(), "1 conversation added")
    row(page, "From Open WebUI").get_by_role("link").click()
    opened(page, ["Hi there", "Hello from elsewhere"])
    row(page, "From ChatGPT").get_by_role("link").click()
    opened(page, ["Greetings", "And to you"])
    add(page, b'{"a": 1}', "This file holds no conversations")


def test_a_killed_server_is_said_and_its_answer_interrupted_and_continued(browser: Browser, tmp_path: Path) -> None:
    words = "".join(f"Sentence number {number} of this answer.\n\n" for number in range(1800))
    with running_app("--data-dir", str(tmp_path / "data"), module="tests.echo_app") as first:
        first.wait_until_ready()
        visitor = Visit(browser.new_context(viewport=DESKTOP, locale="en-US"), first.url)
        page = visitor.tab()
        ask(page, f"every 60 ms\n{words}")
        answer = page.locator(".message[data-role=assistant]")
        expect(answer).to_contain_text("Sentence number 3 of")
        for _ in range(600):
            with contextlib.closing(sqlite3.connect(tmp_path / "data" / DATABASE, timeout=60)) as there:
                if "number 2 of" in str(there.execute("select text from message where role = 'assistant'").fetchall()):
                    break
            page.wait_for_timeout(100)
        page.locator("#message textarea").fill("a draft")
        first.end(signal.SIGKILL)
    expect(page.locator(".banner").first).to_contain_text("connection is lost")
    expect(answer).to_contain_text("Sentence number 3 of")
    port = first.url.rpartition(":")[2]
    with running_app("--data-dir", str(tmp_path / "data"), "--port", port, module="tests.echo_app") as second:
        second.wait_until_ready()
        expect(answer.locator(".mark")).to_contain_text("Interrupted")
        expect(page.locator(".banner").first).to_be_hidden()
        expect(page.locator("#message textarea")).to_have_value("a draft")
        expect(answer).to_contain_text("Sentence number 2 of")
        answer.get_by_role("button", name="Continue").click()
        expect(answer.locator(".mark")).to_be_hidden(timeout=30_000)
        expect(answer).to_contain_text("Sentence number 9 of")
        page.locator("#stop").click()
        expect(answer).to_contain_text("Stopped.")
        text = answer.inner_text()
        assert [text.count(f"Sentence number {number} of") for number in range(9)] == [1] * 9
        visitor.context.close()


def test_on_a_phone_the_list_is_behind_a_button(echo_visit: Visiting) -> None:
    page = echo_visit(viewport=PHONE, has_touch=True).tab()
    expect(page.locator("#left")).to_be_hidden()
    page.locator("#show-chats").tap()
    add(page, ours(kept("mine", "q", "a")), "1 conv")
    row(page, "mine").get_by_role("button", name="More for").tap()
    expect(page.get_by_role("menuitem", name=re.compile("Rename"))).to_be_visible()
    page.keyboard.press("Escape")
    row(page, "mine").get_by_role("link").tap()
    opened(page, ["q", "a"])
    expect(page.locator("#left")).to_be_hidden()


def test_another_visitor_sees_nothing_of_it(echo_visit: Visiting, echo_app: AppProcess) -> None:
    mine, other = echo_visit().tab(), echo_visit().tab()
    add(mine, ours(kept("canary5521", "canary5521 asks", "canary5521 says")), "1 conv")
    row(mine, "canary5521").get_by_role("link").click()
    opened(mine, ["canary5521 asks", "canary5521 says"])
    other.locator("#chat-search").fill("canary5521")
    expect(other.locator(".found")).to_have_text("0 conversations found")
    other.goto(mine.url)
    expect(other.locator(".welcome")).to_contain_text("no such conversation")
    assert "canary5521" not in other.content()
