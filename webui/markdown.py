"""Markdown -> safe HTML, one finished block at a time.

An answer grows token by token. What can no longer change (a paragraph before a blank line, a list item before the next one,
a closed code fence) is cut off, rendered once and never looked at again, so the whole costs O(n); the unfinished rest is the
tail, which a page draws as plain text. However the text arrives in pieces, the blocks come out the same.

HTML in the source is shown literally; what is rendered passes an allowlist. What is read beyond CommonMark is in
`markdown_rules.py`. It knows nothing of pages, turns or tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from webui.markdown_rules import GROWS_AFTER, THOUGHT, UNDECIDED, add_rules

_MATH_ATTRIBUTES = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "form", "separator", "accent", "largeop", "movablelimits", "symmetric", "minsize", "maxsize"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mtable": {"displaystyle", "columnalign"},
    "mtd": {"columnalign"},
    "menclose": {"notation"},
}
_TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "a", "blockquote"),
    *("ul", "ol", "li", "pre", "code", "span", "div", "table", "thead", "tbody", "tr", "th", "td"),
    *("mrow", "mn", "mtext", "msqrt", "mroot", "msub", "msup", "msubsup", "mtr", "mpadded", "mphantom", "mmultiscripts"),
    *("mprescripts", "none", *_MATH_ATTRIBUTES),
}
_ATTRIBUTES = {
    "a": {"href", "title", "target"},
    "ol": {"start", "data-join"},
    "ul": {"data-join"},
    "li": {"data-task"},
    "div": {"data-note", "data-thought"},
    "pre": {"data-language"},
    "span": {"class", "data-cite"},
    "th": {"style"},
    "td": {"style"},
    **_MATH_ATTRIBUTES,
}
_FENCES = ("```", "~~~")
FIRST_LOOK = 2  # lines that are searched for the end of a block before more are
# Which tags of thoughts count on the first line of what is left of a text, and on the others.
_Thoughts = tuple[str | None, str | None]
_THOUGHTS_MAY_BEGIN: _Thoughts = ("<think>", "</think>")
_THOUGHTS_MAY_END: _Thoughts = ("</think>", "</think>")
_NO_THOUGHTS: _Thoughts = (None, None)


@dataclass(frozen=True, slots=True)
class Tail:
    """The unfinished end of an answer, to be drawn as plain text; inside a code fence without the fence's own line."""

    kind: Literal["text", "code", "table"] = "text"
    text: str = ""

    def as_dict(self) -> dict[str, str]:
        """The tail as JSON types."""
        return {"kind": self.kind, "text": self.text}


@dataclass(frozen=True, slots=True)
class Update:
    """What a page has to do: append `blocks`, then replace its tail by `tail` if given, then append `append` to it."""

    blocks: list[str] = field(default_factory=list)
    tail: Tail | None = None
    append: str = ""

    def __bool__(self) -> bool:
        return bool(self.blocks or self.tail or self.append)

    def as_dict(self) -> dict[str, Any]:
        """Only what is to be done, as JSON types."""
        changes = {"blocks": self.blocks, "tail": self.tail and self.tail.as_dict(), "append": self.append}
        return {name: value for name, value in changes.items() if value}


