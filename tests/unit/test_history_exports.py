"""Conversations as files, and back."""

from __future__ import annotations

import json
import secrets
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.told_engine import said
from tests.unit.test_history import Trees, grown, talk
from webui import exports, imports
from webui.conversation import Source, Timing
from webui.errors import NotAnExport

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<style>*{display:none}</style>",
    "[click](javascript:alert(1))",
    "![x](https://elsewhere.example/x.png)",
    '</title><meta http-equiv="refresh" content="0;url=https://elsewhere.example">',
    "```html\n<script>alert(2)</script>\n```",
    '<a href="https://x" onclick="alert(1)">',
)
WORDS = exports.Words.of("en")


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_is_inert(text: str) -> None:
    found = Elements(exports.as_html(talk(text, text), WORDS)).found
    allowed = {"html", "meta", "title", "style", "h1", "h2", "div", "p", "pre", "code", "span", "a"}
    assert {tag for tag, _ in found} <= allowed
    assert sum(tag == "style" for tag, _ in found) == 1 and sum(tag == "meta" for tag, _ in found) == 3
    for tag, attributes in found:
        assert not any(name.startswith("on") or name == "src" for name in attributes), attributes
        assert not (attributes.get("href") or "").startswith("javascript"), tag
    assert "default-src 'none'" in str(found)


def test_the_page_loads_nothing() -> None:
    page = exports.as_html(talk("a", "![x](https://elsewhere.example/x.png)"), WORDS)
    assert not any(name in ("src", "srcset", "data", "poster") for _, a in Elements(page).found for name in a)
    assert "url(" not in page and "@import" not in page


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "<p>Hm.</p>"),
        ("Hm.\n\n</think>\n\nYes.", "<p>Hm.</p>"),
        ("<think>\nHm.", "<p>Hm.</p>"),
    ],
)
def test_thoughts_are_folded_on_the_page(text: str, thought: str) -> None:
    page = exports.as_html(talk("q", text), WORDS)
    assert f"<details><summary>Thoughts</summary>\n{thought}\n</details>" in page
    assert page.count("data-thought") == 0 and ("Yes" in text) == ("</details>\n<p>Yes.</p>" in page)


def test_markdown_has_each_message_as_it_was_written() -> None:
    text = exports.as_markdown(talk("Hello", "- a\n- b"), exports.Words.of("ko"))
    assert text == "# Hello\n\n## 나\n\nHello\n\n## 모델\n\n- a\n- b\n"


@settings(max_examples=60, deadline=None)
@given(steps=Trees.all, title=st.text(max_size=20))
def test_our_file_gives_back_every_version(steps: list[Any], title: str) -> None:
    said_by = {"user": lambda text: text if text.strip() else "x", "assistant": str}
    one = grown([(parent, role, said_by[role](text), version) for parent, role, text, version in steps])
    one.rename(" ".join(title.split()))
    one.heading.pinned = True
    if not len(one):
        return
    (back,) = imports.read(exports.as_json([one]), "you")
    assert back.visitor == "you" and back.id != one.id
    assert (back.heading.title, back.heading.named, back.heading.pinned) == (one.heading.title, one.heading.named, True)
    assert [m.text for m in back] == [m.text for m in one]
    assert said(back) == said(one) and [back.versions(m.id) for m in back] == [one.versions(m.id) for m in one]


def test_our_file_gives_back_how_an_answer_ended() -> None:
    one = talk("Hello", "Hi", "more", "cut")
    answers = one.path()[1::2]
    answers[0].timing, answers[0].dropped, answers[1].end = Timing(0.1, 0.2, 0.3, 4, 5), 3, "length"
    (back,) = imports.read(exports.as_json([one]), "me")
    found = back.path()[1::2]
    assert [(m.end, m.timing, m.dropped) for m in found] == [(m.end, m.timing, m.dropped) for m in answers]


def test_our_files_say_which_model_gave_an_answer() -> None:
    one = talk("Hello", "Hi")
    one.path()[1].sources = (Source("there", "<b>M</b>", "vLLM 1"), Source("N", "N", "vLLM 1"))
    (back,) = imports.read(exports.as_json([one]), "me")
    assert back.path()[1].sources == one.path()[1].sources and back.path()[0].sources == ()
    one.path()[1].sources = (Source("<b>M</b>", "M", ""),)
    assert "## The model (<b>M</b>)\n" in exports.as_markdown(one, WORDS) and "## You\n" in exports.as_markdown(one, WORDS)
    assert "<h2>The model (&lt;b&gt;M&lt;/b&gt;)</h2>" in exports.as_html(one, WORDS)


def test_what_a_file_says_of_models_is_bounded() -> None:
    said = [{"model": "a\nb" * 500, "name": 3}, "x", {"model": ""}, None, *[{"model": str(n)} for n in range(20)]]
    messages = [{"role": "user", "text": "q", "id": "q"}, {"role": "assistant", "text": "a", "parent": "q", "sources": said}]
    content = json.dumps({"format": exports.FORMAT, "version": 1, "conversations": [{"messages": messages}]})
    (back,) = imports.read(content.encode(), "me")
    first, *others = back.path()[1].sources
    assert len(first.model) == imports.NAME_AT_MOST and "\n" not in first.model and first.name == ""
    assert [source.model for source in others] == ["0", "1", "2", "3"]


