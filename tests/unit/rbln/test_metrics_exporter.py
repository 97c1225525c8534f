"""Rebellions' metrics exporter, read from a server of the test's own that answers as the exporter's documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.npu_exporter import Exporter, answer, running_exporter
from webui.data_folder import NONE
from webui.rbln import metrics_exporter
from webui.rbln.metrics_exporter import MetricsExporter, parse
from webui.server.app import App
from webui.settings import Settings


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    with running_exporter() as server:
        yield server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_exporter, "ANSWER_WITHIN", 60.0)


def test_every_npu_is_read_in_si_units() -> None:
    first, second = parse(answer())
    assert (first.name, first.card, first.utilization, first.power, first.temperature) == (
        "rbln0",
        "RBLN-CA25",
        0.875,
        40.0,
        54.0,
    )
    assert (first.memory_used, first.memory_total) == (4294967296.0, 16877882368.0)
    assert first.healthy is True and second.healthy is False


def test_what_is_not_said_is_none_and_the_older_names_are_known() -> None:
    (npu,) = parse('RBLN_DEVICE_STATUS:CARD_POWER{card="RBLN-CA12",name="rbln0"} 43.9\n')
    assert npu.power == 43.9 and npu.utilization is None and npu.healthy is None
    assert parse("go_goroutines 8\n") == []


async def test_tokens_per_joule_between_two_readings(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, now = [0], [100.0]
    monkeypatch.setattr(metrics_exporter.time, "monotonic", lambda: now[0])
    metrics = MetricsExporter(exporter.url, lambda: tokens[0])
    async with httpx.AsyncClient() as client:
        assert metrics.status() is None
        await metrics.read(client)
        status = metrics.status()
        assert status and status["power"] == 80 and status["tokens_per_joule"] is None
        tokens[0], now[0], exporter.text = 1200, 110.0, answer(watts=80.0)
        await metrics.read(client)
    status = metrics.status()
    assert status and status["tokens_per_joule"] == pytest.approx(1200 / (10 * (80 + 160) / 2))


async def test_only_the_visible_npus_count(exporter: Exporter) -> None:
    metrics = MetricsExporter(exporter.url, lambda: 0, visible="1, 3")
    async with httpx.AsyncClient() as client:
        await metrics.read(client)
    status = metrics.status()
    assert status and [npu["name"] for npu in status["npus"]] == ["rbln1"] and status["power"] == 40


@pytest.mark.parametrize("trouble", ["error", "nonsense", "gone"])
async def test_an_exporter_that_fails_is_said_once_and_leaves_nothing(
    exporter: Exporter, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = MetricsExporter(exporter.url, lambda: 0)
    async with httpx.AsyncClient() as client:
        await metrics.read(client)
        assert metrics.status()
        if trouble == "gone":
            metrics._url = "http://127.0.0.1:1/metrics"
        exporter.status, exporter.text = (500 if trouble == "error" else 200), "{ this is no metric"
        await metrics.read(client)
        await metrics.read(client)
        assert metrics.status() is None
        exporter.status, exporter.text, metrics._url = 200, answer(), exporter.url
        await metrics.read(client)
        assert metrics.status()
    assert len(caplog.records) == 1


async def test_the_app_publishes_it(exporter: Exporter) -> None:
    app = App(Settings(npu_metrics_url=exporter.url, data_dir=NONE))
    assert app.npu_metrics is not None
    app.npu_metrics.start()
    transport = httpx.ASGITransport(app.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        async with asyncio.timeout(60):
            while not (status := (await client.get("/api/status")).json())["npu"]:
                await asyncio.sleep(0.01)
    await app.npu_metrics.stop()
    assert [npu["name"] for npu in status["npu"]["npus"]] == ["rbln0", "rbln1"]
    assert status["npu"]["npus"][0]["utilization"] == 0.875
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(App(Settings(data_dir=NONE)).asgi), base_url="http://test"
    ) as client:
        assert "npu" not in (await client.get("/api/status")).json()
