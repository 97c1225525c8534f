"""The kiosk's screen: every way from one screen to the next, by touch and by keyboard, and that nothing of a visitor stays."""

from __future__ import annotations

import itertools
import json
import logging
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PATIENCE, picture
from tests.browser.kiosk_screen import ENDLESS, Hand, Screen, screen
from tests.paced_engine import WORDS, ServedApp, kiosk_file, served_app
from webui.kiosk.pin import hash_pin

pytestmark = pytest.mark.browser

PIN = "246810"
CANARY = "canary7f"
TWO_KEYS = {
    **{"ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ"},
    **{
        "ㄳ": "ㄱㅅ",
        "ㄵ": "ㄴㅈ",
        "ㄶ": "ㄴㅎ",
        "ㄺ": "ㄹㄱ",
        "ㄻ": "ㄹㅁ",
        "ㄼ": "ㄹㅂ",
        "ㄽ": "ㄹㅅ",
        "ㄾ": "ㄹㅌ",
        "ㄿ": "ㄹㅍ",
    },
    **{"ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ"},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    file = kiosk_file(
        tmp_path_factory.mktemp("kiosk"),
        attract_requests="0",
        max_turns="4",
        max_tokens="100000",
        idle_seconds="120",
        warning_seconds="120",
        requests_per_minute="1000",
        together_tokens="8",
        blocked_words="['naughty']",
        blocked_answer="{ en = 'Let us talk about bread.', ko = '빵 이야기를 해요.' }",
        admin_pin_hash=f"'{hash_pin(PIN)}'",
    )
    with pytest.MonkeyPatch.context() as patch, served_app(patch, "--kiosk", str(file), "--grace", "120") as app:
        yield app


@pytest.fixture(params=["finger", "keys"])
def by(request: pytest.FixtureRequest) -> Hand:
    """How the screen is used."""
    return request.param  # type: ignore[no-any-return]


# Hangul


def keys_of(text: str) -> str:
    """The keys of the two-set layout that write a text, by Unicode's own decomposition."""
    keys = ""
    for part in unicodedata.normalize("NFD", text):
        name = unicodedata.name(part)
        jamo = unicodedata.lookup("HANGUL LETTER " + name.split(" ", 2)[2]) if name.startswith("HANGUL") else part
        keys += TWO_KEYS.get(jamo, jamo)
    return keys


COMPOSE = """async (words) => {
  const { addJamo, erase, isJamo } = await import("./assets/js/hangul.js");
  return words.map(([word, keys]) => {
    let text = "";
    for (const key of keys) text = isJamo(key) ? addJamo(text, key) : text + key;
    const written = text;
    let erasures = 0;
    while (text && erasures < 100) { text = erase(text); erasures += 1; }
    return [word, written, erasures];
  });
}"""


def test_every_syllable_is_written_by_its_keys_and_erased_jamo_by_jamo(browser: Browser, told: ServedApp) -> None:
    assert keys_of("한값") == "ㅎㅏㄴㄱㅏㅂㅅ"
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    with screen(browser, told) as one:
        results = one.page.evaluate(COMPOSE, [[each, list(keys_of(each))] for each in syllables])
    assert [word for word, written, _ in results if written != word] == []
    assert [word for word, _, erasures in results if erasures != len(keys_of(word))] == []


def test_syllables_behind_each_other_divide_as_they_should(browser: Browser, told: ServedApp) -> None:
    chance = random.Random(7)
    ends = ["가", "각", "갂", "값", "닭", "삶", "과", "괅", "의", "ㅋ"]
    words = ["".join(pair) for pair in itertools.product(ends[:-1], ["아", "가", "까", "사", "싸", "따", "하", "와"])]
    words += ["".join(chr(chance.randrange(0xAC00, 0xD7A4)) for _ in range(chance.randint(2, 6))) for _ in range(3000)]
    words += ["안녕하세요 여러분", "값이 얼마예요?", "ㅋㅋㅋ", "ㅠㅠ", "닭이 없어요", "뷁"]
    with screen(browser, told) as one:
        results = one.page.evaluate(COMPOSE, [[each, list(keys_of(each))] for each in words])
    assert [(word, written) for word, written, _ in results if written != word] == []


# The state


STATES = """async (changes) => {
  const { atRest, next, secondsLeft } = await import("./assets/js/kiosk_state.js");
  const times = { idle: 60000, warning: 20000 };
  let state = atRest();
  return changes.map((change) => {
    state = next(state, change, times);
    return [state.warned === null ? state.screen : `${state.screen}!`, secondsLeft(state, change.at ?? 0, times)];
  });
}"""


def test_what_follows_what(browser: Browser, told: ServedApp) -> None:
    def at(type: str, seconds: float = 0, **more: object) -> dict[str, object]:
        return {"type": type, "at": seconds * 1000, **more}

    engine = {"type": "engine", "ready": True}
    story = [
        (engine, "attract"),
        (at("tick", 999), "attract"),
        (at("write", 0), "attract"),
        (at("begin", 0), "ready"),
        (at("tick", 59), "ready"),
        (at("touch", 59), "ready"),
        (at("tick", 118), "ready"),
        (at("tick", 119), "ready!"),
        (at("tick", 138), "ready!"),
        (at("touch", 138), "ready"),
        (at("write", 139), "asking"),
        (at("asked", 140), "waiting"),
        (at("tick", 500), "waiting"),
        ({"type": "text"}, "streaming"),
        (at("tick", 900), "streaming"),
        ({"type": "ended"}, "answered"),
        (at("tick", 959), "answered"),
        (at("tick", 960), "answered!"),
        (at("tick", 979), "answered!"),
        (at("tick", 980), "attract"),
        (at("begin", 1000), "ready"),
        (at("compare", 1001), "together"),
        ({"type": "running", "running": True}, "together"),
        (at("tick", 1500), "together"),
        ({"type": "running", "running": False}, "together"),
        (at("tick", 1560), "together!"),
        (at("over", 1561), "attract"),
        (at("begin", 2000), "ready"),
        (at("asked", 2001), "waiting"),
        ({"type": "engine", "ready": False}, "waiting"),
        (at("tick", 2060), "waiting"),
        (at("tick", 2061), "waiting!"),
        (at("tick", 2081), "attract"),
    ]
    with screen(browser, told) as one:
        results = one.page.evaluate(STATES, [change for change, _ in story])
    assert [name for name, _ in results] == [name for _, name in story]
    assert results[7][1] == 20 and results[8][1] == 1


# A visit, by finger and by keyboard


def test_a_visit(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        page = one.page
        expect(page.locator(".poster .bubble")).not_to_be_empty()
        assert [each.inner_text() for each in page.locator("[data-action=begin]").all()] == [
            "Touch to begin",
            "화면을 터치하세요",
        ]
        one.begin("en")
        assert 4 <= page.locator("[data-action=ask]").count() <= 8
        told.script.steps.clear()
        one.press("ask")
        one.shows("waiting")
        one.press("stop")
        one.shows("answered")
        expect(page.locator(".mark")).to_contain_text("topped", timeout=PATIENCE)
        one.press("examples")
        told.script.words = ENDLESS
        one.press("ask", 1)
        one.shows("waiting")
        told.script.steps.set()
        one.shows("streaming")
        one.press("stop")
        one.shows("answered")
        expect(page.locator(".mark").nth(1)).to_contain_text("topped", timeout=PATIENCE)
        expect(page.locator("[data-action=stop]")).to_be_disabled()
        told.script.words = "See [this](https://example.org) and `that`. "
        one.press("write")
        one.shows("asking")
        expect(page.locator(".field")).to_be_focused()
        one.write("hi you?")
        if by == "finger":
            one.press("send")
        else:
            page.keyboard.press("Enter")
        one.shows("answered")
        expect(page.locator(".bubble").nth(2)).to_have_text("hi you?")
        expect(page.locator(".blocks").nth(2)).to_contain_text("See this and that.", timeout=PATIENCE)
        assert page.locator(".talk a, .talk button").count() == 0, "nothing leads out"
        one.press("over")
        one.shows("attract")
        assert page.locator(".bubble").count() == 1, "the poster's"
        one.is_free()


def test_whatever_is_touched_or_pressed_begins(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        if by == "finger":
            one.page.touchscreen.tap(300, 500)
        else:
            one.page.keyboard.press("Enter")
        one.shows("ready")
        expect(one.page.locator("html")).to_have_attribute("lang", "en")


def test_start_over_is_on_every_screen(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        for name in ("ready", "asking", "waiting", "streaming", "answered", "together"):
            one.begin()
            told.script.words = WORDS if name == "answered" else ENDLESS
            (told.script.steps.clear if name == "waiting" else told.script.steps.set)()
            if way := {"ready": None, "asking": "write", "together": "compare"}.get(name, "ask"):
                one.press(way)
            one.shows(name)
            one.press("over")
            one.shows("attract")
            one.is_free()


def test_hangul_is_written_on_the_screen(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told) as one:
        one.begin("ko")
        one.press("write")
        one.write("ㄷㅏㄹㄱㅣ")
        field = one.page.locator(".field")
        expect(field).to_have_value("달기")
        for expected in ("달ㄱ", "달", "다"):
            one.write(["지우기"])
            expect(field).to_have_value(expected)
        one.write(["시프트", "ㅆ", "ㅇ", "ㅓ"])
        expect(field).to_have_value("닸어")
        one.write(["한영 전환", "a", "숫자와 기호", "7"])
        expect(field).to_have_value("닸어a7")
        field.evaluate("field => field.setSelectionRange(1, 1)")
        one.write(["한영 전환", "ㄱ", "ㅏ"])
        expect(field).to_have_value("닸가어a7")


def test_a_screen_with_a_keyboard_of_its_own_is_brought_none(
    browser: Browser, told: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk = told.app.kiosk
    assert kiosk is not None
    monkeypatch.setattr(kiosk, "file", replace(kiosk.file, keyboard=False))
    with screen(browser, told, by="keys") as one:
        one.begin()
        one.press("write")
        one.shows("asking")
        assert one.page.locator(".keyboard").count() == 0
        expect(one.page.locator(".field")).to_have_attribute("inputmode", "text")
        one.write("why?")
        one.press("send")
        one.shows("answered")
        expect(one.page.locator(".bubble")).to_have_text("why?")


def test_a_visit_is_wiped_after_a_warning_and_staying_is_one_touch(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by, clock=True) as one:
        page = one.page
        warning = page.get_by_role("alertdialog")
        one.begin()
        one.pass_time(45)
        expect(warning).to_be_hidden()
        one.pass_time(80)
        expect(warning).to_be_visible(timeout=PATIENCE)
        page.screenshot(path=picture("kiosk-warning"))
        one.pass_time(10)
        one.press("stay")
        expect(warning).to_be_hidden(timeout=PATIENCE)
        one.shows("ready")  # what lies behind the button was not touched
        told.script.words = ENDLESS
        one.press("ask")
        one.shows("streaming")
        one.pass_time(200)
        expect(warning).to_be_hidden()
        one.press("stop")
        one.shows("answered")
        one.pass_time(122)
        expect(warning).to_be_visible(timeout=PATIENCE)
        one.pass_time(121)
        one.shows("attract")
        one.is_free()


def test_the_warning_is_also_left_beside_its_buttons_and_by_starting_over(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by, clock=True) as one:
        warning = one.page.get_by_role("alertdialog")
        one.begin()
        one.pass_time(121)
        expect(warning).to_be_visible(timeout=PATIENCE)
        if by == "finger":
            one.page.touchscreen.tap(200, 500)  # an example lies there
        else:
            one.page.keyboard.press("Escape")
        expect(warning).to_be_hidden(timeout=PATIENCE)
        one.shows("ready")
        one.pass_time(121)
        expect(warning).to_be_visible(timeout=PATIENCE)
        one.press("leave")
        one.shows("attract")
        one.is_free()


def test_an_engine_that_dies_is_said_and_the_next_question_is_answered(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        page = one.page
        one.begin()
        told.script.words = ENDLESS
        one.press("ask")
        one.shows("streaming")
        told.script.starts.clear()
        told.script.killed.set()
        one.shows("answered")
        expect(page.locator(".mark")).to_contain_text("could not be finished", timeout=PATIENCE)
        expect(page.locator("kiosk-screen")).to_have_attribute("data-engine", "gone", timeout=PATIENCE)
        expect(page.locator(".news")).to_be_visible()
        told.script.words = WORDS
        one.press("examples")
        one.press("ask", 1)
        one.shows("waiting")
        told.script.starts.set()
        one.shows("answered")
        expect(page.locator("kiosk-screen")).to_have_attribute("data-engine", "here", timeout=PATIENCE)
        expect(page.locator(".news")).to_be_hidden()
        expect(page.locator(".blocks").nth(1)).to_contain_text("The batch is a set", timeout=PATIENCE)


def test_a_lost_network_is_survived(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        one.begin()
        visit = one.heard()
        one.page.context.set_offline(True)
        told.loop.call_soon_threadsafe(one.kiosk.visits._visits[visit].chat.channel.close)
        expect(one.page.locator(".news")).to_contain_text("connection is lost", timeout=PATIENCE)
        one.page.context.set_offline(False)
        expect(one.page.locator(".news")).to_be_hidden(timeout=PATIENCE)
        one.press("ask")
        one.shows("answered")
        told.loop.call_soon_threadsafe(one.kiosk.visits.end, one.kiosk.visits.find(visit))
        one.shows("attract")  # the server does not know the visit any more, as after a power cycle
        one.begin()
        one.press("ask")
        one.shows("answered")


# How long, on the page's clock, the stream had been silent whenever it was opened again.
SILENCES = """({ stream }) => {
  window.silences = [];
  const { died } = stream;
  stream.died = function () { silences.push(performance.now() - this.watchdog.heard); died.call(this); };
}"""


def test_a_stream_that_has_died_silently_is_opened_again(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told, clock=True) as one:
        one.page.locator("kiosk-screen").evaluate(SILENCES)
        with pytest.MonkeyPatch.context() as silent:
            silent.setattr(told.app.everybody, "_send_frames", lambda: None)
            silent.setattr(told.app.everybody._channel, "send", lambda event: None)  # no ping either
            with one.page.expect_request(lambda request: "attract" in request.url, timeout=PATIENCE):
                one.page.clock.run_for(71_000)
        assert min(one.page.evaluate("silences")) >= 40_000, "not sooner"
        expect(one.page.locator(".news")).to_be_hidden(timeout=PATIENCE)


def test_looks_and_corner_that_somebody_left_without_a_visit_go_back(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told, clock=True) as one:
        body = one.page.locator("body")
        corner = one.page.locator(".admin")
        open_corner(one)
        one.page.keyboard.press("Escape")
        expect(corner).to_be_hidden(timeout=PATIENCE)
        for action in ("contrast", "language"):
            one.press(action)
        open_corner(one)
        one.pass_time(40)
        expect(corner).to_be_visible()
        expect(body).to_contain_class("contrast")
        one.pass_time(90)
        expect(corner).to_be_hidden(timeout=PATIENCE)
        expect(body).not_to_contain_class("contrast", timeout=PATIENCE)
        expect(one.page.locator("html")).to_have_attribute("lang", "en", timeout=PATIENCE)
        one.press("large")
        expect(body).to_contain_class("large")
        one.pass_time(130)
        expect(body).not_to_contain_class("large", timeout=PATIENCE)


def test_a_question_that_did_not_arrive_is_still_there(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        one.begin()
        one.press("write")
        one.shows("asking")
        one.write("hi")
        one.page.route("**/ask", lambda route: route.abort())
        one.press("send")
        expect(one.page.locator(".declined")).to_contain_text("cannot be reached", timeout=PATIENCE)
        one.press("write")
        expect(one.page.locator(".field")).to_have_value("hi", timeout=PATIENCE)
        one.page.unroute("**/ask")
        one.press("send")
        one.shows("answered")
        one.press("write")
        expect(one.page.locator(".field")).to_have_value("", timeout=PATIENCE)


def test_blocked_words_and_too_many_questions_are_answered_politely(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told) as one:
        page = one.page
        one.begin()
        one.press("write")
        page.locator(".field").fill("a naughty thing")
        one.press("send")
        one.shows("answered")
        expect(page.locator(".declined")).to_have_text("Let us talk about bread.", timeout=PATIENCE)
        for _ in range(4):
            one.press("examples")
            one.press("ask")
            one.shows("answered")
        one.press("examples")
        one.press("ask")
        expect(page.locator(".declined").nth(1)).to_contain_text("4 questions", timeout=PATIENCE)


def test_one_at_a_time_against_together(browser: Browser, told: ServedApp, by: Hand) -> None:
    with screen(browser, told, by=by) as one:
        one.begin()
        one.press("compare")
        one.shows("together")
        expect(one.page.locator(".verdict")).to_contain_text("as fast", timeout=PATIENCE)
        expect(one.page.locator(".comparison .fine")).to_contain_text("paper on CPU, 4 lanes, 8 prompts of 8 tokens")
        assert one.page.locator(".side .rows li").count() == 16
        factor = float(one.page.locator(".verdict").inner_text().split("×")[0].split()[-1])
        assert factor > 0
        told.script.steps.clear()
        one.press("again")
        expect(one.page.locator("[data-action=stop]")).to_be_enabled(timeout=PATIENCE)
        one.press("stop")
        expect(one.page.locator(".verdict")).to_contain_text("Stopped", timeout=PATIENCE)
        one.press("over")
        one.shows("attract")


# Nothing stays


STORED = """async () => ({
  local: { ...localStorage }, session: { ...sessionStorage }, address: location.href, state: history.state,
  page: document.documentElement.outerHTML, fields: [...document.querySelectorAll("input,textarea")].map(({ value }) => value),
  databases: await indexedDB.databases(), caches: await caches.keys().catch(() => []),
})"""
# What an extension, or a fault of ours, might leave: where nothing is ever put, a test would see nothing whatever a reset does.
PLANT = """(canary) => {
  localStorage.setItem("draft", canary);
  sessionStorage.setItem("draft", canary);
  history.replaceState(canary, "", `#${canary}`);
}"""


def where_is(canary: str, page: Page) -> set[str]:
    """Where in the browser it can be found."""
    return {place for place, content in page.evaluate(STORED).items() if canary in json.dumps(content)}


@pytest.mark.parametrize("way", ["over", "idle", "reload"])
def test_nothing_of_a_canary_is_left(browser: Browser, told: ServedApp, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with screen(browser, told, clock=way == "idle") as one:
        page = one.page
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        one.begin("ko")
        one.press("large")
        one.press("contrast")
        told.script.words = f"The {CANARY} sings. " * (1 if way == "idle" else 500)
        one.press("write")
        page.locator(".field").fill(f"Where is the {CANARY}?")
        assert where_is(CANARY, page) == {"fields"}
        one.press("send")
        expect(page.locator(".talk")).to_contain_text(f"The {CANARY}", timeout=PATIENCE)
        assert where_is(CANARY, page) == {"page"}, "in the page's own memory alone"
        page.evaluate(PLANT, CANARY)
        assert where_is(CANARY, page) == {"page", "local", "session", "address", "state"}
        visit = one.heard()
        logging.getLogger("webui.kiosk").debug("the log is heard")
        if way == "over":
            one.press("over")
        elif way == "reload":
            page.reload()
        else:
            one.shows("answered")
            one.press("write")
            page.locator(".field").fill(f"And {CANARY} not sent")
            one.pass_time(121)
            expect(page.get_by_role("alertdialog")).to_be_visible(timeout=PATIENCE)
            one.pass_time(121)
        one.shows("attract")
        one.is_free()
        expect(page.locator("html")).to_have_attribute("lang", "en", timeout=PATIENCE)
        assert where_is(CANARY, page) == where_is(visit, page) == set()
        assert "large" not in page.locator("body").get_attribute("class").split()  # type: ignore[union-attr]
        assert page.context.cookies() == [] and page.url == told.url
        assert not any(CANARY in url for url in requests)
        gone = page.request.get(f"{told.url}api/kiosk/visits/{visit}/stream")
        assert gone.status == 404
        assert CANARY not in caplog.text and "the log is heard" in caplog.text


def test_the_page_holds_its_visitor(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told) as one:
        page = one.page
        one.begin()
        held = """([type, init]) => !document.querySelector("main").dispatchEvent(
            new (type.startsWith("key") ? KeyboardEvent : MouseEvent)(type, { bubbles: true, cancelable: true, ...init }))"""
        for event in ("contextmenu", "dragstart", "selectstart", "copy", "cut", "drop", "auxclick"):
            assert page.evaluate(held, [event, {}]), event
        for key in (
            {"key": "p", "ctrlKey": True},
            {"key": "o", "ctrlKey": True},
            {"key": "F12"},
            {"key": "ArrowLeft", "altKey": True},
        ):
            assert page.evaluate(held, ["keydown", key]), key
        for key in ({"key": "+", "ctrlKey": True}, {"key": "Tab"}, {"key": "a"}):
            assert not page.evaluate(held, ["keydown", key]), key
        viewport = page.locator("meta[name=viewport]").get_attribute("content") or ""
        assert "user-scalable" not in viewport and "maximum-scale" not in viewport, "two fingers zoom"
        assert page.locator("a[href], input[type=file], iframe").count() == 0


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (800, 1280)])
def test_everything_is_large_enough_and_nothing_is_cut(browser: Browser, told: ServedApp, width: int, height: int) -> None:
    with screen(browser, told, viewport={"width": width, "height": height}, screen={"width": width, "height": height}) as one:
        page = one.page
        millimetre = (width**2 + height**2) ** 0.5 / (21.5 * 25.4)
        assert float(page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")) == pytest.approx(
            12 * millimetre, abs=0.1
        )
        for language, look in (("en", ""), ("ko", "contrast"), ("en", "large"), ("ko", "large")):
            one.begin(language)
            if look:
                one.press(look)
            names = [
                (None, "ready"),
                ("write", "asking"),
                ("examples", "ready"),
                ("ask", "answered"),
                ("examples", "ready"),
                ("compare", "together"),
            ]
            for action, name in names:
                if action:
                    one.press(action)
                one.shows(name)
                sizes = page.evaluate(SIZES)
                assert [each for each in sizes if each["width"] < 59.5 or each["height"] < 59.5] == [], name
                assert [each for each in sizes if each["out"]] == [], name
                page.screenshot(path=picture(f"kiosk-{width}x{height}-{look or 'usual'}-{language}-{name}"))
            one.press("over")
            one.shows("attract")


SIZES = """() => [...document.querySelectorAll("button")].filter((button) => button.checkVisibility()).map((button) => {
  const { left, right, width, height } = button.getBoundingClientRect();
  const cut = button.scrollWidth > button.clientWidth + 1;
  return { name: button.textContent, width, height, out: left < -1 || right > innerWidth + 1 || cut };
})"""


# The corner


def open_corner(one: Screen) -> None:
    """Holds a finger on the title."""
    box = one.page.locator(".brand").bounding_box()
    assert box is not None
    finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = one.page.context.new_cdp_session(one.page)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    expect(one.page.locator(".admin")).to_be_visible(timeout=PATIENCE)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_a_long_press_and_the_pin_open_the_corner(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told) as one:
        page = one.page
        page.locator(".brand").tap()
        page.wait_for_timeout(3500)
        expect(page.locator(".admin")).to_be_hidden()
        one.shows("attract")
        open_corner(one)

        def enter(pin: str) -> None:
            for digit in pin:
                page.locator(".pad").get_by_role("button", name=digit, exact=True).tap()
            page.locator(".pad").get_by_role("button", name="OK").tap()

        enter("1111")
        expect(page.locator(".admin .words")).to_contain_text("That is not the PIN.", timeout=PATIENCE)
        enter(PIN)
        expect(page.locator(".admin table")).to_contain_text("paced 1.0", timeout=PATIENCE)
        page.screenshot(path=picture("kiosk-admin"))
        page.get_by_role("button", name="Read the file again").tap()
        expect(page.locator(".admin .words")).to_contain_text("read again", timeout=PATIENCE)
        page.get_by_role("button", name="Reload the page").tap()
        one.shows("attract")
        expect(page.locator(".admin")).to_be_hidden()


def test_many_visits_leave_nothing_behind(browser: Browser, told: ServedApp) -> None:
    with screen(browser, told) as one:

        def count() -> tuple[int, int]:
            session = one.page.context.new_cdp_session(one.page)
            session.send("HeapProfiler.collectGarbage")
            counters = session.send("Memory.getDOMCounters")
            session.detach()
            return int(counters["nodes"]), int(counters["jsEventListeners"])

        def visit(number: int) -> None:
            one.begin("ko" if number % 2 else "en")
            one.press("ask")
            one.shows("answered")
            one.press("over")
            one.shows("attract")

        for number in range(6):
            visit(number)
        nodes, listeners = count()
        for number in range(24):
            visit(number)
        more_nodes, more_listeners = count()
        assert more_nodes - nodes < 24 and more_listeners - listeners < 24, "less than one of each visit"
        one.is_free()
        library = told.app.chats.library
        assert (library._visitors, library._chats) == ({}, {})
