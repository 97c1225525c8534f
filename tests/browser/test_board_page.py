"""The board's pages in a real browser, before traffic from paper: what a person sees, points at, presses and hears."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.board_pages import Stage, stage
from tests.browser.board_traffic import Asked, Paper, Traffic, visitors
from tests.browser.conftest import DESKTOP, PATIENCE, PHONE, picture

pytestmark = pytest.mark.browser

WALL = {"width": 1920, "height": 1080}
HOUR = 3_600_000
# Paints of the lanes while the browser drew so many frames, and the seconds that this took; a slow machine changes both alike.
PAINTS = """async (frames) => { const { lanes } = board; const { paint } = lanes; let paints = 0;
const began = performance.now(); lanes.paint = function () { paints++; paint.call(this); };
for (let i = 0; i < frames; i++) await new Promise(requestAnimationFrame);
lanes.paint = paint; return [paints, (performance.now() - began) / 1000]; }"""
PIXELS = "document.querySelector('canvas.lanes').toDataURL()"

Opening = Callable[..., Page]


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    """The server that plays."""
    with stage() as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser, theatre: Stage) -> Iterator[Opening]:
    """Opens the panel, or the page at `path`, before traffic from a moment on; what a page complains of fails the test."""
    contexts, complaints = [], []

    def opened(traffic: Traffic, moment: int, path: str = "", *, still: bool = False, **options: Any) -> Page:
        theatre.play(traffic, moment, still=still)
        context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(theatre.url + path)
        page.locator("canvas.lanes").wait_for()
        # in either language: "3 of 4 lanes busy" has figures, "no figures yet" has none
        page.wait_for_function("() => /[0-9]/.test(document.querySelector('.sub').textContent)")
        if not path:
            page.wait_for_function("(count) => board.model.mine.size === count", arg=len(traffic.mine))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def busy(lanes: int = 4, count: int = 220, **paper: Any) -> Traffic:
    """More than the lanes can do at once, for two minutes."""
    engine = Paper(lanes, **{"step": 25, "prefill": 60, **paper})
    traffic = engine.run(visitors(3, count, 120_000, longest=240), 140_000)
    traffic.mine = tuple(asked.id for asked in traffic.requests if asked.door == "page" and asked.id % 5 == 0)
    return traffic


def one_long() -> Traffic:
    """One request of the visitor's own in the first lane, for an hour, and one that ended."""
    ended = Asked(1, "api", 1000, 50, 20, times=list(range(1100, 1500, 20)), stays=[[1, 1010, 1480]], ended=1480)
    ended.end = "length"
    mine = Asked(2, "page", 2000, 120, HOUR, times=[2300, *range(2400, 60_000, 100)], stays=[[0, 2100, HOUR]], ended=HOUR)
    steps = [(at, 1, 120 if at == 2300 else 0, 2) for at in [2300, *range(2400, 60_000, 100)]]
    return Traffic(4, [ended, mine], steps, mine=(2,))


def bar(page: Page, lane: int, ago: float, lanes: int = 4) -> tuple[float, float]:
    """A point of the picture: so many seconds ago in a lane, with a window of a minute."""
    box = page.locator("canvas.lanes").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * (1 - ago / 60), box["y"] + 26 + 30 * lane + 12


def test_the_figures_are_the_engines(visit: Opening) -> None:
    traffic = busy()
    page = visit(traffic, 60_000, still=True)
    running, waiting = traffic.running(60_000), traffic.waiting(60_000)
    expect(page.locator(".sub")).to_have_text(f"{running} of 4 lanes busy, {waiting} waiting")
    expect(page.locator("[data-gauge=occupancy] b")).to_contain_text(f"{running}/4")
    expect(page.locator("[data-gauge=waiting] b")).to_have_text(str(waiting))
    expect(page.locator("[data-gauge=kv] b")).to_have_text(re.compile(r"\d+%"))
    whole = sorted(
        asked.times[0] - asked.queued
        for asked in traffic.requests
        if asked.end in ("stop", "length") and asked.ended <= 59_000 and asked.times
    )
    assert len(whole) > 20
    expect(page.locator("[data-gauge=ttft] span").last).to_have_text(re.compile(r"TTFT p95 of \d+"))


