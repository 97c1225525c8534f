"""Which sessions were ended by logging out, so that the values that browsers still have of them are worth nothing.

Each is an empty file, named after the session and dated to when it would have expired anyway: a restart knows of it, and so
does another app that shares the folder. It does not know what a session is.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class EndedSessions:
    """Remembers ids until they would have expired.

    Args:
        folder: where; it is made when the first one is ended. None, or a folder that cannot be written, remembers them for as
            long as the process lives.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._until: dict[str, float] = {}  # Unix seconds; only of those that no file could be made for

    def __contains__(self, id: str) -> bool:
        return id in self._until or (self._folder is not None and (self._folder / id).exists())

    def add(self, id: str, now: float, until: float) -> None:
        """Remembers an id, and forgets those that have expired."""
        self._forget(now)
        if self._folder is not None:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (self._folder / id).touch(mode=0o600)
                os.utime(self._folder / id, (until, until))
                return
            except OSError as error:
                log.error("Who logged out is known only until the app ends: %s cannot be written (%s).", self._folder, error)
        self._until[id] = until

    def _forget(self, now: float) -> None:
        self._until = {id: until for id, until in self._until.items() if until > now}
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir() if self._folder is not None else ():
                if file.stat().st_mtime <= now:
                    file.unlink(missing_ok=True)
