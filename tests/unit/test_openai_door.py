"""The door of the OpenAI API: paths, keys, limits. A small application stands in for vLLM's; the real one answers in
`tests/engine/test_openai_api.py`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from webui.admission import Admission
from webui.batch.board import Board
from webui.conversation import Sampling
from webui.data_folder import NONE
from webui.engines.base import EngineInfo
from webui.engines.local import LocalEngine
from webui.engines.supervisor import Supervisor
from webui.errors import BadInput, BadSetting, QueueFull, TooManyRequests
from webui.server import openai_api
from webui.server.api_requests import BODY_AT_MOST, LENGTHS, MEDIA, REFUSED, TOKENIZED_AT_MOST, checked
from webui.server.app import App
from webui.server.openai_api import ANSWERED, BLOCKED, OURS, OpenAIApi
from webui.settings import Settings

KEYS = ("key-of-alice", "key-of-bob")
CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "Hello!"}]}


class StandIn(LocalEngine):
    """An engine that is there and does nothing."""

    alive = True  # type: ignore[assignment]

    def __init__(self) -> None:
        """Without vLLM's object."""
        self.info = EngineInfo("none", "none", "none", lanes=2, context=64, sampling=Sampling(), ignored=("seed",))

    async def shutdown(self) -> None:
        self.alive = False  # type: ignore[misc]


class Upstream:
    """What stands in for vLLM's application: keeps what reaches it, and answers when it may."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.built = 0

    async def build(self, engine: LocalEngine, settings: Settings) -> Starlette:
        self.built += 1
        return Starlette(routes=[Route(path, self.answer, methods=[method]) for path, method in ANSWERED.items()])

    async def answer(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        if request.method == "POST":
            self.bodies.append(orjson.loads(await request.body()))
        await self.may_answer.wait()
        return JSONResponse({"answered": request.url.path})


class House:
    """A door, what is behind it, and a client before it."""

    def __init__(self, settings: Settings, upstream: Upstream) -> None:
        async def start(report: Any) -> StandIn:
            return StandIn()

        async def page(request: Request) -> Response:
            return PlainTextResponse("the page")

        self.upstream = upstream
        self.supervisor = Supervisor(start)
        self.admission = Admission(settings.max_waiting, lanes=lambda: 2)
        self.api = OpenAIApi(self.supervisor, Board(2), self.admission, settings)
        routes = [Route("/{path:path}", page, methods=["GET", "POST", "PUT"])]
        transport = httpx.ASGITransport(self.api.around(Starlette(routes=routes)))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://testserver")

    async def post(self, body: Any = HELLO, path: str = CHAT, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.client.post(path, json=body, headers=headers, **options)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def house(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[House]:
    upstream = Upstream()
    monkeypatch.setattr(openai_api, "_build", upstream.build)
    one = House(Settings(**settings), upstream)
    one.supervisor.start()
    await one.supervisor.ready()
    try:
        yield one
    finally:
        upstream.may_answer.set()
        await one.client.aclose()
        await one.supervisor.stop()


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error, which is in OpenAI's form."""
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


@pytest.mark.parametrize("path", [*ANSWERED, *OURS])
async def test_every_path_but_health_wants_a_key(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with house(monkeypatch, api_key=KEYS) as one:
        method = ANSWERED.get(path, "GET")
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": "Bearer key-of-alic"},
            {"authorization": f"Basic {KEYS[0]}"},
            {"authorization": f"Bearer {KEYS[0]}{KEYS[1]}"},
            {"x-api-key": KEYS[0]},
        ):
            response = await one.client.request(method, path, headers=headers)
            assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
            assert error_of(response)["code"] == "invalid_api_key"
        assert one.upstream.headers == []
        for key in KEYS:
            response = await one.client.request(method, path, json=HELLO, headers={"authorization": f"bearer {key}"})
            assert response.status_code == 200, response.text
        assert (await one.client.get("/health")).text == "the page"