def test_a_bar_says_its_numbers_to_the_pointer(visit: Opening) -> None:
    page = visit(one_long(), 20_000, still=True, reduced_motion="reduce")
    page.mouse.move(*bar(page, 0, 5))
    card = page.locator(".card")
    expect(card).to_be_visible()
    expect(card).to_contain_text("yours #2, decode")
    expect(card).to_contain_text(re.compile(r"queue 0\.10 s.*prefill 0\.20 s.*TTFT\s*0\.30 s"))
    page.mouse.move(*bar(page, 2, 5))
    expect(card).to_be_hidden()


def test_the_arrow_keys_go_from_request_to_request_and_say_each(visit: Opening) -> None:
    page = visit(one_long(), 20_000, still=True, reduced_motion="reduce")
    page.locator("#demo-count").focus()
    page.keyboard.press("Tab")
    expect(page.locator("canvas.lanes")).to_be_focused()
    spoken = page.locator(".lanes-frame [role=status]")
    expect(spoken).to_have_text(re.compile("yours #2, decode, queue 0.10 s, prefill 0.20 s"))
    page.keyboard.press("ArrowDown")
    expect(spoken).to_have_text(re.compile("API #1, length.*20 tokens"))
    expect(page.locator(".card")).to_contain_text("API #1")
    page.keyboard.press("ArrowUp")
    expect(spoken).to_have_text(re.compile("yours #2"))
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_be_hidden()
    assert "0 waiting. 1 running request is yours." in (page.locator("canvas.lanes").get_attribute("aria-label") or "")


def test_pause_stands_still_and_live_goes_on(visit: Opening) -> None:
    page = visit(busy(), 50_000)
    page.locator("#board-pause").click()
    expect(page.get_by_role("button", name="Go on, live")).to_be_visible()
    held = page.evaluate("board.view.to")
    page.wait_for_timeout(1500)
    assert page.evaluate("board.view.to") == held
    expect(page.locator(".sub")).to_have_text(re.compile("^Then:"))
    page.get_by_role("button", name="live", exact=True).click()
    page.wait_for_function(f"(before) => {PIXELS} !== before", arg=page.evaluate(PIXELS))


def test_the_slider_looks_back_by_keyboard(visit: Opening) -> None:
    traffic = busy()
    page = visit(traffic, 60_000, still=True)
    # Without news the board's clock goes on for three seconds and then stands.
    page.wait_for_function("() => board.view.now === 63_000")
    slider = page.get_by_role("slider", name="Look back over the last 10 minutes")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "12 s ago")
    moment = round(page.evaluate("board.view.to"))
    assert moment == 63_000 - 12_000
    running, waiting = traffic.running(moment), traffic.waiting(moment)
    expect(page.locator(".sub")).to_have_text(f"Then: {running} of 4 lanes busy, {waiting} waiting")
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "now")
    expect(page.locator(".sub")).not_to_have_text(re.compile("Then"))


def test_older_steps_are_asked_for_when_somebody_looks_that_far_back(visit: Opening, theatre: Stage) -> None:
    traffic = busy()
    page = visit(traffic, 110_000, still=True)
    assert not theatre.asked
    page.get_by_role("button", name="5 min").click()
    page.wait_for_function("() => board.model.steps.since < 1000")
    assert {address for _, address, _ in theatre.asked} == {"/api/board"}
    known = page.evaluate("board.model.steps.list.map(({ at, running }) => [at, running])")
    assert known == [[at, running] for at, running, *_ in traffic.steps if at <= 110_000]


def test_buckets_are_spoken_of_only_where_the_engine_has_them(visit: Opening) -> None:
    page = visit(busy(buckets=(1, 2, 4)), 60_000)
    page.get_by_role("tab", name="What is what").click()
    expect(page.get_by_text("compiled batch sizes")).to_be_visible()
    assert page.evaluate("board.model.steps.list.some(({ bucket }) => bucket === 4)")
    page = visit(busy(), 60_000)
    page.get_by_role("tab", name="What is what").click()
    expect(page.get_by_text("index of a lane is nominal")).to_be_visible()
    expect(page.get_by_text("compiled batch sizes")).to_have_count(0)
    assert page.evaluate("board.model.steps.list.every(({ bucket }) => bucket === null)")


