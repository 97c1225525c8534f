"""Stories on a wish: a hero, a place or a mood, the rest left to chance; the same story in both languages.

Knows nothing of how a story is asked for.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webui.demo_model.corpus.library import DATA, Both, Language, read_both
from webui.demo_model.corpus.phrasing import with_particle

MOODS: dict[str, dict[Language, tuple[str, ...]]] = {
    "funny": {
        "en": ("funny", "funny", "funny", "silly", "hilarious", "comic", "humorous", "laugh-out-loud", "goofy"),
        "ko": ("웃긴", "웃긴", "웃기는", "우스운", "우스꽝스러운", "배꼽 빠지는", "유쾌한"),
    },
    "happy": {
        "en": ("happy", "happy", "happy", "cheerful", "joyful", "merry", "heartwarming", "feel-good", "bright"),
        "ko": ("행복한", "행복한", "즐거운", "기쁜", "밝은", "훈훈한", "따뜻한"),
    },
    "sad": {
        "en": ("sad", "sad", "sad", "tearful", "sorrowful", "melancholy", "bittersweet", "gloomy", "tragic"),
        "ko": ("슬픈", "슬픈", "눈물 나는", "애틋한", "서글픈", "가슴 아픈", "우울한"),
    },
    "scary": {
        "en": ("scary", "scary", "scary", "spooky", "creepy", "frightening", "chilling", "horror", "hair-raising"),
        "ko": ("무서운", "무서운", "으스스한", "오싹한", "섬뜩한", "소름 돋는", "겁나는"),
    },
}
"""What the moods of endings are called; the usual word comes more often."""
_ONSETS = dict(zip("n d r m b s j k t p h".split(), (2, 3, 5, 6, 7, 9, 12, 15, 16, 17, 18), strict=True))
_VOWELS = dict(zip("a eo o u i e".split(), (0, 4, 8, 13, 20, 5), strict=True))
_FINALS = {"": 0, "n": 4, "l": 8, "m": 16, "ng": 21}
"""Sounds as English letters, with the place of the Korean letter in a syllable of Unicode."""


@dataclass(frozen=True)
class Wish:
    """What a story shall be about; what is None is free."""

    hero: Both | None = None
    place: Both | None = None
    mood: str | None = None


@dataclass(frozen=True)
class Story:
    """A story in both languages, and what it tells in two sentences."""

    text: Both
    brief: Both


class StoryTeller:
    """Tells stories out of the pieces in `story.txt`."""

    def __init__(self, data: Path = DATA) -> None:
        self.pieces: dict[str, list[Both]] = {}
        for line in (data / "story.txt").read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                keyword, _, value = line.partition(": ")
                self.pieces.setdefault(keyword, []).append(read_both(value))

    def tell(self, wish: Wish, rng: random.Random) -> Story:
        """A story that grants the wish."""
        mood = wish.mood or rng.choice(["happy", "happy", "funny"])
        pieces = {keyword: rng.choice(choices) for keyword, choices in self.pieces.items() if keyword not in MOODS}
        pieces["ending"] = rng.choice(self.pieces[mood])
        pieces["hero"] = wish.hero or pieces["hero"]
        pieces["place"] = wish.place or pieces["place"]
        return Story(
            text={"en": _english(pieces), "ko": _korean(pieces)},
            brief={"en": _brief_english(pieces), "ko": _brief_korean(pieces)},
        )


def made_up_creature(rng: random.Random) -> Both:
    """A being that does not exist, written as it sounds in both languages, so that wished-for heroes are copied, not known."""
    english = korean = ""
    for _ in range(rng.choice((2, 2, 3))):
        onset, vowel = rng.choice(list(_ONSETS)), rng.choice(list(_VOWELS))
        final = rng.choice(list(_FINALS)) if rng.random() < 0.4 else ""
        english += onset + vowel + final
        korean += chr(ord("가") + (_ONSETS[onset] * 21 + _VOWELS[vowel]) * 28 + _FINALS[final])
    return {"en": f"a {english}", "ko": korean}


def _english(pieces: Mapping[str, Both]) -> str:
    hero, place, name, trait, find, trouble, friend, help_, ending = _in("en", pieces)
    kind = hero.split(" ", 1)[1]
    article = "an" if trait[0] in "aeiou" else "a"
    the_friend = "the " + friend.split(" ", 1)[1]
    return (
        f"Once upon a time, {article} {trait} {kind} called {name} lived {place}.\n\n"
        f'One morning {name} found {find}. "Whose is this?" asked {name}, and went out to look for the owner. '
        f"But soon {trouble}. {name} sat down and did not know what to do.\n\n"
        f'Then {friend} came by. "Do not worry, little {kind}," said {the_friend}, and {help_}. '
        f"Together they walked on, step by step.\n\n"
        f"{ending}. The end."
    )


def _korean(pieces: Mapping[str, Both]) -> str:
    hero, place, name, trait, find, trouble, friend, help_, ending = _in("ko", pieces)
    subject = with_particle(name, "은")
    return (
        f"옛날 옛적 {place}에 {name}라는 {trait} {with_particle(hero, '이')} 살았어요.\n\n"
        f"어느 날 아침 {subject} {with_particle(find, '을')} 찾았어요. "
        f'"이건 누구 것일까?" {subject} 주인을 찾아 길을 떠났어요. '
        f"그런데 곧 {trouble}. {subject} 주저앉아 어쩔 줄 몰랐어요.\n\n"
        f'그때 {with_particle(friend, "이")} 다가왔어요. "걱정하지 마, 꼬마 친구야." {with_particle(friend, "은")} {help_}. '
        f"둘은 한 걸음씩 함께 걸었어요.\n\n"
        f"{ending}. 끝."
    )


def _brief_english(pieces: Mapping[str, Both]) -> str:
    hero, _, name, _, find, _, friend, _, _ = _in("en", pieces)
    return f"{name}, {hero}, found {find}. {friend[0].upper()}{friend[1:]} helped, and all was well. The end."


def _brief_korean(pieces: Mapping[str, Both]) -> str:
    hero, _, name, _, find, _, friend, _, _ = _in("ko", pieces)
    return (
        f"{hero} {with_particle(name, '이')} {with_particle(find, '을')} 찾았어요. "
        f"{with_particle(friend, '이')} 도와줘서 모두 잘되었어요. 끝."
    )


def _in(language: str, pieces: Mapping[str, Both]) -> tuple[str, ...]:
    order = ("hero", "place", "name", "trait", "find", "trouble", "friend", "help", "ending")
    return tuple(pieces[keyword]["en" if language == "en" else "ko"] for keyword in order)