def test_open_webuis_file() -> None:
    messages = {
        "q": {
            "id": "q",
            "parentId": None,
            "childrenIds": ["a1", "a2"],
            "role": "user",
            "content": "Hi",
            "timestamp": 1700000000,
        },
        "a1": {
            "id": "a1",
            "parentId": "q",
            "childrenIds": [],
            "role": "assistant",
            "content": "first",
            "timestamp": 1700000001,
        },
        "a2": {"id": "a2", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "second"},
    }
    chat = {"title": "T", "history": {"messages": messages, "currentId": "a1"}}
    content = json.dumps([{"id": "x", "title": "My talk", "pinned": True, "updated_at": 1700000002, "chat": chat}])
    (back,) = imports.read(content.encode(), "me")
    assert said(back) == ["Hi", "first"] and len(back) == 3
    assert (back.heading.title, back.heading.pinned, back.heading.updated) == ("My talk", True, 1700000002.0)


def test_chatgpts_file() -> None:
    def node(id: str, parent: str | None, role: str, *parts: Any, kind: str = "text") -> dict[str, Any]:
        message = {
            "id": id,
            "author": {"role": role},
            "content": {"content_type": kind, "parts": parts},
            "create_time": 1700000000.5,
        }
        return {"id": id, "parent": parent, "children": [], "message": message}

    mapping = {
        "root": {"id": "root", "parent": None, "message": None, "children": []},
        "s": node("s", "root", "system", ""),
        "q": node("q", "s", "user", "Hi", {"content_type": "image"}, kind="multimodal_text"),
        "t": node("t", "q", "tool", "searched"),
        "a": node("a", "t", "assistant", "Hello"),
        "b": node("b", "t", "assistant", "Bye"),
    }
    content = json.dumps(
        [{"title": "Greeting", "create_time": 1.0, "update_time": 2.0, "mapping": mapping, "current_node": "a"}]
    )
    (back,) = imports.read(content.encode(), "me")
    assert said(back) == ["Hi", "Hello"] and [m.role for m in back.path()] == ["user", "assistant"]
    assert back.versions(back.path()[1].id) == (1, 2) and back.heading.title == "Greeting" and back.heading.updated == 2.0


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"null", b"[1, 2]", b'{"format": "batchat-conversations", "version": 99, "conversations": []}',
     b'{"format": "batchat-conversations", "version": 1, "conversations": [{"messages": []}]}', b'[{"mapping": {}}]',
     b"\xff\xfe"],
)  # fmt: skip
def test_a_file_without_conversations_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(NotAnExport):
        imports.read(content, "me")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "format": st.just(exports.FORMAT),
        "version": st.just(1),
        "conversations": st.lists(
            st.fixed_dictionaries(
                {"messages": st.lists(
                    st.fixed_dictionaries(
                        {"role": st.sampled_from(["user", "assistant", "system"]) | JSON, "text": st.text(max_size=5) | JSON},
                        optional={"id": st.sampled_from("abc"), "parent": st.sampled_from("abc") | JSON, "end": JSON,
                                  "created": JSON, "timing": JSON, "dropped": JSON, "sources": JSON},
                    ), max_size=6)},
                optional={"choices": JSON, "title": JSON, "pinned": JSON, "named": JSON, "updated": JSON},
            ), max_size=3),
        "mapping": JSON,
        "chat": JSON,
    },
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(body=SHAPED | JSON | st.lists(SHAPED, max_size=2))
def test_any_json_is_read_or_refused_and_never_breaks(body: Any) -> None:
    try:
        read = imports.read(json.dumps(body).encode(), "me")
    except NotAnExport:
        return
    for conversation in read:
        assert conversation.path() and all(m.role == "assistant" or m.text.strip() for m in conversation)
        exports.as_json([conversation])


def chatgpt(parents: list[int | None], speaks: list[bool], shown: int = 0) -> bytes:
    """A file of ChatGPT's whose nodes have these parents, by number; whoever does not speak has no message."""
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x"]}}
    mapping = {
        str(number): {"parent": None if parent is None else str(parent), "message": said if speaks[number] else None}
        for number, parent in enumerate(parents)
    }
    return json.dumps([{"mapping": mapping, "current_node": str(shown)}]).encode()


@settings(max_examples=300, deadline=None)
@given(
    parents=st.lists(st.none() | st.integers(0, 6), min_size=1, max_size=6),
    speaks=st.lists(st.booleans(), min_size=6, max_size=6),
    shown=st.integers(0, 6),
)
def test_a_file_that_goes_in_circles_is_read_to_its_end(parents: list[int | None], speaks: list[bool], shown: int) -> None:
    def circles(number: int | None, seen: frozenset[int] = frozenset()) -> bool:
        if number is None or number >= len(parents):
            return False
        return number in seen or circles(parents[number], seen | {number})

    good = sum(speaks[number] and not circles(number) for number in range(len(parents)))
    if not good:
        with pytest.raises(NotAnExport):
            imports.read(chatgpt(parents, speaks, shown), "me")
        return
    (back,) = imports.read(chatgpt(parents, speaks, shown), "me")
    assert len(back) == good


@pytest.mark.timeout(300)
def test_a_long_chain_and_a_large_circle_are_read_in_no_time() -> None:
    many = 20_000
    (chain,) = imports.read(chatgpt([None, *range(many - 1)], [True] * many, many - 1), "me")
    assert len(chain.path()) == many
    (rest,) = imports.read(chatgpt([*range(1, many), 0, None], [True] * (many + 1), 0), "me")
    assert len(rest) == 1


def test_an_id_of_a_file_is_never_taken_over() -> None:
    one = talk("Hello", "Hi")
    (back,) = imports.read(exports.as_json([one]), "me")
    assert not {m.id for m in back} & {m.id for m in one} and len(back.id) == len(secrets.token_hex(16))
