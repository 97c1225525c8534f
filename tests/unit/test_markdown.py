"""Blocks of safe HTML, whatever the pieces in which the text arrives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.markdown import MarkdownStream, Tail, render

LINES = st.sampled_from(
    [
        *("plain words", "# Heading", "- item", "  - nested", "1. one", "2. two", "7) seven", "```python", "```", "~~~"),
        *("| a | b |", "|---|---|", "| 1 | 2 |", "> quoted", "---", "===", "    indented", "", "", "**bold** and `code`"),
        *("<T> <think> <b", "한국어 문장이에요.", "a | b", "\tx = 1", "* star", "+ plus", "<script>x</script>"),
    ]
)


def apply(updates: list) -> tuple[list[str], Tail]:
    """What a page has after doing what the updates say."""
    blocks: list[str] = []
    tail = Tail()
    for update in updates:
        blocks += update.blocks
        tail = update.tail or tail
        tail = Tail(tail.kind, tail.text + update.append)
    return blocks, tail


def stream(text: str, size: int) -> tuple[list[str], Tail]:
    source = MarkdownStream()
    updates = [source.feed(text[at : at + size]) for at in range(0, len(text), size)]
    blocks, tail = apply(updates)
    assert (blocks, tail) == (source.blocks, source.tail)
    return apply([*updates, source.finish()])


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=14), st.integers(1, 40), st.booleans())
def test_the_blocks_do_not_depend_on_the_pieces(lines: list[str], size: int, newline: bool) -> None:
    text = "\n".join(lines) + ("\n" if newline else "")
    blocks, tail = stream(text, size)
    assert tuple(blocks) == render(text)
    assert tail.text == ""


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>&\"'ab/=! \nimgscriptonerrorjavascript:()[]`*", max_size=80))
def test_nothing_typed_becomes_a_tag_that_is_not_on_the_list(text: str) -> None:
    html = "".join(render(text))
    assert not re.search(r"<(script|img|style|iframe|svg|b|t)\b", html, re.IGNORECASE)
    assert not re.search(r"<[^>]*\son\w+\s*=", html)
    assert 'href="javascript' not in html.lower()


@pytest.mark.parametrize("source", ["<T>", "<think>", "an unclosed <b", "<img src=x onerror=alert(1)>", "a < b & c > d"])
def test_what_looks_like_html_is_shown_literally(source: str) -> None:
    (html,) = render(source)
    shown = re.sub(r"<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert shown == source


def test_a_finished_block_is_rendered_while_the_rest_is_still_plain() -> None:
    source = MarkdownStream()
    update = source.feed("First **bold**.\n\nSecond *unfin")
    assert update.blocks == ["<p>First <strong>bold</strong>.</p>"]
    assert update.tail == Tail("text", "Second *unfin")
    assert source.feed("ished*").as_dict() == {"append": "ished*"}


def test_code_streams_as_code_without_its_fence() -> None:
    source = MarkdownStream()
    assert source.feed("```python\n").tail == Tail("code", "")
    assert source.feed("x = 1\n").append == "x = 1\n"
    (html,) = source.feed("```\n").blocks
    assert html.startswith('<pre data-language="python"><code>')
    assert re.sub(r"<[^>]+>", "", html) == "x = 1\n"


def test_code_of_an_unknown_language_keeps_its_characters() -> None:
    (html,) = render("```klingon\n<a> & 'b'\n  c\n```")
    assert "&lt;a&gt; &amp; 'b'\n  c\n" in html.replace("&#39;", "'").replace("&#x27;", "'")


def test_a_list_arrives_item_by_item_and_goes_on_counting() -> None:
    blocks = render("1. one\n1. two\n1. three\n\nafter")
    assert [re.search(r'start="(\d+)"', block) and re.search(r'start="(\d+)"', block)[1] for block in blocks[:3]] == [
        *(None, "2", "3"),
    ]
    assert ["data-join" in block for block in blocks] == [False, True, True, False]


def test_a_second_list_does_not_join_the_first() -> None:
    blocks = render("- a\n- b\n\ntext\n\n- c")
    assert ["data-join" in block for block in blocks] == [False, True, False, False]


def test_a_table_is_a_table_and_keeps_its_alignment() -> None:
    (html,) = render("| a | b |\n|:--|--:|\n| 1 | 2 |\n")
    assert "<table>" in html and "text-align:right" in html.replace(" ", "")


def test_links_open_elsewhere_and_pictures_are_not_fetched() -> None:
    html = "".join(render("[x](https://a.example) ![p](https://b.example/p.png) [bad](javascript:alert(1))"))
    assert html.count("<a ") == 2 and 'target="_blank"' in html and "noopener" in html
    assert "<img" not in html and "javascript" not in re.sub(r">[^<]*<", "><", html)


def test_a_long_answer_costs_in_proportion_to_its_length() -> None:
    """Each character is parsed a bounded number of times: counted in calls of the block parser, not in seconds."""
    from webui import markdown

    calls = 0
    parse = markdown._BLOCKS.parse

    def counted(source: str, *rest: object) -> object:
        nonlocal calls
        calls += len(source)
        return parse(source)

    markdown._BLOCKS.parse = counted  # type: ignore[method-assign]
    try:
        for text in ("```\n" + "x = 1\n" * 2000 + "```\n", "word " * 4000, "- item\n" * 1000, "A sentence.\n\n" * 1000):
            calls = 0
            stream(text, 4)
            assert calls < 40 * len(text)
    finally:
        markdown._BLOCKS.parse = parse  # type: ignore[method-assign]
