"""What the doors need of each engine: its frames, its demonstration, the streams of those who watch it.

It knows requests as far as they name an engine, by the field `model` of the query or the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from webui.batch.frames import Frames
from webui.demo_traffic import DemoTraffic
from webui.engines.registry import Backend, Registry
from webui.errors import BadInput, UnknownModel
from webui.server.stream import Everybody


@dataclass(frozen=True, eq=False, slots=True)
class Front:
    """One engine as the doors have it."""

    backend: Backend
    frames: Frames
    demo: DemoTraffic
    everybody: Everybody


class Fronts:
    """The fronts of all engines.

    Args:
        registry: the engines.
        make: makes the front of one, when it is first wanted.
    """

    def __init__(self, registry: Registry, make: Callable[[Backend], Front]) -> None:
        self._registry = registry
        self._make = make
        self._fronts: dict[Backend, Front] = {}

    def __iter__(self) -> Iterator[Front]:
        return iter([self.of(backend) for backend in self._registry])

    @property
    def usual(self) -> Front:
        """The front of the engine that answers whoever names none."""
        return self.of(self._registry.usual)

    def of(self, backend: Backend) -> Front:
        """The front of an engine."""
        if backend not in self._fronts:
            self._fronts[backend] = self._make(backend)
        return self._fronts[backend]

    def named_in(self, values: dict[str, Any]) -> Front:
        """The front that a body names.

        Raises:
            BadInput, UnknownModel
        """
        key = values.get("model", "")
        if not isinstance(key, str):
            raise BadInput(field="model", reason="a text is wanted")
        return self.of(self._registry.backend(key))

    def watched_by(self, request: Request) -> Front:
        """The front that a query names; the usual one for what is not there any more, for whoever watches is told which."""
        try:
            return self.named_in(dict(request.query_params))
        except UnknownModel:
            return self.usual
