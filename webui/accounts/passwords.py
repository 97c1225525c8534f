"""Passwords as argon2id hashes (RFC 9106). It knows no user.

argon2-cffi is imported when the first password is looked at: a server without accounts has no use for it.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata

SHORTEST, LONGEST = 8, 1024  # characters
AT_ONCE = 2  # each takes 64 MiB and a core for a twentieth of a second


def hash_password(password: str) -> str:
    """The password's hash with a salt of its own, in the PHC string format."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(_normal(password))


def is_hash(text: str) -> bool:
    """Whether a text is an argon2 hash."""
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        extract_parameters(text)
    except (InvalidHashError, ValueError):
        return False
    return True


class Passwords:
    """Compares passwords with hashes, a few at once, off the event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._nobodys = hash_password(secrets.token_hex())

    async def match(self, password: str, hash: str | None) -> bool:
        """Whether this is the password; without a hash, that of a user who is not there, it is not, after the same time."""
        async with self._turn:
            matches = await asyncio.to_thread(_matches, password, hash or self._nobodys)
        return matches and hash is not None


def _matches(password: str, hash: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(hash, _normal(password))
    except (InvalidHashError, VerificationError):
        return False


def _normal(password: str) -> str:
    """A letter with a mark, or a Hangul syllable, has the same bytes whichever keyboard wrote it."""
    return unicodedata.normalize("NFC", password)
