"""The app around an engine that says what a test tells it to: everything but vLLM, Gradio and the process."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from webui.admission import Admission
from webui.batch.board import Board, EngineFacts
from webui.batch.frames import Frames
from webui.channel import Mailbox
from webui.chats import Chats
from webui.conversation import Conversation, End, Sampling
from webui.demo_traffic import DemoTraffic
from webui.engines.base import EngineInfo, Piece, Priority, Report
from webui.engines.registry import Backend, Registry
from webui.errors import WebuiError
from webui.history.keeper import History
from webui.open_chat import Chat
from webui.prompt import Prompt
from webui.server.chat_api import GUARD, ChatApi
from webui.server.fronts import Front, Fronts
from webui.server.list_api import ListApi
from webui.server.stream import Everybody
from webui.server.visitors import Signer, VisitorCookie
from webui.settings import Settings

KEY = b"k" * 32


class LetterTokenizer:
    """A token is a character; a message is `role:text` and a bar."""

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        return {}

    def apply_chat_template(self, conversation: list[dict[str, str]], **_: Any) -> str:
        return "".join(f"{turn['role']}:{turn['content']}|" for turn in conversation) + "assistant:"

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}


class ToldEngine:
    """Each request waits for what the test says to it; `prompts` are what it was asked, as text."""

    info = EngineInfo("told", "CPU", "told", lanes=4, context=4096, sampling=Sampling())
    tokenizer: Any = LetterTokenizer()
    alive = True

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue()

    async def say(self, text: str, end: End | None = None) -> None:
        """Says this to the request that runs."""
        await self._pieces.put(Piece(text, end))

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        self.prompts.append("".join(map(chr, prompt.ids)))
        while True:
            piece = await self._pieces.get()
            yield piece
            if piece.end is not None:
                return

    async def shutdown(self) -> None:
        self.alive = False


class World:
    """One server without a socket.

    Args:
        database: of its history; None keeps nothing.
        settings: of several engines, if there are to be several.
    """

    def __init__(self, database: Path | str | None, settings: Settings | None = None) -> None:
        self.engine = ToldEngine()
        self.registry = Registry(settings or Settings(), kind=lambda _, board, __: functools.partial(self._start_engine, board))
        self.board, self.supervisor = self.registry.usual.board, self.registry.usual.supervisor
        self.board.reset(EngineFacts(4))
        self.history = History(database)
        admission = Admission(100, lanes=lambda: 4)
        self.chats = Chats(self.supervisor, self.board, Settings(grace=60.0), admission, self.history)
        self.library = self.chats.library
        self.history.on_change = self.library.history_changed
        routes = [*ListApi(self.library).routes(), *ChatApi(self.chats, Fronts(self.registry, self._front)).routes()]
        cookie = Middleware(VisitorCookie, path="", signer=Signer(KEY))
        self.asgi = Starlette(routes=routes, middleware=[cookie], exception_handlers={WebuiError: _say_error})

    def _front(self, backend: Backend) -> Front:
        frames = Frames(backend.board)
        demo = DemoTraffic(backend.supervisor, backend.board, self.chats.prompt, self.library.is_here, 1.0)
        return Front(backend, frames, demo, Everybody(backend.supervisor, frames, self.history))

    async def _start_engine(self, board: Board, report: Report) -> ToldEngine:
        return self.engine

    async def __aenter__(self) -> World:
        self.history.start()
        self.registry.start()
        await self.supervisor.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.chats.close(0)
        await self.history.close()
        await self.registry.stop()

    async def opened(self, visitor: str, id: str | None = None) -> Chat:
        """A conversation that a tab shows."""
        chat = await self.library.open(id or secrets.token_hex(16), visitor)
        chat.channel.join(Mailbox())
        return chat

    async def answered(self, chat: Chat, question: str, *pieces: str, end: End = "stop") -> str:
        """Sends a question, has it answered, and gives the answer's id."""
        answer = await self.chats.send(chat, question, "", Sampling())
        turn = chat.turn
        assert turn is not None
        for piece in pieces:
            await self.engine.say(piece)
        await self.engine.say("", end)
        await turn.wait()
        return answer.id

    def client(self) -> httpx.AsyncClient:
        """A browser of somebody new."""
        transport = httpx.ASGITransport(self.asgi, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://test", headers={GUARD: "1"})


async def _say_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, WebuiError)
    return JSONResponse({"error": error.as_dict()}, error.http_status)


def said(conversation: Conversation) -> list[str]:
    """The shown texts."""
    return [message.text for message in conversation.path()]


def events(mailbox: Mailbox, kind: str) -> list[Any]:
    """The data of the events of one kind that are in a mailbox."""
    text = b"".join(mailbox._parts).decode()
    parts = [part.splitlines() for part in text.split("\n\n") if f"event: {kind}\n" in part]
    return [json.loads(line[6:]) for lines in parts for line in lines if line.startswith("data: ")]
