"""What the model shall say: an answer in both languages, with a short and a longer form where there are such."""

from collections.abc import Mapping
from dataclasses import dataclass

from webui.demo_model.corpus.library import Language


@dataclass(frozen=True)
class Reply:
    """An answer, a short form of it and a longer one where there are such."""

    text: str
    brief: str | None = None
    more: str | None = None


Replies = Mapping[Language, Reply]