def test_the_npus_are_shown_only_where_somebody_reads_them(visit: Opening) -> None:
    well = {"card": "RBLN-CA25", "utilization": 0.63, "power": 41.2, "temperature": 52.0, "healthy": True}
    memory = {"memory_used": 9 * 2**30, "memory_total": 15.7 * 2**30}
    npus = [
        {"name": "rbln0", **well, **memory},
        {"name": "rbln1", **dict.fromkeys([*well, *memory]), "card": "", "healthy": False},
    ]
    traffic = busy(buckets=(1, 2, 4))
    traffic.npu = {"npus": npus, "power": 41.2, "tokens_per_joule": 3.14159}
    page = visit(traffic, 60_000, still=True)
    expect(page.locator(".npus p")).to_have_text("NPUs · 41 W · 3.14 tokens per joule")
    first, second = page.locator(".npus li").all()
    expect(first).to_have_text("rbln0 RBLN-CA25 · 63% busy · 41 W · 52 °C · 9.00 of 15.70 GiB")
    expect(second).to_have_text("rbln1 · not healthy")
    assert (unnamed(page), pale(page), sticking_out(page)) == ([], [], [])
    page.screenshot(path=picture("board-npus"))
    page = visit(busy(), 60_000, still=True)
    expect(page.locator(".npus")).to_be_hidden()


def test_limits_of_goodput_are_kept_in_the_browser(visit: Opening) -> None:
    page = visit(busy(), 60_000, still=True)
    limit = page.get_by_label("TTFT at most")
    expect(limit).to_have_value("200")
    before = page.locator(".goodput .sum").inner_text()
    limit.fill("600000")
    page.get_by_label("worst ITL at most").fill("600000")
    expect(page.locator(".goodput .sum")).to_have_text(re.compile(r"(\d+) of \1 met both limits"))
    assert page.locator(".goodput .sum").inner_text() != before
    page.reload()
    expect(page.get_by_label("TTFT at most")).to_have_value("600000")
    page.get_by_label("TTFT at most").fill("")
    page.keyboard.press("Tab")
    expect(page.get_by_label("TTFT at most")).to_have_value("200")


def test_the_table_sorts_filters_and_opens(visit: Opening) -> None:
    page = visit(busy(), 100_000, still=True)
    page.get_by_role("tab", name="Requests").click()
    rows = page.locator(".requests tr[data-request]")
    ids = [int(id or 0) for id in rows.evaluate_all("rows => rows.map((row) => row.dataset.request)")]
    assert ids == sorted(ids, reverse=True) and len(ids) == 50
    head = page.locator(".requests thead th").nth(7)
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    tokens = [int(text) for text in page.locator(".requests tr[data-request] td:nth-child(8)").all_inner_texts()]
    assert tokens == sorted(tokens, reverse=True)
    page.get_by_label("Door").select_option("api")
    page.get_by_label("End").select_option("aborted")
    expect(rows.first).to_contain_text(re.compile("API.*stopped"))
    assert {row.get_attribute("data-end") for row in rows.all()} == {"aborted"}
    page.get_by_label("End").select_option("stop")
    rows.first.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".requests .opened")).to_contain_text(re.compile(r"queue \d+\.\d\d s.*prefill.*decode"))
    expect(rows.first.get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".requests .opened")).to_have_count(0)
    assert page.get_by_role("link", name="CSV").get_attribute("href") == "api/board/requests.csv?window=600"
    assert page.get_by_role("link", name="Trace for Perfetto").get_attribute("href") == "api/board/trace?window=600"


