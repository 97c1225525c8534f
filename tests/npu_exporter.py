"""A metrics exporter of the tests' own, which answers as the documentation of Rebellions' says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_thread import serving


def answer(watts: float = 40.0, *, npus: int = 2) -> str:
    """What it says of so many NPUs; the second is not healthy."""
    lines = ["# HELP rbln_npu_health NPU health status", "# TYPE rbln_npu_health gauge"]
    for number in range(npus):
        labels = f'{{card="RBLN-CA25",deviceID="1250",hostname="h",name="rbln{number}",uuid="u{number}"}}'
        lines += [
            f"rbln_npu_health{labels} {number}",
            f"rbln_npu_utilization{labels} 87.5",
            f"rbln_npu_power{labels} {watts}",
            f"rbln_npu_temperature{labels} 54",
            f"rbln_npu_memory_used{labels} 4.294967296e+09",
            f"rbln_npu_memory_total{labels} 16877882368",
            f"rbln_npu_pcie_link_width{labels} 16",
        ]
    return "\n".join([*lines, "rbln_up 1", "go_goroutines 8", ""])


class Exporter(ThreadingHTTPServer):
    """The exporter's /metrics."""

    text = answer()
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/metrics"


class Answering(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        body = self.server.text.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running_exporter() -> Iterator[Exporter]:
    """One on a free port."""
    with serving(Exporter(("127.0.0.1", 0), Answering)) as server:
        yield server
