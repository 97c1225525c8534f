"""Whole conversations: a system prompt or none, many turns, follow-ups, and a visitor whose name is remembered.

Knows nothing of tokens; how much of a long conversation fits is decided by whoever turns it into tokens.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from webui.demo_model.corpus.exchanges import Exchange, ExchangeMaker
from webui.demo_model.corpus.library import LANGUAGES, Language, Library
from webui.demo_model.corpus.noise import noisy, noisy_around_slots, reworded
from webui.demo_model.corpus.phrasing import fill
from webui.demo_model.corpus.reply import Replies, Reply
from webui.demo_model.corpus.skills import person_name
from webui.demo_model.corpus.stories import Wish

Role = Literal["system", "user", "assistant"]
LONGEST = 80
"""Turns of the longest conversations: more than fit into the context, so that its end is trained too."""
TURNS: tuple[tuple[range, float], ...] = (
    (range(1, 2), 0.42),
    (range(2, 5), 0.37),
    (range(5, 11), 0.17),
    (range(11, 31), 0.035),
    (range(LONGEST, LONGEST + 1), 0.005),
)
"""How many turns conversations have, with the share of each range."""
PRACTICE = 0.08
"""Share of conversations that do nothing but exercise the skills of copying, so that their mechanism is learned early."""
TURNS_UNTIL_ASKED: tuple[int | None, ...] = (0, 0, 1, 1, 2, 2, 3, 4, 5, 6, None)
"""After how many other turns a visitor who has told a name asks for it; None is only by chance."""
MANNERS: tuple[tuple[str | None, float], ...] = (
    (None, 0.55),
    ("plain", 0.12),
    ("korean", 0.1),
    ("english", 0.07),
    ("brief", 0.1),
    ("pirate", 0.06),
)
"""What system prompts ask for, with the share of each; None is no system prompt."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Role
    text: str
    referred_to: bool = True
    """Whether what follows may refer to it; if nothing does, its end can be missing."""


Dialogue = tuple[Message, ...]


@dataclass(frozen=True)
class Turn:
    """A question of a conversation: what it exercises and which answers are right.

    Stories are too many to be answers; there is the wish that they must grant, or neither where that cannot be told.
    """

    skill: str
    language: Language
    answers: tuple[str, ...]
    wish: Wish | None = None


class DialogueMaker:
    """Draws conversations; the same random generator gives the same ones."""

    def __init__(self, library: Library | None = None) -> None:
        self.library = library or Library()
        self.exchanges = ExchangeMaker(self.library)

    def draw(self, rng: random.Random) -> Dialogue:
        """One conversation."""
        return self.draw_judged(rng)[0]

    def draw_judged(self, rng: random.Random) -> tuple[Dialogue, tuple[Turn, ...]]:
        """One conversation, and for each of its answers what it exercises and what else would have been right."""
        turns, shares = zip(*TURNS, strict=True)
        conversation = _Conversation(self, rng)
        conversation.run(rng.choice(rng.choices(turns, shares)[0]))
        return tuple(conversation.messages), tuple(conversation.turns)


