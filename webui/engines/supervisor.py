"""Keeps one engine running: starts it, says what it is doing, starts it again when it dies.

An engine that never ran (a model that is not there, no memory) is not tried again by itself: the reason stands until
somebody changes something, unless nobody is there who could. One that ran and died is restarted, after 1, 2, 4 … 30 seconds,
and so is one whose error may pass (a server that does not answer); until it has, the error stands and whoever asks is told. It
does not know what kind of engine it keeps, nor who waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from webui.engines.base import Engine, EngineFactory, Stage
from webui.errors import EngineFailed, ShuttingDown, WebuiError

log = logging.getLogger(__name__)

LOOK_EVERY = 0.25  # seconds between two looks at whether the engine lives
BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before each further restart
HEALTHY_AFTER = 60.0  # seconds after which a restart counts as a success


class Supervisor:
    """One engine, kept alive.

    Args:
        factory: starts an engine.
        on_change: called whenever `status` changed.
        unattended: nobody looks after it, so even one that never ran is tried again.
    """

    def __init__(
        self, factory: EngineFactory, on_change: Callable[[], None] = lambda: None, *, unattended: bool = False
    ) -> None:
        self._factory = factory
        self._on_change = on_change
        self._unattended = unattended
        self._engine: Engine | None = None
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()  # ready, or failed for good
        self._task: asyncio.Task[None] | None = None
        self._born = self._since = time.monotonic()
        self.imported = asyncio.Event()  # the engine's libraries are imported, or will not be
        self.stage: Stage = "importing"
        self.error: WebuiError | None = None
        self.restarts = 0

    @property
    def engine(self) -> Engine | None:
        """The engine, if it is ready now."""
        engine = self._engine if self._ready.is_set() else None
        return engine if engine is not None and engine.alive else None

    def start(self) -> None:
        """Begins to start the engine, in the background."""
        self._task = asyncio.create_task(self._keep_alive(), name="engine supervisor")

    async def ready(self) -> Engine:
        """Waits until the engine is ready.

        Raises:
            WebuiError: why there will be none.
        """
        while True:
            await self._settled.wait()
            if self.error is not None:
                raise self.error.with_traceback(None)  # raised again and again, it would keep the frames of every time
            if (engine := self.engine) is not None:
                return engine
            await asyncio.sleep(LOOK_EVERY)  # it has died, and that has not been noticed yet

    def status(self) -> dict[str, Any]:
        """What the engine is doing, as JSON types; seconds since the app's start and since this stage began."""
        now = time.monotonic()
        status: dict[str, Any] = {
            "stage": self.stage,
            "since": round(now - self._since, 1),
            "elapsed": round(now - self._born, 1),
            "error": self.error.as_dict() if self.error else None,
        }
        if self._engine is not None:
            info = self._engine.info
            status |= {
                "model": info.model,
                "device": info.device,
                "engine": info.engine,
                "lanes": info.lanes,
                "context": info.context,
                "sampling": info.sampling.as_dict(),
                "ignored": list(info.ignored),
                "cannot": list(info.cannot),
            }
        return status

    async def stop(self) -> None:
        """Ends the engine and lets nothing start it again."""
        self._to("stopping")
        self.error = ShuttingDown()
        self._ready.clear()
        self._settled.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._engine is not None:
            await self._engine.shutdown()

    async def _keep_alive(self) -> None:
        while await self._started():
            began = time.monotonic()
            await self._until_dead()
            if time.monotonic() - began > HEALTHY_AFTER:
                self.restarts = 0
            pause = BACK_OFF[min(self.restarts, len(BACK_OFF) - 1)]
            self.restarts += 1
            log.error("The engine stopped; it is started again in %g s.", pause)
            self._to("restarting")
            await self._end_engine()
            await asyncio.sleep(pause)

    async def _started(self) -> bool:
        """Starts the engine, repeatedly if that may help; False if it cannot be started."""
        while True:
            try:
                self._engine = await self._factory(self._to)
            except Exception as error:
                if not self._may_be_tried_again(error):
                    return False
            else:
                self.error = None
                self._ready.set()
                self._settled.set()
                self._to("ready")
                return True
            await asyncio.sleep(BACK_OFF[min(self.restarts, len(BACK_OFF) - 1)])
            self.restarts += 1

    def _may_be_tried_again(self, error: Exception) -> bool:
        """Tells everybody of a start that failed."""
        if not isinstance(error, WebuiError):
            log.error("The engine could not be started.", exc_info=error)
            error = EngineFailed(reason=str(error) or type(error).__name__)
        if error.passing or self.error is not None or not self.restarts:
            self._fail(error)
        else:
            log.error("The engine could not be restarted: %s", error)
        return error.passing or self._unattended or self.restarts > 0

    async def _until_dead(self) -> None:
        while self._engine is not None and self._engine.alive:
            await asyncio.sleep(LOOK_EVERY)

    async def _end_engine(self) -> None:
        self._ready.clear()
        self._settled.clear()
        if self._engine is not None:
            await self._engine.shutdown()

    def _fail(self, error: WebuiError) -> None:
        if str(error) != str(self.error):
            log.error("%s (error %s)", error, error.id)
            self.error = error
        self._settled.set()
        self._to("failed")

    def _to(self, stage: Stage) -> None:
        # A restart is told as one stage: what it is doing inside matters only to a first start.
        if self.restarts and stage in ("importing", "connecting", "loading", "warming"):
            stage = "restarting" if self.error is None else "failed"
        if stage != "importing":
            self.imported.set()
        if stage != self.stage:
            self.stage = stage
            self._since = time.monotonic()
            log.info("Engine: %s", stage)
        self._on_change()
