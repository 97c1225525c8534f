"""The processes that this one started, and how they are ended. Knows no engine."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psutil

KILLED_WITHIN = 2.0  # seconds that the system takes at most to be rid of a process that was killed


def started_processes() -> list[psutil.Process]:
    """All that live under this process, the helper of `multiprocessing` excepted that removes shared memory after them."""
    return [child for child in psutil.Process().children(recursive=True) if not _tidies_up(child)]


def kill(processes: Sequence[psutil.Process]) -> None:
    """Ends them at once."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=KILLED_WITHIN)


def end(processes: Sequence[psutil.Process], within: float) -> None:
    """Asks them to end, and kills what is still there after so many seconds."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=within)
    kill(alive)


def _tidies_up(child: psutil.Process) -> bool:
    try:
        return any("resource_tracker" in word for word in child.cmdline())
    except psutil.Error:
        return False
