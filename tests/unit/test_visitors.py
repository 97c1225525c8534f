"""Who is who: signed cookies, and the key in the data folder."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from webui.data_folder import KEY, DataFolder, default_folder
from webui.errors import BadSetting
from webui.server.visitors import COOKIE, PASSING_COOKIE, RENEW_AFTER, Signer, VisitorCookie

SECRET = b"s" * 32
NAME = "A" * 22


async def visit(signer: Signer, cookie: str | None = None, url: str = "http://test/") -> httpx.Response:
    async def name(request: Request) -> PlainTextResponse:
        kept = {"cache-control": "public, max-age=31536000, immutable"} if request.url.path == "/assets" else {}
        return PlainTextResponse(request.scope["state"]["visitor"], headers=kept)

    app = Starlette(
        routes=[Route("/", name), Route("/assets", name)], middleware=[Middleware(VisitorCookie, path="/chat", signer=signer)]
    )
    headers = {} if cookie is None else {"cookie": f"{signer.cookie}={cookie}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return await client.get(url, headers=headers)


async def test_a_new_visitor_gets_a_cookie_that_no_script_reads_and_is_known_by_it() -> None:
    signer = Signer(SECRET)
    first = await visit(signer, url="https://test/")
    words = first.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/chat", "Secure"} <= set(words) and words[0].startswith(f"{COOKIE}=")
    again = await visit(signer, words[0].partition("=")[2])
    assert again.text == first.text and "set-cookie" not in again.headers
    assert "Secure" not in (await visit(signer)).headers["set-cookie"].split("; ")


async def test_what_everybody_may_keep_gives_nobody_a_name() -> None:
    assert "set-cookie" not in (await visit(Signer(SECRET), url="http://test/assets")).headers


def forgeries() -> list[str]:
    valid = Signer(SECRET).write(NAME, time.time())
    name, written, signature = valid.split(".")
    return [
        NAME,  # as earlier versions wrote it
        "",
        Signer(b"t" * 32).write(NAME, time.time()),
        f"{'B' * 22}.{written}.{signature}",
        f"{name}.{int(written, 16) + 1:x}.{signature}",
        f"{name}.{written}.{'A' * 43}",
        f"{name}.{written}",
        valid + "x",
    ]


@pytest.mark.parametrize("cookie", forgeries())
async def test_a_cookie_that_was_not_written_here_is_replaced(cookie: str) -> None:
    answer = await visit(Signer(SECRET), cookie)
    assert answer.text != NAME and len(answer.text) == 22 and "set-cookie" in answer.headers


async def test_a_cookie_is_renewed_before_it_grows_old() -> None:
    signer = Signer(SECRET)
    old = await visit(signer, signer.write(NAME, time.time() - RENEW_AFTER - 1))
    assert old.text == NAME and signer.read(old.headers["set-cookie"].split("=")[1].split(";")[0]) is not None


async def test_without_a_kept_key_the_kept_cookie_is_left_alone() -> None:
    signer = Signer(None)
    assert (await visit(signer)).headers["set-cookie"].startswith(f"{PASSING_COOKIE}=") and PASSING_COOKIE != COOKIE


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    folder = DataFolder(str(tmp_path / "new"))
    key = folder.key()
    assert key is not None and len(key) == 32 and DataFolder(str(tmp_path / "new")).key() == key
    assert stat.S_IMODE((tmp_path / "new" / KEY).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY]


def test_a_broken_key_is_said_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(BadSetting):
        DataFolder(str(tmp_path)).key()
    assert (tmp_path / KEY).read_bytes() == b"short"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_key_is_said(tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(SECRET)
    (tmp_path / KEY).chmod(0)
    with pytest.raises(BadSetting):
        DataFolder(str(tmp_path)).key()


def test_no_folder_no_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert DataFolder("none").key() is None and DataFolder(str(tmp_path / "file" / "below")).key() is None


@pytest.mark.parametrize(("given", "expected"), [("/x/data", "/x/data/batchat"), ("relative", None), ("", None)])
def test_the_default_folder_is_the_users(monkeypatch: Any, given: str, expected: str | None) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", given)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(default_folder()) == (expected or "/home/somebody/.local/share/batchat")
