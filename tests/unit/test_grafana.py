"""The Grafana dashboard: what can be checked of it without a server. That every metric is there, the engine tests check."""

from __future__ import annotations

import json
from pathlib import Path

DASHBOARD = Path(__file__).resolve().parents[2] / "assets" / "grafana" / "batchat.json"


def test_panels_are_numbered_once_do_not_overlap_and_ask_the_chosen_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 8
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {"${source}"}
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["source"]
    assert all(target["expr"].count("(") == target["expr"].count(")") for panel in panels for target in panel["targets"])