class _Conversation:
    """One conversation while it is being written."""

    def __init__(self, maker: DialogueMaker, rng: random.Random) -> None:
        self.maker, self.rng = maker, rng
        self.messages: list[Message] = []
        self.turns: list[Turn] = []
        self.skill = ""
        self.language: Language = rng.choice(LANGUAGES)
        self.person: str | None = None
        self.until_asked: int | None = None
        self.practises = rng.random() < PRACTICE
        manners, shares = zip(*MANNERS, strict=True)
        self.manner: str | None = rng.choices(manners, shares)[0]
        if self.manner is not None:
            prompt_language = self.language if rng.random() < 0.6 else rng.choice(LANGUAGES)
            prompt = maker.library.manners[self.manner].phrase(prompt_language, rng)
            self.messages.append(Message("system", prompt))

    def run(self, turns: int) -> None:
        """Writes the whole conversation."""
        while turns > 0 or self.until_asked is not None:
            self.skill = "conversations" if self.turns else "first questions"
            if self.rng.random() < 0.05:
                self.language = "ko" if self.language == "en" else "en"
                self.skill = "language switches"
            if self.manner not in (None, "plain"):
                self.skill = "system prompts"
            turns -= self._name_turn() or self._exchange_turns()

    @property
    def answer_language(self) -> Language:
        """The language of the question, unless the system prompt asks for one."""
        if self.manner == "korean":
            return "ko"
        return "en" if self.manner == "english" else self.language

    def _ask(self, question: str, *, verbatim: bool = False) -> None:
        self.messages.append(Message("user", noisy(question, self.language, self.rng, verbatim=verbatim)))

    def _answer(self, text: str, language: Language, others: Sequence[str] = ()) -> None:
        """Says the text; `others` would have been right too."""
        said, *rest = (self._in_manner(each, language) for each in (text, *others))
        self._append(said, (said, *rest))

    def _append(self, said: str, answers: tuple[str, ...], wish: Wish | None = None) -> None:
        self.messages.append(Message("assistant", said))
        self.turns.append(Turn(self.skill, self.language, answers, wish))

    def _in_manner(self, text: str, language: Language) -> str:
        if self.manner != "pirate":
            return text
        return self.maker.library.manners["pirate"].answers[0][language].replace("{answer}", text)

    def _say(self, replies: Replies, language: Language, others: Sequence[Replies], wish: Wish | None) -> None:
        said, *rest = (self._as_long_as_wanted(each[language]) for each in (replies, *others))
        if wish is None:
            self._answer(said, language, rest)
        else:
            plainly_told = self.manner not in ("brief", "pirate")
            self._append(self._in_manner(said, language), (), wish if plainly_told else None)

    def _as_long_as_wanted(self, reply: Reply) -> str:
        return reply.brief if self.manner == "brief" and reply.brief else reply.text

    def _name_turn(self) -> int:
        """Now and then the visitor tells a name or asks for it; how many turns that took."""
        chance = self.rng.random()
        telling = 0.03 if self.messages else 0.16
        if chance < telling and self.until_asked != 0:
            self.person = person_name(self.language, self.rng)
            self._ask_intent("name_told", {"person": self.person}, verbatim=True)
            self._reply_intent("name_told", self.person)
            self.until_asked = self.rng.choice(TURNS_UNTIL_ASKED)
            return 1
        asked = self.until_asked == 0
        self.until_asked = None if asked or self.until_asked is None else self.until_asked - 1
        if asked or chance > (0.9 if self.person else 0.98):
            self.skill = "memory"
            if self.rng.random() < 0.1:
                self.language = "ko" if self.language == "en" else "en"
            self._ask_intent("name_asked", {})
            self._reply_intent("name_asked" if self.person else "name_unknown", self.person or "")
            return 1
        return 0

    def _ask_intent(self, intent: str, slots: dict[str, str], *, verbatim: bool = False) -> None:
        phrase = reworded(self.maker.library.intents[intent].phrase(self.language, self.rng), self.language, self.rng)
        if verbatim:
            phrase = noisy_around_slots(phrase, self.language, self.rng)
        self._ask(fill(phrase, slots), verbatim=verbatim)

    def _reply_intent(self, intent: str, person: str) -> None:
        known, language = self.maker.library.intents[intent], self.answer_language
        template = known.brief if self.manner == "brief" and known.brief else known.answers[0]
        self._answer(fill(template[language], {"person": person}), language)

    def _exchange_turns(self) -> int:
        """A question with its answer, and perhaps follow-ups; how many turns that took."""
        exchange = self.maker.exchanges.draw(self.language, self.rng, copying=self.practises)
        language = self.answer_language
        self._ask(exchange.question, verbatim=exchange.verbatim)
        self._say(exchange.replies, language, exchange.alternatives, exchange.wish)
        turns, replies = 1, exchange.replies
        while turns < 4 and self.rng.random() < 0.3:
            follow_up = self._pick_follow_up(exchange, replies[language])
            if follow_up is None:
                break
            self.skill = "follow-ups"
            phrase = self.maker.library.follow_ups[follow_up].phrase(self.language, self.rng)
            self._ask(reworded(phrase, self.language, self.rng))
            turns += 1
            if follow_up == "another" and exchange.another is not None:
                others = [each for each in exchange.alternatives if each is not replies]
                replies = exchange.another(self.rng)
                self._say(replies, language, others, exchange.wish)
                continue
            language = self._follow(follow_up, replies, language)
        self.messages[-1] = replace(self.messages[-1], referred_to=False)
        return turns

    def _pick_follow_up(self, exchange: Exchange, reply: Reply) -> str | None:
        options: dict[str, float] = {"again": 0.3}
        if exchange.another is not None:
            options["another"] = 3.0
        if reply.brief and self.manner != "brief":
            options["shorter"] = 1.0
        if reply.more:
            options["longer"] = 2.5
        if self.manner in (None, "plain", "pirate"):
            options["to_english" if self._last_is_korean() else "to_korean"] = 1.2
        return self.rng.choices(list(options), list(options.values()))[0] if options else None

    def _last_is_korean(self) -> bool:
        return any("가" <= letter <= "힣" for letter in self.messages[-1].text) or (
            self.language == "ko" and not any(letter.isalpha() for letter in self.messages[-1].text)
        )

    def _follow(self, follow_up: str, replies: Replies, language: Language) -> Language:
        """Answers a follow-up; the language that the answer is now in."""
        if follow_up == "again":
            said = self.messages[-2].text
            self._append(said, (said,))
            return language
        if follow_up in ("to_korean", "to_english"):
            language = "ko" if follow_up == "to_korean" else "en"
            self._answer(replies[language].text, language)
            return language
        reply = replies[language]
        self._answer((reply.brief if follow_up == "shorter" else reply.more) or reply.text, language)
        return language
