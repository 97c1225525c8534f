"""A small OpenAI-compatible server that does what a test tells it to, faults and all, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Do = Callable[["FaultyServer", asyncio.StreamWriter], Awaitable[None]]

MODELS = {"object": "list", "data": [{"id": "m", "owned_by": "vllm", "max_model_len": 100}]}


class FaultyServer:
    """Reads a request and does with the connection what it was told for its path; 404 for a path of which it knows nothing.

    Args:
        told: path -> what to do, one after the other; the last one again and again.

    Attributes:
        requests: path, head and body of each.
        left: set when a client closed a connection that was being written to.
    """

    def __init__(self, told: dict[str, list[Do]]) -> None:
        self.told = {"/v1/models": [says(200, MODELS)], **told}
        self.requests: list[tuple[str, str, Any]] = []
        self.left = asyncio.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, path: str) -> list[Any]:
        """The bodies of the requests for a path."""
        return [body for each, _, body in self.requests if each == path]

    async def start(self) -> None:
        """Listens, at the same port as before if there was one."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends it and every connection to it."""
        assert self._listening is not None
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            lengths = [line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length")]
            body = json.loads(await reader.readexactly(int(lengths[0]))) if lengths and int(lengths[0]) else None
            self.requests.append((path, head, body))
            doings = self.told.get(path, [says(404, {"detail": "Not Found"})])
            await (doings.pop(0) if len(doings) > 1 else doings[0])(self, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        except asyncio.CancelledError:
            writer.transport.abort()  # the server is ended
        finally:
            writer.close()
            self._tasks.discard(task)


@contextlib.asynccontextmanager
async def faulty_server(*chat: Do, **others: list[Do]) -> AsyncIterator[FaultyServer]:
    """One that listens.

    Args:
        chat: what it does when it is asked for an answer.
        others: what it does at other paths, by their last word.
    """
    paths = {"models": "/v1/models", "tokenize": "/tokenize", "metrics": "/metrics", "version": "/version"}
    told = {paths[name]: doings for name, doings in others.items()}
    server = FaultyServer({**({"/v1/chat/completions": list(chat)} if chat else {}), **told})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def says(status: int, body: Any = None, **headers: str) -> Do:
    """An answer with this body, as JSON if it is no text; `_` in a header's name stands for `-`."""

    async def answer(_: FaultyServer, writer: asyncio.StreamWriter) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        named = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines = [f"HTTP/1.1 {status} x", f"content-length: {len(content)}", *named]
        writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + content)
        await writer.drain()

    return answer


def event(text: str = "", end: str | None = None, **more: Any) -> bytes:
    """An event of a stream."""
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": end}]
    return f"data: {json.dumps({'choices': choices, **more})}\n\n".encode()


def streams(*parts: bytes, then: str = "end", every: float = 0) -> Do:
    """Events, one every so many seconds, then the "end", a "cut" connection, "silence", or the last one "endless"-ly until the
    client has gone."""

    async def answer(_: FaultyServer, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for part in parts:
            writer.write(_chunk(part))
            if every:
                await writer.drain()
                await asyncio.sleep(every)
        await writer.drain()
        while then == "endless":
            writer.write(_chunk(parts[-1]))
            await writer.drain()
            await asyncio.sleep(0.01)
        if then == "silence":
            await asyncio.Event().wait()
        if then == "end":
            writer.write(_chunk(b""))
            await writer.drain()

    return answer


def _chunk(part: bytes) -> bytes:
    return f"{len(part):x}\r\n".encode() + part + b"\r\n"


DONE = b"data: [DONE]\n\n"
ANSWER = streams(event("He"), event("llo"), event("", "stop"), DONE)
