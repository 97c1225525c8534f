"""What is read beyond CommonMark: formulas, footnotes, task lists, and the thoughts that some models write first.

Each is a rule of markdown-it. A rule looks no further than the next blank line, so that a text is cut in the same way while
it grows. Footnotes and thoughts concern several blocks: here they are only marked, the page puts them together. What is not
wholly there stays literal.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from webui.formula import Display, mathml

_BEFORE_TEXT: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}  # what these blocks may interrupt
_DISPLAY = {"$$": "$$", "\\[": "\\]"}
# Pandoc's rule for dollars, so that prices are none: no blank inside, no letter or digit outside.
_INLINE: tuple[tuple[re.Pattern[str], Display], ...] = (
    (re.compile(r"\$\$(?!\s)((?:\\.|[^\\$])+?)(?<!\s)\$\$", re.DOTALL), "block"),
    (re.compile(r"(?<![\w$])\$(?![\s$])((?:\\.|[^\\$])+?)(?<!\s)\$(?![\w$])", re.DOTALL), "inline"),
    (re.compile(r"\\\((.{1,2000}?)\\\)", re.DOTALL), "inline"),
    (re.compile(r"\\\[(.{1,2000}?)\\\]", re.DOTALL), "block"),
)
_LABEL = r"\[\^([^\]\s]{1,40})\]"
_NOTE = re.compile(_LABEL + r":[ \t]+(?=\S)")
_CITE = re.compile(_LABEL)
_TASK = re.compile(r"\[([ xX])\][ \t]+(?=\S)")
_BOXES = {"done": "☑ ", "open": "☐ "}
# In the environment of a parser
GROWS_AFTER = "grows after"  # the number of lines of a text that is still growing
UNDECIDED = "undecided"  # the line with the first formula of which only more lines will tell whether it is one
THOUGHT = "thought"  # the tag that would begin or end thoughts on the first line, and the one on any other
# The blocks that mark where thoughts begin and end, and the tags that become them.
THOUGHTS_BEGIN, THOUGHTS_END = '<div data-thought="begin"></div>', '<div data-thought="end"></div>'
_THOUGHTS = {"<think>": THOUGHTS_BEGIN, "</think>": THOUGHTS_END}


def add_rules(markdown: MarkdownIt) -> None:
    """Adds all of them to a parser and its renderer."""
    block, inline = markdown.block.ruler, markdown.inline.ruler
    block.before("blockquote", "math_block", _math_block, _BEFORE_TEXT)
    block.before("reference", "note", _note, _BEFORE_TEXT)
    block.before("lheading", "thought", _thought, _BEFORE_TEXT)
    inline.before("escape", "math_inline", _math_inline)
    inline.before("link", "cite", _cite)
    markdown.core.ruler.after("inline", "tasks", _tasks)
    for kind, draw in {
        "math_block": _draw_math,
        "math_inline": _draw_math,
        "cite": _draw_cite,
        "thought": _draw_thought,
    }.items():
        markdown.add_render_rule(kind, draw)


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()


# Formulas


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """From `$$` or `\\[` at a line's beginning to the matching sign at a line's end, without a blank line between."""
    opening = _line(state, start)[:2]
    closing = _DISPLAY.get(opening)
    if closing is None or state.is_code_block(start):
        return False
    lines: list[str] = []
    for number in range(start, end):
        text = _line(state, number)
        if not text or (number > start and state.sCount[number] < state.blkIndent):
            return False
        lines.append(text[2:] if number == start else text)
        if lines[-1].endswith(closing):
            break
    else:
        if end == state.env.get(GROWS_AFTER):
            state.env.setdefault(UNDECIDED, start)
        return False
    latex = "\n".join(lines)[:-2].strip()
    if not latex or closing in latex:
        return False
    if not silent:
        state.line = start + len(lines)
        _push_math(state, "math_block", opening, latex, closing, "block").map = [start, state.line]
    return True


def _math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    for pattern, display in _INLINE:
        if (found := pattern.match(state.src, state.pos, state.posMax)) and found[1].strip():
            if not silent:
                whole = found.group()
                width = (len(whole) - len(found[1])) // 2
                _push_math(state, "math_inline", whole[:width], found[1], whole[-width:], display)
            state.pos = found.end()
            return True
    return False


def _push_math(state: StateBlock | StateInline, kind: str, opening: str, latex: str, closing: str, display: Display) -> Token:
    token = state.push(kind, "math", 0)
    token.content, token.meta, token.markup = latex.strip(), {"display": display}, f"{opening}{latex}{closing}"
    return token


def _draw_math(_: Any, tokens: Sequence[Token], index: int, *__: object) -> str:
    token = tokens[index]
    drawn = mathml(token.content, token.meta["display"]) or f"<code>{html.escape(token.markup)}</code>"
    return f"<p>{drawn}</p>\n" if token.type == "math_block" else drawn


# Footnotes


def _note(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """`[^1]: what it says`, with the lines that go on below it."""
    begin = state.bMarks[start] + state.tShift[start]
    found = _NOTE.match(state.src, begin, state.eMarks[start])
    if found is None or state.is_code_block(start):
        return False
    if silent:
        return True
    opening = state.push("note_open", "div", 1)
    opening.attrSet("data-note", found[1])
    marks = state.bMarks[start], state.tShift[start]
    state.bMarks[start], state.tShift[start] = found.end(), 0
    paragraph(state, start, end, False)
    state.bMarks[start], state.tShift[start] = marks
    opening.map = [start, state.line]
    state.push("note_close", "div", -1)
    return True


def _cite(state: StateInline, silent: bool) -> bool:
    found = _CITE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("cite", "span", 0).content = found[1]
    state.pos = found.end()
    return True


def _draw_cite(_: Any, tokens: Sequence[Token], index: int, *__: object) -> str:
    label = html.escape(tokens[index].content)
    return f'<span data-cite="{label}">[^{label}]</span>'


# Task lists


def _tasks(state: StateCore) -> None:
    """An item that begins with `[ ]` or `[x]` gets a box as text, which can be read out and copied."""
    for item, first, content in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type != "list_item_open" or first.type != "paragraph_open" or not content.children:
            continue
        text = content.children[0]
        if text.type == "text" and (found := _TASK.match(content.content)):
            task = "open" if found[1] == " " else "done"
            item.attrSet("data-task", task)
            text.content = _BOXES[task] + text.content[found.end() :]


# Thoughts


def _thought(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """`<think>` or `</think>` on a line of its own, where the one who cuts the text says that it may be one."""
    line = _line(state, start)
    if not line or line != state.env[THOUGHT][start > 0] or state.tShift[start]:
        return False
    if silent:
        return True
    if state.level:
        return False
    state.line = start + 1
    token = state.push("thought", "div", 0)
    token.map, token.info = [start, state.line], _THOUGHTS[line]
    return True


def _draw_thought(_: Any, tokens: Sequence[Token], index: int, *__: object) -> str:
    return f"{tokens[index].info}\n"
