"""Blocks of safe HTML, whatever the pieces in which the text arrives."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.markdown import MarkdownStream, Tail, render
from webui.markdown_rules import THOUGHTS_BEGIN, THOUGHTS_END

LINES = st.sampled_from(
    [
        *("plain words", "# Heading", "- item", "  - nested", "1. one", "2. two", "7) seven", "```python", "```", "~~~"),
        *("| a | b |", "|---|---|", "| 1 | 2 |", "> quoted", "---", "===", "    indented", "", "", "**bold** and `code`"),
        *("<T> <think> <b", "한국어 문장이에요.", "a | b", "\tx = 1", "* star", "+ plus", "<script>x</script>"),
        *("$$", "$$ x^2 $$", "\\[", "\\]", "a $x$ b", "- $$", "  $$", "[^1]: a note", "and [^1]", "- [ ] open", "- [x] done"),
        *("<think>", "</think>", "> </think>", "> $$"),
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


MARKUP = st.sampled_from(
    [
        *("<b>", "<img src=x onerror=alert(1)>", "<!--", "-->", "<style>", "</p>", "<math>", "<mtext>", "</math>", "<svg>"),
        *("<div data-thought=begin>", "</span>", "<table>", "&lt;b&gt;", "&#60;i&#62;", "<a href=javascript:x>", "<mglyph>"),
        *(
            "$",
            "$$",
            "\\(",
            "\\)",
            "\\text{",
            "}",
            "{",
            "\\",
            "`",
            "```\n",
            "[^1]",
            "[^<b>]:",
            "[",
            "](",
            ")",
            "*",
            "- [x] ",
            "\n",
            " ",
            "x",
        ),
    ]
)
OURS = {
    *(
        "p",
        "br",
        "hr",
        "strong",
        "em",
        "s",
        "a",
        "blockquote",
        "ul",
        "ol",
        "li",
        "pre",
        "code",
        "span",
        "table",
        "thead",
        "tbody",
    ),
    *("tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"),
}


class Elements(HTMLParser):
    """Which elements and attributes a browser would make of HTML, and the words that it would show."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


@settings(max_examples=500, deadline=None)
@given(st.lists(MARKUP, max_size=24))
def test_no_markup_of_a_models_becomes_an_element(pieces: list[str]) -> None:
    text = "".join(pieces)
    html = "".join(render(text))
    elements = Elements(html)
    assert (
        not {tag for tag in elements.tags if tag in text.lower() and f"<{tag}" in text.lower()}
        - OURS
        - {"math", "mtext", "div"}
    )
    assert elements.tags <= OURS | {"div"} or "math" in elements.tags
    assert not {name for name in elements.attributes if name.startswith("on") or name in ("src", "srcset", "id", "name")}
    for tag in ("<img", "<svg", "<style", "<mglyph", "<!--"):
        assert html.lower().count(tag) == 0
        assert tag not in text or tag in elements.words.lower() or "math" in elements.tags or tag in text.partition("](")[2]


@pytest.mark.parametrize(
    ("source", "display"),
    [
        (r"a $x^2$ b", "inline"),
        (r"a \(x^2\) b", "inline"),
        ("$$\nx^2\n$$", "block"),
        ("\\[ x^2 \\]", "block"),
        ("so $$x^2$$ is", "block"),
    ],
)
def test_a_formula_is_mathml(source: str, display: str) -> None:
    (html,) = render(source)
    assert f'<math display="{display}"' in html and "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert "$" not in html and "\\" not in html


def test_a_matrix_a_root_and_greek() -> None:
    (html,) = render(r"$$\begin{pmatrix}\alpha & \sqrt{2}\\ 3 & \frac12\end{pmatrix} < \infty$$")
    assert "<mtable" in html and "<msqrt>" in html and "α" in html and "∞" in html and "&lt;" in html and "&amp;" not in html


@pytest.mark.parametrize(
    "source",
    [
        *("It costs $5 and $10.", "US$5 or A$6", "$HOME/bin:$PATH", "a $ b $ c", "$$", r"\$5 and 6$", "an open $x", "$ $"),
        *(r"$\sqrt{$", r"$\newcommand{\a}{\a\a}\a$", "$" + "{" * 3000 + "$", "$" + "x" * 5000 + "$"),
    ],
)
def test_what_is_no_formula_stays_as_it_was_written(source: str) -> None:
    html = "".join(render(source))
    assert "<math" not in html
    assert Elements(html).words.strip() == source.replace("\\$5", "$5")


def test_a_formula_with_a_blank_line_in_it_is_none() -> None:
    assert [Elements(block).words for block in render("$$\nx\n\ny\n$$\n")] == ["$$\nx", "y\n$$"]


def test_markup_in_a_formula_is_text() -> None:
    (html,) = render(r"$\text{<b>x</b><script>y</script>}$")
    elements = Elements(html)
    assert not elements.tags & {"b", "script"} and "<b>x</b>" in elements.words.replace("\xa0", " ")


