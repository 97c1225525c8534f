"""What a proxy says of a request: from where it comes, and who has logged in there. Only of a proxy that is trusted.

It knows addresses and headers, nothing of what is behind them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from webui.errors import HeaderRefused, ProxyNeeded
from webui.server.gate import Person

HERE = ("127.0.0.1", "::1")  # a proxy on this machine is believed about addresses, unless others are named
NAME_AT_MOST = 256  # bytes


class Forwarded:
    """Puts the client's address and scheme into the request, where a trusted proxy says them (X-Forwarded-For and -Proto).

    `scope["state"]["peer"]` is the address that the connection itself comes from.

    Args:
        app: the application.
        trusted: addresses and networks.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = ProxyHeadersMiddleware(app, list(trusted or HERE))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("client"):
            peer = _plain(scope["client"][0])
            scope["client"] = (peer, scope["client"][1])
            scope.setdefault("state", {})["peer"] = peer
        await self._app(scope, receive, send)  # type: ignore[arg-type]


class ForwardedUser:
    """Keeps the gate by a header that a trusted proxy sets.

    Args:
        header: its name.
        trusted: addresses and networks of proxies.
    """

    def __init__(self, header: str, trusted: Sequence[str]) -> None:
        self._header = header.lower().encode()
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def who(self, scope: Scope) -> Person:
        """Whoever the proxy names; its name is taken as it stands.

        Raises:
            HeaderRefused: if somebody else does.
            ProxyNeeded: if nobody does, or not clearly.
        """
        names = [value for name, value in scope["headers"] if name == self._header]
        if not self._is_trusted(scope.get("state", {}).get("peer", "")):
            raise HeaderRefused() if names else ProxyNeeded()
        # A second one may be a visitor's own, which the proxy did not take away.
        if len(names) != 1 or not (name := _text(names[0])):
            raise ProxyNeeded()
        return Person(name)

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _text(value: bytes) -> str:
    """A name in a header; empty if it is none."""
    try:
        text = value.strip().decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() and len(value) <= NAME_AT_MOST else ""


def _plain(address: str) -> str:
    """An IPv4 address as such also where the socket is one of IPv6."""
    try:
        mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
    except ValueError:
        return address
    return str(mapped) if mapped else address
