"""The folder where the app keeps what outlives it: the database, the key that signs visitors' cookies, which logins were ended.

It knows neither what is in the database nor what a cookie looks like.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
from pathlib import Path

from webui.errors import BadSetting

log = logging.getLogger(__name__)

NONE = "none"  # as --data-dir: nothing is kept
DATABASE = "conversations.sqlite3"
ENDED_SESSIONS = "ended_sessions"
EVALUATIONS = "evaluations"
KEY = "visitors.key"
KEY_SIZE = 32  # bytes


def default_folder() -> Path:
    """The user's own folder for data, as the system has it (Linux: the XDG Base Directory Specification)."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "Batchat"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Batchat"
    given = os.environ.get("XDG_DATA_HOME", "")
    return (Path(given) if given.startswith("/") else home / ".local" / "share") / "batchat"


class DataFolder:
    """The folder; it is made when something is first put there.

    Args:
        path: what --data-dir says; None is the default folder, "none" is none.
    """

    def __init__(self, path: str | None) -> None:
        self.path = None if path == NONE else Path(path).expanduser() if path else default_folder()

    def make(self) -> Path | None:
        """The folder, made if it was not there, readable by this user alone.

        Raises:
            OSError: if it cannot be made.
        """
        if self.path is not None:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.path

    def key(self) -> bytes | None:
        """The key, made at first need; None if there is no folder, or nothing can be written there.

        Raises:
            BadSetting: if there is a key that cannot be read: with another one every visitor would be a stranger.
        """
        try:
            folder = self.make()
            return None if folder is None else _key(folder / KEY)
        except PermissionError as error:
            if self.path and os.path.lexists(self.path / KEY):
                raise BadSetting(setting="--data-dir", reason=f"{error.filename} cannot be read") from None
            self._say_unwritable(error)
        except OSError as error:
            self._say_unwritable(error)
        return None

    def _say_unwritable(self, error: OSError) -> None:
        log.error("Visitors are known only until the app ends: nothing can be written to %s (%s).", self.path, error.strerror)


def _key(path: Path) -> bytes:
    """The key in a file; of two apps that start at once, both have the same."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
        finally:
            fresh.unlink()
    key = path.read_bytes()
    if len(key) < KEY_SIZE:
        raise BadSetting(setting="--data-dir", reason=f"{path} holds no key: it is shorter than {KEY_SIZE} bytes")
    return key
