"""API keys: who shows a valid one. Only their digests are kept, and none is ever told to anybody."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from starlette.types import Scope

from webui.errors import BadSetting, InvalidApiKey, NoApiKeys
from webui.settings import Settings


class ApiKeys:
    """The keys of the settings; without any, everybody may use the API, or where a login is wanted nobody.

    Args:
        settings: keys given one by one, and a file of them.

    Raises:
        BadSetting: if the file cannot be read or holds no key.
    """

    def __init__(self, settings: Settings) -> None:
        keys = [*settings.api_key, *(_read(settings.api_key_file) if settings.api_key_file else ())]
        self._digests = [_digest(key.encode()) for key in dict.fromkeys(keys)]
        self._login_wanted = settings.has_login

    @property
    def any(self) -> bool:
        """Whether there is a key."""
        return bool(self._digests)

    def owner(self, scope: Scope) -> str:
        """Whose request it is: a name for the key that it shows or, where there are no keys, for its address.

        Every key is compared, in constant time each, so that the time tells nothing of them.

        Raises:
            InvalidApiKey, NoApiKeys
        """
        if not self._digests:
            if self._login_wanted:
                raise NoApiKeys()
            return f"address {(scope.get('client') or ('unknown',))[0]}"
        shown = _digest(_bearer(scope))
        matches = [hmac.compare_digest(shown, digest) for digest in self._digests]
        if not any(matches):
            raise InvalidApiKey()
        return f"key {matches.index(True)}"


def _bearer(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = bytes(value).partition(b" ")
            return key.strip() if scheme.lower() == b"bearer" else b""
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _read(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadSetting(setting="--api-key-file", reason=f"{path} cannot be read: {reason}") from None
    keys = [key for line in lines if (key := line.strip()) and not key.startswith("#")]
    if not keys:
        raise BadSetting(setting="--api-key-file", reason=f"there is no key in {path}")
    return keys
