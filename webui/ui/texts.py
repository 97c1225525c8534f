"""The page's words in every language, from `assets/texts/<language>.json`.

One flat mapping of keys to sentences per language; `{name}` marks a value that is filled in. The same files reach the
JavaScript. This module does not know which language a visitor reads: the browser chooses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets"
LANGUAGES = ("en", "ko")
DEFAULT_LANGUAGE = "en"

Texts = Mapping[str, Mapping[str, str]]


def load_texts(folder: Path = ASSETS / "texts") -> Texts:
    """Every language's sentences by key, the default language first."""
    return {language: json.loads((folder / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}


def placeholders(sentence: str) -> set[str]:
    """The names of the values that a sentence wants filled in."""
    return set(re.findall(r"\{(\w+)\}", sentence))
