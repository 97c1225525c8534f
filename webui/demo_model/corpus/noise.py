"""How people really type: another word for the same, no capitals, no question mark, a greeting before, a slip of the finger.

Knows nothing of what the question means.
"""

import random
import re

from webui.demo_model.corpus.library import Language

BEFORE: dict[Language, tuple[str, ...]] = {
    "en": (
        "Hey, ", "Hi! ", "Hello, ", "So, ", "Okay, ", "Um, ", "Well, ", "Excuse me, ", "Quick question: ",
        "I have a question. ", "One more thing: ", "Now, ", "And ", "Question: ", "Hey Batchat, ", "By the way, ",
        "Let me ask: ", "Please tell me: ", "Sorry, ", "Hi there, ", "Good morning! ", "Ok ", "Alright, ", "Hmm, ", "Then ",
        "Thanks. ", "Great. ", "Nice! ", "Cool. ", "I see. ", "Oh, ", "Just curious: ", "Next: ", "Another question: ",
        "My friend asks: ", "Dear model, ", "Be so kind: ", "Yo, ", "Hello! ", "Help me out: ", "I need your help. ",
    ),
    "ko": (
        "저기, ", "저기요, ", "음, ", "그럼 ", "그런데 ", "혹시 ", "안녕! ", "있잖아, ", "궁금한데 ", "질문이 있어요. ",
        "질문! ", "하나만 더, ", "자, ", "이번에는 ", "그러면 ", "아 참, ", "죄송한데 ", "제발 ", "야 ", "Batchat, ",
        "안녕하세요, ", "안녕하세요! ", "좋아, ", "고마워. ", "그렇구나. ", "아, ", "다음 질문: ", "질문: ", "친구가 묻는데 ",
        "미안한데 ", "실례지만 ", "이제 ", "하나 더 물어볼게. ", "물어볼 게 있어. ", "도와줘. ", "얘, ", "그래서 ", "근데 ",
    ),
}  # fmt: skip
AFTER: dict[Language, tuple[str, ...]] = {
    "en": (" please", ", please", " thanks", ", thank you", " now", " :)", "!", "...", " pls", "??", ", ok", ", bot",
           ", if you can", " quickly", "!!", " haha", ", I'm curious", ", thanks a lot"),
    "ko": (" 부탁해", " 부탁해요", " 제발", " ㅎㅎ", " ㅋㅋ", "~", "!", "...", "??", " 좀", " 궁금해요", "~?",
           " 부탁드려요", " 궁금해", " 빨리", " 지금", "!!", " 알고 싶어", "^^", " ㅠㅠ", " 고마워"),
}  # fmt: skip
OTHER_WORDS: dict[Language, dict[str, tuple[str, ...]]] = {
    "en": {
        "Can you": ("Would you", "Can u", "Are you able to", "Will you"),
        "Could you": ("Could u", "Would you be able to", "Would you"),
        "Tell me": ("Let me know", "Say", "Tell us", "Inform me", "Pls tell me", "Just tell me", "Tell", "Show me"),
        "tell me": ("let me know", "say", "tell us", "inform me", "just tell me", "show me"),
        "What is": ("What's", "Whats", "Wat is"),
        "What's": ("Whats", "What is"),
        "Give me": ("Get me", "Hand me", "Provide", "Gimme", "Just give me", "Let me have"),
        "I want": ("I wish", "I'd like", "I really want", "I wanna have", "We want"),
        "I'd like": ("I would like", "I'd love", "I want", "I would love"),
        "Please": ("Pls", "Plz", "Kindly"),
        "please": ("pls", "plz", "kindly", "if you please"),
        "Write": ("Put down", "Type", "Please write", "Produce", "Compose"),
        "Explain": ("Clarify", "Make clear", "Please explain"),
        "you": ("u",),
        "Do you know": ("Would you know", "Do u know", "Are you aware", "Do you happen to know"),
        "How do I": ("How can I", "How would I", "How does one", "How should I"),
        "Which": ("Wich",),
    },
    "ko": {
        "알려 줘": ("알려줘", "알려줄래", "알려 줄래요", "알려 주라", "알려 줘요", "알려 달라", "알려줘봐"),
        "알려 주세요": ("알려주세요", "알려 주실래요", "알려 주시겠어요", "가르쳐 주세요", "알려 주십시오", "알려주시죠"),
        "말해 줘": ("말해줘", "말해줄래", "말해 줘요", "말해 주라", "얘기해 줘", "말해 봐", "말해 볼래"),
        "말해 주세요": ("말해주세요", "말씀해 주세요", "말해 주실래요", "얘기해 주세요", "말해 주시겠어요"),
        "설명해 줘": ("설명해줘", "설명해줄래", "설명 좀 해 줘", "설명해 주라", "설명해 줘요", "설명 부탁해"),
        "뭐야": ("뭐예요", "뭔가요", "뭐지", "뭐임", "머야", "뭐냐", "뭔데", "뭐니", "무엇이야", "뭘까", "뭐죠"),
        "뭐예요": ("뭐에요", "뭔가요", "무엇이에요", "뭘까요", "뭐죠", "뭔지요"),
        "무엇인가요": ("무엇일까요", "뭔가요", "무엇이죠", "무엇입니까", "뭐예요"),
        "해 줘": ("해줘", "해 주라", "해 줘요", "해 줄래", "해줄래요", "해 다오", "해 주렴", "해 줄 수 있어"),
        "해 주세요": ("해주세요", "해 주실래요", "해 주시겠어요", "해 주십시오", "해 줄래요"),
        "써 줘": ("써줘", "써 줄래", "적어 줘", "써 주라", "써 봐", "써 줘요", "작성해 줘"),
        "들려줘": ("들려 줘", "들려줘요", "들려 주라", "들려줘 봐"),
        "보여 줘": ("보여줘", "보여 줄래", "보여 줘요", "보여 봐"),
        "어떻게": ("어케", "어떡해", "어떤 식으로", "어찌"),
        "알아": ("아세요", "알고 있어", "아나요", "알까"),
        "부탁해": ("부탁", "부탁해요", "부탁드려요", "부탁할게"),
        "얼마야": ("얼마예요", "얼마지", "얼마인가요", "얼마일까", "얼마니"),
        "있어": ("있니", "있어요", "있나요", "있을까", "있는지"),
        "너는": ("넌", "너", "당신은", "그대는"),
    },
}
"""Other ways to say the same, so that a question does not hang on one word."""
_SLOT = re.compile(r"(\{[^}]*\})")
SMALL_WORDS = {"a", "an", "the", "is", "are", "please"}
"""Without one of them a question still asks the same."""
ENDINGS = "?.!, "