@pytest.mark.parametrize("path", LENGTHS)
async def test_what_the_engine_does_not_heed_is_named_with_the_answer(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with house(monkeypatch) as one:
        seeded = await one.post({**HELLO, "seed": 0, "temperature": 1}, path)
        assert seeded.status_code == 200 and seeded.headers["x-batchat-ignored"] == "seed"
        for body in (HELLO, {**HELLO, "seed": None}):
            assert "x-batchat-ignored" not in (await one.post(body, path)).headers


async def test_a_key_goes_no_further_than_the_door(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with house(monkeypatch, api_key=KEYS) as one:
        answers = [await one.post(key=key) for key in (*KEYS, "wrong-key")]
        answers.append(await one.post([], key=KEYS[0]))
        seen = caplog.text + str(one.upstream.headers) + "".join(answer.text for answer in answers)
        assert not any(key in seen for key in (*KEYS, "wrong-key"))
        assert not any(key in text for key in KEYS for text in (repr(Settings(api_key=KEYS)), repr(vars(one.api))))


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the laboratory\nfirst\n\n  second  \n")
    keys = openai_api.ApiKeys(Settings(api_key=("third",), api_key_file=str(file)))
    owners = {keys.owner({"headers": [(b"authorization", b"Bearer " + key)]}) for key in (b"first", b"second", b"third")}
    assert len(owners) == 3
    for content in ("", "# nothing\n"):
        file.write_text(content)
        with pytest.raises(BadSetting, match="--api-key-file"):
            openai_api.ApiKeys(Settings(api_key_file=str(file)))
    with pytest.raises(BadSetting, match="no/such"):
        openai_api.ApiKeys(Settings(api_key_file="/no/such/file"))


@pytest.mark.parametrize("path", [*sorted(BLOCKED), "/v1/embeddings", "/v1/responses/resp_1", "/v1/models/", "/v2/rerank"])
async def test_what_is_not_allowed_does_not_exist(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async with house(monkeypatch) as one:
        for method in ("GET", "POST"):
            response = await one.client.request(method, path)
            assert response.status_code == 404 and error_of(response)["code"] == "unknown_path"
        assert one.upstream.headers == []


async def test_everything_else_is_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch, api_key=KEYS) as one:
        for path in ("/", "/health", "/api/status", "/v1", "/gradio_api/info"):
            assert (await one.client.get(path)).text == "the page"
        response = await one.client.put("/v1/models", headers={"authorization": f"Bearer {KEYS[0]}"})
        assert response.status_code == 405 and error_of(response)["code"] == "wrong_method"


async def test_before_the_engine_is_ready_and_while_it_restarts_the_api_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch) as one:
        assert (await one.post()).status_code == 200
        engine = one.supervisor.engine
        assert isinstance(engine, StandIn)
        await engine.shutdown()
        response = await one.post()
        assert response.status_code == 503 and int(response.headers["retry-after"]) > 0
        assert error_of(response)["code"] == "engine_restarting"
        await one.supervisor.ready()
        assert (await one.post()).status_code == 200
        assert one.upstream.built == 2  # for each engine its own
    starting = House(Settings(), Upstream())
    response = await starting.post()
    assert response.status_code == 503 and error_of(response)["code"] == "engine_not_ready"


async def test_each_key_has_a_cap_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch, api_key=KEYS, max_requests=3) as one:
        one.upstream.may_answer.clear()
        running = [asyncio.create_task(one.post(body, key=KEYS[0])) for body in (HELLO, {**HELLO, "n": 2})]
        await one.until(lambda: len(one.upstream.bodies) == 2)
        refused = await one.post(key=KEYS[0])
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        error = error_of(refused)
        assert (error["code"], error["type"]) == ("too_many_requests", "rate_limit_error")
        assert "3 at once" in error["message"]
        running.append(asyncio.create_task(one.post(key=KEYS[1])))
        await one.until(lambda: len(one.upstream.bodies) == 3)
        one.upstream.may_answer.set()
        assert [response.status_code for response in await asyncio.gather(*running)] == [200] * 3
        assert (await one.post(key=KEYS[0])).status_code == 200
        assert one.admission.in_flight("key 0") == 0
        never = await one.post({"prompt": ["a", "b"], "n": 2}, path="/v1/completions", key=KEYS[0])
        assert never.status_code == 400 and error_of(never)["param"] == "n"


async def test_the_line_has_a_bound_for_everybody_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch, max_waiting=1) as one:
        one.upstream.may_answer.clear()
        one.admission.enter("a visitor", 2)  # both lanes
        running = asyncio.create_task(one.post())
        await one.until(lambda: len(one.upstream.bodies) == 1)
        refused = await one.post()
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
        assert error_of(refused)["code"] == "queue_full"
        with pytest.raises(QueueFull):
            one.admission.check_line()
        one.upstream.may_answer.set()
        assert (await running).status_code == 200
        one.admission.check_line()


async def test_headers_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch) as one:
        foreign = {"x-request-id": "page-1", "x-vllm-priority": "-9", "cookie": "a=b", "endpoint-load-metrics-format": "TEXT"}
        await one.client.post(CHAT, json=HELLO, headers=foreign)
        assert set(one.upstream.headers[0]) == {"host", "content-type", "content-length"}


async def test_no_request_bears_an_id_of_its_own_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch) as one:
        for path in ANSWERED:
            if ANSWERED[path] == "POST":
                await one.post({**HELLO, "request_id": "page-1"}, path=path)
        assert len(one.upstream.bodies) == 5 and all(body == HELLO for body in one.upstream.bodies)


