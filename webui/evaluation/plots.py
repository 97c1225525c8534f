"""Plots as SVG without a script, for the page and for the report alike: printable, and inert. Colours are the classes `v0` to
`v7` of whoever shows them.

It knows a summary (see `results.py`), nothing of where it is shown.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 720, 150, 24, 26, 10, 44
HEIGHT = 320  # of the plot of quality against latency
PERCENTILES = ("p50", "p95", "p99")


def latency(summary: Mapping[str, Any], name: str, label: str) -> str:
    """p50, p95 and p99 of one latency: a line per variant."""
    found = {variant: each["latency"][name] for variant, each in summary["variants"].items()}
    rows = [(variant, values) for variant, values in found.items() if values["n"]]
    if not rows:
        return ""
    axis = _Axis(0.0, max(values["p99"] for _, values in rows) * 1000, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + BOTTOM
    marks = [*axis.below(height - BOTTOM, f"{label}, ms")]
    for i, (variant, values) in enumerate(rows):
        y = TOP + ROW * i + ROW / 2
        at = [axis.at(values[each] * 1000) for each in PERCENTILES]
        marks += [
            _label(variant, y),
            f'<line class="v{_colour(summary, variant)}" x1="{at[0]:.1f}" x2="{at[2]:.1f}" y1="{y}" y2="{y}"/>',
        ]
        for percentile, x in zip(PERCENTILES, at, strict=True):
            title = f"{variant}: {percentile} of {values['n']} {values[percentile] * 1000:.1f} ms"
            marks.append(_dot(x, y, _colour(summary, variant), title, hollow=percentile != "p50"))
    return _svg(height, f"{label}: p50, p95, p99", marks)


def by_tag(summary: Mapping[str, Any], score: str) -> str:
    """A score's means with their intervals: a group per tag, a line per variant."""
    names = list(summary["variants"])
    groups = [("", {name: summary["variants"][name]["scores"][score] for name in names})]
    groups += [(tag, {name: summary["variants"][name]["by_tag"][tag][score] for name in names}) for tag in summary["tags"]]
    rows = [(tag, name, found) for tag, each in groups for name, found in each.items() if found]
    if not rows:
        return ""
    axis = _Axis(0.0, 1.0, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + BOTTOM
    marks = [*axis.below(height - BOTTOM, score)]
    for i, (tag, name, found) in enumerate(rows):
        y = TOP + ROW * i + ROW / 2
        marks += [_label(f"{name} · {tag}" if tag else name, y)]
        marks += _interval(axis, y, found, _colour(summary, name), name)
    return _svg(height, f"{score} by tag, 95 % intervals", marks)


def quality_against_latency(summary: Mapping[str, Any], score: str) -> str:
    """A point per variant: a score's mean with its interval, over the median time to the whole answer."""
    points = []
    for name, each in summary["variants"].items():
        if each["scores"][score] and each["latency"]["e2e"]["n"]:
            points.append((name, each["latency"]["e2e"]["p50"] * 1000, each["scores"][score]))
    if not points:
        return ""
    across = _Axis(0.0, max(x for _, x, _ in points), LEFT, WIDTH - RIGHT - 110)
    up = _Axis(0.0, 1.0, HEIGHT - BOTTOM, TOP + 10)
    marks = [*across.below(HEIGHT - BOTTOM, "e2e p50, ms"), *up.beside(LEFT, score)]
    for name, value, found in points:
        x, y, colour = across.at(value), up.at(found["mean"]), _colour(summary, name)
        if found["low"] is not None:
            ends = f'y1="{up.at(found["low"]):.1f}" y2="{up.at(found["high"]):.1f}"'
            marks.append(f'<line class="v{colour}" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
        marks.append(_dot(x, y, colour, f"{name}: {_words(found)}, {value:.1f} ms"))
        marks.append(f'<text x="{x + 9:.1f}" y="{y - 7:.1f}">{html.escape(_short(name))}</text>')
    return _svg(HEIGHT, f"{score} against e2e p50", marks)


class _Axis:
    """Values on a line of pixels, with round numbers on it."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self._step = _round_step((high - low) or 1.0)
        self._low, self._high = low, max(low + self._step, math.ceil(high / self._step - 1e-9) * self._step)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        return self._begin + (value - self._low) / (self._high - self._low) * (self._end - self._begin)

    def _ticks(self) -> Sequence[float]:
        count = round((self._high - self._low) / self._step)
        return [self._low + i * self._step for i in range(count + 1)]

    def below(self, y: float, label: str) -> list[str]:
        marks = []
        for tick in self._ticks():
            x = self.at(tick)
            marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y}"/>')
            marks.append(f'<text class="tick" x="{x:.1f}" y="{y + 16}">{tick:g}</text>')
        middle = (self._begin + self._end) / 2
        return [*marks, f'<text class="tick" x="{middle:.1f}" y="{y + 36}">{html.escape(label)}</text>']

    def beside(self, x: float, label: str) -> list[str]:
        marks = []
        for tick in self._ticks():
            y = self.at(tick)
            marks.append(f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            marks.append(f'<text class="name" x="{x - 10}" y="{y + 4:.1f}">{tick:g}</text>')
        return [*marks, f'<text class="name" x="{x - 44}" y="{(self._begin + self._end) / 2:.1f}">{html.escape(label)}</text>']


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def _interval(axis: _Axis, y: float, found: Mapping[str, Any], colour: int, name: str) -> list[str]:
    marks = []
    if found["low"] is not None:
        marks.append(
            f'<line class="v{colour}" x1="{axis.at(found["low"]):.1f}" x2="{axis.at(found["high"]):.1f}" y1="{y}" y2="{y}"/>'
        )
    return [*marks, _dot(axis.at(found["mean"]), y, colour, f"{name}: {_words(found)}")]


def _words(found: Mapping[str, Any]) -> str:
    interval = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['mean']:.3f}{interval} of {found['n']}"


def _dot(x: float, y: float, colour: int, title: str, hollow: bool = False) -> str:
    kind = f"v{colour} hollow" if hollow else f"v{colour}"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{html.escape(title)}</title></circle>'


def _label(name: str, y: float) -> str:
    return f'<text class="name" x="{LEFT - 12}" y="{y + 4}">{html.escape(_short(name))}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"


def _colour(summary: Mapping[str, Any], variant: str) -> int:
    return list(summary["variants"]).index(variant) % 8


def _svg(height: float, title: str, marks: Sequence[str]) -> str:
    escaped = html.escape(title)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escaped}">'
        f"<title>{escaped}</title>{''.join(marks)}</svg>"
    )