def test_five_thousand_requests_do_not_become_five_thousand_rows(visit: Opening) -> None:
    life = {"times": [1100, 1200], "stays": [[0, 1010, 1200]]}
    asked = [Asked(id, "api", 1000, 5, 2, ended=1200 + id, **life) for id in range(1, 5001)]
    page = visit(Traffic(4, asked, []), 30_000, still=True)
    page.get_by_role("tab", name="Requests").click()
    expect(page.get_by_text("5,000 requests")).to_be_visible()
    expect(page.locator(".requests tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Show more (4,950)").click()
    expect(page.locator(".requests tbody tr")).to_have_count(150)


def test_show_me_sends_as_many_as_asked_and_stops(visit: Opening, theatre: Stage) -> None:
    page = visit(one_long(), 20_000, still=True)
    page.locator("#demo-count").fill("100")
    with page.expect_response("**/api/demo"):
        page.get_by_role("button", name="Show me").click()
    expect(page.locator("#demo-count")).to_have_value("64")
    assert theatre.asked == [("POST", "/api/demo", {"count": 64, "model": ""})]
    page.locator("#demo-count").fill("13")
    page.get_by_role("button", name="Show me").click()
    expect(page.locator(".demo [role=alert]")).to_have_text("The engine is still starting.")
    demo = Paper(4).run([Asked(id, "demo", 500, 20, 4000) for id in range(1, 7)], 60_000)
    page = visit(demo, 20_000, still=True)
    expect(page.locator("#demo-start")).to_be_hidden()
    with page.expect_response("**/api/demo"):
        page.get_by_role("button", name="Stop demo (6 left)").click()
    assert theatre.asked == [("DELETE", "/api/demo", "1")]
    page.get_by_role("tab", name="Requests").click()
    expect(page.locator(".requests tr[data-request] th").first).to_contain_text("demo")


def test_what_batching_saved_is_one_sentence_and_says_its_method(visit: Opening) -> None:
    page = visit(busy(), 60_000, still=True)
    saved = page.locator(".saved")
    expect(saved).to_contain_text("Continuous batching: 2.6× of static, here, in the last minute.")
    expect(saved).to_contain_text(re.compile(r"one at a time\s*168\.2 s\s*7\.9×"))
    page.get_by_role("button", name="How this is reckoned").focus()
    expect(page.get_by_role("tooltip")).to_be_visible()
    expect(page.get_by_role("tooltip")).to_contain_text("real arrival times")
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()


def test_it_paints_only_while_something_moves(visit: Opening) -> None:
    quiet = visit(Traffic(4, [], []), 20_000)
    paints, seconds = quiet.evaluate(PAINTS, 120)
    assert paints <= 5 * seconds + 2, "five frames of the board a second, and nothing between them"
    moving = visit(busy(), 60_000)
    assert moving.evaluate(PAINTS, 120)[0] >= 20
    moving.evaluate("document.querySelector('.lanes-frame').style.marginTop = '4000px'")
    moving.evaluate(PAINTS, 10)
    assert moving.evaluate(PAINTS, 60)[0] == 0, "nobody sees it"


def test_with_reduced_motion_it_steps_once_a_second(visit: Opening) -> None:
    page = visit(busy(), 60_000, reduced_motion="reduce")
    paints, seconds = page.evaluate(PAINTS, 180)
    assert 1 <= paints <= seconds + 2


def test_sixty_four_lanes_and_five_hundred_waiting_draw_in_time(visit: Opening, capsys: pytest.CaptureFixture[str]) -> None:
    crowd = visitors(8, 2400, 130_000, longest=400, doors="page api demo evaluation")
    late = [Asked(9000 + i, "page", 100_000, 9, 300) for i in range(400)]
    traffic = Paper(64, step=20, prefill=4).run([*crowd, *late], 140_000)
    assert traffic.running(105_000) == 64 and traffic.waiting(105_000) >= 500
    page = visit(traffic, 105_000)
    page.wait_for_timeout(1000)
    cost = page.evaluate(
        """async () => { const costs = [];
        for (let i = 0; i < 60; i++) { await new Promise(requestAnimationFrame); const began = performance.now();
          board.lanes.paint(); costs.push(performance.now() - began); }
        return costs.sort((a, b) => a - b)[30]; }"""
    )
    with capsys.disabled():
        print(f"\n64 lanes, {traffic.waiting(105_000)} waiting: {cost:.1f} ms to paint (30 fps leave 33.3)")
    assert cost < 33.3, "on a machine that does other things besides"


def test_tabs_and_language_keep_what_was_chosen(visit: Opening) -> None:
    page = visit(busy(), 60_000)
    page.get_by_role("tab", name="Latency").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Requests")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_contain_text("every door")
    page.get_by_role("button", name="30 s").click()
    page.locator("#language").click()
    expect(page.get_by_role("tab", name="요청")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("button", name="30초")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".sub")).to_have_text(re.compile("레인 4개 중"))


def unnamed(page: Page) -> list[str]:
    """Controls without a name."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, canvas, [role=img]")].filter((each) => {
        const words = each.getAttribute("aria-label") || each.title || each.textContent.trim() || each.labels?.length;
        return !words; }).map((each) => each.outerHTML.slice(0, 80))"""
    )


# Each word's colour against the first opaque ground behind it (WCAG 2, relative luminance).
PALE = """() => {
  const rgb = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const linear = (v) => (v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = (e) => {
    const [dark, light] = [rgb(getComputedStyle(e).color), ground(e)].map(luminance).sort((x, y) => x - y);
    return (light + .05) / (dark + .05);
  };
  const written = (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll("batch-board *, board-wall *")].filter((e) => written(e) && contrast(e) < 4.5)
    .map((e) => `${e.className}: ${e.textContent.slice(0, 40)}`);
}"""


