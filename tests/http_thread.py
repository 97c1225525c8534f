"""A small HTTP server of the tests' own, served by a thread for as long as it is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TypeVar

Server = TypeVar("Server", bound=ThreadingHTTPServer)

LOOK_FOR_THE_END_EVERY = 0.01  # seconds


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, answering until the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(LOOK_FOR_THE_END_EVERY,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
