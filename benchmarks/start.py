"""How long a start takes: `python -m webui` until /health says 200, against vLLM's stock API server with the same arguments.

The two are started in turns, several rounds; the figures are medians, the ratio is the median of the rounds' own ratios. It
also says when the address answered, when the chat page was there, and what the launcher adds to a second start.

    python -m benchmarks.start
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from webui.settings import DEMO_MODEL

ROOT = Path(__file__).resolve().parents[1]
GIVE_UP_AFTER = 300.0  # seconds
LANES, CONTEXT, MEMORY = "4", "2048", str(64 * 2**20)
SAME_ARGUMENTS = [
    *("--model", str(DEMO_MODEL), "--max-num-seqs", LANES, "--max-model-len", CONTEXT),
    *("--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", MEMORY),
]


@dataclass
class Start:
    """Seconds from the start of the process until each answered."""

    ready: float
    address: float = 0.0
    page: float = 0.0


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, ended at the end."""
    data = tempfile.TemporaryDirectory(prefix="batchat-benchmark-")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "WEBUI_DATA_DIR": data.name}
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, env=environment, start_new_session=True)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        data.cleanup()


def until(condition: Callable[[], bool], began: float) -> float:
    """Seconds from `began` until the condition first holds."""
    while time.perf_counter() - began < GIVE_UP_AFTER:
        if condition():
            return time.perf_counter() - began
        time.sleep(0.05)
    raise TimeoutError(f"not within {GIVE_UP_AFTER} s")


def answers(url: str, path: str = "/") -> bytes | None:
    """The body, if the address answers with 200."""
    try:
        with urllib.request.urlopen(url + path, timeout=5) as response:
            return bytes(response.read())
    except (urllib.error.URLError, OSError):
        return None


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app() -> Start:
    """One start of the app."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    with process([sys.executable, "-m", "webui", "--port", str(port), *SAME_ARGUMENTS]):
        address = until(lambda: answers(url) is not None, began)
        page = until(lambda: json.loads(answers(url, "/api/status") or b"{}").get("page", False), began)
        return Start(until(lambda: answers(url, "/health") is not None, began), address, page)


def start_stock_server() -> Start:
    """One start of vLLM's own server."""
    port = free_port()
    module = "vllm.entrypoints.launchers.api_server.entry"
    began = time.perf_counter()
    with process([sys.executable, "-m", module, "--port", str(port), "--host", "127.0.0.1", *SAME_ARGUMENTS]):
        return Start(until(lambda: answers(f"http://127.0.0.1:{port}", "/health") is not None, began))


def launcher_overhead(rounds: int) -> float:
    """Seconds that `launch.py` adds to `python -m webui` once everything is installed."""
    refused = ["--port", "nothing"]  # the shortest way through both: a setting that is refused at once
    added = []
    for _ in range(rounds):
        times = []
        for command in (["launch.py"], ["-m", "webui"]):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command, *refused], cwd=ROOT, stderr=subprocess.DEVNULL, check=False)
            times.append(time.perf_counter() - began)
        added.append(times[0] - times[1])
    return statistics.median(added)


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    start_app()  # reads every file once, so that no round pays for a cold disk
    ours, stock = [], []
    for _ in range(rounds):
        stock.append(start_stock_server())
        ours.append(start_app())
    ratio = statistics.median(a.ready / b.ready for a, b in zip(ours, stock, strict=True))
    print(f"medians of {rounds} rounds on {os.cpu_count()} cores")
    print(f"vLLM's stock server ready  {statistics.median(s.ready for s in stock):6.1f} s")
    print(f"Batchat: address answers   {statistics.median(s.address for s in ours):6.1f} s")
    print(f"Batchat: chat page there   {statistics.median(s.page for s in ours):6.1f} s")
    print(f"Batchat: engine ready      {statistics.median(s.ready for s in ours):6.1f} s  {ratio:.2f} of the stock server")
    print(f"launch.py adds to a start  {launcher_overhead(5):6.2f} s")


if __name__ == "__main__":
    main()
