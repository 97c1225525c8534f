"""How the application is served: over TLS, beyond this machine, under a path of a proxy's."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.told_app import HASH, HTML, PrefixProxy, house, log_in, served, users_file
from webui.errors import BadSetting
from webui.server.process import check_certificate, server_config
from webui.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
SECRET = serialization.BestAvailableEncryption(b"a password")
OPEN = serialization.NoEncryption()


def make_key(path: Path, encryption: serialization.KeySerializationEncryption = OPEN) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    path.write_bytes(pem)
    return key


def make_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """One for 127.0.0.1 that vouches for itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Batchat's tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A certificate's file, and its key's."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, make_key(key))
    return str(certificate), str(key)


# TLS


async def test_the_login_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pair: tuple[str, str]) -> None:
    settings = {"auth": str(users_file(tmp_path, alice=HASH)), "ssl_certfile": pair[0], "ssl_keyfile": pair[1]}
    async with house(monkeypatch, **settings) as one, served(one.app.asgi, one.app.settings) as address:
        trust = ssl.create_default_context(cafile=pair[0])
        async with httpx.AsyncClient(base_url=f"https://{address}", verify=trust, timeout=120) as client:
            client.headers["x-batchat"] = "1"
            assert (await client.get("/", headers=HTML)).status_code == 401
            assert "Secure" in (await log_in(client)).headers["set-cookie"]
            assert (await client.get("/api/account")).json()["name"] == "alice"
            client.cookies.clear()
            forged = {"x-forwarded-user": "alice", "upgrade": "websocket", "connection": "upgrade"}
            assert (await client.get("/api/account", headers=forged)).status_code == 401
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(timeout=120) as plain:
                await plain.get(f"http://{address}/health")


def test_certificate_and_key_may_be_in_one_file(tmp_path: Path, pair: tuple[str, str]) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(Path(pair[0]).read_bytes() + Path(pair[1]).read_bytes())
    check_certificate(Settings(ssl_certfile=str(both)))
    check_certificate(Settings(ssl_certfile=pair[0], ssl_keyfile=pair[1]))
    check_certificate(Settings())


def wrong_pairs(folder: Path, pair: tuple[str, str]) -> dict[str, tuple[str, str | None]]:
    """What is said of it -> the files."""
    make_key(folder / "other.pem")
    make_key(folder / "encrypted.pem", SECRET)
    (folder / "text.pem").write_text("no certificate")
    (folder / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    missing = str(folder / "missing.pem")
    return {
        f"--ssl-certfile: {missing} cannot be read": (missing, pair[1]),
        f"--ssl-keyfile: {missing} cannot be read": (pair[0], missing),
        "text.pem is not in PEM format": (str(folder / "text.pem"), pair[1]),
        "is not that of the private key": (pair[0], str(folder / "other.pem")),
        "private key is missing, encrypted or not valid": (pair[0], None),
        "private key is missing, encrypted": (pair[0], str(folder / "encrypted.pem")),
        "torn.pem or its private key": (str(folder / "torn.pem"), pair[1]),
    }


def test_files_that_do_not_fit_are_named(tmp_path: Path, pair: tuple[str, str]) -> None:
    for said, (certificate, key) in wrong_pairs(tmp_path, pair).items():
        with pytest.raises(BadSetting) as error:
            check_certificate(Settings(ssl_certfile=certificate, ssl_keyfile=key))
        assert said in str(error.value)


# Who may be reached from where


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "batchat.example", ""])
def test_beyond_this_machine_nobody_is_let_in_by_accident(host: str) -> None:
    with pytest.raises(BadSetting, match="--insecure"):
        load(["--host", host], {})
    for given in (
        ["--auth", "users.toml"],
        ["--api-key", "a-key"],
        ["--api-key-file", "keys"],
        ["--auth-header", "X-Forwarded-User", "--trusted-proxy", "10.0.0.1"],
        ["--insecure"],
    ):
        assert load(["--host", host, *given], {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_this_machine_everybody_is(host: str) -> None:
    assert load(["--host", host], {}).is_local


@pytest.mark.parametrize(
    "arguments",
    [
        ["--auth-header", "X-Forwarded-User"],
        ["--auth-header", "X-Forwarded-User", "--trusted-proxy", "10.0.0.300"],
        ["--auth-header", "two words", "--trusted-proxy", "10.0.0.1"],
        ["--auth-header", "X-Forwarded-User", "--trusted-proxy", "10.0.0.1", "--auth", "users.toml"],
        ["--ssl-keyfile", "key.pem"],
        ["--session-days", "0"],
    ],
)
def test_settings_that_do_not_go_together_are_named(arguments: list[str]) -> None:
    with pytest.raises(BadSetting, match=arguments[0] if "10.0.0.300" not in arguments else "--trusted-proxy"):
        load(arguments, {})


def test_the_process_ends_with_one_sentence(tmp_path: Path) -> None:
    for arguments, status in ((["--host", "0.0.0.0"], 2), (["--ssl-certfile", str(tmp_path / "missing.pem")], 1)):
        ended = subprocess.run(
            [sys.executable, "-m", "webui", "--port", "0", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "WEBUI_DATA_DIR": "none"},
        )
        assert ended.returncode == status and len(ended.stderr.splitlines()) == 1, ended.stderr


# Under a path


async def test_everything_stands_under_the_path_of_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    users = users_file(tmp_path, alice=HASH)
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(house(monkeypatch, auth=str(users), root_path="/chat"))
        await one.app.page.mount("/chat")
        server = await stack.enter_async_context(served(one.app.asgi, one.app.settings))
        address = await stack.enter_async_context(served(PrefixProxy(server, "/chat"), Settings()))
        client: Any = httpx.AsyncClient(base_url=f"http://{address}/chat", headers={"x-batchat": "1"}, timeout=120)
        await stack.enter_async_context(client)
        assert '<base href="/chat/">' in (await client.get("/", headers=HTML)).text
        assert (await client.get("/health")).status_code == 200
        assert "Path=/chat" in (await log_in(client)).headers["set-cookie"]
        page = await client.get("/", headers=HTML)
        assert page.status_code == 200 and "gradio" in page.text
        for path in ("/api/status", "/board", "/assets/js/main.js", "/theme.css"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/gradio_api/info", "/config", "/monitoring"):
            assert (await client.get(path)).status_code == 404, path
        async with client.stream("GET", "/api/stream?board=1") as stream:
            assert (await anext(stream.aiter_lines())).startswith("retry")


async def _nothing(*_: Any) -> None: ...


def test_an_idle_connection_is_closed_by_the_proxy_and_not_under_its_request() -> None:
    nginx_keeps = 60  # seconds: its upstream keepalive_timeout, unless told otherwise
    assert server_config(_nothing, Settings()).timeout_keep_alive > nginx_keeps


def test_a_closed_terminal_is_an_end_like_ctrl_c() -> None:
    code = """
import asyncio, os, signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from webui.server import process
async def main():
    stop = process._stop_on_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(stop.wait(), 60)
asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
