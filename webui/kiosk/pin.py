"""The PIN of whoever looks after a kiosk: only its hash stands in the file. `python launch.py kiosk-pin` makes one.

It does not know what the PIN opens.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import re
import secrets
import sys
from collections.abc import Sequence

DIGITS = range(4, 13)
_COST = {"n": 2**14, "r": 8, "p": 1}  # scrypt (RFC 7914), as its authors advise for a login
_HASH = re.compile(r"scrypt:([0-9a-f]{32}):([0-9a-f]{64})")


def is_pin(text: str) -> bool:
    """Whether it can be typed on the screen's pad: digits alone, not too few."""
    return len(text) in DIGITS and text.isascii() and text.isdigit()


def is_hash(text: str) -> bool:
    """Whether it is what `hash_pin` gives."""
    return _HASH.fullmatch(text) is not None


def hash_pin(pin: str) -> str:
    """What may stand in a file: nobody reads the PIN from it at a glance."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_digest(pin, salt).hex()}"


def is_right(pin: str, hashed: str) -> bool:
    """Whether this is the PIN; takes some hundredths of a second, and as long for a wrong one."""
    found = _HASH.fullmatch(hashed)
    assert found is not None
    return hmac.compare_digest(_digest(pin, bytes.fromhex(found[1])), bytes.fromhex(found[2]))


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, dklen=32, **_COST)


def main(arguments: Sequence[str]) -> int:
    """The command `kiosk-pin`: asks for a PIN, on the terminal or from a pipe, and prints its hash."""
    if arguments:
        print("usage: python launch.py kiosk-pin\n\nAsks for a PIN and prints the line for kiosk.toml.")
        return 0 if arguments[0] in ("-h", "--help") else 2
    pin = getpass.getpass("PIN: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not is_pin(pin):
        print(f"A PIN of {DIGITS.start} to {DIGITS.stop - 1} digits is wanted.", file=sys.stderr)
        return 1
    print(f'admin_pin_hash = "{hash_pin(pin)}"')
    return 0