def pale(page: Page) -> list[str]:
    """Words whose contrast to what is behind them is below 4.5."""
    return page.evaluate(PALE)


def sticking_out(page: Page) -> list[str]:
    """What is wider than the window."""
    return page.evaluate(
        """() => [...document.querySelectorAll("batch-board *, board-wall *")].filter((e) => e.checkVisibility() &&
        !e.closest(".sideways, .hint-words, .offscreen") && e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.outerHTML.slice(0, 80))"""
    )


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lanes", [4, 16, 64])
def test_the_panel_looks_right(visit: Opening, lanes: int, scheme: str, locale: str) -> None:
    traffic = busy(lanes, {4: 220, 16: 700, 64: 3000}[lanes], prefill={4: 60, 16: 20, 64: 6}[lanes], preempt_every=200)
    name = f"board-{lanes}-{scheme}-{locale[:2]}"
    page = visit(traffic, 100_000, color_scheme=scheme, locale=locale)
    page.wait_for_timeout(1200)
    page.screenshot(path=picture(f"{name}-panel"))
    for tab in ("latency", "requests", "help"):
        page.locator(f"#batch-{tab}-tab").click()
        assert (unnamed(page), pale(page), sticking_out(page)) == ([], [], []), tab
        page.locator(f"#batch-{tab}").scroll_into_view_if_needed()
        page.screenshot(path=picture(f"{name}-{tab}"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lanes", [4, 16, 64])
def test_on_a_phone_it_is_a_drawer_that_shows_the_lanes_when_closed(visit: Opening, lanes: int, scheme: str) -> None:
    traffic = busy(lanes, {4: 220, 16: 700, 64: 3000}[lanes], prefill={4: 60, 16: 20, 64: 6}[lanes])
    page = visit(traffic, 100_000, viewport=PHONE, has_touch=True, color_scheme=scheme)
    page.wait_for_timeout(800)
    closed = page.locator("canvas.lanes").bounding_box()
    assert closed is not None and closed["height"] > 30 and closed["y"] + closed["height"] <= PHONE["height"]
    expect(page.locator("#batch-details")).to_be_hidden()
    page.screenshot(path=picture(f"board-{lanes}-{scheme}-drawer-closed"))
    page.locator(".handle").tap()
    expect(page.locator("[data-gauge=kv]")).to_be_visible()
    page.wait_for_timeout(500)
    assert (unnamed(page), pale(page), sticking_out(page)) == ([], [], [])
    page.screenshot(path=picture(f"board-{lanes}-{scheme}-drawer-open"))
    page.locator(".handle").tap()
    expect(page.locator("#batch-details")).to_be_hidden()


@pytest.mark.parametrize(
    ("lanes", "query", "dark"), [(4, "?theme=dark", True), (16, "?lang=ko&theme=light", False), (64, "", True)]
)
def test_the_wall_is_readable_from_afar(visit: Opening, lanes: int, query: str, dark: bool) -> None:
    traffic = busy(lanes, {4: 220, 16: 700, 64: 3000}[lanes], prefill={4: 60, 16: 20, 64: 6}[lanes])
    # the system says the contrary of what the address asks for
    scheme = "dark" if dark == (query == "") else "light"
    page = visit(traffic, 100_000, f"board{query}", viewport=WALL, color_scheme=scheme)
    page.wait_for_timeout(1200)
    page.screenshot(path=picture(f"board-{lanes}-wall"))
    assert page.evaluate("document.body.classList.contains('dark')") == dark
    assert ("레인" in page.locator(".sub").inner_text()) == ("ko" in query)
    assert (pale(page), sticking_out(page)) == ([], [])
    seen = "[...document.querySelectorAll('board-wall *')].filter((e) => e.checkVisibility())"
    sizes = page.evaluate(f"{seen}.map((e) => parseFloat(getComputedStyle(e).fontSize))")
    assert min(sizes) >= 20
    assert page.locator("button:visible, input:visible, a:visible").count() == 0
    assert page.evaluate("document.querySelector('.saved').getBoundingClientRect().bottom <= innerHeight")
    assert page.locator("canvas.lanes").bounding_box()["height"] > WALL["height"] * 0.5  # type: ignore[index]
