"""Findings before something long or final begins: each is ok, a warning or wrong, and says what to do. As text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "wrong"]
WIDTH = 110  # characters of a line on the terminal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two.
        state: how it stands.
        found: what was found.
        advice: what to do about it; empty if nothing.
    """

    name: str
    state: State
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON types."""
        return asdict(self)


def is_good(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; warnings do not count."""
    return all(finding.state != "wrong" for finding in findings)


def table(findings: list[Finding]) -> str:
    """The findings, one below the other, each with its advice."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        head = f"{finding.name:<{width}}  {finding.state:<7}  "
        text = finding.found + (f". {finding.advice}" if finding.advice else "")
        indent = " " * len(head)
        wrapped = textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
        lines += wrapped or [head.rstrip()]
    return "\n".join(lines)


def size(bytes: float) -> str:
    """Bytes for people: 13.6 GiB, 7 MiB."""
    gib = bytes / 2**30
    return f"{gib:.1f} GiB" if gib >= 0.1 else f"{bytes / 2**20:.1f} MiB"
