"""The words of a text as a search knows them, the same for every database. It knows nothing of databases or conversations.

A search finds messages that have, for each of its words, a word that begins so: “여우” finds “여우가”. Scripts that are
written without blanks are taken character by character.
"""

from __future__ import annotations

import re
import unicodedata

WORD_LENGTH = 64  # characters of a word that count
WORDS_SIZE = 500_000  # bytes of one message's words; PostgreSQL takes 1 MB
_WITHOUT_BLANKS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # kana and Chinese characters
_MARKS = re.compile(r"\*\*|__|`+|^#+ |^> ", re.MULTILINE)  # of Markdown, which an excerpt does without
_WORD = re.compile(rf"[{_WITHOUT_BLANKS}]|[^\W_{_WITHOUT_BLANKS}]+")


def words_of(text: str) -> list[str]:
    """Each word of the text once, in its plain form (Unicode's NFKC, folded case), in the order of the text."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return list(dict.fromkeys(word[:WORD_LENGTH] for word in _WORD.findall(plain)))


def searchable(text: str) -> str:
    """What is kept of a message for searches: its words with blanks between, as many as there is room for."""
    kept, size = [], 0
    for word in words_of(text):
        size += len(word.encode()) + 1
        if size > WORDS_SIZE:
            break
        kept.append(word)
    return " ".join(kept)


def matches(text: str, wanted: list[str]) -> bool:
    """Whether a text has, for each word, one that begins so."""
    words = words_of(text)
    return all(any(word.startswith(begin) for word in words) for begin in wanted)


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
