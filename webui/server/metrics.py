"""`/metrics`: the engine's own figures under vLLM's names, and the app's under `webui_*`, for Prometheus.

vLLM registers its figures with prometheus_client's registry of this process; the app's are read off its rooms when they are
asked for. Labels tell doors and ends, never who or what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from webui.batch.request import DOORS, ENDS
from webui.chats import Chats
from webui.server.fronts import Front, Fronts


class Metrics(Collector):
    """The app's figures.

    Args:
        fronts, chats: the rooms that have them; of several engines the sum is told.
    """

    def __init__(self, fronts: Fronts, chats: Chats) -> None:
        self._fronts = fronts
        self._chats = chats
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
        yield _counter("webui_stream_bytes", "Bytes sent over event streams.", self._sum(_bytes_sent))
        yield _gauge("webui_watchers", "Open event streams.", self._sum(_watchers))
        yield _gauge("webui_demo_requests", "Demonstration requests that wait, run or are still to be sent.", self._sum(_demo))
        yield _gauge("webui_lanes", "Lanes of the engine.", self._sum(_lanes))
        yield _gauge("webui_lanes_in_use", "Lanes in use.", self._sum(_running))
        yield _gauge("webui_requests_waiting", "Requests in line.", self._sum(_waiting))

    def _sum(self, figure: Callable[[Front], int]) -> int:
        return sum(figure(front) for front in self._fronts)

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("webui_requests", "Requests that are over, by door and end.", labels=["door", "end"])
        tokens = CounterMetricFamily("webui_tokens", "Tokens that they gave, by door.", labels=["door"])
        boards = [front.backend.board for front in self._fronts]
        for door in DOORS:
            for end in ENDS:
                requests.add_metric([door, end], sum(board.ends[door, end] for board in boards))
            tokens.add_metric([door], sum(board.tokens[door] for board in boards))
        yield requests
        yield tokens


def _bytes_sent(front: Front) -> int:
    return front.everybody.bytes_sent


def _watchers(front: Front) -> int:
    return front.everybody.watchers


def _demo(front: Front) -> int:
    return front.demo.count


def _lanes(front: Front) -> int:
    return front.backend.board.engine.lanes


def _running(front: Front) -> int:
    return front.backend.board.running


def _waiting(front: Front) -> int:
    return front.backend.board.waiting


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value)
