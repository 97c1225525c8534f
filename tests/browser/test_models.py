"""The model menu in a real browser: one engine in the process, a server with two models, and one that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app_process import AppProcess, running_app
from tests.browser.conftest import DESKTOP, PHONE, Visit, picture, visiting
from tests.browser.test_looks import inside, scrolls
from tests.faulty_server import ANSWER, MODELS, FaultyServer, event, faulty_server, says, streams

pytestmark = pytest.mark.browser

CARD = MODELS["data"][0]  # type: ignore[index]
SERVED = says(200, {"data": [{**CARD, "max_model_len": 4096}, {**CARD, "id": "team/a-model-with-a-rather-long-name-Instruct"}]})
ENGINES = """
[[engines]]
name = "here"
[[engines]]
name = "far"
engine = "openai"
base_url = "{url}"
[[engines]]
name = "nobody"
engine = "openai"
base_url = "http://127.0.0.1:9/v1"
"""
LONG_NAME = "far/team/a-model-with-a-rather-long-name-Instruct"


@contextlib.contextmanager
def served_elsewhere() -> Iterator[FaultyServer]:
    """A server with two models, in a thread with a loop of its own."""
    ready, found, loop = threading.Event(), [], asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with faulty_server(ANSWER, models=[SERVED], version=[says(200, {"version": "0.30.0"})]) as server:
            found.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    ready.wait(180)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        loop.close()


@pytest.fixture(scope="module")
def far() -> Iterator[FaultyServer]:
    with served_elsewhere() as server:
        yield server


@pytest.fixture(scope="module")
def app(far: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app before three engines, which the server makes four."""
    file = tmp_path_factory.mktemp("config") / "chat.toml"
    file.write_text(ENGINES.format(url=far.url))
    with running_app("--config", str(file), module="tests.echo_app") as running:
        running.wait_until_ready()
        running.wait_for(lambda status: stages(status).get(LONG_NAME) == "ready" and stages(status)["nobody"] == "failed")
        yield running


def stages(status: dict[str, Any]) -> dict[str, str]:
    return {model["name"]: model["stage"] for model in status["models"]}


@pytest.fixture
def visit(browser: Browser, app: AppProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    with visiting(browser, app, request) as make:
        yield make


def ask(page: Page, text: str) -> None:
    answers = page.locator(".message[data-role=assistant]")
    before = answers.count()
    page.locator("#message textarea").fill(text)
    page.locator("#send").click()
    expect(answers).to_have_count(before + 1)
    expect(answers.last).to_have_attribute("data-state", "ended")


def test_the_model_that_is_chosen_answers(visit: Callable[..., Visit]) -> None:
    page = visit().tab()
    menu, status = page.locator("#model"), page.locator("#engine-status")
    answer = page.locator(".message[data-role=assistant]").last
    expect(menu.locator("option")).to_have_text(["here", "far", "nobody (not available)", LONG_NAME])
    expect(menu).to_have_value("here")
    ask(page, "Say this back")
    expect(answer).to_contain_text("Say this back")
    expect(answer.locator(".source")).to_have_text("here")
    menu.select_option("far")
    expect(status).to_have_text("m")
    answer.locator("[data-action=regenerate]").click()
    expect(answer).to_contain_text("Hello")
    expect(answer).to_have_attribute("data-state", "ended")
    expect(answer.locator(".source")).to_have_text("far")
    answer.locator(".answer-footer").hover()
    expect(answer.locator(".formulas")).to_contain_text("Model: far · m · vLLM 0.30.0")
    answer.locator("[data-action=version-previous]").click()
    expect(answer.locator(".source")).to_have_text("here")
    expect(page.locator("[data-gauge=occupancy]")).to_have_text("0being answered")
    expect(page.locator("[data-gauge=preempted] b")).to_have_text("–")
    page.reload()
    expect(menu).to_have_value("far")
    expect(answer.locator(".source")).to_have_text("here")
    menu.select_option("nobody")
    expect(page.locator(".banner[data-kind=failed]")).to_contain_text("http://127.0.0.1:9/v1 cannot be reached")
    expect(page.locator("batch-board .sub")).to_have_text("No figures yet: the engine is not running.")


def test_an_answer_that_breaks_off_keeps_its_text_and_can_be_continued(visit: Callable[..., Visit], far: FaultyServer) -> None:
    far.told["/v1/chat/completions"] = [streams(event("So far. "), then="cut"), ANSWER]
    page = visit().tab()
    page.locator("#model").select_option("far")
    ask(page, "Hello?")
    answer = page.locator(".message[data-role=assistant]").last
    expect(answer).to_contain_text("So far.")
    expect(answer.locator(".mark")).to_contain_text("The connection to the model's server")
    answer.locator("[data-action=continue]").click()
    expect(answer).to_contain_text("So far. Hello")
    expect(answer.locator(".mark")).to_be_hidden()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_menu_fits_its_window(visit: Callable[..., Visit], size: dict[str, Any], scheme: str, locale: str) -> None:
    name = f"models-{'phone' if size is PHONE else 'desktop'}-{scheme}-{locale[:2]}"
    page = visit(viewport=size, color_scheme=scheme, locale=locale).tab()
    ask(page, "Say this back")
    page.screenshot(path=picture(f"{name}-here"))
    page.locator("#model").select_option(LONG_NAME)
    expect(page.locator("#engine-status")).to_contain_text("a-model-with")
    ask(page, "And now?")
    page.screenshot(path=picture(f"{name}-long"))
    assert scrolls(page) == (False, False) and inside(page, "#model")
    assert page.locator("page-header").bounding_box()["height"] < 60, "the header stays one line"  # type: ignore[index]
    page.locator("#model").select_option("nobody")
    expect(page.locator(".banner[data-kind=failed]")).to_be_visible()
    page.screenshot(path=picture(f"{name}-nobody"))
