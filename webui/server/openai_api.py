"""The OpenAI API on the page's own engine: vLLM's own server application, behind this door.

The door decides which paths there are, who may come in and how many at once; vLLM's routers and handlers answer. They are
built anew for each engine, in the background once it is ready. A path of vLLM's that is not allowed here does not exist,
and the headers of a request stay outside, for vLLM would take an id and a priority from them.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.admission import Admission
from webui.background import in_background
from webui.batch.board import Board
from webui.engines.local import LocalEngine
from webui.engines.supervisor import Supervisor
from webui.errors import BadInput, EngineNotReady, EngineRestarting, NoApiHere, UnknownPath, WebuiError, WrongMethod
from webui.server.api_keys import ApiKeys
from webui.server.api_requests import LENGTHS, checked, read_body
from webui.settings import Settings

ANSWERED = {  # by vLLM
    **dict.fromkeys((*LENGTHS, "/tokenize", "/detokenize"), "POST"),
    **dict.fromkeys(("/v1/models", "/version"), "GET"),
}
OURS = frozenset({"/metrics"})  # answered elsewhere in the app, but kept by the same keys; /health is open to all
PREFIXES = ("/v1/", "/v2/", "/inference/", "/cohere/", "/adapters/")  # where no other path is anybody's
# What else vLLM can register, by name: a test walks its routes and fails on one that stands nowhere.
BLOCKED = frozenset(
    "/load /ping /ready /readyz /invocations /adapters /generative_scoring /tokenizer_info "
    # its documentation
    "/docs /docs/oauth2-redirect /redoc /openapi.json "
    # models that do not generate
    "/pooling /classify /score /rerank "
    # several machines, the profiler, faults
    "/scale_elastic_ep /is_scaling_elastic_ep /abort_requests /start_profile /stop_profile /fault_tolerance/apply "
    "/fault_tolerance/status "
    # its development mode
    "/server_info /reset_prefix_cache /reset_mm_cache /reset_encoder_cache /collective_rpc /sleep /wake_up /is_sleeping "
    "/pause /resume /is_paused /init_weight_transfer_engine /start_weight_update /start_draft_weight_update /update_weights "
    "/finish_weight_update /update_weight_version /weight_info /get_world_size".split()
)
IGNORED = b"x-batchat-ignored"  # the header that names what of a request the engine does not heed
RETRY_WHEN_READY = 5  # seconds
RETRY_AT_MOST = 60  # seconds; what the usual clients are willing to wait when told so


class OpenAIApi:
    """The door, as a layer around the rest of the application.

    Args:
        supervisor: has the engine.
        board: knows how long the line is.
        admission: counts the requests of all doors.
        settings: keys and limits.
    """

    def __init__(self, supervisor: Supervisor, board: Board, admission: Admission, settings: Settings) -> None:
        self._supervisor = supervisor
        self._board = board
        self._admission = admission
        self._settings = settings
        self._keys = ApiKeys(settings)
        self._application: asyncio.Task[ASGIApp] | None = None
        self._built_for: LocalEngine | None = None

    def around(self, page: ASGIApp) -> ASGIApp:
        """The application with the API in it."""
        api: ASGIApp = functools.partial(self._enter, page)
        if self._settings.allowed_origins:
            api = CORSMiddleware(
                api,
                allow_origins=self._settings.allowed_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
            )

        async def choose(scope: Scope, receive: Receive, send: Send) -> None:
            mine = scope["type"] == "http" and _is_of_the_api(_path(scope))
            await (api if mine else page)(scope, receive, send)

        return choose

    def has_own_door(self, path: str) -> bool:
        """Whether it is the keys that decide who may ask for this path, and not the login."""
        return _is_of_the_api(path) and (self._keys.any or path not in OURS)

    def engine_changed(self) -> None:
        """Begins to build vLLM's application for an engine that has become ready, before anybody asks."""
        if isinstance(engine := self._supervisor.engine, LocalEngine):
            self._build(engine)

    async def _enter(self, page: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        try:
            if path not in ANSWERED and path not in OURS:
                raise UnknownPath(path=path)
            if path in OURS and not self._keys.any:
                await page(scope, receive, send)
                return
            owner = self._keys.owner(scope)
            if method := ANSWERED.get(path):
                if scope["method"] != method:
                    raise WrongMethod(path=path, method=method)
                await self._answer(path, owner, scope, receive, send)
                return
        except WebuiError as error:
            await self._refusal(error)(scope, receive, send)
            return
        await page(scope, receive, send)

    async def _answer(self, path: str, owner: str, scope: Scope, receive: Receive, send: Send) -> None:
        application = await self._ready()
        if scope["method"] != "POST":
            await application(_plain(scope), receive, send)
            return
        content = await read_body(path, Request(scope, receive))
        if content is None:
            return
        request = checked(path, content, self._settings.max_tokens)
        scope, receive = _plain(scope, request.body), _replayed(request.body, receive)
        if ignored := request.given.intersection(self._ignored()):
            send = _marked(send, ignored)
        limit = self._settings.max_requests
        if request.answers > limit:
            raise BadInput(field="n", reason=f"{request.answers} answers are asked for; {limit} at once is the limit")
        with self._admission.admitted(owner, request.answers, limit):
            await application(scope, receive, send)

    def _ignored(self) -> tuple[str, ...]:
        """The sampling settings that the engine takes and does not heed."""
        engine = self._supervisor.engine
        return () if engine is None else engine.info.ignored

    async def _ready(self) -> ASGIApp:
        """vLLM's application for the engine in force.

        Raises:
            WebuiError: why there is none.
        """
        engine = self._supervisor.engine
        if engine is not None and not isinstance(engine, LocalEngine):
            raise NoApiHere(device=engine.info.device)
        if engine is None:
            starting = self._supervisor.stage in ("importing", "connecting", "loading", "warming")
            error = self._supervisor.error or (EngineNotReady() if starting else EngineRestarting())
            raise error.with_traceback(None)  # raised again and again, it would keep the frames of every time
        return await asyncio.shield(self._build(engine))

    def _build(self, engine: LocalEngine) -> asyncio.Task[ASGIApp]:
        if self._application is None or self._built_for is not engine:
            self._built_for = engine
            self._application = asyncio.create_task(_build(engine, self._settings), name="vLLM's API server")
        return self._application

    def _refusal(self, error: WebuiError) -> Response:
        """An error in the form of OpenAI's own."""
        status = error.http_status
        kind = {429: "rate_limit_error"}.get(status, "server_error" if status >= 500 else "invalid_request_error")
        headers = self.retry_after(error)
        if status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        body = {"message": error.message, "type": kind, "param": error.params.get("field"), "code": error.code}
        return JSONResponse({"error": body}, status, headers)

    def retry_after(self, error: WebuiError) -> dict[str, str]:
        """The header that tells whoever may come back later when a place may be free; none with any other error."""
        if error.http_status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            return {}
        if self._supervisor.engine is None:
            return {"retry-after": str(RETRY_WHEN_READY)}
        seconds = self._board.wait_estimate(max(1, self._board.waiting)) or 1.0
        return {"retry-after": str(max(1, min(RETRY_AT_MOST, math.ceil(seconds))))}


def _path(scope: Scope) -> str:
    """Without the path under which a proxy publishes the app."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _is_of_the_api(path: str) -> bool:
    return path in ANSWERED or path in OURS or path in BLOCKED or path.startswith(PREFIXES)


def _plain(scope: Scope, body: bytes = b"") -> Scope:
    """The request with no header but what describes its body."""
    kept = [(name, value) for name, value in scope["headers"] if name in (b"content-type", b"host")]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())], "state": {}}


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read once more, and then whatever else comes: that the client has gone."""
    unread = True

    async def replay() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _marked(send: Send, ignored: Iterable[str]) -> Send:
    """The answer with a header that names what of the request is not heeded."""
    header = (IGNORED, ", ".join(sorted(ignored)).encode())

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), header]}
        await send(message)

    return marked


class _NoServer:
    """In the place of vLLM's own server, which ends itself when the engine dies; the app starts it again instead."""

    should_exit = False


async def _build(engine: LocalEngine, settings: Settings) -> ASGIApp:
    """vLLM's application on this engine, with every route that it has."""
    tasks = await engine.llm.get_supported_tasks()
    name = engine.llm.model_config.served_model_name

    def build() -> Any:
        from vllm.entrypoints.launchers.app import build_app

        arguments = _arguments(name, settings)
        return build_app(arguments, tasks, engine.llm.model_config), arguments

    application, arguments = await in_background(build)
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state

    await init_app_state(engine.llm, application.state, arguments, tasks)
    application.state.server = _NoServer()
    return application


def _arguments(name: str, settings: Settings) -> Any:
    """What vLLM's server would read from its command line; the engine's part has been read elsewhere."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    arguments.model = name  # not its path, which /v1/models would tell
    arguments.served_model_name = [name]
    arguments.chat_template = settings.chat_template
    arguments.disable_fastapi_docs = True
    arguments.allowed_origins = []
    arguments.api_key = [""]  # none of vLLM's own: the door has asked for one already
    return arguments
