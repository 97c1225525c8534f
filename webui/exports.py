"""Conversations as files: Markdown and a web page of the shown path, JSON of everything.

The page is inert: text is escaped or cleaned by `markdown.py`, it has no script, and tells the browser to load nothing. It
knows nothing of who asks.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from webui.conversation import Conversation, Message
from webui.markdown import render
from webui.markdown_rules import THOUGHTS_BEGIN, THOUGHTS_END
from webui.ui.texts import DEFAULT_LANGUAGE, load_texts

FORMAT, VERSION = "batchat-conversations", 1
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1d2025;background:#fff}"
    "h1{font-size:1.4rem}h2{font-size:.8rem;color:#5b6270;margin:2rem 0 .3rem}.user{white-space:pre-wrap}"
    "pre{background:#f3f4f6;padding:.8rem;border-radius:8px;overflow:auto}code{font-family:ui-monospace,monospace}"
    "[data-note]{display:flex;gap:.4rem;font-size:.85rem}[data-note]::before{content:attr(data-note) '.'}"
    "[data-note] p{margin:0}[data-task]{list-style:none;margin-left:-1.2rem}details{color:#5b6270}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccd;padding:.3rem .6rem}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8ec;background:#15171b}h2{color:#9aa2b1}pre{background:#20242b}}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Words:
    """What the files say beside the messages."""

    language: str
    person: str
    model: str
    thoughts: str

    @classmethod
    def of(cls, language: str) -> Words:
        """In this language, or in the default one."""
        texts = load_texts()
        known = language if language in texts else DEFAULT_LANGUAGE
        return cls(known, *(texts[known][f"message.{name}"] for name in ("yours", "models", "thoughts")))

    def role(self, message: Message) -> str:
        """Who says a message."""
        if message.role == "user":
            return self.person
        names = ", ".join(source.name for source in message.sources)
        return f"{self.model} ({names})" if names else self.model


def as_json(conversations: Sequence[Conversation]) -> bytes:
    """Everything that is known of conversations, all versions included; `imports.py` reads it back."""
    body = {"format": FORMAT, "version": VERSION, "conversations": [_plain(each) for each in conversations]}
    return orjson.dumps(body, option=orjson.OPT_INDENT_2)


def _plain(conversation: Conversation) -> dict[str, Any]:
    heading = asdict(conversation.heading)
    del heading["visitor"], heading["deleted"]
    messages = [asdict(message) for message in conversation]
    for message in messages:
        del message["request"], message["number"]  # they mean something only where they were made
    return {**heading, "messages": messages}


def as_markdown(conversation: Conversation, words: Words) -> str:
    """The shown path; each message in its own Markdown."""
    parts = [f"# {conversation.heading.title}"]
    parts += [f"## {words.role(message)}\n\n{message.text}" for message in conversation.path()]
    return "\n\n".join(parts) + "\n"


def as_html(conversation: Conversation, words: Words) -> str:
    """The shown path as one page that needs nothing else."""
    title = html.escape(conversation.heading.title)
    return (
        f'<!doctype html>\n<html lang="{words.language}">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n" + "\n".join(_article(message, words) for message in conversation.path()) + "\n</html>\n"
    )


def _article(message: Message, words: Words) -> str:
    body = html.escape(message.text) if message.role == "user" else "\n".join(_folded(render(message.text), words))
    return f'<h2>{html.escape(words.role(message))}</h2>\n<div class="{message.role}">{body}</div>'


def _folded(blocks: Sequence[str], words: Words) -> list[str]:
    """An answer's blocks with its thoughts folded; where only their end is said, all before it are thoughts."""
    folded = [block for block in blocks if block not in (THOUGHTS_BEGIN, THOUGHTS_END)]
    if len(folded) == len(blocks):
        return folded
    end = blocks.index(THOUGHTS_END) - (THOUGHTS_BEGIN in blocks) if THOUGHTS_END in blocks else len(folded)
    summary = f"<details><summary>{html.escape(words.thoughts)}</summary>"
    return [summary, *folded[:end], "</details>", *folded[end:]] if end else folded
