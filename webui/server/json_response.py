"""JSON as an answer, for what is large or asked for often: orjson's, and kept by nobody on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The answer.

    Args:
        headers: further ones.
    """
    return Response(orjson.dumps(content), status, {"cache-control": "no-store", **(headers or {})}, "application/json")
