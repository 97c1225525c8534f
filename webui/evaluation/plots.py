"""Plots as SVG, for the page and for the report alike: how latencies are distributed, scores by tag, quality against latency.

They are drawn here because the report is one file that runs nothing and loads nothing, and is printed. Gradio's plots and
Plotly draw by a script in the browser; Matplotlib's SVG has its colours written into every mark, so that it would not follow
the reader's dark theme, and no values to point at. Here colours are the classes `v0` to `v7` of css/plots.css.

It knows a summary (see `results.py`), nothing of where it is shown; whoever shows a plot says in the reader's language what it
is of. For those who see no picture the same numbers stand in tables.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

WIDTH, HEIGHT = 480, 280  # narrow enough to be read on a phone
LEFT, NAMES_LEFT, RIGHT, TOP, BOTTOM = 52, 168, 20, 12, 46
ROW = 24  # of a plot with a line of text per row
MARKED = ("p50", "p95", "p99")
LEGEND_WIDTH, LEGEND_HEIGHT = 200, 20  # of one name
NAME_AT_MOST = 22  # characters


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        kind: "latency": how large a share of answers took at most so long; "by_tag": means with their intervals, of all rows
            and of each tag; "quality": means with their intervals over the median time to the whole answer.
        of: the latency's or score's name.
    """

    kind: Literal["latency", "by_tag", "quality"]
    of: str
    svg: str

    def as_dict(self) -> dict[str, str]:
        """As JSON types."""
        return asdict(self)


def plots(summary: Mapping[str, Any]) -> list[Plot]:
    """All that there is something in."""
    drawn = [Plot("latency", name, _latency(summary, name)) for name in ("ttft", "e2e")]
    for score in summary["scores"]:
        drawn += [Plot("by_tag", score, _by_tag(summary, score)), Plot("quality", score, _quality(summary, score))]
    return [plot for plot in drawn if plot.svg]


def _latency(summary: Mapping[str, Any], name: str) -> str:
    """Up to p99: the slowest one would leave the others no room."""
    found = {variant: each["latency"][name] for variant, each in summary["variants"].items() if each["latency"][name]["n"]}
    if not found:
        return ""
    legend = _Legend(summary, list(found))
    across = _Axis(0.0, max(values["p99"] for values in found.values()) * 1000, LEFT, WIDTH - RIGHT)
    up = _Axis(0.0, 100.0, HEIGHT - BOTTOM, legend.height)
    marks = [*legend.marks, *across.below(HEIGHT - BOTTOM, legend.height, "ms"), *up.beside(LEFT, " %")]
    for variant, values in found.items():
        colour, spread = _colour(summary, variant), summary["variants"][variant]["spread"][name]
        steps = [f"H{across.at(value * 1000):.1f}V{up.at(percent):.1f}" for percent, value in enumerate(spread)]
        marks.append(f'<path class="v{colour}" d="M{LEFT} {up.at(0):.1f}{"".join(steps)}"/>')
        for mark in MARKED:
            title = f"{variant}: {mark} {values[mark] * 1000:.1f} ms, n={values['n']}"
            marks.append(_dot(across.at(values[mark] * 1000), up.at(float(mark[1:])), colour, title, hollow=mark != "p50"))
    return _svg(HEIGHT, marks)


def _by_tag(summary: Mapping[str, Any], score: str) -> str:
    variants = summary["variants"]
    rows = [("", name, each["scores"][score]) for name, each in variants.items()]
    for tag in summary["tags"]:
        rows += [(tag, name, each["by_tag"][tag][score]) for name, each in variants.items()]
    rows = [row for row in rows if row[2]]
    if not rows:
        return ""
    tags = dict.fromkeys(tag for tag, _, _ in rows if tag)
    axis, bottom = _Axis(0.0, 1.0, NAMES_LEFT, WIDTH - RIGHT), TOP + ROW * (len(rows) + len(tags))
    marks, y, last = axis.below(bottom, TOP), TOP - ROW / 2, ""
    for tag, name, found in rows:
        if tag != last:
            y, last = y + ROW, tag
            marks.append(f'<text class="name group" x="{NAMES_LEFT - 12}" y="{y + 4}">{_short(tag)}</text>')
        y += ROW
        marks.append(f'<text class="name" x="{NAMES_LEFT - 12}" y="{y + 4}">{_short(name)}</text>')
        if found["low"] is not None:
            marks.append(_line(summary, name, axis.at(found["low"]), axis.at(found["high"]), y, y))
        title = f"{name} · {tag}" if tag else name
        marks.append(_dot(axis.at(found["mean"]), y, _colour(summary, name), f"{title}: {_words(found)}"))
    return _svg(bottom + BOTTOM - 12, marks)


