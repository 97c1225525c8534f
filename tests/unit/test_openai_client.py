"""A server somewhere else, with every fault that it can have."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faulty_server import ANSWER, DONE, Do, FaultyServer, event, faulty_server, says, streams
from webui import errors
from webui.engines.openai_client import OpenAIServer, Part, RemoteModel

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}


@asynccontextmanager
async def before(*chat: Do, others: dict[str, list[Do]] | None = None, **options: Any) -> AsyncIterator[Any]:
    """A client before a faulty server, and this server."""
    async with faulty_server(*chat, **(others or {})) as faulty:
        remote = OpenAIServer(faulty.url, **options)
        try:
            yield remote, faulty
        finally:
            await remote.close()


async def ask(remote: OpenAIServer) -> list[Part]:
    return [part async for part in remote.chat(HELLO)]


async def test_an_answer_comes_in_parts_with_its_end_and_its_count() -> None:
    counted = streams(event("He", usage={"prompt_tokens": 7, "completion_tokens": 1}), event("", "length"), DONE)
    async with before(counted, api_key="secret") as (remote, faulty):
        assert await ask(remote) == [Part("He", None, 1, 7), Part("", "length")]
        path, head, body = faulty.requests[0]
        assert path == "/v1/chat/completions" and body == HELLO and "authorization: bearer secret" in head.lower()


async def test_models_are_what_the_server_says() -> None:
    cards = {"object": "list", "data": [{"id": "a", "max_model_len": 2048, "owned_by": "vllm"}, {"id": "b"}]}
    async with before(others={"models": [says(200, cards)]}) as (remote, _):
        assert await remote.models() == [RemoteModel("a", 2048, "vllm"), RemoteModel("b")]
    for nonsense in ("<html>", {"data": 3}, {"models": []}, []):
        async with before(others={"models": [says(200, nonsense)]}) as (remote, _):
            with pytest.raises(errors.ServerFailed):
                await remote.models()


async def test_what_not_every_server_has_is_asked_and_may_be_missing() -> None:
    there = {"tokenize": [says(200, {"count": 2, "tokens": [5, 6]})], "version": [says(200, {"version": "0.30.0"})]}
    async with before(others=there) as (remote, faulty):
        assert await remote.tokenize("m", HELLO["messages"], add_generation_prompt=False) == [5, 6]
        assert faulty.asked("/tokenize") == [{"model": "m", "messages": HELLO["messages"], "add_generation_prompt": False}]
        assert await remote.version() == "0.30.0"
    async with before(others={"version": [says(200, "<html>")]}) as (remote, faulty):
        assert await remote.tokenize("m", []) is None and await remote.version() == ""
        assert await remote.text(remote.root + "/metrics") is None


@pytest.mark.parametrize(
    ("answer", "error", "shown"),
    [
        (says(401, {"error": {"message": "no"}}), errors.ServerKeyRefused, "API key"),
        (says(403, {}), errors.ServerKeyRefused, "API key"),
        (says(404, {"error": {"message": "no such model."}}), errors.ModelNotServed, "does not serve m: no such model"),
        (says(400, {"error": {"message": "too long"}}), errors.RequestRefused, "too long"),
        (says(422, "<html>"), errors.RequestRefused, "HTTP 422"),
        (says(500, {}), errors.ServerFailed, "HTTP 500"),
        (says(502, "<html>"), errors.ServerFailed, "HTTP 502"),
        (says(503, {"detail": "not ready"}), errors.ServerFailed, "HTTP 503: not ready"),
        (says(429, {}, retry_after="3600"), errors.ServerBusy, "3600 seconds"),
    ],
)
async def test_what_a_server_says_has_an_error_of_its_own(answer: Do, error: type[errors.WebuiError], shown: str) -> None:
    async with before(answer, api_key="secret") as (remote, faulty):
        with pytest.raises(error, match=shown) as raised:
            await ask(remote)
        assert "secret" not in str(raised.value)
        assert len(faulty.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again_when_it_says(status: int) -> None:
    busy = says(status, {}, retry_after="0.2")
    async with before(busy, busy, ANSWER) as (remote, faulty):
        began = asyncio.get_running_loop().time()
        assert (await ask(remote))[-1].end == "stop"
        assert asyncio.get_running_loop().time() - began >= 0.4 and len(faulty.requests) == 3
    for never in (busy, says(status, {}, retry_after="0")):
        async with before(never, patience=0.3) as (remote, _):
            with pytest.raises(errors.ServerBusy):
                await asyncio.wait_for(ask(remote), 60)


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://127.0.0.1:9/v1", errors.ServerUnreachable), ("http://no-such-host.invalid/v1", errors.ServerNotFound)],
)
async def test_a_server_that_is_not_there(url: str, error: type[errors.WebuiError]) -> None:
    remote = OpenAIServer(url)
    for asked in (ask(remote), remote.models()):
        with pytest.raises(error, match=url) as raised:
            await asked
        assert raised.value.passing
    assert await remote.text(url) is None
    await remote.close()


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own_certificate(tmp_path))
    listening = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    remote = OpenAIServer(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
    with pytest.raises(errors.ServerUntrusted, match="self-signed certificate"):
        await remote.models()
    await remote.close()
    listening.close()


def own_certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")]), datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "certificate.pem"
    path.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()) + certificate.public_bytes(pem))
    return path


async def test_what_speaks_no_tls_is_not_trusted() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 x\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    remote = OpenAIServer(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
    with pytest.raises(errors.ServerUntrusted):
        await remote.models()
    await remote.close()
    listening.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (streams(event("He"), then="cut"), errors.ConnectionBroken),
        (streams(event("He")), errors.ConnectionBroken),
        (streams(event("He"), DONE), errors.ConnectionBroken),
        (streams(event("He"), b"data: {nonsense\n\n"), errors.ConnectionBroken),
        (streams(event("He"), b"data: [3]\n\n"), errors.ConnectionBroken),
        (streams(event("He"), b'data: {"error": {"message": "dead", "code": 500}}\n\n'), errors.ServerFailed),
        (streams(event("He"), b'data: {"error": {"message": "odd", "code": 400}}\n\n'), errors.RequestRefused),
        (streams(event("He"), then="silence"), errors.ServerStalled),
    ],
)
async def test_what_came_before_a_stream_broke_is_kept(answer: Do, error: type[errors.WebuiError]) -> None:
    parts = []
    async with before(answer, stall_after=0.3) as (remote, _):
        with pytest.raises(error):
            async for part in remote.chat(HELLO):
                parts.append(part)
    assert parts == [Part("He")]


async def test_a_stream_that_says_nothing_ends_with_its_client() -> None:
    """Waiting in a server's line is no fault, until the app gives the server up."""
    async with before(streams(then="silence"), stall_after=0.1) as (remote, faulty):
        asking = asyncio.create_task(ask(remote))
        while not faulty.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert not asking.done()
        await remote.close()
        with pytest.raises(errors.ConnectionBroken):
            await asyncio.wait_for(asking, 60)


@pytest.mark.parametrize("by", ["leaving", "cancelling"])
async def test_an_answer_that_is_left_is_stopped_at_the_server(by: str) -> None:
    async with before(streams(event("on and on, "), then="endless")) as (remote, faulty):
        if by == "leaving":
            async with aclosing(remote.chat(HELLO)) as parts:
                await anext(parts)
        else:
            asking = asyncio.create_task(ask(remote))
            while not faulty.requests:
                await asyncio.sleep(0.01)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
        await asyncio.wait_for(faulty.left.wait(), 60)


async def test_a_server_that_was_started_again_is_asked_again() -> None:
    faulty = FaultyServer({"/v1/chat/completions": [ANSWER]})
    await faulty.start()
    remote = OpenAIServer(faulty.url)
    assert await ask(remote)
    await faulty.stop()
    with pytest.raises(errors.ServerUnreachable):
        await ask(remote)
    await faulty.start()
    assert await ask(remote)
    await faulty.stop()
    await remote.close()
