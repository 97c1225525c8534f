"""What the page asks about the list of conversations: search, rename, pin, delete and bring back, files out and in.

It turns HTTP into calls of `library.py` and back; what changes in the list reaches the page over the stream.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webui import exports, imports
from webui.conversation import Conversation
from webui.errors import BadInput, ChatNotFound
from webui.evaluation.votes import feedback_prompts
from webui.history.keeper import UNDO_WITHIN
from webui.library import Library
from webui.server.chat_api import body_of, check_guard, content_of, text_in, visitor_of

FILE_AT_MOST = 64 * 2**20  # bytes of a file that is read
INERT = "sandbox; default-src 'none'; style-src 'unsafe-inline'"  # a file that is opened instead of saved can do nothing
FORMATS = {"md": "text/markdown", "json": "application/json", "html": "text/html"}


class ListApi:
    """The requests about the list.

    Args:
        library: everybody's conversations.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def routes(self) -> list[Route]:
        """The routes, to be put into an application; before those of one conversation."""
        return [
            Route("/api/search", self.search),
            Route("/api/export", self.export_all),
            Route("/api/feedback.jsonl", self.feedback),
            Route("/api/import", self.take_in, methods=["POST"]),
            Route("/api/restore", self.restore, methods=["POST"]),
            Route("/api/chats", self.delete_all, methods=["DELETE"]),
            Route("/api/chats/{chat}", self.change, methods=["PATCH"]),
            Route("/api/chats/{chat}", self.delete, methods=["DELETE"]),
            Route("/api/chats/{chat}/export", self.export),
        ]

    async def search(self, request: Request) -> Response:
        """The conversations that have all the words."""
        found = await self._library.search(visitor_of(request), request.query_params.get("q", ""))
        return JSONResponse({"chats": found})

    async def change(self, request: Request) -> Response:
        """Another title, or another place in the list."""
        check_guard(request)
        body = await body_of(request)
        id, name = request.path_params["chat"], visitor_of(request)
        if "title" in body:
            await self._library.rename(id, name, text_in(body, "title"))
        if "pinned" in body:
            if not isinstance(body["pinned"], bool):
                raise BadInput(field="pinned", reason="true or false is wanted")
            await self._library.pin(id, name, body["pinned"])
        return JSONResponse({})

    async def delete(self, request: Request) -> Response:
        """Takes a conversation out of the list; for some seconds it can be brought back."""
        check_guard(request)
        return await self._delete(request, [request.path_params["chat"]])

    async def delete_all(self, request: Request) -> Response:
        """Takes all of the visitor's conversations out of the list, in the same way."""
        check_guard(request)
        return await self._delete(request, None)

    async def _delete(self, request: Request, ids: list[str] | None) -> Response:
        deleted = await self._library.delete(ids, visitor_of(request))
        return JSONResponse({"deleted": deleted, "undo_within": UNDO_WITHIN})

    async def restore(self, request: Request) -> Response:
        """Brings deleted conversations back."""
        check_guard(request)
        ids = (await body_of(request)).get("chats")
        if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
            raise BadInput(field="chats", reason="a list of conversations is wanted")
        await self._library.restore(ids, visitor_of(request))
        return JSONResponse({})

    async def export(self, request: Request) -> Response:
        """One conversation as a file."""
        kind = request.query_params.get("format", "md")
        if kind not in FORMATS:
            raise BadInput(field="format", reason=f"{', '.join(FORMATS)} are what there is")
        chat = await self._library.open(request.path_params["chat"], visitor_of(request))
        self._library.forget_if_unused(chat)
        if not len(chat.conversation):
            raise ChatNotFound()
        language = request.query_params.get("language", "")
        content = await asyncio.to_thread(_file, kind, chat.conversation.snapshot(), language)
        return _download(content, kind, chat.conversation.heading.title or "chat")

    async def export_all(self, request: Request) -> Response:
        """All of the visitor's conversations, as a file that can be read back."""
        conversations = await self._library.whole_list(visitor_of(request))
        return _download(await asyncio.to_thread(exports.as_json, conversations), "json", "batchat")

    async def feedback(self, request: Request) -> Response:
        """The answers that the visitor gave a thumb, as a file of prompts."""
        conversations = await self._library.whole_list(visitor_of(request))
        lines = feedback_prompts(conversations)
        return Response(
            lines, media_type="application/jsonl", headers={"content-disposition": 'attachment; filename="feedback.jsonl"'}
        )

    async def take_in(self, request: Request) -> Response:
        """Adds the conversations of a file: ours, Open WebUI's or ChatGPT's."""
        check_guard(request)
        content = await content_of(request, FILE_AT_MOST)
        name = visitor_of(request)
        conversations = await asyncio.to_thread(imports.read, content, name)
        await self._library.take_in(name, conversations)
        return JSONResponse({"chats": [conversation.id for conversation in conversations]}, 201)


def _file(kind: str, conversation: Conversation, language: str) -> bytes:
    if kind == "json":
        return exports.as_json([conversation])
    words = exports.Words.of(language)
    return (exports.as_html if kind == "html" else exports.as_markdown)(conversation, words).encode()


def _download(content: bytes, kind: str, title: str) -> Response:
    plain = "".join(character for character in title if character.isalnum() or character in " -_")[:60].strip() or "chat"
    headers: dict[str, Any] = {
        "content-disposition": f"attachment; filename=\"chat.{kind}\"; filename*=UTF-8''{quote(plain)}.{kind}",
        "content-security-policy": INERT,
        "cache-control": "no-store",
    }
    return Response(content, headers=headers, media_type=f"{FORMATS[kind]}; charset=utf-8")
