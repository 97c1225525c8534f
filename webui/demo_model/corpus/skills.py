"""The skills whose answers are worked out: counting, sums, spelling, repeating, letters, lists, stories, names, refusals.

Each skill is one function that draws a task: the slots of its question and the answer in both languages. The phrasings are in
`data/skills.txt` and `data/unknown.txt`. Knows nothing of conversations.
"""

import random
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from webui.demo_model.corpus import numbers
from webui.demo_model.corpus.library import DATA, LANGUAGES, Both, Language, Library, Row
from webui.demo_model.corpus.listing import Collection, read_collections
from webui.demo_model.corpus.phrasing import choose
from webui.demo_model.corpus.reply import Replies, Reply
from webui.demo_model.corpus.stories import MOODS, StoryTeller, Wish, made_up_creature

ONSETS = "b bl br c ch cl d dr f fl g gr h j k kr l m n p ph pl pr qu r s sh sk sl sp st t th tr v w y z".split() + [""] * 4
VOWELS = "a a a e e e i i i o o o u u ai ee ea ie oo ou y".split()
CODAS = ["", "", "", "", "", *"b ck d g l ll m n nd ng nn p r rk rt s ss st t tt x".split()]
KOREAN_SYLLABLES = (
    "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후기니디리미비시이지치"
    "강건경광국규금길나남달대동란람민범별상서석선성솔솜수슬승신안연영예온완용원유윤은인재정종준진찬창채철태한해현형혜호환훈희"
)
FIRST_NAMES: Mapping[Language, tuple[str, ...]] = {
    "en": tuple(
        "Anna Ben Chris Daniel Emma Eric Grace Hana Jack James Jane Jin John Kate Kevin Laura Leo Lily Lucas Maria Mark Mia "
        "Mina Nick Noah Olivia Paul Peter Rachel Sam Sara Sophie Thomas Tom Yuna Alex David Julia Oscar Ryan Amy Bob Carl "
        "Diana Ella Frank George Helen Ian Kim Linda Max Nora Rosa Simon Tina Victor Zoe Minsu Jisoo Sujin Aaron Adam Alan "
        "Alice Andrew Angela Arthur Beth Brian Carol Cathy Charles Chloe Claire Colin Dana Dean Dennis Derek Doris Edward "
        "Elena Emily Erica Ethan Eva Fiona Gina Greg Harry Heather Henry Hugo Ivan Ivy Jason Jenny Jesse Joe Jonas Jordan "
        "Joseph Judy Karen Karl Kelly Ken Kyle Lena Lisa Louis Lucy Luke Marco Margaret Martin Mary Matt Megan Michael Mike "
        "Miles Molly Monica Nancy Natalie Nathan Nina Omar Owen Patrick Pablo Phil Priya Ray Rebecca Rick Rita Robert Robin "
        "Roger Ruth Sally Sandra Scott Sean Sofia Stella Steve Susan Ted Teresa Tim Tony Vera Wendy Will Yuki Yusuf".split()
    ),
    "ko": tuple(
        "민수 지수 영희 철수 서연 지민 현우 수진 민지 준호 하은 도윤 예은 지훈 유나 성민 은지 태현 소라 재민 다은 상호 미영 "
        "동현 가영 나리 보라 세진 우진 하늘 김민수 이지은 박서준 최유리 정현우 수빈 예린 승호 지호 주원 톰 제인 마리아 "
        "건우 경수 규리 기훈 나영 다현 대현 동욱 명수 미나 민규 민호 병철 상훈 선영 성호 세영 소연 수아 수현 순자 승민 시우 "
        "아영 영수 영호 예지 원빈 유진 윤서 윤아 은비 은우 인수 재현 정민 정수 종현 주연 준서 지아 지영 지원 진우 찬호 채원 "
        "태민 하윤 한결 해인 현수 혜진 홍길동 희수 강다은 윤도현 한소희 오민재 서지훈 신유나 존 메리 피터 안나 사라".split()
    ),
}
FAMILY_NAMES = "Smith Brown Lee Kim Park Miller Jones Davis Garcia Novak Rossi Müller Tanaka Singh Silva Martin Choi".split()
QUOTES = (('"', '"'), ('"', '"'), ('"', '"'), ("'", "'"), ("'", "'"), ("`", "`"), ("“", "”"), ("‘", "’"))
"""Quotes that people type, the usual ones more often."""
SURNAMES = "김 이 박 최 정 강 조 윤 장 임 한 오 서 신 권 황 안 송 류 홍".split()


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


@dataclass(frozen=True)
class Sayings:
    """What may be repeated or spelled: words, and templates of sentences, per language."""

    words: Mapping[Language, list[str]]
    sentences: Mapping[Language, list[str]]


