"""The words of a text as a search knows them, the same for every database. It knows nothing of databases or conversations.

A search finds messages that have each of its words, be it inside a longer one: “학교” finds “초등학교에서”.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile(r"\*\*|__|`+|^#+ |^> ", re.MULTILINE)  # of Markdown, which an excerpt does without
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Each word of the text once, in its plain form (Unicode's NFKC, folded case), in the order of the text."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return list(dict.fromkeys(_WORD.findall(plain)))


def searchable(text: str) -> str:
    """What is kept of a message for searches: its words with blanks between; no sign in it means anything to a database."""
    return " ".join(words_of(text))


def matches(text: str, wanted: list[str]) -> bool:
    """Whether a text has all the words."""
    kept = searchable(text)
    return all(word in kept for word in wanted)


def excerpt(text: str, wanted: list[str], before: int = 24, after: int = 96) -> tuple[str, str, str]:
    """Where a text has the first of the words, on one line: what stands before, the word itself, what follows."""
    line = " ".join(_MARKS.sub("", text).split())
    found = re.search("|".join(map(re.escape, wanted)), line, re.IGNORECASE) if wanted else None
    if found is None:
        return "", "", line[: before + after]
    start, end = found.span()
    head = ("…" if start > before else "") + line[max(0, start - before) : start]
    tail = line[end : end + after] + ("…" if len(line) > end + after else "")
    return head, found.group(), tail
