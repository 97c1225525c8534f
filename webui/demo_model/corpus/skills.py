"""The skills whose answers are worked out: counting, sums, spelling, repeating, letters, lists, stories, names, refusals.

Each skill is one function that draws a task: the slots of its question and the answer in both languages. The phrasings are in
`data/skills.txt` and `data/unknown.txt`. Knows nothing of conversations.
"""

import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from webui.demo_model.corpus import numbers
from webui.demo_model.corpus.library import LANGUAGES, Both, Language, Library
from webui.demo_model.corpus.listing import read_collections
from webui.demo_model.corpus.reply import Replies, Reply
from webui.demo_model.corpus.stories import MOODS, StoryTeller, Wish

SYLLABLES = "ka mo ri ta no lu be sha ven dor pi ran tel mus gro fin zar ol em ix jo wi hu ne".split()
KOREAN_SYLLABLES = (
    "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후기니디리미비시이지치"
    "강건경광국규금길나남달대동란람민범별상서석선성솔솜수슬승신안연영예온완용원유윤은인재정종준진찬창채철태한해현형혜호환훈희"
)
FIRST_NAMES: Mapping[Language, tuple[str, ...]] = {
    "en": tuple(
        "Anna Ben Chris Daniel Emma Eric Grace Hana Jack James Jane Jin John Kate Kevin Laura Leo Lily Lucas Maria Mark Mia "
        "Mina Nick Noah Olivia Paul Peter Rachel Sam Sara Sophie Thomas Tom Yuna Alex David Julia Oscar Ryan Amy Bob Carl "
        "Diana Ella Frank George Helen Ian Kim Linda Max Nora Rosa Simon Tina Victor Zoe Minsu Jisoo Sujin".split()
    ),
    "ko": tuple(
        "민수 지수 영희 철수 서연 지민 현우 수진 민지 준호 하은 도윤 예은 지훈 유나 성민 은지 태현 소라 재민 다은 상호 미영 "
        "동현 가영 나리 보라 세진 우진 하늘 김민수 이지은 박서준 최유리 정현우 수빈 예린 승호 지호 주원 톰 제인 마리아".split()
    ),
}
SPELLING_WORDS = (
    "batch token model engine queue stream letter python server lane prefill decode cache korean english seoul korea orange "
    "elephant tiger rabbit monkey penguin giraffe zebra lion horse summer winter spring autumn monday friday sunday january "
    "july august family brother sister kitchen garden bridge castle island ocean planet rocket robot letter number paper "
    "pencil picture question answer garlic onion potato tomato cheese butter sugar pepper knife spoon bottle street market "
    "church museum doctor nurse police lawyer writer singer dancer yellow purple silver golden happy hungry thirsty sleepy"
).split()


@dataclass(frozen=True)
class Task:
    """One question to be asked: the slots of its phrasing, the slots of the answer or the answer itself."""

    asked: Mapping[str, str]
    known: Mapping[Language, Mapping[str, str]] | None = None
    replies: Replies | None = None
    verbatim: bool = False
    """The question must reach the model as it is: no typos, no change of case."""
    wish: Wish | None = None
    """All that a story could be asked to be about; the phrasing decides how much of it is asked for."""


def _same(slots: Mapping[str, str]) -> dict[Language, Mapping[str, str]]:
    return dict.fromkeys(LANGUAGES, slots)


def _reply_same(text: str) -> Replies:
    return {language: Reply(text) for language in LANGUAGES}


def made_up_word(language: Language, rng: random.Random, syllables: tuple[int, int] = (2, 3)) -> str:
    """A word that does not exist, so that copying is learned and not the words."""
    length = rng.randint(*syllables)
    if language == "en":
        return "".join(rng.choice(SYLLABLES) for _ in range(length))
    return "".join(rng.choice(KOREAN_SYLLABLES) for _ in range(length))


def number_text(number: int, language: Language, rng: random.Random, *, native: bool = False) -> str:
    """The number as people type it: mostly digits, now and then a word."""
    if rng.random() < 0.88 or number > 99:
        return str(number)
    if language == "en":
        return numbers.english(number)
    return numbers.native_korean(number) if native and number else numbers.sino_korean(number)


