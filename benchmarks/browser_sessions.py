"""Sessions as a browser or a program makes them: raw HTTP on loopback, one event stream each, a cookie where there is one.

Run as a process of its own by `chat_load.py` and `api_overhead.py`, so that its work is not counted as the server's. It
parses as little as it can. It prints `go` when every session is connected, and a line of JSON with what each session saw at
the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Seen:
    """What one session saw: seconds from Send to the first text and to the end, and the bytes that came for it."""

    ttft: float = 0.0
    total: float = 0.0
    bytes: int = 0
    tokens: int = 0


class Http:
    """A few requests over raw sockets: one kept-alive connection for requests, one for the stream, as a browser has."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).hostname or "127.0.0.1"
        self._port = urlsplit(url).port or 80
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._cookie = ""

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Gives the status and the body of the response, and keeps its cookie."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"Content-Type: application/json\r\nX-Batchat: 1\r\nContent-Length: {len(content)}\r\n"
        if self._connection is None:
            self._connection = await asyncio.open_connection(self._host, self._port, limit=2**24)
        reader, writer = self._connection
        self._write(writer, method, path, head, content)
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        if b"set-cookie" in headers:
            self._cookie = headers[b"set-cookie"].split(b";")[0].decode()
        return int(lines[0].split()[1]), await reader.readexactly(int(headers[b"content-length"]))

    async def events(self, path: str, body: Any = None) -> AsyncIterator[tuple[bytes, int]]:
        """The event and data lines of a stream, each with the bytes that came since the last."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**24)
        content = b"" if body is None else json.dumps(body).encode()
        head = f"Accept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._write(writer, "GET" if body is None else "POST", path, head, content)
        size = 0
        try:
            while line := await reader.readline():
                size += len(line)
                if line.startswith((b"data:", b"event:")):
                    yield line, size
                    size = 0
        finally:
            writer.close()

    def _write(self, writer: asyncio.StreamWriter, method: str, path: str, head: str, content: bytes = b"") -> None:
        cookie = f"Cookie: {self._cookie}\r\n" if self._cookie else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{cookie}{head}\r\n".encode() + content)


async def page_session(url: str, prompt: str, tokens: int, go: Callable[[], Awaitable[None]]) -> Seen:
    """One tab of the chat page."""
    http, chat, seen = Http(url), secrets.token_hex(16), Seen()
    await http.request("GET", "/api/status")
    events = http.events(f"/api/stream?chat={chat}")
    kind, sent = b"", 0.0
    async for line, size in events:
        seen.bytes += size if sent else 0
        if line.startswith(b"event:"):
            kind = line[7:].strip()
        elif kind == b"mine" and not sent:
            await go()
            sent = time.perf_counter()
            body = {"text": prompt, "sampling": {"max_tokens": tokens, "min_tokens": tokens}}
            status, response = await http.request("POST", f"/api/chats/{chat}/messages", body)
            assert status == 202, response
        elif kind == b"text" and not seen.ttft:
            seen.ttft = time.perf_counter() - sent
        elif kind == b"turn" and b'"state":"ended"' in line:
            seen.total = time.perf_counter() - sent
            seen.tokens = json.loads(line[6:])["timing"]["tokens"]
            break
    await events.aclose()  # type: ignore[attr-defined]
    return seen


async def gradio_session(url: str, prompt: str, tokens: int, go: Callable[[], Awaitable[None]]) -> Seen:
    """One tab of a gr.ChatInterface: join the queue, listen to its stream."""
    http, session, seen = Http(url), secrets.token_hex(5), Seen(tokens=tokens)
    _, content = await http.request("GET", "/config")
    config = json.loads(content)
    chat = next(d for d in config["dependencies"] if d["api_name"] == "chat")
    await go()
    sent = time.perf_counter()
    data: list[Any] = [prompt] + [None] * (len(chat["inputs"]) - 1)
    body = {"data": data, "fn_index": chat["id"], "session_hash": session}
    await http.request("POST", "/gradio_api/queue/join", body)
    events = http.events(f"/gradio_api/queue/data?session_hash={session}")
    async for line, size in events:
        seen.bytes += size
        if b'"process_generating"' in line and not seen.ttft:
            seen.ttft = time.perf_counter() - sent
        elif b'"process_completed"' in line:
            assert b'"success":true' in line.replace(b": ", b":"), line[:500]
            seen.total = time.perf_counter() - sent
            break
    await events.aclose()  # type: ignore[attr-defined]
    return seen


async def api_session(url: str, prompt: str, tokens: int, go: Callable[[], Awaitable[None]]) -> Seen:
    """One program that streams a chat completion."""
    http, seen = Http(url), Seen(tokens=tokens)
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "ignore_eos": True, "stream": True}
    await go()
    sent = time.perf_counter()
    events = http.events("/v1/chat/completions", body)
    async for line, size in events:
        seen.bytes += size
        assert b'"error"' not in line, line
        if line.startswith(b"data: [DONE]"):
            seen.total = time.perf_counter() - sent
            break
        if not seen.ttft and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            seen.ttft = time.perf_counter() - sent
    await events.aclose()  # type: ignore[attr-defined]
    assert seen.total, "the stream broke off"
    return seen


SESSIONS = {"page": page_session, "gradio": gradio_session, "api": api_session}


async def run(kind: str, url: str, prompts: list[str], tokens: int) -> list[Seen]:
    """All sessions at once: every one connects first, then all send together."""
    waiting = asyncio.Barrier(len(prompts))

    async def go() -> None:
        if await waiting.wait() == 0:
            print("go", flush=True)

    session = SESSIONS[kind]
    return await asyncio.gather(*(session(url, prompt, tokens, go) for prompt in prompts))


def main() -> None:
    """Runs the sessions that the command line names; prompts come as JSON on standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=SESSIONS)
    parser.add_argument("url")
    parser.add_argument("tokens", type=int)
    arguments = parser.parse_args()
    seen = asyncio.run(run(arguments.kind, arguments.url, json.loads(input()), arguments.tokens))
    print(json.dumps([asdict(one) for one in seen]), flush=True)


if __name__ == "__main__":
    main()
