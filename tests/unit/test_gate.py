"""The gate before the real application, around an engine that does as it is told: who comes in, by which door, to what."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.routing import Mount
from starlette.types import Message, Scope

from tests.told_app import HASH, HTML, PASSWORD, house, log_in, users_file
from tests.unit.test_accounts import OTHER_HASH
from webui.accounts.attempts import AT_MOST_OF_BOTH
from webui.server import gate, gradio_paths, openai_api
from webui.server.app import App
from webui.server.chat_api import GUARD
from webui.server.login import COOKIE
from webui.server.page import PUBLIC
from webui.server.visitors import COOKIE as VISITOR_COOKIE
from webui.ui.texts import load_texts

DAY = 86400.0
PROXY = "10.0.0.9"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return users_file(tmp_path, alice=HASH, bob=HASH)


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


# Every route


def paths(routes: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of every route there is, with a value in each hole."""
    for route in routes:
        path = before + re.sub(r"\{[^}]*\}", "0" * 32, route.path)
        if isinstance(route, Mount):
            yield "GET", f"{path}/anything.js"
        else:
            yield from ((method, path) for method in sorted(route.methods or ("GET", "POST")))


async def gradio_routes(app: App) -> list[Any]:
    """Those of the chat page, which is built for it."""
    await app.page.mount(app.settings.root_path)
    chat: Any = app.page._chat
    (mounted,) = chat._gradio.routes
    return list(mounted.routes)


