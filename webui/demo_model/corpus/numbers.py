"""Numbers as words, in English and Korean, up to ninety-nine."""

_ENGLISH_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ENGLISH_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_ENGLISH_LATER_ORDINALS = "eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split()
_SINO = "영 일 이 삼 사 오 육 칠 팔 구".split()
_NATIVE_ONES = ("", *"하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉".split())
_NATIVE_TENS = ("", *"열 스물 서른 마흔 쉰 예순 일흔 여든 아흔".split())
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}


def english(number: int) -> str:
    """27 -> twenty-seven."""
    if number < len(_ENGLISH_ONES):
        return _ENGLISH_ONES[number]
    tens, ones = divmod(number, 10)
    return _ENGLISH_TENS[tens - 2] + (f"-{_ENGLISH_ONES[ones]}" if ones else "")


def english_ordinal(number: int) -> str:
    """3 -> third, 21 -> 21st."""
    if number <= len(_ENGLISH_ORDINALS):
        return _ENGLISH_ORDINALS[number - 1]
    return english_ordinal_figures(number)


def english_ordinal_figures(number: int) -> str:
    """3 -> 3rd, 21 -> 21st."""
    ending = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def english_ordinal_word(number: int) -> str:
    """3 -> third, 21 -> twenty-first."""
    if number < len(_ENGLISH_ONES):
        return (*_ENGLISH_ORDINALS, *_ENGLISH_LATER_ORDINALS)[number - 1]
    tens, ones = divmod(number, 10)
    if not ones:
        return _ENGLISH_TENS[tens - 2].removesuffix("y") + "ieth"
    return f"{_ENGLISH_TENS[tens - 2]}-{_ENGLISH_ORDINALS[ones - 1]}"


def korean_ordinal(number: int) -> str:
    """1 -> 첫 번째, 3 -> 세 번째, 21 -> 스물한 번째."""
    return ("첫" if number == 1 else before_counter(number)) + " 번째"


def sino_korean(number: int) -> str:
    """27 -> 이십칠, as in calculations."""
    tens, ones = divmod(number, 10)
    if not tens:
        return _SINO[ones]
    return ("" if tens == 1 else _SINO[tens]) + "십" + (_SINO[ones] if ones else "")


def native_korean(number: int) -> str:
    """27 -> 스물일곱, as in counting things."""
    tens, ones = divmod(number, 10)
    return _NATIVE_TENS[tens] + _NATIVE_ONES[ones]


def before_counter(number: int) -> str:
    """3 -> 세, the native form that stands before a counter such as 개."""
    tens, ones = divmod(number, 10)
    if number == 20:
        return _BEFORE_COUNTER["스물"]
    return _NATIVE_TENS[tens] + _BEFORE_COUNTER.get(_NATIVE_ONES[ones], _NATIVE_ONES[ones])
