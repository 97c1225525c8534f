"""How the page bears a long conversation, in a real Chromium: 200 turns of 2 kB loaded, typed in and scrolled while an answer
streams; and what an answer of 4,000 tokens costs in bytes against one of 2,000.

The engine says what it was asked (tests/echo_app.py), so that the page and its server alone are measured.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.app_process import GUARD, AppProcess, Tab, running_app
from tests.browser.conftest import DESKTOP, FLAGS, find_browser
from webui.batch.latency import percentile

TURNS, SIZE = 200, 2000
TOKEN = "tok "  # what the engine calls a token
PARAGRAPH = (
    "Continuous batching puts a request into the batch as soon as a lane is **free**, and takes it out when it has ended. "
    "`max_num_seqs` says how many lanes there are; 한국어 문장도 하나 있어요.\n\n"
)
PARTS = (
    PARAGRAPH,
    PARAGRAPH,
    "- one\n- two\n  - three\n\n",
    "```python\ndef step(batch):\n    for request in batch:\n        request.tokens += 1\n```\n\n",
    "| lane | state |\n|---|---|\n| 0 | decode |\n| 1 | prefill |\n\n",
)
# From a key to the next frame that shows it, as the browser itself says (Event Timing; of less than 16 ms it says nothing), and
# the gaps between frames meanwhile.
UNTOLD = 16  # milliseconds
WATCH = """(untold) => {
  window.keys = []; window.gaps = [];
  const told = (list) => {
    for (const { name, duration } of list.getEntries()) if (name === "keydown") keys.push(duration);
  };
  new PerformanceObserver(told).observe({ type: "event", durationThreshold: untold });
  let last = performance.now();
  const frame = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame); });
}"""
SCROLL = """async (seconds) => {
  const talk = document.querySelector(".talk"), frame = () => new Promise(requestAnimationFrame), found = [];
  for (let last = await frame(), end = last + seconds * 1000; last < end;) {
    talk.scrollTop -= 60;
    if (talk.scrollTop <= 0) talk.scrollTop = talk.scrollHeight;
    const now = await frame();
    found.push(now - last); last = now;
  }
  return found;
}"""


def answer_text() -> str:
    """About 2 kB of everything that an answer may have."""
    text, parts = "", itertools.cycle(PARTS)
    while len(text.encode()) < SIZE:
        text += next(parts)
    return text


def long_conversation() -> bytes:
    """Our file with one conversation of so many turns."""
    messages: list[dict[str, Any]] = []
    for number in range(2 * TURNS):
        parent = messages[-1]["id"] if messages else None
        asked = {"role": "user", "text": f"Question {number // 2}: what is continuous batching?"}
        said = {"role": "assistant", "text": answer_text(), "end": "stop"}
        messages.append({"id": f"{number:032x}", "parent": parent, **(said if number % 2 else asked)})
    now = time.time()
    chat = {"title": "long", "named": True, "pinned": False, "created": now, "updated": now, "messages": messages}
    return json.dumps({"format": "batchat-conversations", "version": 1, "conversations": [chat]}).encode()


def add_conversation(page: Page, url: str) -> str:
    """Adds it for the browser's visitor and gives its id."""
    page.goto(f"{url}/api/status")
    answer = page.request.post(f"{url}/api/import", data=long_conversation(), headers=GUARD)
    return str(answer.json()["chats"][0])


def load(page: Page, address: str) -> float:
    """Seconds from the address to the newest messages drawn, all in their place and the field there; the cache is warm."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(
        "(n) => document.querySelectorAll('.message').length === n && document.querySelector('#message textarea')"
        " && document.querySelector('.message:last-child .blocks')",
        arg=2 * TURNS,
        timeout=120_000,
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return time.perf_counter() - began


def ask_long(page: Page) -> None:
    """Asks for an answer that streams for as long as it takes to measure."""
    page.locator("#message textarea").fill("every 15 ms\n" + PARAGRAPH * 200)
    page.locator("#send").click()
    page.wait_for_function("() => document.querySelector('.message:last-child')?.dataset.state === 'decode'", timeout=60_000)


def measure_page(app: AppProcess, loads: int, keys: int, seconds: float) -> None:
    """Prints what the page does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        page = browser.new_context(viewport=DESKTOP, locale="en-US").new_page()
        address = f"{app.url}/#{add_conversation(page, app.url)}"
        load(page, address)
        times = sorted(load(page, address) for _ in range(loads))
        page.wait_for_function("(n) => document.querySelectorAll('.blocks').length === n", arg=TURNS, timeout=60_000)
        ask_long(page)
        page.evaluate(WATCH, UNTOLD)
        field = page.locator("#message textarea")
        field.focus()
        for number in range(keys):
            page.keyboard.press("abcdefghij"[number % 10])
            page.wait_for_timeout(60)
        page.wait_for_timeout(1000)  # what took long is told later
        told, gaps = map(sorted, page.evaluate("[keys, gaps]"))
        typed = [UNTOLD] * (keys - len(told)) + told
        scrolled = sorted(page.evaluate(SCROLL, seconds))
        page.locator("#stop").click()
        browser.close()
    print(f"| load, median of {loads}, worst | {percentile(times, 50):.2f} s, {times[-1]:.2f} s |")
    print(f"| key to frame while an answer streams, p95 of {len(typed)} | {percentile(typed, 95):.0f} ms |")
    for what, found in (("typing", gaps), ("scrolling", scrolled)):
        print(f"| frame to frame while {what}, median, p95 | {percentile(found, 50):.0f} ms, {percentile(found, 95):.0f} ms |")


async def bytes_of(url: str, tokens: int) -> int:
    """Bytes of the stream that carry one answer of so many tokens, without those of the board."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        tab = await Tab(url, client).open()
        text = "every 2 ms\n" + (TOKEN * 15 + "\n\n") * (tokens // 16)
        answer = await tab.answered(await tab.send(text))
        own = [json.dumps(data) for kind, data in tab.events if kind in ("text", "turn") and data["message"] == answer.message]
        await tab.close()
    return sum(len(data.encode()) for data in own)


def main() -> None:
    """Prints a row per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=5, help="how often the conversation is loaded")
    parser.add_argument("--keys", type=int, default=100, help="how many keys are typed")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long is scrolled")
    arguments = parser.parse_args()
    with running_app(module="tests.echo_app") as app:
        app.wait_until_ready()
        print(f"| {TURNS} turns of {len(answer_text().encode()):,} bytes | |\n| --- | --- |", flush=True)
        measure_page(app, arguments.loads, arguments.keys, arguments.seconds)
        half, whole = (asyncio.run(bytes_of(app.url, tokens)) for tokens in (2000, 4000))
        print(f"| bytes of 2,000 and 4,000 tokens | {half:,}, {whole:,}: {whole / half:.2f} times |")


if __name__ == "__main__":
    main()