def read_sayings(path: Path = DATA / "words.txt") -> Sayings:
    """The words and sentences of the file."""
    words: dict[Language, list[str]] = {"en": [], "ko": []}
    sentences: dict[Language, list[str]] = {"en": [], "ko": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            keyword, _, text = line.partition(": ")
            language: Language = "en" if keyword.startswith("en") else "ko"
            if keyword.endswith("sentence"):
                sentences[language].append(text)
            else:
                words[language] += text.lower().split()
    return Sayings(words, sentences)


def made_up_word(language: Language, rng: random.Random, lengths: tuple[int, ...] = (1, 1, 2, 2, 3)) -> str:
    """A word that does not exist, so that copying is learned and not the words; `lengths` in syllables."""
    length = rng.choice(lengths)
    if language == "en":
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(length))
        return word if len(word) > 1 else made_up_word(language, rng, lengths)
    return "".join(rng.choice(KOREAN_SYLLABLES) for _ in range(max(2, length)))


def made_up_name(language: Language, rng: random.Random) -> str:
    """A name that nobody has to have."""
    if language == "ko" and rng.random() < 0.5:
        return rng.choice(SURNAMES) + made_up_word(language, rng, (2,))
    name = made_up_word(language, rng, (1, 2, 2))
    return name[:1].upper() + name[1:]


def person_name(language: Language, rng: random.Random) -> str:
    """A visitor's name: known or not, of either language, with or without a family name, now and then in small letters."""
    named: Language = language if rng.random() < 0.85 else rng.choice(LANGUAGES)
    name = rng.choice(FIRST_NAMES[named]) if rng.random() < 0.4 else made_up_name(named, rng)
    if named == "en" and rng.random() < 0.1:
        name += " " + rng.choice(FAMILY_NAMES)
    return name.lower() if rng.random() < 0.08 else name


