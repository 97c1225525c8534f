"""An OpenAI-compatible server somewhere else, asked over HTTP: its models, streamed answers, and what vLLM's has besides.

Whatever can go wrong on the way has an error of its own. Leaving an answer closes its connection, which is how such a server is
told to stop. It knows neither turns nor boards, and invents nothing that the server does not say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from webui.conversation import End
from webui.errors import (
    ConnectionBroken,
    ModelNotServed,
    RequestRefused,
    ServerBusy,
    ServerFailed,
    ServerKeyRefused,
    ServerNotFound,
    ServerStalled,
    ServerUnreachable,
    ServerUntrusted,
    WebuiError,
)

CONNECT_WITHIN = 10.0  # seconds
ANSWER_WITHIN = 15.0  # seconds, to what is no answer of the model; a server on a busy machine may stand still
RETRY_SOONEST = 0.1  # seconds, where it says that it is no time
RETRY_EVERY = 2.0  # seconds, where a busy server does not say when to come back
PATIENCE = 60.0  # seconds that a request goes on asking a server which says that it is busy
ENDS: dict[str, End] = {"stop": "stop", "length": "length", "abort": "aborted", "tool_calls": "stop", "content_filter": "stop"}


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model that a server has.

    Attributes:
        context: in tokens; 0 where the server does not say.
        owner: who the server says has made or serves it, which is how the usual servers name themselves.
    """

    id: str
    context: int = 0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one event of a stream says.

    Attributes:
        end: why the answer is over, with its last part.
        tokens, prompt_tokens: given so far, and in the prompt; 0 where the event does not say.
    """

    text: str = ""
    end: End | None = None
    tokens: int = 0
    prompt_tokens: int = 0


class OpenAIServer:
    """A server at a base URL.

    Args:
        base_url: up to and with /v1.
        api_key: what it wants to be shown, if anything.
        stall_after: seconds without a byte in the middle of an answer after which it counts as stalled.
        patience: seconds that a request goes on asking a server which says that it is busy.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, stall_after: float = 120.0, patience: float = PATIENCE
    ) -> None:
        self.address = base_url.rstrip("/")
        self.root = self.address.removesuffix("/v1")
        self._stall_after = stall_after
        self._patience = patience
        self._streams: set[httpx.Response] = set()
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        timeout = httpx.Timeout(ANSWER_WITHIN, connect=CONNECT_WITHIN, pool=None)
        self._client = httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout)

    async def models(self) -> list[RemoteModel]:
        """The models that it has.

        Raises:
            WebuiError: why they cannot be known.
        """
        with self._faults():
            response = await self._client.get(self.address + "/models")
        if response.status_code != HTTPStatus.OK:
            raise self._error(response)
        try:
            return [_model(card) for card in orjson.loads(response.content)["data"]]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise ServerFailed(reason=f"{self.address}/models holds no list of models") from None

    async def version(self) -> str:
        """vLLM's version; empty where there is no such thing."""
        said = await self._told("GET", "/version")
        return str(said.get("version", ""))

    async def tokenize(self, model: str, messages: list[dict[str, str]], **options: Any) -> list[int] | None:
        """The tokens of the prompt that it would write; None if it does not tell."""
        said = await self._told("POST", "/tokenize", {"model": model, "messages": messages, **options})
        tokens = said.get("tokens")
        return tokens if isinstance(tokens, list) else None

    async def text(self, url: str) -> str | None:
        """What is at an address of the server's; None for nothing."""
        with contextlib.suppress(WebuiError), self._faults():
            response = await self._client.get(url)
            if response.status_code == HTTPStatus.OK:
                return response.text
        return None

    async def _told(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What a path beside /v1 answers that not every server has; nothing where there is none."""
        with contextlib.suppress(WebuiError, orjson.JSONDecodeError), self._faults():
            response = await self._client.request(method, self.root + path, json=body)
            if response.status_code == HTTPStatus.OK and isinstance(said := orjson.loads(response.content), dict):
                return said
        return {}

    async def chat(self, body: dict[str, Any]) -> AsyncIterator[Part]:
        """One answer, part by part; leaving the iteration closes the connection.

        Raises:
            WebuiError: what went wrong; ConnectionBroken, ServerStalled and ServerFailed after some parts have come, too.
        """
        began = time.monotonic()
        timeout = httpx.Timeout(None, connect=CONNECT_WITHIN)  # it may wait in the server's line
        while True:
            with self._faults():
                request = self._client.stream("POST", self.address + "/chat/completions", json=body, timeout=timeout)
                async with request as response:
                    if response.status_code == HTTPStatus.OK:
                        async with contextlib.aclosing(self._parts(response)) as parts:  # type: ignore[type-var]
                            async for part in parts:
                                yield part
                        return
                    await response.aread()
            await asyncio.sleep(self._pause(response, body["model"], time.monotonic() - began))

    async def close(self) -> None:
        """Ends its streams and closes its connections."""
        await asyncio.gather(*(response.aclose() for response in self._streams), return_exceptions=True)
        await self._client.aclose()

    async def _parts(self, response: httpx.Response) -> AsyncIterator[Part]:
        """What a stream says; one that ends without saying how is broken."""
        self._streams.add(response)
        over = False
        try:
            async for data in self._events(response):
                part = self._part(data)
                over = over or part.end is not None
                yield part
        finally:
            self._streams.discard(response)
        if not over:
            raise self._broken("it ended before the answer did")

    async def _events(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The data of each event until the last."""
        lines = response.aiter_lines()
        silence: float | None = None
        while True:
            try:
                async with asyncio.timeout(silence):
                    line = await anext(lines, None)
            except TimeoutError:
                raise ServerStalled(address=self.address, seconds=round(self._stall_after)) from None
            if line is None or line == "data: [DONE]":
                return
            if line.startswith("data:"):
                silence = self._stall_after
                yield line[5:].encode()

    def _part(self, data: bytes) -> Part:
        try:
            event = orjson.loads(data)
            if error := event.get("error"):
                raise self._said_in_stream(error)
            usage = event.get("usage") or {}
            choice = (event.get("choices") or [{}])[0]
            reason = choice.get("finish_reason")
            text = (choice.get("delta") or {}).get("content") or ""
            tokens, prompt_tokens = usage.get("completion_tokens") or 0, usage.get("prompt_tokens") or 0
        except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError):
            raise self._broken("what it says cannot be read") from None
        return Part(str(text), ENDS.get(reason, "stop") if reason else None, tokens, prompt_tokens)

    def _said_in_stream(self, error: Any) -> WebuiError:
        code = error.get("code") if isinstance(error, dict) else None
        refused = isinstance(code, int) and 400 <= code < 500
        return RequestRefused(reason=_message(error)) if refused else ServerFailed(reason=_message(error))

    def _pause(self, response: httpx.Response, model: str, waited: float) -> float:
        """Seconds until a busy server may be asked again.

        Raises:
            WebuiError: if it is not merely busy, or for longer than anybody waits.
        """
        error = self._error(response, model)
        if not isinstance(error, ServerBusy):
            raise error
        pause = _seconds(response.headers.get("retry-after"))
        pause = RETRY_EVERY if pause is None else max(pause, RETRY_SOONEST)
        if waited + pause > self._patience:
            raise error
        return pause

    def _error(self, response: httpx.Response, model: str = "") -> WebuiError:
        status, said = response.status_code, _said(response)
        after = _seconds(response.headers.get("retry-after"))
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ServerKeyRefused(address=self.address)
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and after is not None):
            return ServerBusy(address=self.address, seconds=round(RETRY_EVERY if after is None else after))
        if status == HTTPStatus.NOT_FOUND and model:
            return ModelNotServed(address=self.address, model=model, reason=said)
        if model and 400 <= status < 500:
            return RequestRefused(reason=said)
        return ServerFailed(reason=said if said.startswith("HTTP ") else f"HTTP {status}: {said}")

    def _broken(self, reason: str) -> WebuiError:
        return ConnectionBroken(address=self.address, reason=reason)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns what httpx raises into words."""
        try:
            yield
        except httpx.ConnectTimeout:
            raise ServerUnreachable(address=self.address, reason="it does not answer") from None
        except httpx.ConnectError as error:
            raise self._not_connected(error) from None
        except httpx.TimeoutException:
            raise ServerUnreachable(address=self.address, reason=f"nothing came for {ANSWER_WITHIN:g} seconds") from None
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
            raise self._broken(str(error) or type(error).__name__) from None

    def _not_connected(self, error: BaseException) -> WebuiError:
        for cause in _chain(error):
            if isinstance(cause, ssl.SSLError):
                return ServerUntrusted(address=self.address, reason=getattr(cause, "verify_message", "") or str(cause.reason))
            if isinstance(cause, socket.gaierror):
                return ServerNotFound(address=self.address)
        return ServerUnreachable(address=self.address, reason="nothing listens there")


def _model(card: Any) -> RemoteModel:
    context = card.get("max_model_len")
    return RemoteModel(str(card["id"]), context if isinstance(context, int) else 0, str(card.get("owned_by") or ""))


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; a date there is taken as not told."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _said(response: httpx.Response) -> str:
    """Why a server says no, in its own words if it has any."""
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.loads(response.content)
        if message := _message(body.get("error", body) if isinstance(body, dict) else None, ""):
            return message
    return f"HTTP {response.status_code}"


def _message(error: Any, otherwise: str = "no reason given", length: int = 300) -> str:
    message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return str(message or otherwise)[:length].rstrip(".")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