def test_footnotes_are_marked_for_the_page() -> None:
    blocks = render("One[^1] and [^b].\n\n[^1]: The *first*\nnote.\n[^b]: https://b.example\n\nend [^none]")
    assert blocks[0] == '<p>One<span data-cite="1">[^1]</span> and <span data-cite="b">[^b]</span>.</p>'
    assert blocks[1].startswith('<div data-note="1">\n<p>The <em>first</em>') and blocks[2].startswith('<div data-note="b">')
    assert Elements(blocks[3]).words == "end [^none]"


def test_tasks_have_their_boxes_as_text() -> None:
    html = "".join(render("- [ ] open\n- [x] *done*\n  - [X] inner\n- [link](https://a.example)\n- [] none"))
    assert html.count('data-task="open"') == 1 and html.count('data-task="done"') == 2
    assert "☐ open" in html and "☑ <em>done</em>" in html and "☑ inner" in html and "[] none" in html


def test_thoughts_are_marked_where_they_begin_and_end() -> None:
    assert render("<think>\nHm.\n\n- a\n</think>\n\nYes.") == (
        *(THOUGHTS_BEGIN, "<p>Hm.</p>", "<ul>\n<li>a</li>\n</ul>", THOUGHTS_END, "<p>Yes.</p>"),
    )
    assert render("<think>\n\n</think>\n\nYes.") == (THOUGHTS_BEGIN, THOUGHTS_END, "<p>Yes.</p>")
    assert render("Hm.\n</think>\nYes.") == ("<p>Hm.</p>", THOUGHTS_END, "<p>Yes.</p>"), "the prompt had the first tag"


@pytest.mark.parametrize(
    "source",
    [
        "<think>",
        "<think>\n",
        "The tag <think> begins",
        "Hi.\n\n<think>\nHm.",
        "</think>\nYes.",
        "```\n<think>\n</think>\n```",
        "> a\n>\n> </think>",
    ],
)
def test_tags_of_thoughts_elsewhere_are_text(source: str) -> None:
    html = "".join(render(source))
    assert "data-thought" not in html and "think&gt;" in html


def test_a_second_end_of_thoughts_is_text() -> None:
    assert render("a\n\n</think>\n\nb\n\n</think>\n\nc").count(THOUGHTS_END) == 1


def test_links_open_elsewhere_and_pictures_are_not_fetched() -> None:
    html = "".join(render("[x](https://a.example) ![p](https://b.example/p.png) [bad](javascript:alert(1))"))
    assert html.count("<a ") == 2 and 'target="_blank"' in html and "noopener" in html
    assert "<img" not in html and "javascript" not in re.sub(r">[^<]*<", "><", html)


def test_lines_end_where_markdown_says() -> None:
    assert render("a\u2028b\x0bc\r\n\r\nnext\r\n- it\x0cem\r\n- two") == (
        *("<p>a\u2028b\x0bc</p>", "<p>next</p>", "<ul>\n<li>it\x0cem</li>\n</ul>", '<ul data-join="">\n<li>two</li>\n</ul>'),
    )


def test_a_long_answer_costs_in_proportion_to_its_length() -> None:
    """Each character is parsed a bounded number of times: counted in calls of the block parser, not in seconds."""
    from webui import markdown

    calls = 0
    parse = markdown._BLOCKS.parse

    def counted(source: str, *rest: object) -> object:
        nonlocal calls
        calls += len(source)
        return parse(source, *rest)

    markdown._BLOCKS.parse = counted  # type: ignore[method-assign]
    try:
        for text in (
            "```\n" + "x = 1\n" * 2000 + "```\n",
            "word " * 4000,
            "- item\n" * 1000,
            "A sentence.\n\n" * 1000,
            "12\n" * 2000,
        ):
            for size in (4, len(text)):
                calls = 0
                stream(text, size)
                assert calls < 40 * len(text)
    finally:
        markdown._BLOCKS.parse = parse  # type: ignore[method-assign]


def test_many_blocks_cost_in_proportion_to_their_number() -> None:
    """Counted in characters that are cut into lines, by a text that counts them."""
    cut = 0

    class Counted(str):
        def lstrip(self, *given: str) -> Counted:  # type: ignore[override]
            return Counted(super().lstrip(*given))

        def split(self, *given: object) -> list[str]:  # type: ignore[override]
            nonlocal cut
            parts = super().split(*given)  # type: ignore[arg-type]
            cut += sum(map(len, parts[:-1]))
            return parts

        def __getitem__(self, key: object) -> Counted:  # type: ignore[override]
            return Counted(super().__getitem__(key))  # type: ignore[index]

    text = "a\n\n" * 500
    markdown = MarkdownStream()
    markdown._pending = Counted(text)
    markdown.finish()
    assert len(markdown.blocks) == 500 and 0 < cut < 10 * len(text)