async def test_no_route_answers_anybody_unknown(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        ours = list(paths(list(one.app._page_routes(one.app._login()).routes)))
        gradios = list(paths(await gradio_routes(one.app)))
        vllms = [
            *((method, path) for path, method in openai_api.ANSWERED.items()),
            *((method, path) for path in sorted(openai_api.BLOCKED) for method in ("GET", "POST")),
        ]
        assert len(ours) > 25 and len(gradios) > 50 and {("GET", "/metrics"), ("GET", "/api/stream")} <= set(ours)
        stranger = one.browser()
        for method, path in [*ours, *gradios, *vllms, ("GET", "/nothing/here"), ("GET", "//health"), ("GET", "/health/")]:
            for cookie in ("", "alice", "YWxpY2U.AAAAAAAAAAAAAAAAAAAAAA.ffffffff." + "A" * 43):
                answer = await stranger.request(method, path, headers={"cookie": f"{COOKIE}={cookie}"})
                where = f"{method} {path}: {answer.status_code}"
                if path in gate.OPEN:
                    assert answer.status_code in (200, 303, 401, 429), where
                elif path in openai_api.BLOCKED:
                    assert answer.status_code == 404, where
                else:
                    assert answer.status_code == 401, where
                    assert method == "HEAD" or code_of(answer) in ("login_needed", "no_api_keys"), where
                assert "set-cookie" not in answer.headers
        assert one.app.chats.library._visitors == {}


async def test_a_known_person_gets_the_pages_routes(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser()
        assert (await browser.get("/health")).status_code == 200
        await log_in(browser)
        for path in ("/api/status", "/api/board", "/metrics", "/board", "/api/export", f"/assets/{PUBLIC[0]}/main.js"):
            assert (await browser.get(path)).status_code == 200, path
        assert (await browser.get("/api/account")).json() == {"name": "alice", "may_log_out": True}
        # What says nothing of it itself is not kept by anybody in between.
        assert (await browser.get("/api/status")).headers["cache-control"] == "private, no-cache"


async def test_gradios_routes_are_all_known_and_only_those_that_the_page_loads_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house(monkeypatch) as one:
        before = await one.browser().get("/gradio_api/info")
        routes = await gradio_routes(one.app)
        templates = {route.path.rstrip("/") or "/" for route in routes}
        needed = {"/", "/theme.css", "/favicon.ico", "/static/{path:path}", "/assets/{path:path}"}
        elsewhere = {path for path in templates if path.startswith(gradio_paths.CLOSED_FOLDER)}
        assert templates - elsewhere == needed | gradio_paths.CLOSED, "a new release of Gradio has other routes"
        assert before.status_code == 503 and len(elsewhere) > 20
        browser = one.browser()
        for method, path in paths(routes):
            answer = await browser.request(method, path, headers=HTML)
            if gradio_paths.is_needed(path) and method in ("GET", "HEAD"):
                assert answer.status_code == 200 or path.endswith("0" * 32), path
            else:
                assert answer.status_code == 404, (method, path)
        for path in ("/gradio_api/file=/etc/passwd", "/gradio_api/proxy=http://169.254.169.254/", "/gradio_api/upload"):
            for method in ("GET", "POST"):
                assert (await browser.request(method, path)).status_code == 404
        for path in ("/assets/../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/assets/js/../../webui/app.py"):
            assert (await browser.get(path)).status_code in (403, 404), path


async def test_nothing_but_http_passes(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        scope: Scope = {"type": "websocket", "path": "/api/stream", "headers": [], "client": ("192.0.2.1", 1), "scheme": "ws"}
        await one.app.asgi(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]


# Logging in and out


async def test_the_cookie_is_read_by_no_script_and_logging_out_ends_it_everywhere(
    monkeypatch: pytest.MonkeyPatch, users: Path
) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser(scheme="https")
        words = (await log_in(browser)).headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/", f"Max-Age={14 * 24 * 3600}"} <= set(words)
        assert "Secure" not in (await log_in(one.browser())).headers["set-cookie"].split("; ")
        stolen = one.browser(cookie=words[0])
        assert (await stolen.get("/api/status")).status_code == 200
        gone = await browser.post("/logout", json={})
        assert gone.status_code == 200 and "Max-Age=0" in gone.headers["set-cookie"]
        assert (await browser.get("/api/status")).status_code == (await stolen.get("/api/status")).status_code == 401


async def test_logging_out_outlives_a_restart(monkeypatch: pytest.MonkeyPatch, users: Path, tmp_path: Path) -> None:
    settings = {"auth": str(users), "data_dir": str(tmp_path / "data")}
    async with house(monkeypatch, **settings) as one:
        browser = one.browser()
        gone = (await log_in(browser)).headers["set-cookie"].split("; ")[0]
        await browser.post("/logout", json={})
        stays = (await log_in(browser)).headers["set-cookie"].split("; ")[0]
    async with house(monkeypatch, **settings) as one:
        assert (await one.browser(cookie=gone).get("/api/status")).status_code == 401
        assert (await one.browser(cookie=stays).get("/api/status")).status_code == 200


async def test_another_sites_page_can_neither_log_in_nor_out(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser()
        del browser.headers[GUARD]
        refused = await log_in(browser)
        assert refused.status_code == 400 and "set-cookie" not in refused.headers
        browser.headers[GUARD] = "1"
        await log_in(browser)
        del browser.headers[GUARD]
        assert (await browser.post("/logout", json={})).status_code == 400
        assert (await browser.get("/api/status")).status_code == 200


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong password"), ("nobody", PASSWORD), ("", PASSWORD), ("a b", PASSWORD), ("alice", "")]
)
async def test_wrong_names_and_passwords_look_alike(
    monkeypatch: pytest.MonkeyPatch, users: Path, name: str, password: str
) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        refused = await log_in(one.browser(), name, password)
        assert refused.status_code == 401 and code_of(refused) == "login_failed" and "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"name": 3}', b'{"name": "alice", "password": "' + b"x" * 2000 + b'"}', b"x" * 20_000]
)
async def test_what_is_no_login_is_refused(monkeypatch: pytest.MonkeyPatch, users: Path, body: bytes) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        assert (await one.browser().post("/login", content=body)).status_code == 400


async def test_failed_attempts_are_few(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser()
        for _ in range(AT_MOST_OF_BOTH):
            assert (await log_in(browser, password="wrong password")).status_code == 401
        # Whoever is not a trusted proxy cannot give another address.
        for headers in ({}, {"x-forwarded-for": "198.51.100.7"}, {"forwarded": "for=198.51.100.7"}):
            refused = await log_in(one.browser(**headers))
            assert refused.status_code == 429 and code_of(refused) == "too_many_attempts"
            assert 0 < int(refused.headers["retry-after"]) <= 900
        assert (await log_in(one.browser(), "bob")).status_code == 200
        assert (await log_in(one.browser("192.0.2.2"))).status_code == 200


async def test_a_session_goes_on_while_it_is_used_and_ends_when_it_is_not(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    now = [1e9]
    clock = SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0])
    monkeypatch.setattr("webui.server.login.time", clock)
    async with house(monkeypatch, auth=str(users), session_days=10) as one:
        browser = one.browser()
        browser.headers["cookie"] = (await log_in(browser)).headers["set-cookie"].split(";")[0]
        now[0] += DAY / 2
        assert "set-cookie" not in (await browser.get("/api/status")).headers
        now[0] += 9 * DAY
        asset = await browser.get(f"/assets/{PUBLIC[0]}/main.js", params={"v": "1"})
        assert "public" in asset.headers["cache-control"] and "set-cookie" not in asset.headers
        renewed = await browser.get("/api/status")
        now[0] += DAY
        assert (await browser.get("/api/status")).status_code == 401
        browser.headers["cookie"] = renewed.headers["set-cookie"].split(";")[0]
        assert (await browser.get("/api/status")).status_code == 200


async def test_another_password_ends_sessions_at_once(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        alice, bob = one.browser(), one.browser()
        await log_in(alice)
        await log_in(bob, "bob")
        users_file(users.parent, alice=OTHER_HASH, bob=HASH)
        assert (await alice.get("/api/status")).status_code == 401 and (await bob.get("/api/status")).status_code == 200
        assert (await log_in(alice)).status_code == 401
        assert (await log_in(alice, password="another password")).status_code == 200


async def streamed(app: App, cookie: str, meanwhile: Callable[[], Any]) -> list[Message]:
    """What an event stream sends until the server ends it; `meanwhile` happens once it has begun."""
    sent: list[Message] = []
    changed = asyncio.Event()

    async def send(message: Message) -> None:
        sent.append(message)
        changed.set()

    async def receive() -> Message:
        while not sent or sent[-1].get("more_body", True):
            changed.clear()
            await changed.wait()
        return {"type": "http.disconnect"}

    scope: Scope = {
        **{"type": "http", "method": "GET", "path": "/api/stream", "query_string": f"chat={'c' * 32}".encode()},
        **{"headers": [(b"cookie", cookie.encode())], "client": ("192.0.2.1", 1), "scheme": "http"},
    }
    async with asyncio.timeout(120):
        streaming = asyncio.create_task(app.asgi(scope, receive, send))
        while len(sent) < 2:
            await changed.wait()
            changed.clear()
        meanwhile()
        await streaming
    return sent


async def test_an_open_stream_ends_with_its_session(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        cookie = (await log_in(one.browser())).headers["set-cookie"].split(";")[0]
        sent = await streamed(one.app, cookie, lambda: users_file(users.parent, alice=OTHER_HASH))
        assert sent[0]["status"] == 200 and sent[-1] == gate.END and one.app.everybody.watchers == 0


# Whose conversations


async def test_a_user_has_one_list_in_every_browser_and_nobody_else_reads_it(
    monkeypatch: pytest.MonkeyPatch, users: Path, tmp_path: Path
) -> None:
    chat = secrets.token_hex(16)
    async with house(monkeypatch, auth=str(users), data_dir=str(tmp_path / "data")) as one:
        first, second, bob = one.browser(), one.browser("192.0.2.2"), one.browser("192.0.2.3")
        for browser, name in ((first, "alice"), (second, "Alice"), (bob, "bob")):
            assert (await log_in(browser, name)).status_code == 200
        sent = await first.post(f"/api/chats/{chat}/messages", json={"text": "a canary"})
        assert sent.status_code == 202
        assert [c["title"] for c in (await second.get("/api/export")).json()["conversations"]] == ["a canary"]
        assert (await bob.get("/api/export")).json()["conversations"] == []
        assert (await bob.get(f"/api/chats/{chat}/export")).status_code == 404
        assert (await bob.get(f"/api/stream?chat={chat}")).status_code == 404
        assert (await bob.post(f"/api/chats/{chat}/messages", json={"text": "x"})).status_code == 404
        assert VISITOR_COOKIE not in first.cookies


async def test_an_anonymous_visitors_conversations_are_not_taken_over(
    monkeypatch: pytest.MonkeyPatch, users: Path, tmp_path: Path
) -> None:
    data, chat = str(tmp_path / "data"), secrets.token_hex(16)
    async with house(monkeypatch, data_dir=data) as open_house:
        anonymous = open_house.browser()
        await anonymous.post(f"/api/chats/{chat}/messages", json={"text": "before there were users"})
        kept = (await anonymous.get("/api/export")).json()["conversations"]
        cookies = anonymous.cookies
        assert len(kept) == 1 and (await anonymous.get("/api/account")).json() == {"name": None, "may_log_out": False}
    async with house(monkeypatch, data_dir=data, auth=str(users)) as one:
        browser = one.browser()
        browser.cookies = cookies
        await log_in(browser)
        assert (await browser.get("/api/export")).json()["conversations"] == []
        assert (await browser.get(f"/api/chats/{chat}/export")).status_code == 404
    async with house(monkeypatch, data_dir=data) as open_house:
        again = open_house.browser()
        again.cookies = cookies
        assert len((await again.get("/api/export")).json()["conversations"]) == 1


# The API's own door


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/version", "/tokenize"])
async def test_without_keys_the_api_is_closed_where_a_login_is_wanted(
    monkeypatch: pytest.MonkeyPatch, users: Path, path: str
) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser()
        for _ in range(2):
            answer = await browser.request(openai_api.ANSWERED[path], path, json={})
            assert answer.status_code == 401 and code_of(answer) == "no_api_keys" and "--api-key" in answer.text
            await log_in(browser)


async def test_a_key_opens_the_api_and_nothing_else(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users), api_key=("a-key",)) as one:
        program = one.browser(authorization="Bearer a-key")
        assert (await program.get("/v1/models")).status_code == 501  # the told engine has no API: the door let it in
        assert (await program.get("/metrics")).status_code == 200
        assert (await program.get("/api/status")).status_code == (await program.get("/")).status_code == 401
        browser = one.browser()
        await log_in(browser)
        assert code_of(await browser.get("/metrics")) == code_of(await browser.get("/v1/models")) == "invalid_api_key"


# The page in the way


@pytest.mark.parametrize("path", ["/", "/board", "/api/status", "/nothing"])
async def test_a_person_finds_the_login_and_a_program_a_word(monkeypatch: pytest.MonkeyPatch, users: Path, path: str) -> None:
    async with house(monkeypatch, auth=str(users), root_path="/chat") as one:
        seen = await one.browser().get(path, headers=HTML)
        page = seen.text
        assert seen.status_code == 401 and seen.headers["cache-control"] == "no-store" and "<form" in page
        assert '<base href="/chat/">' in page and 'data-error=""' in page and "gradio" not in page
        assert not re.search(r"<!-- (base|icon|error)|/\* (tokens|texts) \*/", page)
        assert re.findall(r"""(?:src|href)=["'](?!data:)([^"']+)""", page) == ["/chat/"], "it loads nothing"
        for texts in load_texts().values():
            assert texts["login.submit"] in page and texts["error.login_failed"] in page
        assert code_of(await one.browser().get(path)) == "login_needed"


async def test_the_logins_own_address_leads_to_the_page(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users), root_path="/chat") as one:
        answer = await one.browser().get("/login", headers=HTML)
        assert answer.status_code == 303 and answer.headers["location"] == "/chat/"


async def test_no_secret_reaches_the_log(
    monkeypatch: pytest.MonkeyPatch, users: Path, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    async with house(monkeypatch, auth=str(users)) as one:
        browser = one.browser()
        mistyped = "my password in the wrong field"
        for name, password in (("alice", "a wrong password"), (mistyped, ""), ("alice", PASSWORD)):
            answer = await log_in(browser, name, password)
        cookie = answer.headers["set-cookie"].split(";")[0].partition("=")[2]
        with monkeypatch.context() as fault:
            fault.setattr(one.app.everybody, "status", lambda: 1 / 0)
            assert (await browser.get("/api/status")).status_code == 500
        await browser.post("/logout", json={})
        await log_in(browser)
        users.write_text(users.read_text() + "broken")
        await browser.get("/api/account")
        seen = caplog.text + "".join(capfd.readouterr()) + repr(one.app.settings)
        assert "alice logged in from 192.0.2.1" in seen and "Login refused for alice" in seen and "not valid TOML" in seen
        for secret in (PASSWORD, "a wrong password", mistyped, cookie, cookie.split(".")[3], HASH, HASH[-20:]):
            assert secret not in seen


# Behind a proxy that knows who somebody is


def proxied(**settings: Any) -> dict[str, Any]:
    return {"auth_header": "X-Forwarded-User", "trusted_proxy": ("10.0.0.0/24", "2001:db8::1"), **settings}


async def test_a_trusted_proxy_says_who_somebody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch, **proxied()) as one:
        chat = secrets.token_hex(16)
        carol = one.browser(PROXY, **{"x-forwarded-user": "carol@example.org", "x-forwarded-for": "198.51.100.7"})
        assert (await carol.get("/api/account")).json() == {"name": "carol@example.org", "may_log_out": False}
        assert (await carol.post(f"/api/chats/{chat}/messages", json={"text": "a canary"})).status_code == 202
        for peer in ("::ffff:10.0.0.7", "2001:db8::1"):
            again = one.browser(peer, **{"X-Forwarded-User": "carol@example.org"})
            assert len((await again.get("/api/export")).json()["conversations"]) == 1
        dave = one.browser(PROXY, **{"x-forwarded-user": "dave"})
        assert (await dave.get("/api/export")).json()["conversations"] == []
        assert "set-cookie" not in (await carol.get("/api/status")).headers


@pytest.mark.parametrize("peer", ["10.0.1.1", "127.0.0.1", "198.51.100.7", "2001:db8::2", "unknown"])
async def test_nobody_else_does(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    async with house(monkeypatch, **proxied()) as one:
        # It is the connection that counts, not what a header says of it.
        forged = one.browser(peer, **{"x-forwarded-user": "carol", "x-forwarded-for": PROXY})
        refused = await forged.get("/api/account")
        assert refused.status_code == 403 and code_of(refused) == "header_refused"
        silent = await one.browser(peer).get("/")
        assert silent.status_code == 401 and code_of(silent) == "proxy_needed"
        assert (await one.browser(peer).get("/health")).status_code == 200


@pytest.mark.parametrize("names", [[], [""], ["  "], ["carol", "root"], ["a\x01b"], ["x" * 300], [b"\xff\xfe"]])
async def test_a_proxy_that_does_not_name_one_person_lets_nobody_in(monkeypatch: pytest.MonkeyPatch, names: list[Any]) -> None:
    async with house(monkeypatch, **proxied()) as one:
        answer = await one.browser(PROXY).get("/", headers=[("x-forwarded-user", n) for n in names] + list(HTML.items()))
        assert answer.status_code == 401 and 'data-error="proxy_needed"' in answer.text


async def test_names_of_a_proxy_are_taken_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(monkeypatch, **proxied()) as one:
        shown = set()
        for name in ("Carol", "carol", "캐롤"):
            account = await one.browser(PROXY).get("/api/account", headers={"x-forwarded-user": name.encode()})
            shown.add(account.json()["name"])
        assert shown == {"Carol", "carol", "캐롤"}
        assert len({gate.Person(name).visitor for name in shown}) == 3
        assert all(len(gate.Person(name * 50).visitor) <= 64 for name in shown)


async def test_a_trusted_proxys_word_counts_for_address_and_scheme(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users), trusted_proxy=(PROXY,)) as one:
        said = {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
        assert "Secure" in (await log_in(one.browser(PROXY, **said))).headers["set-cookie"]
        assert "Secure" not in (await log_in(one.browser("127.0.0.1", **said))).headers["set-cookie"]
        for _ in range(AT_MOST_OF_BOTH):
            await log_in(one.browser(PROXY, **said), password="wrong password")
        assert (await log_in(one.browser(PROXY, **said))).status_code == 429
        assert (await log_in(one.browser(PROXY, **{"x-forwarded-for": "198.51.100.8"}))).status_code == 200


async def test_the_page_says_its_errors_as_json(monkeypatch: pytest.MonkeyPatch, users: Path) -> None:
    async with house(monkeypatch, auth=str(users)) as one:
        answer = await one.browser().get("/api/status")
        error = json.loads(answer.content)["error"]
        assert (error["code"], error["message"], error["params"]) == ("login_needed", "Log in first.", {})
