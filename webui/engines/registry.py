"""Every engine that the app stands before: those of the settings, and each further model that a server turns out to have.

Each has a board of its own and is kept running by itself; one that fails is no matter of the others. It does not know who asks
which, nor what an engine does.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from webui.batch.board import Board
from webui.engines.base import EngineFactory
from webui.engines.local import LocalEngines
from webui.engines.openai_server import OpenAIEngines
from webui.engines.supervisor import Supervisor
from webui.engines.triton_server import TritonEngines
from webui.errors import UnknownModel
from webui.settings import Settings

MODELS_AT_MOST = 100  # of all servers; some have a whole catalogue


@dataclass(eq=False, slots=True)
class Backend:
    """One engine, kept running, and its board.

    Attributes:
        key: what a request names it by, and what the menu says.
        settings: with which it is started.
    """

    key: str
    settings: Settings
    board: Board
    supervisor: Supervisor = field(init=False)


Kind = Callable[[Settings, Board, Callable[[list[str]], None]], EngineFactory]


def engines(settings: Settings, board: Board, on_models: Callable[[list[str]], None]) -> EngineFactory:
    """What starts engines of the kind that the settings ask for."""
    if settings.engine == "triton":
        return TritonEngines(settings, board)
    if settings.engine == "openai":
        return OpenAIEngines(settings, board, on_models)
    return LocalEngines(settings, board)


class Registry:
    """All engines; the first is the usual one.

    Args:
        settings: of all of them.
        on_change: called with the backend whose state changed.
        kind: what starts the engines of given settings.
    """

    def __init__(
        self, settings: Settings, on_change: Callable[[Backend], None] = lambda backend: None, kind: Kind = engines
    ) -> None:
        self._on_change = on_change
        self._kind = kind
        self._backends: dict[str, Backend] = {}
        self._request_ids = itertools.count(1)  # one number means one request, on whichever board
        self._started = False
        for name, each in settings.engines or (("", settings),):
            self._add(name, each)

    def __iter__(self) -> Iterator[Backend]:
        return iter(list(self._backends.values()))

    @property
    def usual(self) -> Backend:
        """The engine of whoever names none."""
        return next(iter(self._backends.values()))

    def backend(self, key: str) -> Backend:
        """The engine of this name; the usual one for an empty name.

        Raises:
            UnknownModel
        """
        if not key:
            return self.usual
        if (found := self._backends.get(key)) is None:
            raise UnknownModel(model=key[:100])
        return found

    def menu(self) -> list[dict[str, Any]]:
        """What may be chosen from, as JSON types; nothing where there is no choice."""
        if len(self._backends) == 1:
            return []
        return [{"key": each.key, "name": each.key or _name(each), "stage": each.supervisor.stage} for each in self]

    def start(self) -> None:
        """Begins to start every engine."""
        self._started = True
        for backend in self:
            backend.supervisor.start()

    async def stop(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(backend.supervisor.stop() for backend in self))

    def _add(self, key: str, settings: Settings) -> Backend:
        backend = Backend(key, settings, Board(ids=self._request_ids))
        factory = self._kind(settings, backend.board, functools.partial(self._found, backend))
        unattended = settings.kiosk is not None
        backend.supervisor = Supervisor(factory, lambda: self._on_change(backend), unattended=unattended)
        self._backends[key] = backend
        return backend

    def _found(self, backend: Backend, models: list[str]) -> None:
        """A server has these models: where none was named, the first is the backend's own, and each other gets one."""
        if backend.settings.said("model") is not None:
            return
        prefix = f"{backend.key}/" if backend.key else ""
        for model in models[1:]:
            key = prefix + model
            if key not in self._backends and len(self._backends) < MODELS_AT_MOST:
                given = backend.settings.given | {"model"}
                added = self._add(key, replace(backend.settings, model=model, given=given))
                if self._started:
                    added.supervisor.start()
                self._on_change(added)


def _name(backend: Backend) -> str:
    """Of one that was given none: its model, as soon as that is known."""
    return str(backend.supervisor.status().get("model") or backend.settings.said("model") or backend.settings.engine)
