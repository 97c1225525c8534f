"""Collections of things that can be listed: animals, months, planets.

Knows nothing of how a list is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webui.demo_model.corpus.library import DATA, LANGUAGES, Both, Language, read_both
from webui.demo_model.corpus.reply import Replies, Reply


@dataclass(frozen=True)
class Collection:
    """Some things of one kind, always listed in the same order."""

    names: Mapping[Language, tuple[str, ...]]
    counter: str
    complete: bool
    members: tuple[Both, ...]

    def listed(self, count: int) -> Replies:
        """The first members as a numbered list."""
        return {language: self._listed(count, language) for language in LANGUAGES}

    def _listed(self, count: int, language: Language) -> Reply:
        names = [member[language] for member in self.members[:count]]
        lines = [f"{place}. {name}" for place, name in enumerate(names, start=1)]
        return Reply("\n".join(lines), ", ".join(names))


def read_collections(path: Path = DATA / "lists.txt") -> list[Collection]:
    """All collections of the file."""
    headings: list[list[str]] = []
    members: list[list[Both]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            headings.append(line[3:].split(" / "))
            members.append([])
        elif line and not line.startswith("#"):
            members[-1].append(read_both(line))
    return [_collection(heading, each) for heading, each in zip(headings, members, strict=True)]


def _collection(heading: list[str], members: list[Mapping[Language, str]]) -> Collection:
    english, korean, counter, *flags = heading
    names: dict[Language, tuple[str, ...]] = {"en": tuple(english.split(", ")), "ko": tuple(korean.split(", "))}
    return Collection(names, counter, "complete" in flags, tuple(members))
