"""Who has logged in: sessions as signed values that a browser keeps. It does not know how they get there.

A value names the user, the session and the time, and is signed together with the hash of the user's password: another
password, or another key, and it is worth nothing. Which were ended by logging out is in `ended.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from webui.accounts.ended import EndedSessions
from webui.accounts.users import Users

RENEW_AFTER = 0.1  # of a session's time: whoever comes now and then never logs in again
_VALUE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{22})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Session:
    """One user in one browser.

    Attributes:
        user: the name.
        id: of this session.
        written: when its value was, in Unix seconds.
    """

    user: str
    id: str = field(repr=False)
    written: int
    hash: str = field(repr=False)


class Sessions:
    """Writes and reads the values.

    Args:
        key: kept by the server alone; None makes one that lasts as long as the process.
        users: who there is.
        ended: which sessions were.
        lifetime: seconds without a visit after which a session ends.
    """

    def __init__(self, key: bytes | None, users: Users, ended: EndedSessions, lifetime: float) -> None:
        self.lifetime = lifetime
        self._key = key or secrets.token_bytes(32)
        self._users = users
        self._ended = ended

    def begin(self, user: str, hash: str, now: float) -> Session:
        """A session for somebody who has just shown the password of this hash."""
        return Session(user, secrets.token_urlsafe(16), int(now), hash)

    def renewed(self, session: Session, now: float) -> Session | None:
        """The same session from now on; None while its value is young."""
        if now - session.written < RENEW_AFTER * self.lifetime:
            return None
        return Session(session.user, session.id, int(now), session.hash)

    def write(self, session: Session) -> str:
        """The value that a browser is to keep."""
        signed = f"{_encode(session.user.encode())}.{session.id}.{session.written:x}"
        return f"{signed}.{self._signature(signed, session.hash)}"

    def read(self, value: str, now: float) -> Session | None:
        """The session of a value; None if it was not written here, is over, or its user or password is another by now."""
        found = _VALUE.fullmatch(value)
        user = _decode(found[1]) if found else None
        hash = self._users.hash_of(user) if user is not None else None
        if found is None or user is None or hash is None:
            return None
        if not hmac.compare_digest(found[4], self._signature(value.rpartition(".")[0], hash)):
            return None
        session = Session(user, found[2], int(found[3], 16), hash)
        return session if self.holds(session, now) else None

    def holds(self, session: Session, now: float) -> bool:
        """Whether a session that was read goes on."""
        fresh = now < session.written + self.lifetime
        return fresh and session.id not in self._ended and self._users.hash_of(session.user) == session.hash

    def end(self, session: Session, now: float) -> None:
        """Ends a session, whoever has its value."""
        self._ended.add(session.id, now, until=now + self.lifetime)

    def _signature(self, signed: str, hash: str) -> str:
        return _encode(hmac.digest(self._key, f"session:{signed}:{hash}".encode(), hashlib.sha256))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None
