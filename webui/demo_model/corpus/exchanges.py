"""One question with its answer, drawn from the corpus.

Knows nothing of what was said before or of what a system prompt asks for.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from webui.demo_model.corpus.library import LANGUAGES, Intent, Language, Library
from webui.demo_model.corpus.noise import noisy_around_slots, reworded
from webui.demo_model.corpus.phrasing import fill
from webui.demo_model.corpus.reply import Replies, Reply
from webui.demo_model.corpus.skills import Skills, Task
from webui.demo_model.corpus.stories import Wish

DIALOGUE_INTENTS = frozenset({"name_told", "name_asked", "name_unknown"})
"""Intents that only make sense inside a conversation; `dialogue.py` draws them."""
COPYING_INTENTS = frozenset(
    {
        *("spell", "repeat", "count", "count_to", "count_down", "add", "subtract"),
        *("letter_number", "letter_after", "letter_before"),
    }
)
"""Intents whose answer is copied or worked out from the question, letter by letter or number by number."""
VARIED_SKILLS = frozenset({"jokes", "poems"})
"""Skills where "another one" brings another of the answers."""


@dataclass(frozen=True)
class Exchange:
    """A question in one language and what may be answered, in both."""

    intent: str
    skill: str
    language: Language
    question: str
    replies: Replies
    verbatim: bool = False
    another: Callable[[random.Random], Replies] | None = None
    alternatives: tuple[Replies, ...] = ()
    """All answers of which any may come, where there are several."""
    wish: Wish | None = None
    """What the story that was asked for must be about."""


class ExchangeMaker:
    """Draws exchanges from all intents, or from one."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.skills = Skills(library)
        self.intents = [intent for intent in library.intents.values() if intent.id not in DIALOGUE_INTENTS]
        self.weights = [intent.weight for intent in self.intents]
        self.copying_weights = [intent.weight * (intent.id in COPYING_INTENTS) for intent in self.intents]

    def draw(self, language: Language, rng: random.Random, *, copying: bool = False) -> Exchange:
        """An exchange of any intent, or of any that copies, by weight."""
        weights = self.copying_weights if copying else self.weights
        return self.make(rng.choices(self.intents, weights)[0], language, rng)

    def make(self, intent: Intent, language: Language, rng: random.Random) -> Exchange:
        """An exchange of this intent."""
        phrase = reworded(intent.phrase(language, rng), language, rng)
        if (builder := self.skills.builders.get(intent.id)) is not None:
            return self._computed(intent, phrase, builder(language, rng), language, rng)
        if intent.rows:
            row = rng.choice(intent.rows)
            question = fill(phrase, row.question_slots(language, rng))
            slots = {each: row.answer_slots(each) for each in LANGUAGES}
            return Exchange(intent.id, intent.skill, language, question, filled_replies(intent, slots))
        return self._varied(intent, phrase, language, rng)

    def _varied(self, intent: Intent, question: str, language: Language, rng: random.Random) -> Exchange:
        place = rng.randrange(len(intent.answers))
        alternatives = tuple(fixed_replies(intent, each) for each in range(len(intent.answers)))
        others = [*alternatives[:place], *alternatives[place + 1 :]]
        varied = others and intent.skill in VARIED_SKILLS
        return Exchange(
            intent.id,
            intent.skill,
            language,
            question,
            alternatives[place],
            another=partial(_one_of, others) if varied else None,
            alternatives=alternatives,
        )

    def _computed(self, intent: Intent, phrase: str, task: Task, language: Language, rng: random.Random) -> Exchange:
        if task.verbatim:
            phrase = noisy_around_slots(phrase, language, rng)
        question = fill(phrase, task.asked)
        if task.wish is not None:
            wish = asked_part(task.wish, phrase)
            tell = partial(self.skills.story_replies, wish)
            return Exchange(
                intent.id, intent.skill, language, question, tell(rng), verbatim=task.verbatim, another=tell, wish=wish
            )
        replies = task.replies or filled_replies(intent, task.known or {})
        return Exchange(intent.id, intent.skill, language, question, replies, verbatim=task.verbatim)


def _one_of(others: Sequence[Replies], rng: random.Random) -> Replies:
    return rng.choice(others)


def asked_part(wish: Wish, phrase: str) -> Wish:
    """The part of the wish that the phrase speaks of."""
    return Wish(
        hero=wish.hero if "{hero" in phrase or "{kind" in phrase else None,
        place=wish.place if "{place" in phrase else None,
        mood=wish.mood if "{mood" in phrase else None,
    )


def filled_replies(intent: Intent, slots: Mapping[Language, Mapping[str, str]]) -> Replies:
    """The intent's answer with its slots filled."""
    return {
        language: Reply(
            fill(intent.answers[0][language], slots[language]),
            fill(intent.brief[language], slots[language]) if intent.brief else None,
            fill(intent.more[language], slots[language]) if intent.more else None,
        )
        for language in LANGUAGES
    }


def fixed_replies(intent: Intent, place: int) -> Replies:
    """One of the intent's answers as it stands: it may hold code, so braces in it are not slots."""
    return {
        language: Reply(
            intent.answers[place][language],
            intent.brief[language] if intent.brief else None,
            intent.more[language] if intent.more else None,
        )
        for language in LANGUAGES
    }
