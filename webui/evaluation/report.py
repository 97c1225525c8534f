"""A run's results as files: JSON lines, a table for spreadsheets, and a page that needs nothing else and does nothing.

Each bears where its numbers come from and what each number is. Whatever a model or a person wrote is escaped. It knows neither
the run's folder nor who asks.
"""

from __future__ import annotations

import csv
import html as markup
import io
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from webui.batch.exports import safe_cell
from webui.evaluation.plots import MARKED, Plot, plots
from webui.evaluation.results import Results
from webui.ui.texts import ASSETS

Json = Mapping[str, Any]
LATENCIES = ("queue", "ttft", "tpot", "worst_itl", "e2e")
ROWS_IN_THE_PAGE = 2000  # beyond these a browser would take long; results.jsonl has all
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLES = (ASSETS / "css" / "plots.css", ASSETS / "report.css")


def jsonl(results: Results, summary: Json, provenance: Json) -> bytes:
    """First a line with provenance and summary, then one per answer, then one per answer of the judge."""
    head = {"provenance": provenance, "summary": summary}
    return b"".join(orjson.dumps(each) + b"\n" for each in (head, *results.as_dicts()))


def summary_csv(results: Results, summary: Json, provenance: Json) -> bytes:
    """One number per line with its interval, its n and its formula; below them where they come from."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["variant", "tag", "measure", "value", "low", "high", "n", "unit", "formula"])
    for row in _figures(summary):
        table.writerow([safe_cell(cell) for cell in row])
    table.writerow([])
    table.writerow(["first", "second", "measure", "difference", "low", "high", "n", "p", "verdict"])
    for pair in summary["pairs"]:
        numbers = [pair["mean"], pair["low"], pair["high"], pair["n"], pair["p"]]
        table.writerow([safe_cell(cell) for cell in [pair["first"], pair["second"], pair["score"], *numbers, said(pair)]])
    table.writerow([])
    table.writerow(["row", "not asked, because"])
    for bad in summary["bad"]:
        table.writerow([bad["number"], safe_cell(bad["reason"])])
    table.writerow([])
    for name, value in _flat(provenance):
        table.writerow([safe_cell(name), safe_cell(str(value))])
    return text.getvalue().encode("utf-8-sig")  # spreadsheets take what has no mark for their own encoding


def _figures(summary: Json) -> list[list[Any]]:
    formulas = summary["formulas"]
    rows: list[list[Any]] = []
    for name, each in summary["variants"].items():
        for tag, scores in [("", each["scores"]), *each["by_tag"].items()]:
            for score, found in scores.items():
                if found:
                    numbers = [found["mean"], found["low"], found["high"], found["n"]]
                    rows.append([name, tag, score, *numbers, "0 to 1", formulas[score]])
        for latency in LATENCIES:
            values = each["latency"][latency]
            for percentile in ("p50", "p95", "p99", "max"):
                if values["n"]:
                    rows.append(
                        [
                            name,
                            "",
                            f"{latency} {percentile}",
                            values[percentile],
                            None,
                            None,
                            values["n"],
                            "s",
                            formulas[latency],
                        ]
                    )
        if each["goodput"]:
            good = each["goodput"]
            rows.append([name, "", "goodput", good["per_second"], None, None, good["n"], "1/s", formulas["goodput"]])
        rows.append(
            [
                name,
                "",
                "tokens_per_second",
                each["tokens_per_second"],
                None,
                None,
                each["tokens"],
                "1/s",
                formulas["tokens_per_second"],
            ]
        )
        rows += [
            [name, "", count, each[count], None, None, each["asked"], "answers", ""] for count in ("answered", "failed", "cut")
        ]
    return rows


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        return [pair for key, each in value.items() for pair in _flat(each, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list) and value:
        return [pair for i, each in enumerate(value) for pair in _flat(each, f"{name}.{i}")]
    return [(name, value)]


def said(pair: Json) -> str:
    """What may be said of a difference, and no more."""
    if not pair["shown"]:
        return "no difference shown"
    return f"{pair['first']} higher" if pair["mean"] > 0 else f"{pair['second']} higher"


def signed(difference: float) -> str:
    """With three places; what is 0 in them has a plus."""
    return f"{round(difference, 3) + 0.0:+.3f}"


def html(results: Results, summary: Json, provenance: Json) -> bytes:
    """The page. Without a script, and with a policy by which a browser loads nothing."""
    title = _text(provenance["plan"]["name"] or "Evaluation")
    names = list(summary["variants"])
    style = "\n".join(path.read_text(encoding="utf-8") for path in _STYLES)
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n<title>{title}</title>\n<style>{style}</style>',
        f"<h1>{title}</h1>\n<p>{summary['rows']} rows × {len(names)} variants: {_text(', '.join(names))}.</p>",
        _scores(summary),
        _differences(summary),
        _unheeded(summary),
        _judge(summary),
        _latencies(summary),
        _plots(summary),
        _bad_rows(summary),
        _answers(results),
        _formulas(summary),
        f"<h2>Provenance</h2>\n<details open><summary>all that is known</summary><pre>{_json(provenance)}</pre></details>",
        "</html>\n",
    ]
    return "\n".join(part for part in parts if part).encode()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 1) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i >= numbers_from else ''}>{cell}</{tag}>" for i, cell in enumerate(row))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _scores(summary: Json) -> str:
    if not summary["scores"]:
        return ""
    rows = []
    for name, each in summary["variants"].items():
        rows.append([_text(name), *(_estimate(each["scores"][score]) for score in summary["scores"])])
        for tag, scores in each["by_tag"].items():
            rows.append(
                [f'<span class="muted">… {_text(tag)}</span>', *(_estimate(scores[score]) for score in summary["scores"])]
            )
    return "<h2>Scores</h2>\n<p>Means with 95 % intervals, and of how many rows.</p>\n" + _table(
        ["variant", *summary["scores"]], rows
    )


def _estimate(found: Json | None) -> str:
    if not found:
        return "–"
    interval = "no interval" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    return f'{found["mean"]:.3f}<br><span class="muted">{interval}, n={found["n"]}</span>'


def _differences(summary: Json) -> str:
    if not summary["pairs"]:
        return ""
    rows = []
    for pair in summary["pairs"]:
        interval = "–" if pair["low"] is None else f"{signed(pair['low'])} to {signed(pair['high'])}"
        names = f"{_text(pair['first'])} − {_text(pair['second'])}"
        rows.append(
            [names, _text(said(pair)), pair["score"], signed(pair["mean"]), interval, f"{pair['p']:.4f}", str(pair["n"])]
        )
    text = "Paired by row; p of a permutation test, not corrected for how many comparisons there are."
    return f"<h2>Differences</h2>\n<p>{text}</p>\n" + _table(
        ["pair", "verdict", "score", "mean", "95 % interval", "p", "n"], rows, 3
    )


def _unheeded(summary: Json) -> str:
    return "\n".join(
        f'<p class="bad">{_text(name)}: its engine does not heed {_text(", ".join(settings))}.</p>'
        for name, settings in summary["unheeded"].items()
    )


def _judge(summary: Json) -> str:
    judge = summary["judge"]
    if judge is None:
        return ""
    counts = (
        f"{judge['agreed']} pairs with the same verdict in both orders, {judge['changed']} with another one (counted as ties), "
        f"{judge['unreadable']} without a readable verdict (not counted). results.jsonl has all that it said."
    )
    rows = [[_text(each["winner"]), _text(each["loser"]), f"{each['wins']:g}"] for each in judge["wins"]]
    return f"<h2>Judge</h2>\n<p>{counts}</p>\n" + (_table(["preferred", "to", "times"], rows, 2) if rows else "")


def _latencies(summary: Json) -> str:
    rows = []
    for name, each in summary["variants"].items():
        cells = [_percentiles(each["latency"][latency]) for latency in LATENCIES]
        speed = each["tokens_per_second"]
        good = each["goodput"]
        cells += [f"{good['per_second']:.2f}/s" if good else "–", f"{speed:.1f}" if speed else "–"]
        rows.append([_text(name), *cells, f"{each['answered']} / {each['failed']} / {each['cut']}"])
    head = ["variant", *LATENCIES, "goodput", "tokens/s", "answered / failed / cut"]
    return "<h2>Latency</h2>\n<p>p50 / p95 / p99 in ms, of n answers.</p>\n" + _table(head, rows)


def _percentiles(values: Json) -> str:
    if not values["n"]:
        return "–"
    return " / ".join(_ms(values[each]) for each in MARKED) + f'<br><span class="muted">n={values["n"]}</span>'


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else f"{seconds * 1000:.0f}"


def _plots(summary: Json) -> str:
    figures = [f"<figure><figcaption>{_text(_caption(plot))}</figcaption>{plot.svg}</figure>" for plot in plots(summary)]
    return '<h2>Plots</h2>\n<div class="plots">\n' + "\n".join(figures) + "\n</div>" if figures else ""


def _caption(plot: Plot) -> str:
    return {
        "latency": "{of}: how large a share of answers took at most so long, up to p99; p50 filled, p95 and p99 hollow",
        "by_tag": "{of}: means with 95 % intervals, of all rows and by tag",
        "quality": "{of}: means with 95 % intervals (up), median e2e (across)",
    }[plot.kind].format(of=plot.of)


def _bad_rows(summary: Json) -> str:
    if not summary["bad"]:
        return ""
    rows = [[str(bad["number"]), _text(bad["reason"])] for bad in summary["bad"]]
    return "<h2>Rows that were not asked</h2>\n" + _table(["row", "because"], rows, 9)


def _answers(results: Results) -> str:
    shown = results.scored[:ROWS_IN_THE_PAGE]
    more = len(results.scored) - len(shown)
    rows = []
    for each in shown:
        error = f'<span class="bad">{_text(each.answer.error["message"])}</span>' if each.answer.error else ""
        notes = "".join(f'<br><span class="bad">{_text(note)}</span>' for note in each.notes)
        scores = "<br>".join(f"{name} {value:.3f}" for name, value in each.scores.items())
        comments = "".join(f'<br><span class="muted">{_text(comment)}</span>' for comment in each.comments)
        texts = [_pre(each.row.prompt), _pre("\n".join(each.row.references)), f"{_pre(each.answer.text)}{error}"]
        rows.append([_text(each.row.id), _text(each.variant), *texts, scores + notes + comments])
    rest = f"<p>{more} more are in results.jsonl.</p>" if more > 0 else ""
    return "<h2>Answers</h2>\n" + _table(["row", "variant", "prompt", "reference", "answer", "scores"], rows, 9) + rest


def _formulas(summary: Json) -> str:
    items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(formula)}</dd>" for name, formula in summary["formulas"].items())
    return f"<h2>What the numbers are</h2>\n<dl>{items}</dl>"


def _pre(text: str) -> str:
    return f"<pre>{_text(text)}</pre>"


def _text(text: str) -> str:
    return markup.escape(text)


def _json(value: Any) -> str:
    return markup.escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
