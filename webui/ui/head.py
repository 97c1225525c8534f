"""A page of ours, and what its head loads: tokens, style sheets and modules, each under an address that changes with it.

It knows neither Gradio nor what the page shows.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from webui.ui.texts import ASSETS
from webui.ui.tokens import tokens_css


def asset_version(folder: Path = ASSETS) -> str:
    """A short hash of everything that a browser may keep: it changes when one of the files does."""
    digest = hashlib.sha256()
    for path in sorted(path for kind in ("js", "css", "texts") for path in (folder / kind).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def head(module: str) -> str:
    """The tags for a page that `module` of assets/js brings to life; the modules' own imports get versions by an import map.

    Args:
        module: the file's name.
    """
    version = asset_version()
    modules = sorted(path.name for path in (ASSETS / "js").glob("*.js"))
    import_map = {"imports": {f"./assets/js/{name}": f"./assets/js/{name}?v={version}" for name in modules}}
    sheets = sorted(path.name for path in (ASSETS / "css").glob("*.css"))
    return "\n".join(
        [
            f'<meta name="batchat-version" content="{version}">',
            f"<style>{tokens_css()}</style>",
            *(f'<link rel="stylesheet" href="assets/css/{name}?v={version}">' for name in sheets),
            f'<script type="importmap">{json.dumps(import_map)}</script>',
            f'<script type="module" src="assets/js/{module}?v={version}"></script>',
        ]
    )


@cache
def page(name: str, module: str) -> str:
    """The HTML of a page that needs no Gradio.

    Args:
        name: the class of its body, by which style sheets know it.
        module: what brings it to life.
    """
    html = (ASSETS / "page.html").read_text("utf-8")
    return html.replace("<!-- head -->", head(module)).replace("<!-- name -->", name)