def quoted(text: str, rng: random.Random, *, plain: float = 0.0) -> str:
    """The text in quotes as people type them; `plain` is how often it comes without any."""
    if rng.random() < plain:
        return text
    before, after = rng.choice(QUOTES)
    return before + text + after


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
        sayings = read_sayings()
        self.words, self.sayings = sayings.words, sayings.sentences
        self.spellable = sorted({*sayings.words["en"], *_english_names(library, self.collections, self.teller)})
        self.cities = [{each: row.fields["city"][each][0] for each in LANGUAGES} for row in library.intents["capital"].rows]
        self.sentences = {language: _sentences(library, language) for language in LANGUAGES}
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
        last = first + rng.choice([2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 15, 19, rng.randint(2, 29)])
        if rng.random() < 0.15:
            first, last = last, first
        return self._counted(first, last, language, rng)

    def count_to(self, language: Language, rng: random.Random) -> Task:
        return self._counted(1, rng.choice([3, 4, 5, 6, 7, 8, 9, 10, 10, 12, 15, 20, 30, rng.randint(2, 40)]), language, rng)

    def count_down(self, language: Language, rng: random.Random) -> Task:
        return self._counted(rng.choice([3, 4, 5, 6, 7, 8, 9, 10, 10, 20, rng.randint(3, 20)]), 1, language, rng)

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
        """Small numbers come often: the sums of large ones are made of theirs."""
        kind = rng.random()
        if kind < 0.36:
            return rng.randint(0, 10), rng.randint(0, 10)
        if kind < 0.56:
            pair = [rng.randint(10, 99), rng.randint(1, 9)]
            rng.shuffle(pair)
            return pair[0], pair[1]
        return rng.randint(10, 99), rng.randint(10, 99)

    @staticmethod
    def _sum(a: int, b: int, result: int, work: Both, language: Language, rng: random.Random) -> Task:
        native = rng.random() < 0.35
        asked = {"a": number_text(a, language, rng, native=native), "b": number_text(b, language, rng, native=native)}
        shown = {"a": str(a), "b": str(b), "result": str(result)}
        return Task(asked, known={each: {**shown, "work": work[each]} for each in LANGUAGES})

    def spell(self, language: Language, rng: random.Random) -> Task:
        word = self._word_to_spell(rng)
        asked = quoted(rng.choices((word, word.capitalize(), word.upper()), (0.7, 0.2, 0.1))[0], rng, plain=0.7)
        return Task({"word": asked}, known=_same({"letters": "-".join(word.upper())}), verbatim=True)

    def _word_to_spell(self, rng: random.Random) -> str:
        """Short words are spelled more often: they are where the skill begins."""
        kind = rng.random()
        if kind < 0.62:
            return min(rng.sample(self.spellable, rng.choice([1, 2, 2])), key=len)
        if kind < 0.7:
            return rng.choice(FIRST_NAMES["en"]).lower()
        if kind < 0.88:
            return made_up_word("en", rng)
        return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 6)))

    def repeat(self, language: Language, rng: random.Random) -> Task:
        if (kind := rng.random()) < 0.2:
            text = rng.choice(self.sentences[language])
        elif kind < 0.45:
            text = choose(rng.choice(self.sayings[language if rng.random() < 0.9 else "en"]), rng)
            text = text if rng.random() < 0.7 else text.lower().rstrip(".!?")
        else:
            text = " ".join(self._any_word(language, rng) for _ in range(rng.choice([1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 7])))
            if rng.random() < 0.5:
                text = text[:1].upper() + text[1:] + rng.choice([".", "!", "?", ""])
        return Task({"text": text, "quoted": quoted(text, rng)}, known=_same({"text": text}), verbatim=True)

    def _any_word(self, language: Language, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.5:
            return rng.choice(self.words[language])
        if kind < 0.6:
            return rng.choice(FIRST_NAMES[language])
        if kind < 0.7:
            return str(rng.randint(0, 999))
        if kind < 0.75:
            return rng.choice(self.words["en"])
        return made_up_word(language, rng)

    def letter_number(self, language: Language, rng: random.Random) -> Task:
        number = rng.randint(2, 26)  # The first letter is an intent of its own, with another answer.
        ordinals: Both = {"en": numbers.english_ordinal(number), "ko": f"{number}번째"}
        if language == "en":
            words = (ordinals["en"], numbers.english_ordinal_figures(number), numbers.english_ordinal_word(number))
        else:
            words = (ordinals["ko"], f"{number} 번째", numbers.korean_ordinal(number))
        asked = {"ordinal": rng.choice(words), "number": number_text(number, language, rng)}
        letter = string.ascii_uppercase[number - 1]
        return Task(asked, known={each: {"ordinal": ordinals[each], "letter": letter} for each in LANGUAGES})

    def letter_after(self, language: Language, rng: random.Random) -> Task:
        place = rng.randrange(25)
        letter, after = string.ascii_uppercase[place], string.ascii_uppercase[place + 1]
        return Task({"letter": self._typed_letter(letter, rng)}, known=_same({"letter": letter, "result": after}))

    def letter_before(self, language: Language, rng: random.Random) -> Task:
        place = rng.randrange(1, 26)
        letter, before = string.ascii_uppercase[place], string.ascii_uppercase[place - 1]
        return Task({"letter": self._typed_letter(letter, rng)}, known=_same({"letter": letter, "result": before}))

    @staticmethod
    def _typed_letter(letter: str, rng: random.Random) -> str:
        return quoted(letter if rng.random() < 0.75 else letter.lower(), rng, plain=0.8)

    def list_some(self, language: Language, rng: random.Random) -> Task:
        collection = rng.choice([each for each in self.collections if not each.complete])
        count = min(rng.choice([2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10]), len(collection.members))
        asked = {
            "things": rng.choice(collection.names[language]),
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
        return Task({"things": rng.choice(collection.names[language])}, replies=collection.listed(len(collection.members)))

    def story(self, language: Language, rng: random.Random) -> Task:
        return Task({}, wish=Wish())

    def story_wish(self, language: Language, rng: random.Random) -> Task:
        """Many heroes and places are known nowhere else or do not exist: what was wished for must be read, not guessed."""
        hero = made_up_creature(rng) if rng.random() < 0.25 else self._known_hero(rng)
        place, mood = self._place(rng), rng.choice(list(MOODS))
        asked = {
            "hero": hero[language],
            "kind": hero["en"].split(" ", 1)[1] if language == "en" else hero["ko"],
            "place": place[language] if rng.random() < 0.8 else place[language].lower(),
            "mood": rng.choice(MOODS[mood][language]),
        }
        return Task(asked, wish=Wish(hero, place, mood), verbatim=True)

    def _known_hero(self, rng: random.Random) -> Both:
        """A hero of the file, now and then with an adjective."""
        hero = rng.choice(self.teller.pieces["hero"])
        if rng.random() < 0.75:
            return hero
        look = rng.choice(self.teller.pieces["look"])
        article = "an" if look["en"][0] in "aeiou" else "a"
        return {"en": f"{article} {look['en']} {hero['en'].split(' ', 1)[1]}", "ko": f"{look['ko']} {hero['ko']}"}

    def _place(self, rng: random.Random) -> Both:
        """A place of the file or a capital."""
        if rng.random() < 0.8:
            return rng.choice(self.teller.pieces["place"])
        city = rng.choice(self.cities)
        return {"en": f"in {city['en']}", "ko": city["ko"]}

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


def _english_names(library: Library, collections: Sequence[Collection], teller: StoryTeller) -> set[str]:
    """Single English words out of the fact tables, lists and stories, as something to be spelled."""
    names = {name for intent in library.intents.values() for row in intent.rows for name in _in_english(row)}
    names |= {member["en"] for collection in collections for member in collection.members}
    names |= {hero["en"].split(" ", 1)[1] for hero in teller.pieces["hero"]}
    return {name.lower() for name in names if re.fullmatch(r"[A-Za-z]{2,12}", name)}


def _in_english(row: Row) -> list[str]:
    return [name for names in row.fields.values() for name in names["en"]]


def _sentences(library: Library, language: Language) -> list[str]:
    """Short sentences out of the answers, as something to be repeated."""
    texts = [answer[language] for intent in library.intents.values() for answer in intent.answers]
    found = {sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text)}
    return sorted(sentence for sentence in found if len(sentence) <= 60 and not re.search(r"[{}`\n|]", sentence))
