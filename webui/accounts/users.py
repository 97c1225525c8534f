"""The file of users: a name and a password's hash for each. It is read again when it changes, and written by `add-user`.

It knows no password and nothing of who has logged in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from webui.accounts.passwords import is_hash
from webui.errors import BadSetting

log = logging.getLogger(__name__)

TABLE = "users"
_NAME = re.compile(r"[\w.@+-]{1,64}")


def plain_name(name: str) -> str | None:
    """A name as it is kept, the same for large and small letters; None if it is none."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
    return plain if _NAME.fullmatch(plain) else None


class Users:
    """The users of a file.

    A change of the file counts at once. If it cannot be read any more, or is not valid, those that were read last stay.

    Args:
        path: the file.

    Raises:
        BadSetting: if it cannot be read or holds no user.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._stamp = self._stamp_now()
        self._hashes = read_users(self._path)
        if not self._hashes:
            raise BadSetting(setting="--auth", reason=f"{path} holds no user; {_how_to_add(path)}")
        with contextlib.suppress(OSError):
            if self._path.stat().st_mode & stat.S_IROTH:
                log.warning("Everybody on this machine can read %s; `chmod 600` makes it yours.", path)

    def hash_of(self, name: str) -> str | None:
        """The hash of a user's password; None if there is no such user."""
        self._refresh()
        return self._hashes.get(name)

    def _refresh(self) -> None:
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._hashes = read_users(self._path)
        except BadSetting as error:
            log.error("%s. The users that were read before stay.", error)
        else:
            log.info("The users were read again: %d.", len(self._hashes))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def read_users(path: Path) -> dict[str, str]:
    """Name -> hash.

    Raises:
        BadSetting: naming what is wrong, never a hash.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSetting(setting="--auth", reason=f"{path} is not there; {_how_to_add(path)}") from None
    except OSError as error:
        raise BadSetting(setting="--auth", reason=f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # whose words may quote a hash
        raise BadSetting(setting="--auth", reason=f"{path} is not valid TOML") from None
    return _checked(table, path)


def _checked(table: dict[str, Any], path: Path) -> dict[str, str]:
    listed = table.pop(TABLE, {})
    if table or not isinstance(listed, dict):
        raise BadSetting(setting="--auth", reason=f"in {path} a table [{TABLE}] is wanted, and nothing else")
    hashes: dict[str, str] = {}
    for name, hash in listed.items():
        plain = plain_name(name)
        if plain is None or plain in hashes:
            wrong = "is no name" if plain is None else "is there twice"
            raise BadSetting(setting="--auth", reason=f"{name!r} in {path} {wrong}")
        if not isinstance(hash, str) or not is_hash(hash):
            raise BadSetting(setting="--auth", reason=f"{name!r} in {path} has no argon2 hash; {_how_to_add(path)}")
        hashes[plain] = hash
    return hashes


def write_user(path: Path, name: str, hash: str) -> None:
    """Puts a user into the file, which is made if it is not there; whatever else stands in it stays as it is.

    The file is replaced as a whole, readable by its owner alone.

    Raises:
        OSError
    """
    import tomlkit

    path = path.resolve()
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    listed = document.setdefault(TABLE, tomlkit.table())
    kept_as = next((key for key in listed if plain_name(key) == name), name)
    listed[kept_as] = hash
    _replace(path, tomlkit.dumps(document).encode())


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "fchown") and path.exists():  # root may add a user to a file of the server's own account
                owner = path.stat()
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _how_to_add(path: Path | str) -> str:
    return f"`python launch.py add-user --auth {path} NAME` adds one"
