"""Runs a measurement with the app and its engine in this very process, and leaves nothing behind.

It does not know what is measured.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from webui.engines.local import prepare_environment
from webui.server.process import end_children, private_temporary_folder
from webui.settings import Settings

Result = TypeVar("Result")


def in_process(settings: Settings, measure: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What the measurement gives, once everything that it started has ended."""
    with private_temporary_folder():
        prepare_environment(settings)
        try:
            return asyncio.run(measure())
        finally:
            end_children()


def leave() -> NoReturn:
    """Ends this process at once: threads of the libraries would hold it up."""
    sys.stdout.flush()
    os._exit(0)
