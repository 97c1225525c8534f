"""The kiosk's file: what is wrong is named with its key; what ships is whole; PINs, blocked words and rates."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.paced_engine import kiosk_file
from webui.errors import BadSetting, NoMoreQuestions, QuestionTooLong, TooManyQuestions
from webui.kiosk.file import _FIELDS, KioskFile, read_kiosk_file
from webui.kiosk.guard import BlockList, Rate, Rules
from webui.kiosk.pin import hash_pin, is_hash, is_pin, is_right
from webui.settings import KIOSK_FILE, load

ANSWER = '{ en = "No.", ko = "아니요." }'
BOTH = '{{ en = "{0}", ko = "{0}" }}'


def test_what_ships_names_every_key_and_says_the_defaults() -> None:
    text = KIOSK_FILE.read_text("utf-8")
    assert [name for name in _FIELDS if f"\n{name} = " not in f"\n{text}".replace("# ", "") and f"[{name}]" not in text] == []
    shipped = read_kiosk_file(KIOSK_FILE)
    differing = {name for name in _FIELDS if getattr(shipped, name) != getattr(KioskFile(), name)}
    assert differing == {"questions", "attract_requests"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"idle_second": "5"}, "idle_second"),
        ({"idle_seconds": "5"}, "idle_seconds"),
        ({"warning_seconds": "19"}, "warning_seconds"),
        ({"screen_inches": "nan"}, "screen_inches"),
        ({"max_turns": "true"}, "max_turns"),
        ({"max_tokens": "1.5"}, "max_tokens"),
        ({"attract_requests": "2"}, "attract_requests"),
        ({"keyboard": "1"}, "keyboard"),
        ({"theme": "'blue'"}, "theme"),
        ({"title": "1"}, "title"),
        ({"topics": "{ en = 'a' }"}, "topics"),
        ({"blocked_words": "['a']"}, "blocked_answer"),
        ({"blocked_words": "['a', '']", "blocked_answer": ANSWER}, "blocked_words"),
        ({"blocked_words": "['a']", "blocked_answer": BOTH.format("x" * 201)}, "en of blocked_answer"),
        ({"admin_pin_hash": "'1234'"}, "admin_pin_hash"),
        ({"title": "'"}, None),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, str], named: str | None) -> None:
    file = kiosk_file(tmp_path, **changes)
    with pytest.raises(BadSetting) as refused:
        read_kiosk_file(file)
    assert str(refused.value).startswith(f"{named} in {file}" if named else str(file))


@pytest.mark.parametrize("questions", ["en = ['a', 'b', 'c']\nko = ['가', '나', '다', '라']", "en = ['a', 'b', 'c', 'd']", ""])
def test_four_to_eight_questions_in_both_languages_are_wanted(tmp_path: Path, questions: str) -> None:
    file = tmp_path / "kiosk.toml"
    file.write_text(f"[questions]\n{questions}\n" if questions else "")
    with pytest.raises(BadSetting, match="questions"):
        read_kiosk_file(file)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadSetting, match=r"/no/such\.toml: cannot be read"):
        read_kiosk_file("/no/such.toml")


def test_the_flag_alone_means_the_file_that_ships() -> None:
    assert load(["--kiosk"], {}).kiosk == str(KIOSK_FILE)
    assert load(["--kiosk", "mine.toml", "--port", "1"], {}).kiosk == "mine.toml"
    assert load(["--kiosk", "--port", "1"], {}).kiosk == str(KIOSK_FILE)
    assert load([], {"WEBUI_KIOSK": "its.toml"}).kiosk == "its.toml" and load([], {}).kiosk is None


@pytest.mark.parametrize(
    ("inches", "given_mm", "letters"), [(10.1, 0, 7.25), (11, 0, 7.25), (12, 0, 12), (55, 0, 12), (10, 9, 9)]
)
def test_letters_are_as_high_as_the_screen_wants(inches: float, given_mm: float, letters: float) -> None:
    assert KioskFile(screen_inches=inches, text_mm=given_mm).letters_mm == letters


# PIN


def test_a_hash_knows_its_pin_alone_and_is_never_the_same_twice() -> None:
    hashed = hash_pin("246810")
    assert is_hash(hashed) and is_right("246810", hashed) and not is_right("246811", hashed) and not is_right("", hashed)
    assert hash_pin("246810") != hashed and "246810" not in hashed


@pytest.mark.parametrize(("pin", "fits"), [("1234", True), ("123", False), ("12a4", False), ("١٢٣٤", False), ("1" * 13, False)])
def test_a_pin_is_digits(pin: str, fits: bool) -> None:
    assert is_pin(pin) is fits


# Blocked words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Is that a Bad word?", True),
        ("ＢＡＤ", True),
        ("badger in a badge", False),
        ("not bad", True),
        ("나쁜말을 했다", True),
        ("나 쁜\n말이다", True),
        ("나쁜 아이의 말", False),
        ("a.b", True),
        ("axb", False),
    ],
)
def test_blocked_words_are_found_however_they_are_written(text: str, found: bool) -> None:
    assert BlockList(("bad", "나쁜 말", "a.b")).finds(text) is found
    assert not BlockList(()).finds(text)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.data())
def test_a_blocked_word_by_itself_is_always_found(words: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(words))
    assert BlockList(tuple(each.strip() for each in words)).finds(f"({word.strip()})")


# How often


@given(st.integers(1, 5), st.lists(st.integers(0, 40), max_size=40))
def test_never_more_than_so_often_within_any_minute(at_most: int, pauses: list[int]) -> None:
    now, happened = 0, []
    rate = Rate(at_most, 60, clock=lambda: now)
    for pause in pauses:
        now += pause
        if not (wait := rate.wait()):
            happened.append(now)
            rate.happened()
        else:
            assert 0 < wait <= 60
    assert all(sum(at < other + 60 for at in happened[i:]) <= at_most for i, other in enumerate(happened))


def test_the_rules_of_a_file() -> None:
    questions = {"en": ("a", "b", "c", "d"), "ko": ("가", "나", "다", "라")}
    topics = {"en": "bread", "ko": "빵"}
    rules = Rules(
        KioskFile(
            max_turns=2, max_characters=10, requests_per_minute=1, system_prompt="Be kind.", questions=questions, topics=topics
        )
    )
    assert rules.system_prompt("en").startswith("Be kind.\n\nTalk about this alone: bread.")
    assert "빵" in rules.system_prompt("ko")
    assert Rules(KioskFile()).system_prompt("en") == ""
    rules.check("x" * 10, 1)
    with pytest.raises(QuestionTooLong):
        rules.check("x" * 11, 0)
    with pytest.raises(NoMoreQuestions):
        rules.check("x", 2)
    rules.asked()
    with pytest.raises(TooManyQuestions):
        rules.check("x", 0)


@pytest.mark.parametrize("text", ["진짜ㅅㅂ", "ㅅㅂㅋㅋ", "ㅅㅂ놈", "a hot\ndog"])
def test_letters_alone_and_words_across_a_line_are_found(text: str) -> None:
    assert BlockList(("ㅅㅂ", "hot dog")).finds(text)
