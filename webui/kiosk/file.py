"""The kiosk's file, `kiosk.toml`: what the screen says and offers, and what may be asked there.

Whatever is wrong is named with its key. It does not know what the values do. `assets/kiosk.toml` is the file in force where
nobody gave one, and lists every key.
"""

from __future__ import annotations

import math
import tomllib
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from webui.demo_traffic import COUNTS
from webui.errors import BadSetting
from webui.kiosk.pin import is_hash

LANGUAGES = ("en", "ko")
THEMES = ("dark", "light")
QUESTIONS = range(4, 9)  # of each language
QUESTION_AT_MOST = 120  # characters: it stands on a button
SHORT_AT_MOST = 200  # characters of a topic or a polite answer
SMALL_SCREEN = 11.0  # inches, 28 cm: up to here smaller letters are read from nearer
LETTERS, SMALL_LETTERS = 12.0, 7.25  # mm, Korea's draft notice on kiosks (2025) for larger and for smaller screens

InBoth = Mapping[str, str]
"""A text in each language; empty for none."""


_FREE: Mapping[str, Any] = {"low": None, "high": None, "choices": ()}


def _key(default: Any, **limits: Any) -> Any:
    return field(default=default, metadata={**_FREE, **limits})


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskFile:
    """What stands in the file. Times are seconds, lengths characters unless the name says otherwise.

    Attributes:
        title: the words on top of the screen.
        language, theme: in which every visit begins.
        screen_inches: the screen's diagonal.
        text_mm: how high letters are; 0: as the draft notice has it for a screen of this size.
        keyboard: whether the page brings its own keyboard.
        idle_seconds: without use after which the warning comes.
        warning_seconds: that it stands before the visit ends.
        attract_requests: demonstration requests that fill the batch while nobody uses the kiosk; 0 for none.
        system_prompt: what the model is told before every conversation.
        max_tokens: of one answer.
        max_turns: questions of one visit.
        max_characters: of one question.
        requests_per_minute: questions of all screens together.
        together_tokens: of each answer in "one at a time against together".
        admin_pin_hash: opens the corner for whoever looks after the kiosk; empty: there is no such corner.
        questions: the examples on the screen, by language.
        topics: what may be talked about, by language.
        blocked_words: neither a question nor an answer may have one of them.
        blocked_answer: what is said then, by language.
    """

    title: str = _key("Batchat")
    language: str = _key("en", choices=LANGUAGES)
    theme: str = _key("dark", choices=THEMES)
    screen_inches: float = _key(21.5, low=5, high=200)
    text_mm: float = _key(0.0, low=0, high=60)
    keyboard: bool = _key(True)
    idle_seconds: float = _key(60.0, low=10, high=3600)
    warning_seconds: float = _key(20.0, low=20, high=300)
    attract_requests: int = _key(0, low=0, high=COUNTS.stop - 1)
    system_prompt: str = _key("")
    max_tokens: int = _key(300, low=1, high=100_000)
    max_turns: int = _key(8, low=1, high=100)
    max_characters: int = _key(300, low=10, high=10_000)
    requests_per_minute: int = _key(60, low=1, high=100_000)
    together_tokens: int = _key(64, low=8, high=1000)
    admin_pin_hash: str = _key("")
    questions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata=_FREE)
    topics: InBoth = field(default_factory=dict, metadata=_FREE)
    blocked_words: tuple[str, ...] = _key(())
    blocked_answer: InBoth = field(default_factory=dict, metadata=_FREE)

    @property
    def letters_mm(self) -> float:
        """How high letters are, in mm."""
        return self.text_mm or (SMALL_LETTERS if self.screen_inches <= SMALL_SCREEN else LETTERS)


_FIELDS = {f.name: f for f in fields(KioskFile)}
_TYPES = typing.get_type_hints(KioskFile)


