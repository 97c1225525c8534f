"""The kiosk: its file, its visits, its showpiece and the corner of whoever looks after it, put together.

It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from webui.background import in_background
from webui.batch.board import Board
from webui.chats import Chats
from webui.demo_traffic import DemoTraffic
from webui.engines.supervisor import Supervisor
from webui.errors import BadInput, PinLocked, PinWrong
from webui.kiosk.attract import AttractLoop
from webui.kiosk.file import LANGUAGES, read_kiosk_file
from webui.kiosk.guard import Rate, Rules
from webui.kiosk.pin import is_pin, is_right
from webui.kiosk.together import Together
from webui.kiosk.visits import Visit, Visits

WRONG_PINS = 5  # within …
LOCKED_FOR = 300.0  # … so many seconds, and then no other is looked at


class Kiosk:
    """One server's kiosk, for any number of screens.

    Args:
        path: of its file.
        chats, supervisor, board, demo: the app's rooms.
        grace: seconds after which a visit whose screen is gone ends.

    Raises:
        BadSetting: for what is wrong in the file.
    """

    def __init__(self, path: str, chats: Chats, supervisor: Supervisor, board: Board, demo: DemoTraffic, grace: float) -> None:
        self._path = Path(path)
        self._supervisor = supervisor
        self.read_file()
        self.visits = Visits(chats, supervisor, lambda: self.file, lambda: self.rules, grace, self._visit_over)
        self.together = Together(supervisor, board, chats.prompt)
        self.attract = AttractLoop(demo, lambda: self.file)
        self._wrong_pins = Rate(WRONG_PINS, LOCKED_FOR)
        self._comparing: tuple[Visit, asyncio.Task[None]] | None = None

    def read_file(self) -> None:
        """Reads the file again; what is wrong in it leaves the former in force.

        Raises:
            BadSetting
        """
        self.file = read_kiosk_file(self._path)
        self.rules = Rules(self.file)

    def compare(self, visit: Visit, language: str) -> None:
        """Runs one at a time against together for a visitor.

        Raises:
            ComparisonRunning, EngineNotReady
        """
        channel = visit.chat.channel
        questions = self.file.questions[language]
        task = self.together.start(questions, self.file.together_tokens, lambda state: channel.publish("together", state))
        self._comparing = visit, task

    def stop(self, visit: Visit) -> None:
        """Ends whatever runs for a visitor."""
        self.visits.stop(visit)
        self._stop_comparing(visit)

    def _visit_over(self, visit: Visit) -> None:
        self._stop_comparing(visit)

    def _stop_comparing(self, visit: Visit) -> None:
        if self._comparing is not None and self._comparing[0] is visit:
            # Not at once: a task that is cancelled before it has begun would never say that it was.
            asyncio.get_running_loop().call_soon(self._comparing[1].cancel)
            self._comparing = None

    async def admit(self, pin: str) -> None:
        """Lets whoever looks after the kiosk into their corner.

        Raises:
            PinWrong, PinLocked
        """
        if seconds := self._wrong_pins.wait():
            raise PinLocked(seconds=seconds)
        self._wrong_pins.happened()  # until it is known to be right: many at once are so many tries
        hashed = self.file.admin_pin_hash
        if not hashed or not is_pin(pin) or not await in_background(lambda: is_right(pin, hashed)):
            raise PinWrong()
        self._wrong_pins = Rate(WRONG_PINS, LOCKED_FOR)

    def status(self) -> dict[str, Any]:
        """What whoever looks after it wants to know; nobody's words are in it."""
        digest = hashlib.sha256(self._path.read_bytes()).hexdigest()[:8] if self._path.is_file() else ""
        return {**self.visits.status(), "restarts": self._supervisor.restarts, "file": str(self._path), "digest": digest}

    def for_page(self) -> dict[str, Any]:
        """What the screen has to know of the file."""
        file = self.file
        return {
            **{name: getattr(file, name) for name in ("title", "language", "theme", "screen_inches", "letters_mm", "keyboard")},
            **{name: getattr(file, name) for name in ("idle_seconds", "warning_seconds", "max_characters", "max_turns")},
            "questions": dict(file.questions),
            "topics": dict(file.topics),
            "admin": bool(file.admin_pin_hash),
        }


def language_in(body: dict[str, Any]) -> str:
    """The language that a screen shows.

    Raises:
        BadInput
    """
    language = body.get("language")
    if language not in LANGUAGES:
        raise BadInput(field="language", reason=f"one of {', '.join(LANGUAGES)} is wanted")
    return str(language)