class Skills:
    """Draws tasks for the computed skills."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.teller = StoryTeller()
        self.collections = read_collections()
        self._words = [row.fields["word"]["en"][0] for row in library.intents["to_korean"].rows]
        self._korean_words = [row.fields["word"]["ko"][0] for row in library.intents["to_korean"].rows]
        self.builders: dict[str, Callable[[Language, random.Random], Task]] = {
            "count": self.count,
            "count_to": self.count_to,
            "count_down": self.count_down,
            "add": self.add,
            "subtract": self.subtract,
            "spell": self.spell,
            "repeat": self.repeat,
            "letter_number": self.letter_number,
            "letter_after": self.letter_after,
            "letter_before": self.letter_before,
            "list": self.list_some,
            "list_all": self.list_all,
            "story": self.story,
            "story_wish": self.story_wish,
            "unknown": self.unknown,
            "too_hard": self.too_hard,
        }

    def count(self, language: Language, rng: random.Random) -> Task:
        first = rng.choice([1, 1, 1, 2, 3, 5, 10, rng.randint(0, 70)])
        last = first + rng.choice([3, 4, 5, 7, 9, 10, 15, 19, rng.randint(2, 29)])
        if rng.random() < 0.15:
            first, last = last, first
        return self._counted(first, last, language, rng)

    def count_to(self, language: Language, rng: random.Random) -> Task:
        return self._counted(1, rng.choice([3, 5, 10, 10, 12, 15, 20, 20, 30, rng.randint(2, 40)]), language, rng)

    def count_down(self, language: Language, rng: random.Random) -> Task:
        return self._counted(rng.choice([3, 5, 10, 10, 20, rng.randint(3, 20)]), 1, language, rng)

    def _counted(self, first: int, last: int, language: Language, rng: random.Random) -> Task:
        step = 1 if last >= first else -1
        text = ", ".join(str(number) for number in range(first, last + step, step))
        asked = {
            "first": number_text(first, language, rng, native=True),
            "last": number_text(last, language, rng, native=True),
        }
        return Task(asked, replies=_reply_same(text))

    def add(self, language: Language, rng: random.Random) -> Task:
        a, b = self._operands(rng)
        work: Both = {"en": "", "ko": ""}
        if a > 9 and b > 9:
            ones, tens = a % 10 + b % 10, a // 10 * 10 + b // 10 * 10
            steps = f"{a % 10} + {b % 10} = {ones}, {a // 10 * 10} + {b // 10 * 10} = {tens}"
            work = {"en": f"{steps}, so ", "ko": f"{steps}, 그래서 "}
        return self._sum(a, b, a + b, work, language, rng)

    def subtract(self, language: Language, rng: random.Random) -> Task:
        a, b = self._operands(rng)
        if a < b and rng.random() < 0.95:
            a, b = b, a
        work: Both = {"en": "", "ko": ""}
        if a > 9 and b > 9 and a > b and b % 10:
            rest = a - b // 10 * 10
            steps = f"{a} - {b // 10 * 10} = {rest}, {rest} - {b % 10} = {a - b}"
            work = {"en": f"{steps}, so ", "ko": f"{steps}, 그래서 "}
        return self._sum(a, b, a - b, work, language, rng)

    @staticmethod
    def _operands(rng: random.Random) -> tuple[int, int]:
        kind = rng.random()
        if kind < 0.3:
            return rng.randint(0, 10), rng.randint(0, 10)
        if kind < 0.5:
            pair = [rng.randint(10, 99), rng.randint(1, 9)]
            rng.shuffle(pair)
            return pair[0], pair[1]
        return rng.randint(10, 99), rng.randint(10, 99)

    @staticmethod
    def _sum(a: int, b: int, result: int, work: Both, language: Language, rng: random.Random) -> Task:
        asked = {"a": number_text(a, language, rng), "b": number_text(b, language, rng)}
        shown = {"a": str(a), "b": str(b), "result": str(result)}
        return Task(asked, known={each: {**shown, "work": work[each]} for each in LANGUAGES})

    def spell(self, language: Language, rng: random.Random) -> Task:
        kind = rng.random()
        if kind < 0.65:
            word = rng.choice([*SPELLING_WORDS, *(word for word in self._words if " " not in word)])
        elif kind < 0.8:
            word = rng.choice(FIRST_NAMES["en"])
        elif kind < 0.9:
            word = made_up_word("en", rng)
        else:
            word = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(3, 7)))
        letters = "-".join(word.upper())
        return Task({"word": word}, known=_same({"letters": letters}), verbatim=True)

    def repeat(self, language: Language, rng: random.Random) -> Task:
        text = " ".join(self._any_word(language, rng) for _ in range(rng.randint(1, 6)))
        if rng.random() < 0.5:
            text = text[:1].upper() + text[1:] + rng.choice([".", "!", "?", ""])
        return Task({"text": text}, known=_same({"text": text}), verbatim=True)

    def _any_word(self, language: Language, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(self._words if language == "en" else self._korean_words)
        if kind < 0.5:
            return rng.choice(FIRST_NAMES[language])
        if kind < 0.65:
            return str(rng.randint(0, 999))
        if kind < 0.8:
            return rng.choice(SPELLING_WORDS if language == "en" else self._korean_words)
        return made_up_word(language, rng)

    def letter_number(self, language: Language, rng: random.Random) -> Task:
        number = rng.randint(1, 26)
        ordinals: Both = {"en": numbers.english_ordinal(number), "ko": f"{number}번째"}
        asked = {"ordinal": ordinals[language], "number": str(number)}
        letter = string.ascii_uppercase[number - 1]
        return Task(asked, known={each: {"ordinal": ordinals[each], "letter": letter} for each in LANGUAGES})

    def letter_after(self, language: Language, rng: random.Random) -> Task:
        place = rng.randrange(25)
        letter, after = string.ascii_uppercase[place], string.ascii_uppercase[place + 1]
        return Task({"letter": letter}, known=_same({"letter": letter, "result": after}))

    def letter_before(self, language: Language, rng: random.Random) -> Task:
        place = rng.randrange(1, 26)
        letter, before = string.ascii_uppercase[place], string.ascii_uppercase[place - 1]
        return Task({"letter": letter}, known=_same({"letter": letter, "result": before}))

    def list_some(self, language: Language, rng: random.Random) -> Task:
        collection = rng.choice([each for each in self.collections if not each.complete])
        count = min(rng.choice([2, 3, 3, 4, 5, 5, 6, 7, 8, 10]), len(collection.members))
        asked = {
            "things": collection.name[language],
            "count": self._count_text(count, collection.counter, language, rng),
        }
        return Task(asked, replies=collection.listed(count))

    @staticmethod
    def _count_text(count: int, counter: str, language: Language, rng: random.Random) -> str:
        if language == "en":
            return number_text(count, language, rng) if rng.random() < 0.6 else numbers.english(count)
        return rng.choice([f"{count}{counter}", f"{count}가지", f"{numbers.before_counter(count)} {counter}", f"{count}개"])

    def list_all(self, language: Language, rng: random.Random) -> Task:
        collection = rng.choice([each for each in self.collections if each.complete])
        return Task({"things": collection.name[language]}, replies=collection.listed(len(collection.members)))

    def story(self, language: Language, rng: random.Random) -> Task:
        return Task({}, wish=Wish())

    def story_wish(self, language: Language, rng: random.Random) -> Task:
        pieces = self.teller.pieces
        hero, place, mood = rng.choice(pieces["hero"]), rng.choice(pieces["place"]), rng.choice(list(MOODS))
        asked = {"hero": hero[language], "place": place[language], "mood": MOODS[mood][language]}
        return Task(asked, wish=Wish(hero, place, mood))

    def story_replies(self, wish: Wish, rng: random.Random) -> Replies:
        """A story for the wish, as replies."""
        story = self.teller.tell(wish, rng)
        return {language: Reply(story.text[language], story.brief[language]) for language in LANGUAGES}

    def unknown(self, language: Language, rng: random.Random) -> Task:
        names = self.library.intents["unknown"].rows[0].fields["name"][language]
        if rng.random() < 0.75:
            return Task({"name": rng.choice(names)}, known=_same({}))
        words = [made_up_word(language, rng) for _ in range(rng.randint(1, 2))]
        name = " ".join(words)
        if language == "en" and rng.random() < 0.5:
            name = rng.choice(["a ", "the ", "my "]) + name
        return Task({"name": name}, known=_same({}))

    def too_hard(self, language: Language, rng: random.Random) -> Task:
        big = rng.randint(100, 9999)
        small = rng.randint(2, 99)
        signs = ["times", "x", "*", "divided by", "/"] if language == "en" else ["곱하기", "x", "*", "나누기", "/"]
        if rng.random() < 0.5:
            return Task({"task": f"{rng.randint(2, 99)} {rng.choice(signs)} {small}"}, known=_same({}))
        return Task({"task": f"{big} {rng.choice('+-')} {rng.randint(10, 9999)}"}, known=_same({}))