def reworded(phrase: str, language: Language, rng: random.Random) -> str:
    """The phrasing with another word for one of its words, without a small one or without its mark; slots stay as they are."""
    if rng.random() < 0.4:
        phrase = phrase.rstrip(ENDINGS)
    chance = rng.random()
    if chance < 0.16:
        known = [words for words in OTHER_WORDS[language] if re.search(rf"(?<![\w{{]){re.escape(words)}(?!\w)", phrase)]
        if known:
            words = rng.choice(known)
            return re.sub(rf"(?<![\w{{]){re.escape(words)}(?!\w)", rng.choice(OTHER_WORDS[language][words]), phrase, count=1)
    elif chance < 0.22:
        return _shortened(phrase, language, rng)
    return phrase


def _shortened(phrase: str, language: Language, rng: random.Random) -> str:
    """The phrase without one of its small words, or in Korean without one of its particles."""
    if language == "ko":
        found = list(re.finditer(r"(?<=[가-힣])[은는을를](?= )", phrase))
        if not found:
            return phrase
        place = rng.choice(found)
        return phrase[: place.start()] + phrase[place.end() :]
    words = phrase.split(" ")
    small = [place for place, word in enumerate(words) if word.lower() in SMALL_WORDS]
    if len(words) < 4 or not small:
        return phrase
    del words[rng.choice(small)]
    return " ".join(words)


def noisy(question: str, language: Language, rng: random.Random, *, verbatim: bool = False) -> str:
    """The question as somebody might type it; `verbatim` leaves its words alone."""
    if not verbatim:
        question = _mistyped(_recased(question, rng), language, rng)
        if rng.random() < 0.1:
            question = question.rstrip(ENDINGS) + rng.choice(AFTER[language])
    # What is all capitals stays so: only then does the chat template read it in small letters.
    if rng.random() < 0.12 and not question.isupper():
        before = rng.choice(BEFORE[language])
        question = before + (question if verbatim else question[:1].lower() + question[1:])
    return question


def noisy_around_slots(phrase: str, language: Language, rng: random.Random) -> str:
    """The phrasing in small letters or with a slip, its slots left alone: what they bring must be copied letter by letter."""
    parts = _SLOT.split(phrase)
    if rng.random() < 0.25:
        parts[::2] = [part.lower() for part in parts[::2]]
    longest = max(range(0, len(parts), 2), key=lambda place: len(parts[place]))
    parts[longest] = _mistyped(parts[longest], language, rng)
    return "".join(parts)


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
