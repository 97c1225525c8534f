"""What the page asks about one conversation, as small JSON requests: send, stop, regenerate, edit, versions, budget, blocks.

It turns HTTP into calls of `chats.py` and back, and knows nothing of engines. A request that changes something must bear a
header that another origin's page cannot send without asking first, so that no foreign page acts in a visitor's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webui.chats import Chats
from webui.conversation import Sampling
from webui.engines.registry import Backend
from webui.errors import BadInput
from webui.open_chat import Chat
from webui.server.fronts import Fronts
from webui.server.stream import ChatEvents, TabStream

BODY_AT_MOST = 2_000_000  # bytes
GUARD = "x-batchat"  # the header


def visitor_of(request: Request) -> str:
    """The visitor's name, as the cookie says."""
    return str(request.scope["state"]["visitor"])


class ChatApi:
    """The page's requests.

    Args:
        chats: everybody's conversations.
        fronts: the engines that may be chosen.
    """

    def __init__(self, chats: Chats, fronts: Fronts) -> None:
        self._chats = chats
        self._fronts = fronts

    def routes(self) -> list[Route]:
        """The routes, to be put into an application."""
        chat = "/api/chats/{chat}"
        return [
            Route("/api/stream", self.stream),
            Route(chat + "/messages", self.send, methods=["POST"]),
            Route(chat + "/regenerate", self.regenerate, methods=["POST"]),
            Route(chat + "/continue", self.go_on, methods=["POST"]),
            Route(chat + "/stop", self.stop, methods=["POST"]),
            Route(chat + "/version", self.version, methods=["POST"]),
            Route(chat + "/blocks", self.blocks, methods=["POST"]),
            Route(chat + "/budget", self.budget, methods=["POST"]),
            Route(chat + "/feedback", self.feedback, methods=["POST"]),
            Route(chat + "/branch", self.branch, methods=["POST"]),
        ]

    async def stream(self, request: Request) -> Any:
        """The tab's event stream; a wall's has no conversation."""
        everybody = self._fronts.watched_by(request).everybody
        if request.query_params.get("board") == "1":
            return TabStream(everybody)
        name = visitor_of(request)
        chat = await self._chats.library.open(request.query_params.get("chat", ""), name)
        return TabStream(everybody, ChatEvents(chat))

    async def send(self, request: Request) -> Response:
        """A question, or another version of an earlier one."""
        async with self._opened(request) as (chat, body):
            replaces = body.get("replaces")
            if replaces is not None and not isinstance(replaces, str):
                raise BadInput(field="replaces", reason="the id of a message is wanted")
            text, system = text_in(body, "text"), text_in(body, "system")
            backend, sampling = self._chosen(body)
            answer = await self._chats.send(chat, text, system, sampling, replaces, backend)
        return JSONResponse({"message": answer.id}, 202)

    async def regenerate(self, request: Request) -> Response:
        """Another version of an answer."""
        async with self._opened(request) as (chat, body):
            message, system = text_in(body, "message"), text_in(body, "system")
            backend, sampling = self._chosen(body)
            answer = await self._chats.regenerate(chat, message, system, sampling, backend)
        return JSONResponse({"message": answer.id}, 202)

    async def go_on(self, request: Request) -> Response:
        """More of an answer that was cut short."""
        async with self._opened(request) as (chat, body):
            message, system = text_in(body, "message"), text_in(body, "system")
            backend, sampling = self._chosen(body)
            answer = await self._chats.go_on(chat, message, system, sampling, backend)
        return JSONResponse({"message": answer.id}, 202)

    async def stop(self, request: Request) -> Response:
        """Ends the running answer, if there is one."""
        async with self._opened(request) as (chat, _):
            if chat.turn is not None:
                chat.turn.stop()
        return JSONResponse({})

    async def version(self, request: Request) -> Response:
        """Shows another version of a message."""
        async with self._opened(request) as (chat, body):
            version = body.get("version")
            if not isinstance(version, int):
                raise BadInput(field="version", reason="a whole number is wanted")
            self._chats.choose(chat, text_in(body, "message"), version)
        return JSONResponse({})

    async def blocks(self, request: Request) -> Response:
        """The rendered blocks of messages that were shown without."""
        async with self._opened(request) as (chat, body):
            ids = body.get("messages")
            if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
                raise BadInput(field="messages", reason="a list of ids is wanted")
            found = await chat.blocks_of(ids)
        return Response(orjson.dumps({"blocks": found}), media_type="application/json")

    async def budget(self, request: Request) -> Response:
        """How much of the context the conversation takes with the draft."""
        async with self._opened(request) as (chat, body):
            text, system = text_in(body, "text"), text_in(body, "system")
            backend, sampling = self._chosen(body)
            budget = await self._chats.budget(chat, text, system, sampling, backend)
        return JSONResponse(asdict(budget))

    async def feedback(self, request: Request) -> Response:
        """What the visitor says of an answer."""
        async with self._opened(request) as (chat, body):
            self._chats.say_of(chat, text_in(body, "message"), text_in(body, "thumb"), text_in(body, "reason"))
        return JSONResponse({})

    async def branch(self, request: Request) -> Response:
        """Another conversation that begins with the messages up to one of this."""
        async with self._opened(request) as (chat, body):
            await self._chats.library.branch(chat, text_in(body, "message"), text_in(body, "branch"))
        return JSONResponse({}, 201)

    @asynccontextmanager
    async def _opened(self, request: Request) -> AsyncIterator[tuple[Chat, dict[str, Any]]]:
        """The conversation that the request is about, and its body."""
        check_guard(request)
        body = await body_of(request)
        chat = await self._chats.library.open(request.path_params["chat"], visitor_of(request))
        chat.asked += 1
        try:
            yield chat, body
        finally:
            chat.asked -= 1
            self._chats.library.forget_if_unused(chat)

    def _chosen(self, body: dict[str, Any]) -> tuple[Backend, Sampling]:
        """The engine that is to answer, and how."""
        values = body.get("sampling", {})
        if not isinstance(values, dict):
            raise BadInput(field="sampling", reason="an object is wanted")
        backend = self._fronts.named_in(body).backend
        engine = backend.supervisor.engine
        return backend, Sampling.from_mapping(values, defaults=engine.info.sampling if engine else None)


def check_guard(request: Request) -> None:
    """Refuses a request that another origin's page may have sent.

    Raises:
        BadInput
    """
    if GUARD not in request.headers:
        raise BadInput(field=GUARD, reason="this header is wanted with every request that changes something")


async def content_of(request: Request, at_most: int = BODY_AT_MOST) -> bytes:
    """The request's body, of so many bytes at most.

    Raises:
        BadInput
    """
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > at_most:
            raise BadInput(field="body", reason=f"more than {at_most} bytes")
    return bytes(content)


async def body_of(request: Request, at_most: int = BODY_AT_MOST) -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        BadInput
    """
    try:
        body = orjson.loads(await content_of(request, at_most) or b"{}")
    except orjson.JSONDecodeError:
        raise BadInput(field="body", reason="is not JSON") from None
    if not isinstance(body, dict):
        raise BadInput(field="body", reason="an object is wanted")
    return body


def text_in(body: dict[str, Any], field: str) -> str:
    """A text in the body; empty if there is none.

    Raises:
        BadInput
    """
    value = body.get(field, "")
    if not isinstance(value, str):
        raise BadInput(field=field, reason="a text is wanted")
    return value
