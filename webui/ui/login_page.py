"""The page where somebody logs in, or reads why they are not let in: it needs nothing but itself, and no Gradio.

It knows the look and the words, not who may log in.
"""

from __future__ import annotations

import base64
import html
import json
from functools import cache

from webui.errors import LoginNeeded, WebuiError
from webui.ui.texts import ASSETS, load_texts
from webui.ui.tokens import tokens_css

WORDS = ("login.title", "login.name", "login.password", "login.submit", "login.busy", "login.closed", "login.unreachable")
ERRORS = ("login_failed", "too_many_attempts", "proxy_needed", "header_refused", "unexpected")


def login_page(root_path: str, error: WebuiError) -> str:
    """The page's HTML.

    Args:
        root_path: where the application is published.
        error: why somebody is not let in; the form is there if logging in helps.
    """
    asked = "" if isinstance(error, LoginNeeded) else error.code
    return _page().replace("<!-- base -->", html.escape(f"{root_path}/")).replace("<!-- error -->", asked)


@cache
def _page() -> str:
    keys = {*WORDS, *(f"error.{code}" for code in ERRORS)}
    texts = {language: {key: sentences[key] for key in keys} for language, sentences in load_texts().items()}
    icon = base64.b64encode((ASSETS / "icons" / "favicon.png").read_bytes()).decode()
    page = (ASSETS / "login.html").read_text("utf-8")
    page = page.replace("/* tokens */", tokens_css()).replace("<!-- icon -->", f"data:image/png;base64,{icon}")
    return page.replace("/* texts */", json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c"))