def read_kiosk_file(path: str | Path) -> KioskFile:
    """Reads the file.

    Raises:
        BadSetting: naming the key, for an unknown one, a wrong type, a value out of its range or a text that is missing.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(setting=str(path), reason=f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(setting=str(path), reason=f"is not valid TOML: {error}") from None
    values = {name: _checked(name, value, f"{name} in {path}") for name, value in table.items()}
    kiosk = KioskFile(**values)
    _check_together(kiosk, str(path))
    return kiosk


def _checked(name: str, value: Any, where: str) -> Any:
    if name not in _FIELDS:
        raise BadSetting(setting=where, reason=f"there is no such key; there are {', '.join(_FIELDS)}")
    rules, read = _FIELDS[name].metadata, _READERS.get(name) or _READERS[_TYPES[name].__name__]
    converted = read(value, where)
    if rules["choices"] and converted not in rules["choices"]:
        raise BadSetting(setting=where, reason=f"{value!r} is none of {', '.join(rules['choices'])}")
    if rules["low"] is not None and not rules["low"] <= converted <= rules["high"]:
        raise BadSetting(setting=where, reason=f"{value} is outside of {rules['low']} to {rules['high']}")
    return converted


def _check_together(kiosk: KioskFile, path: str) -> None:
    """What one key makes another need."""
    if not kiosk.questions:
        raise BadSetting(setting=f"questions in {path}", reason="example questions are wanted")
    if 0 < kiosk.attract_requests < COUNTS.start:
        raise BadSetting(setting=f"attract_requests in {path}", reason=f"0, or {COUNTS.start} and more, are wanted")
    if kiosk.blocked_words and not kiosk.blocked_answer:
        raise BadSetting(setting=f"blocked_answer in {path}", reason="is needed with blocked_words: what is said then")
    if kiosk.admin_pin_hash and not is_hash(kiosk.admin_pin_hash):
        reason = "is not what `python launch.py kiosk-pin` prints"
        raise BadSetting(setting=f"admin_pin_hash in {path}", reason=reason)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadSetting(setting=where, reason="a text is wanted")
    return value.strip()


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadSetting(setting=where, reason="true or false is wanted")
    return value


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadSetting(setting=where, reason="a whole number is wanted")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadSetting(setting=where, reason="a number is wanted")
    return float(value)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise BadSetting(setting=where, reason="a list of words is wanted")
    return tuple(word.strip() for word in value)


def _questions(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    questions = {language: _words(each, f"{language} of {where}") for language, each in _by_language(value, where).items()}
    for language, each in questions.items():
        if len(each) not in QUESTIONS:
            reason = f"{QUESTIONS.start} to {QUESTIONS.stop - 1} questions are wanted, not {len(each)}"
            raise BadSetting(setting=f"{language} of {where}", reason=reason)
        for question in each:
            _check_length(question, QUESTION_AT_MOST, f"{language} of {where}")
    return questions


def _in_both(value: Any, where: str) -> dict[str, str]:
    texts = {language: _text(each, f"{language} of {where}") for language, each in _by_language(value, where).items()}
    for language, text in texts.items():
        _check_length(text, SHORT_AT_MOST, f"{language} of {where}")
    return texts


def _check_length(text: str, at_most: int, where: str) -> None:
    if not 0 < len(text) <= at_most:
        raise BadSetting(setting=where, reason=f"1 to {at_most} characters are wanted, not {len(text)}")


def _by_language(value: Any, where: str) -> dict[str, Any]:
    """A table with one entry per language: a visitor may choose either."""
    if not isinstance(value, dict) or set(value) != set(LANGUAGES):
        raise BadSetting(setting=where, reason=f"a table with {' and '.join(LANGUAGES)} is wanted")
    return {language: value[language] for language in LANGUAGES}


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "str": _text,
    "bool": _boolean,
    "int": _whole,
    "float": _number,
    "questions": _questions,
    "topics": _in_both,
    "blocked_words": _words,
    "blocked_answer": _in_both,
}
"""By the key's name where it has a form of its own, else by its type."""
