"""LaTeX formulas -> MathML, which browsers draw and read out by themselves. Knows nothing of Markdown."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Literal
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import Converter

LONGEST = 4000  # characters of a formula
# A formula that defines commands could grow without end.
_DEFINES = re.compile(r"\\(?:(?:re|provide)?newcommand|providecommand|[gex]?def|let|DeclareMathOperator)(?![A-Za-z])")

Display = Literal["inline", "block"]


@lru_cache(maxsize=512)
def mathml(latex: str, display: Display) -> str | None:
    """The formula as MathML; None if it is none that can be drawn.

    Args:
        latex: without its delimiters.
        display: within a line, or on lines of its own.
    """
    if len(latex) > LONGEST or _DEFINES.search(latex):
        return None
    try:
        math = Converter(display=display).convert_to_element(latex)
    except (Exception, RecursionError):  # the library's errors have no common class, and a model writes anything
        return None
    for element in math.iter():
        _decode(element)
    return tostring(math, encoding="unicode")


def _decode(element: Element) -> None:
    """The library writes signs as character references, in texts that are escaped once more when they are written out."""
    if element.text:
        element.text = html.unescape(element.text)
