"""The page's words: every language is complete, every sentence is used, and every error that a visitor may see has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webui import errors
from webui.ui.texts import ASSETS, DEFAULT_LANGUAGE, LANGUAGES, load_texts, placeholders

TEXTS = load_texts()
ROOT = ASSETS.parent

# Keys that the sources put together from a name that comes from the server or from a list.
COMPOSED = (
    "board.",
    "cannot.",
    "chats.",
    "column.",
    "compare.column.",
    "door.",
    "end.",
    "ended.",
    "error.",
    "evaluate.",
    "footer.",
    "formula.",
    "gauge.",
    "goodput.",
    "help.",
    "kiosk.admin.",
    "kiosk.key.",
    "kiosk.together.",
    "latency.",
    "legend.",
    "ordinal.",
    "rating.",
    "sampling.",
    "saved.",
    "score.",
    "server.",
    "stage.",
    "table.",
    "term.",
)
PLURALS = (".one", ".two", ".few", ".other")
# What a visitor never sees: these end the program before there is a page, or stand in its log …
TERMINAL_ONLY = {
    "bad_setting",
    "port_taken",
    "address_unusable",
    "compile_refused",
    "database_missing",
    "database_too_new",
    "user_refused",
}
# … and these answer programs.
API_ONLY = {
    "invalid_api_key",
    "no_api_keys",
    "unknown_path",
    "wrong_method",
    "body_too_large",
    "too_many_requests",
    "engine_restarting",
    "no_api_here",
}


def sources() -> str:
    """Everything that may say a sentence."""
    folders = [(ROOT / "webui" / "ui", "*.py"), (ASSETS / "js", "*.js")]
    return "\n".join(path.read_text("utf-8") for folder, kind in folders for path in sorted(folder.glob(kind)))


def error_classes() -> list[type[errors.WebuiError]]:
    """Every error that may reach the page."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.WebuiError)]
    return [each for each in found if each.code not in TERMINAL_ONLY | API_ONLY]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys(language: str) -> None:
    assert TEXTS[language].keys() == TEXTS[DEFAULT_LANGUAGE].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty(language: str) -> None:
    assert [key for key, sentence in TEXTS[language].items() if not sentence.strip()] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_agree(language: str) -> None:
    wrong = {
        key: (placeholders(sentence), placeholders(TEXTS[language][key]))
        for key, sentence in TEXTS[DEFAULT_LANGUAGE].items()
        if placeholders(sentence) != placeholders(TEXTS[language][key])
    }
    assert wrong == {}


def test_every_sentence_is_used() -> None:
    said = sources()
    unused = [key for key in TEXTS[DEFAULT_LANGUAGE] if not key.startswith(COMPOSED) and f'"{_stem(key)}' not in said]
    assert unused == []


def test_every_composed_prefix_is_used() -> None:
    said = sources()
    assert [prefix for prefix in COMPOSED if f"`{prefix}" not in said and f'"{prefix}' not in said] == []


def test_every_key_in_the_sources_has_a_sentence() -> None:
    said = re.findall(r'(?:say|sayCount)\(\s*"([a-z0-9_.]+)"', sources())
    stems = {_stem(key) for key in TEXTS[DEFAULT_LANGUAGE]} | set(TEXTS[DEFAULT_LANGUAGE])
    assert [key for key in said if key not in stems] == []


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.code)
def test_every_error_of_a_visitor_has_a_sentence_with_its_values(error: type[errors.WebuiError]) -> None:
    for language in LANGUAGES:
        sentence = TEXTS[language][f"error.{error.code}"]
        assert placeholders(sentence) == placeholders(error.sentence), language


def test_korean_is_korean() -> None:
    """A sentence that was forgotten in translation has no Hangul in it; names and units need none."""
    words = {key: re.sub(r"\{\w+\}", "", sentence) for key, sentence in TEXTS["ko"].items()}
    forgotten = [key for key, text in words.items() if re.search("[a-z]{4,}", text) and not re.search("[가-힣]", text)]
    assert forgotten == ["header.other_language"]


def test_files_are_utf8_and_end_in_a_newline() -> None:
    paths = [Path(ASSETS / "texts" / f"{language}.json") for language in LANGUAGES]
    assert all(path.read_bytes().decode("utf-8").endswith("}\n") for path in paths)


def _stem(key: str) -> str:
    """`message.dropped.one` is said as `message.dropped`."""
    return next((key.removesuffix(plural) for plural in PLURALS if key.endswith(plural)), key)
