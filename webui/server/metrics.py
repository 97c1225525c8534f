"""`/metrics`: the engine's own figures under vLLM's names, and the app's under `webui_*`, for Prometheus.

vLLM registers its figures with prometheus_client's registry of this process; the app's are read off its rooms when they are
asked for. Labels tell doors and ends, never who or what.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from webui.batch.board import Board
from webui.batch.request import DOORS, ENDS
from webui.chats import Chats
from webui.demo_traffic import DemoTraffic
from webui.server.stream import Everybody


class Metrics(Collector):
    """The app's figures.

    Args:
        board, chats, everybody, demo: the rooms that have them.
    """

    def __init__(self, board: Board, chats: Chats, everybody: Everybody, demo: DemoTraffic) -> None:
        self._board = board
        self._chats = chats
        self._everybody = everybody
        self._demo = demo
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def scrape(self, request: Request) -> Response:
        """Answers a scrape."""
        return Response(generate_latest(REGISTRY) + generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Metric]:
        """Every figure as it is now."""
        yield from self._requests()
        turns = CounterMetricFamily("webui_turns", "Answers on the page that are over, by how they ended.", labels=["end"])
        for end in ENDS:
            turns.add_metric([end], self._chats.ends[end])
        yield turns
        yield _counter("webui_grace_expiries", "Answers stopped because everybody had left.", self._chats.grace_expiries)
        yield _counter("webui_stream_bytes", "Bytes sent over event streams.", self._everybody.bytes_sent)
        yield _gauge("webui_watchers", "Open event streams.", self._everybody.watchers)
        yield _gauge("webui_demo_requests", "Demonstration requests that wait, run or are still to be sent.", self._demo.count)
        yield _gauge("webui_lanes", "Lanes of the engine.", self._board.engine.lanes)
        yield _gauge("webui_lanes_in_use", "Lanes in use.", self._board.running)
        yield _gauge("webui_requests_waiting", "Requests in line.", self._board.waiting)

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("webui_requests", "Requests that are over, by door and end.", labels=["door", "end"])
        tokens = CounterMetricFamily("webui_tokens", "Tokens that they gave, by door.", labels=["door"])
        for door in DOORS:
            for end in ENDS:
                requests.add_metric([door, end], self._board.ends[door, end])
            tokens.add_metric([door], self._board.tokens[door])
        yield requests
        yield tokens


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value)