def _quality(summary: Mapping[str, Any], score: str) -> str:
    points = {
        name: (each["latency"]["e2e"]["p50"] * 1000, each["scores"][score])
        for name, each in summary["variants"].items()
        if each["scores"][score] and each["latency"]["e2e"]["n"]
    }
    if not points:
        return ""
    legend = _Legend(summary, list(points))
    across = _Axis(0.0, max(x for x, _ in points.values()), LEFT, WIDTH - RIGHT)
    up = _Axis(0.0, 1.0, HEIGHT - BOTTOM, legend.height)
    marks = [*legend.marks, *across.below(HEIGHT - BOTTOM, legend.height, "ms"), *up.beside(LEFT)]
    for name, (value, found) in points.items():
        x = across.at(value)
        if found["low"] is not None:
            marks.append(_line(summary, name, x, x, up.at(found["low"]), up.at(found["high"])))
        marks.append(_dot(x, up.at(found["mean"]), _colour(summary, name), f"{name}: {_words(found)}, {value:.1f} ms"))
    return _svg(HEIGHT, marks)


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

    def below(self, y: float, top: float, unit: str = "") -> list[str]:
        marks = []
        for tick in self._ticks():
            x = self.at(tick)
            marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{y}"/>')
            marks.append(f'<text class="tick" x="{x:.1f}" y="{y + 18}">{tick:g}</text>')
        return (
            [*marks, f'<text class="tick" x="{(self._begin + self._end) / 2:.1f}" y="{y + 36}">{unit}</text>']
            if unit
            else marks
        )

    def beside(self, x: float, unit: str = "") -> list[str]:
        marks = []
        for tick in self._ticks():
            y = self.at(tick)
            marks.append(f'<line class="grid" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            marks.append(f'<text class="name" x="{x - 8}" y="{y + 4:.1f}">{tick:g}{unit}</text>')
        return marks


class _Legend:
    """Which colour is whose, above a plot; `height` is where the plot begins."""

    def __init__(self, summary: Mapping[str, Any], names: Sequence[str]) -> None:
        in_a_row = (WIDTH - RIGHT - LEFT) // LEGEND_WIDTH
        self.height = TOP + LEGEND_HEIGHT * math.ceil(len(names) / in_a_row) + TOP
        self.marks: list[str] = []
        for i, name in enumerate(names):
            x, y = LEFT + i % in_a_row * LEGEND_WIDTH, TOP + LEGEND_HEIGHT * (i // in_a_row) + 6
            self.marks += [_line(summary, name, x, x + 14, y, y), f'<text x="{x + 22}" y="{y + 4}">{_short(name)}</text>']


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)


def _words(found: Mapping[str, Any]) -> str:
    interval = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{found['mean']:.3f}{interval}, n={found['n']}"


def _line(summary: Mapping[str, Any], name: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="v{_colour(summary, name)}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, colour: int, title: str, hollow: bool = False) -> str:
    kind = f"v{colour} hollow" if hollow else f"v{colour}"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{html.escape(title)}</title></circle>'


def _short(name: str) -> str:
    return html.escape(name if len(name) <= NAME_AT_MOST else name[: NAME_AT_MOST - 1] + "…")


def _colour(summary: Mapping[str, Any], variant: str) -> int:
    return list(summary["variants"]).index(variant) % 8


def _svg(height: float, marks: Sequence[str]) -> str:
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {height:g}" aria-hidden="true">{"".join(marks)}</svg>'
