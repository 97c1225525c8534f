"""What may be said at a kiosk: words that are blocked, what the model is told to talk about, how often may be asked.

It knows neither visits nor engines.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections import deque
from collections.abc import Callable

from webui.errors import BadInput, NoMoreQuestions, QuestionTooLong, TooManyQuestions
from webui.kiosk.file import KioskFile

MINUTE = 60.0  # seconds

TOPICS = {
    "en": "Talk about this alone: {topics}. Whatever else somebody asks for, say kindly that this is not the place for it.",
    "ko": "다음에 대해서만 이야기하세요: {topics}. 다른 것을 물으면 여기서는 다루지 않는다고 친절하게 말하세요.",
}


class BlockList:
    """Finds blocked words however they are written: capitals, width and composed letters make no difference.

    A Latin word is found as a whole ("class" has no other word in it); a Korean one wherever it stands, since endings are
    joined to it, and with blanks between its syllables too.

    Args:
        words: the blocked ones.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        patterns = [_pattern(_plain(word)) for word in words]
        self._found = re.compile("|".join(patterns)) if patterns else None

    def finds(self, text: str) -> bool:
        """Whether one of the words is in a text."""
        return self._found is not None and self._found.search(_plain(text)) is not None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _pattern(word: str) -> str:
    if any("가" <= letter <= "힣" or "\u1100" <= letter <= "\u11ff" for letter in word):  # syllables, and letters alone
        return r"\s*".join(re.escape(letter) for letter in word if not letter.isspace())
    parts = r"\s+".join(map(re.escape, word.split()))
    return rf"(?<!\w){parts}(?!\w)"


class Rate:
    """How often something may happen.

    Args:
        at_most: so often …
        within: … in any so many seconds.
        clock: seconds.
    """

    def __init__(self, at_most: int, within: float = MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_most = at_most
        self._within = within
        self._clock = clock
        self._times: deque[float] = deque(maxlen=at_most)

    def wait(self) -> int:
        """Whole seconds until it may happen again; 0: now."""
        if len(self._times) < self._at_most:
            return 0
        return max(0, math.ceil(self._times[0] + self._within - self._clock()))

    def happened(self) -> None:
        """It happened now."""
        self._times.append(self._clock())


class Rules:
    """The rules of one kiosk file.

    Args:
        kiosk: the file.
    """

    def __init__(self, kiosk: KioskFile) -> None:
        self.blocked = BlockList(kiosk.blocked_words)
        self._kiosk = kiosk
        self._rate = Rate(kiosk.requests_per_minute)

    def refusal(self, text: str, language: str) -> str | None:
        """What is said instead, if a text has a blocked word."""
        return self._kiosk.blocked_answer[language] if self.blocked.finds(text) else None

    def check(self, text: str, asked: int) -> None:
        """Whether a question may be asked now.

        Args:
            asked: questions of this visit so far.

        Raises:
            BadInput, QuestionTooLong, NoMoreQuestions, TooManyQuestions
        """
        if not text.strip():
            raise BadInput(field="text", reason="the question is empty")
        if len(text) > self._kiosk.max_characters:
            raise QuestionTooLong(length=len(text), limit=self._kiosk.max_characters)
        if asked >= self._kiosk.max_turns:
            raise NoMoreQuestions(limit=self._kiosk.max_turns)
        if seconds := self._rate.wait():
            raise TooManyQuestions(seconds=seconds)

    def asked(self) -> None:
        """A question was asked now."""
        self._rate.happened()

    def system_prompt(self, language: str) -> str:
        """What the model is told before a conversation in this language."""
        topics = self._kiosk.topics.get(language)
        parts = (self._kiosk.system_prompt, topics and TOPICS[language].format(topics=topics))
        return "\n\n".join(part for part in parts if part)
