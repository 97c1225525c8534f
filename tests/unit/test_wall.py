"""The wall view's page: whatever it loads is there, and nothing of it is Gradio's."""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from webui.server.wall import wall
from webui.ui.head import asset_version
from webui.ui.texts import ASSETS


def page() -> str:
    """What the route answers."""
    return TestClient(Starlette(routes=[Route("/board", wall)])).get("/board").text


def test_everything_that_it_loads_is_there_under_its_version() -> None:
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page())
    assert any("wall.js" in address for address in addresses)
    for address in addresses:
        path, _, version = address.partition("?v=")
        assert (ASSETS.parent / path).is_file(), address
        assert version in ("", asset_version())


def test_nothing_of_it_is_gradios() -> None:
    html = page()
    assert 'class="wall"' in html and html.count("<!-- ") == 1, "every place is filled; what is left is the page's own comment"
    assert "gradio" not in re.sub(r"\.gradio-\S+", "", html.lower().partition("<html")[2])
    imported = (ASSETS / "js" / "wall.js").read_text("utf-8")
    assert "./address.js" not in imported and "./stream.js" not in imported, "it shows no conversation"