@pytest.mark.parametrize(("path", "limit"), [(CHAT, BODY_AT_MOST), ("/tokenize", TOKENIZED_AT_MOST)])
async def test_a_body_has_a_largest_size(monkeypatch: pytest.MonkeyPatch, path: str, limit: int) -> None:
    async with house(monkeypatch) as one:
        response = await one.client.post(path, content=b" " * (limit + 1))
        assert response.status_code == 413 and error_of(response)["code"] == "body_too_large"


async def test_other_origins_may_come_only_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = "https://example.org"
    preflight = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with house(monkeypatch, api_key=KEYS) as one:
        asked = await one.client.options(CHAT, headers=preflight)
        answered = await one.client.post(CHAT, json=HELLO, headers={"origin": origin, "authorization": f"Bearer {KEYS[0]}"})
        assert asked.status_code == 401 and answered.status_code == 200
        assert not any(name.startswith("access-control") for response in (asked, answered) for name in response.headers)
    async with house(monkeypatch, api_key=KEYS, allowed_origins=(origin,)) as one:
        asked = await one.client.options(CHAT, headers=preflight)
        assert asked.status_code == 200 and asked.headers["access-control-allow-origin"] == origin
        stranger = await one.client.options(CHAT, headers={**preflight, "origin": "https://example.com"})
        assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"[" * 100_000, b'{"a":' * 300 + b"1" + b"}" * 300])
def test_what_is_no_request_is_named(content: bytes) -> None:
    with pytest.raises(BadInput):
        checked(CHAT, content, None)


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_what_must_not_pass_is_named(field: str) -> None:
    for path in ANSWERED:
        with pytest.raises(BadInput) as refused:
            checked(path, orjson.dumps({**HELLO, field: True}), None)
        assert refused.value.params["field"] == field
    assert checked(CHAT, orjson.dumps({**HELLO, field: None}), None).answers == 1


@pytest.mark.parametrize("kind", sorted(MEDIA))
def test_only_text_passes(kind: str) -> None:
    for part in ({"type": kind}, {kind: "http://10.0.0.1/"}):
        for body in ({"messages": [{"role": "user", "content": [part]}]}, {"input": [{"type": "message", "content": [part]}]}):
            with pytest.raises(BadInput):
                checked(CHAT, orjson.dumps(body), None)


@pytest.mark.parametrize("value", ["9", 9.0, True, [9], {}])
def test_what_only_looks_like_a_number_passes_no_limit(value: Any) -> None:
    for body in ({"n": value}, {"max_tokens": value}):
        with pytest.raises(BadInput):
            checked("/v1/completions", orjson.dumps({"prompt": "a", **body}), 10)


@given(st.sampled_from(sorted(LENGTHS)), st.integers(1, 50), st.dictionaries(st.sampled_from(sorted(REFUSED)), st.none()))
def test_no_answer_is_longer_than_the_settings_allow(path: str, limit: int, extra: dict[str, None]) -> None:
    for given_length in (None, 1, limit, limit + 1, 10**6):
        for field in LENGTHS[path]:
            body = orjson.loads(checked(path, orjson.dumps({**extra, field: given_length}), limit).body)
            lengths = [body[name] for name in LENGTHS[path] if body.get(name) is not None]
            assert lengths and max(lengths) <= limit
            assert given_length is None or lengths == [min(given_length, limit)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), max_size=30))
def test_admission_counts_what_is_in_and_nothing_else(requests: list[tuple[str, int]]) -> None:
    admission = Admission(5, lanes=lambda: 3)
    inside: list[tuple[str, int, Any]] = []
    for index, (owner, count) in enumerate(requests):
        before = sum(n for name, n, _ in inside if name == owner)
        total = sum(n for _, n, _ in inside)
        entry = admission.admitted(owner, count, limit=6)
        try:
            entry.__enter__()
        except TooManyRequests:
            assert before + count > 6
        except QueueFull as full:
            assert total + count > 8 and full.params["waiting"] == max(0, total - 3)
        else:
            assert before + count <= 6 and total + count <= 8
            inside.append((owner, count, entry))
        if index % 3 == 2 and inside:
            inside.pop(0)[2].__exit__(None, None, None)
        for owner in "abc":
            assert admission.in_flight(owner) == sum(n for name, n, _ in inside if name == owner)


@pytest.mark.parametrize(
    ("limit", "status", "code"), [({"max_waiting": 0}, 503, "queue_full"), ({"max_turns": 0}, 429, "too_many_turns")]
)
async def test_the_page_says_when_to_come_back_too(limit: dict[str, int], status: int, code: str) -> None:
    app = App(Settings(**limit, data_dir=NONE))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url="http://testserver") as client:
        refused = await client.post(f"/api/chats/{'0' * 32}/messages", json={"text": "Hello!"}, headers={"x-batchat": "1"})
    assert refused.status_code == status and refused.json()["error"]["code"] == code
    assert int(refused.headers["retry-after"]) > 0
