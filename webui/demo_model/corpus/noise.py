"""How people really type: no capitals, no question mark, a greeting before, a "please" after, a slip of the finger.

Knows nothing of what the question means.
"""

import random
import re

from webui.demo_model.corpus.library import Language

BEFORE: dict[Language, tuple[str, ...]] = {
    "en": (
        "Hey, ", "Hi! ", "Hello, ", "Please, ", "So, ", "Okay, ", "Um, ", "Well, ", "Excuse me, ", "Quick question: ",
        "I have a question. ", "One more thing: ", "Now, ", "And ", "Question: ", "Hey Batchat, ", "By the way, ",
        "Let me ask: ", "Please tell me: ", "Sorry, ",
    ),
    "ko": (
        "저기, ", "저기요, ", "음, ", "그럼 ", "그런데 ", "혹시 ", "안녕! ", "있잖아, ", "궁금한데 ", "질문이 있어요. ",
        "질문! ", "하나만 더, ", "자, ", "이번에는 ", "그러면 ", "아 참, ", "죄송한데 ", "제발 ", "야 ", "Batchat, ",
    ),
}  # fmt: skip
AFTER: dict[Language, tuple[str, ...]] = {
    "en": (" please", ", please", " thanks", ", thank you", " now", " :)", "!", "...", " pls", "??", " for me"),
    "ko": (" 부탁해", " 부탁해요", " 제발", " ㅎㅎ", " ㅋㅋ", "~", "!", "...", "??", " 좀", " 궁금해요"),
}
ENDINGS = "?.!, "


def noisy(question: str, language: Language, rng: random.Random, *, verbatim: bool = False) -> str:
    """The question as somebody might type it; `verbatim` leaves its words alone."""
    if rng.random() < 0.4:
        question = question.rstrip(ENDINGS)
    if not verbatim:
        question = _mistyped(_recased(question, rng), language, rng)
        if rng.random() < 0.1:
            question = question.rstrip(ENDINGS) + rng.choice(AFTER[language])
    if rng.random() < 0.12:
        before = rng.choice(BEFORE[language])
        question = before + (question if verbatim else question[:1].lower() + question[1:])
    return question


def _recased(question: str, rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.25:
        return question.lower()
    return question.upper() if chance < 0.27 else question


def _mistyped(question: str, language: Language, rng: random.Random) -> str:
    if language == "ko" and rng.random() < 0.12 and question.count(" ") > 1:
        places = [match.start() for match in re.finditer(" ", question)]
        place = rng.choice(places)
        question = question[:place] + question[place + 1 :]
    if rng.random() < 0.06:
        words = list(re.finditer(r"[A-Za-z]{5,}|[가-힣]{3,}", question))
        if words:
            question = _slip(question, rng.choice(words).span(), rng)
    return question


def _slip(text: str, span: tuple[int, int], rng: random.Random) -> str:
    """One letter inside the word lost, doubled or swapped with the next."""
    place = rng.randrange(span[0] + 1, span[1] - 1)
    before, letter, following, after = text[:place], text[place], text[place + 1], text[place + 2 :]
    return before + rng.choice([following, letter * 2 + following, following + letter]) + after