class MarkdownStream:
    """Cuts growing Markdown into finished blocks of HTML and an unfinished tail."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.tail = Tail()
        self._pending = ""
        self._searched = 0  # characters of an open fence that were searched for its end
        self._look_at = 0  # characters that must be there before an unfinished block is read again
        self._thoughts = _THOUGHTS_MAY_BEGIN
        self._next_number: int | None = None  # set while the pending text continues a list: its next number, 0 if bullets

    def feed(self, text: str) -> Update:
        """Takes more text and says what a page that saw all updates before has to do."""
        self._pending += text.replace("\r", "")
        return self._update(self._cut() if self._may_have_ended(text) else [])

    def _may_have_ended(self, text: str) -> bool:
        """A long block is not read again with each of its lines, but at a blank line or when it has grown by an eighth."""
        if len(self._pending) == len(text):
            return True
        grown = len(self._pending) >= self._look_at or "\n\n" in self._pending[-len(text) - 1 :]
        return "\n" in text and (grown or self._pending.lstrip("\n").startswith(_FENCES))

    def finish(self) -> Update:
        """No more text comes: everything that is left becomes blocks."""
        if self._pending.strip() and not self._pending.endswith("\n"):
            self._pending += "\n"
        finished = self._cut(grows=False)
        if self._pending.strip():
            finished += self._render_rest()
        self._pending = ""
        return self._update(finished)

    def _update(self, finished: list[str]) -> Update:
        self.blocks += finished
        before, self.tail = self.tail, _tail_of(self._pending)
        if not finished and self.tail.kind == before.kind and self.tail.text.startswith(before.text):
            return Update(append=self.tail.text[len(before.text) :])
        return Update(blocks=finished, tail=self.tail)

    def _cut(self, grows: bool = True) -> list[str]:
        finished = []
        while (end := self._end_of_first_block(grows)) is not None:
            source, self._pending, self._searched = self._pending[:end], self._pending[end:], 0
            if html := self._render(source, self._thoughts):
                finished.append(html)
        self._look_at = len(self._pending) + len(self._pending) // 8
        return finished

    def _end_of_first_block(self, grows: bool) -> int | None:
        """Where the first block ends, in characters; None while more text could still change it."""
        stripped = self._pending.lstrip("\n")
        start = len(self._pending) - len(stripped)
        if stripped.startswith(_FENCES):
            return self._end_of_fence(start)
        # What its first lines decide is decided: a long text is not read to its end for each of its blocks.
        size = FIRST_LOOK
        while True:
            *whole, rest = stripped.split("\n", size)  # an unfinished line can still turn into anything
            lines, more = [line + "\n" for line in whole], "\n" in rest
            if (ended := self._lines_of_first_block(lines, grows or more)) is not None:
                return start + sum(map(len, lines[:ended]))
            if not more:
                return None
            size *= 2

    def _lines_of_first_block(self, lines: list[str], grows: bool) -> int | None:
        thoughts = self._thoughts if len(lines) > 1 else self._thoughts_alone()
        return _lines_of_first_block(lines, {THOUGHT: thoughts, GROWS_AFTER: len(lines) if grows else None})

    def _end_of_fence(self, start: int) -> int | None:
        first_line_end = self._pending.find("\n", start)
        if first_line_end < 0:
            return None
        marker = _marker(self._pending[start:first_line_end])
        position = max(first_line_end + 1, self._searched)
        while (line_end := self._pending.find("\n", position)) >= 0:
            line = self._pending[position:line_end].strip()
            if line.startswith(marker) and not line.strip(marker[0]):
                return line_end + 1
            position = self._searched = line_end + 1
        return None

    def _render_rest(self) -> list[str]:
        """The last block, which nothing follows."""
        return [html] if (html := self._render(self._pending, self._thoughts_alone())) else []

    def _thoughts_alone(self) -> _Thoughts:
        """Thoughts have more below their tag; what only says the tag begins none."""
        return _NO_THOUGHTS if self._thoughts is _THOUGHTS_MAY_BEGIN else self._thoughts

    def _render(self, source: str, thoughts: _Thoughts) -> str:
        tokens = _MARKDOWN.parse(source.lstrip("\n"), {THOUGHT: thoughts})
        if tokens:
            end = tokens[0].type == "thought" and thoughts is _THOUGHTS_MAY_END
            self._thoughts = _NO_THOUGHTS if end or self._thoughts is _NO_THOUGHTS else _THOUGHTS_MAY_END
        if tokens and tokens[0].type in ("bullet_list_open", "ordered_list_open"):
            self._number_item(tokens[0])
        else:
            self._next_number = None
        return _safe(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))

    def _number_item(self, opening: Token) -> None:
        """One item is rendered as a list of its own; from the second on it carries on the list before it."""
        ordered = opening.type == "ordered_list_open"
        if self._next_number is not None and bool(self._next_number) == ordered:
            opening.attrSet("data-join", "")
            if ordered:
                opening.attrSet("start", str(self._next_number))
        else:
            self._next_number = int(opening.attrGet("start") or 1) if ordered else 0
        self._next_number += 1 if ordered else 0


@lru_cache(maxsize=1024)
def render(text: str) -> tuple[str, ...]:
    """All blocks of a finished text, the same that a stream of it gave."""
    stream = MarkdownStream()
    stream.feed(text)
    stream.finish()
    return tuple(stream.blocks)


def _lines_of_first_block(lines: list[str], environment: dict[str, Any]) -> int | None:
    """How many lines the first block takes, if it is finished."""
    tokens = _BLOCKS.parse("".join(lines), environment)
    top = [token for token in tokens if token.level == 0 and token.map and token.nesting >= 0]
    if not top:
        return None
    first = top[0]
    assert first.map is not None
    if first.type in ("bullet_list_open", "ordered_list_open"):
        return _lines_of_first_item(tokens, ended=len(top) > 1)
    if environment.get(UNDECIDED, len(lines)) < first.map[1]:
        return None
    following = lines[first.map[1] : first.map[1] + 1]
    whole = first.type in ("heading_open", "hr", "math_block", "thought")
    closed = whole or len(top) > 1 or (following and not following[0].strip())
    return first.map[1] if closed else None


def _lines_of_first_item(tokens: list[Token], ended: bool) -> int | None:
    items = [token for token in tokens if token.type == "list_item_open" and token.level == 1]
    first = items[0]
    assert first.map is not None
    return first.map[1] if ended or len(items) > 1 else None


def _tail_of(pending: str) -> Tail:
    text = pending.lstrip("\n")
    if text.startswith(_FENCES):
        return Tail("code", text.partition("\n")[2])
    return Tail("table" if text.startswith("|") else "text", text)


def _marker(line: str) -> str:
    """The run of ``` or ~~~ that opens a fence."""
    return line[: len(line) - len(line.lstrip(line[0]))]


def _highlight(code: str, language: str, _attributes: str) -> str:
    body = code
    try:
        lexer = get_lexer_by_name(language, stripnl=False) if language else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        body = nh3.clean_text(code).replace("&#32;", " ").replace("&#10;", "\n")
    else:
        body = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre data-language="{nh3.clean_text(language)}"><code>{body}</code></pre>\n'


def _safe(html: str) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        filter_style_properties={"text-align"},
    ).strip()


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "highlight": _highlight})
    # No pictures: showing one would ask another host for it. `![text](address)` becomes "!" and a link. No link definitions:
    # they would vanish from their block, and others could not know them.
    markdown.enable(["table", "strikethrough"]).disable(["image", "reference"])
    add_rules(markdown)
    return markdown


_MARKDOWN = _markdown()
_BLOCKS = _markdown().disable("inline")
