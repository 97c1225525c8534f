"""Phrasing templates: choices, slots and Korean particles.

`[a|b|]` stands for one of its alternatives, which may nest; `{city}` is a slot, `{City}` the same with a capital letter, and
`{city:은}` the slot with the particle (은 or 는) that fits its sound. Knows nothing of intents or conversations.
"""

import random
import re
from collections.abc import Mapping
from functools import cache

PARTICLES: dict[str, tuple[str, str]] = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "이야": ("이야", "야"),
    "이에": ("이에", "예"),
    "이란": ("이란", "란"),
    "이라": ("이라", "라"),
}
"""Particle by its form after a final consonant: (after a consonant, after a vowel)."""

_FORMS: dict[str, str] = {form: key for key in ("은", "이", "을", "과") for form in PARTICLES[key]}
_PARTICLE_NEXT = re.compile(rf"[{''.join(_FORMS)}](?=[ ?.!,~\]|]|$)")
_INNERMOST_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SPACE_BEFORE_MARK = re.compile(r" (?=[?!.,](?: |$))")
_SLOT = re.compile(r"\{([A-Za-z_.]+)(?::([가-힣]+))?\}")
_LATIN_FINALS = ("l", "m", "n", "ng", "at", "ap", "ok", "ck")
_DIGIT_FINALS = "013678"


def ends_in_consonant(word: str) -> bool:
    """Whether a Korean speaker hears a final consonant; for Latin words a rule of thumb."""
    sound = re.sub(r"[^0-9A-Za-z가-힣]+$", "", word)
    if not sound:
        return False
    last = sound[-1]
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28 != 0
    if last.isdigit():
        return last in _DIGIT_FINALS
    return sound.lower().endswith(_LATIN_FINALS)


def with_particle(word: str, particle: str) -> str:
    """The word with the form of the particle that fits it."""
    after_consonant, after_vowel = PARTICLES[particle]
    return word + (after_consonant if ends_in_consonant(word) else after_vowel)


@cache
def _first_choice(template: str) -> tuple[str, tuple[str, ...], str] | None:
    match = _INNERMOST_CHOICE.search(template)
    if match is None:
        return None
    return template[: match.start()], tuple(match.group(1).split("|")), template[match.end() :]


def choose(template: str, rng: random.Random) -> str:
    """The template with one alternative taken at every choice."""
    while (found := _first_choice(template)) is not None:
        before, alternatives, after = found
        template = _joined(before, rng.choice(alternatives), after)
    return _SPACE_BEFORE_MARK.sub("", " ".join(template.split()))


def fill(template: str, slots: Mapping[str, str]) -> str:
    """The template with every slot replaced by its text."""

    def text_of(match: re.Match[str]) -> str:
        name, particle = match.group(1), match.group(2)
        text = slots[name[0].lower() + name[1:]]
        if name[0].isupper():
            text = text[:1].upper() + text[1:]
        return with_particle(text, particle) if particle else text

    return _SLOT.sub(text_of, template)


def _joined(before: str, chosen: str, after: str) -> str:
    """The three one after the other, with a particle that is chosen or follows fitted to the word before it."""
    if chosen in _FORMS and before[-1:].isalnum() and not after[:1].isalnum():
        return with_particle(before, _FORMS[chosen]) + after
    if chosen[-1:].isalnum() and _PARTICLE_NEXT.match(after):
        return before + with_particle(chosen, _FORMS[after[0]]) + after[1:]
    return before + chosen + after


@cache
def variety(template: str) -> int:
    """How many alternatives the template names, as a rough measure of how many ways it can be said."""
    return 1 + template.count("|")


def normalised(text: str) -> str:
    """The text without case, spacing and most punctuation, so that two ways to write the same phrasing compare equal."""
    return re.sub(r"[^0-9a-z가-힣+\-:\"]+", "", text.lower())


def _either_form(particle: str) -> str:
    return "(?:" + "|".join(PARTICLES[_FORMS.get(particle, particle)]) + ")"


def matcher(template: str, slots: Mapping[str, str]) -> re.Pattern[str]:
    """A pattern that matches the normalised form of everything that the template can say.

    `slots` says, as a pattern each, what may fill the slots; a slot that is not named may be filled by anything.
    """
    pattern = ""
    rest = template
    while rest:
        if rest[0] in "[|]":
            pattern += {"[": "(?:", "|": "|", "]": ")"}[rest[0]]
            rest = rest[1:]
        elif (slot := _SLOT.match(rest)) is not None:
            name, particle = slot.group(1), slot.group(2)
            pattern += slots.get(name[0].lower() + name[1:], ".+?")
            pattern += _either_form(particle) if particle else ""
            rest = rest[slot.end() :]
        else:
            pattern += _either_form(rest[0]) if rest[0] in _FORMS else re.escape(normalised(rest[0]))
            rest = rest[1:]
    return re.compile(pattern)
