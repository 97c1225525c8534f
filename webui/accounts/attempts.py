"""How often somebody may try a password: failed attempts of the last minutes, by address, by name, and by both.

It knows no password; an attempt counts as failed until it is said that it was right.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict, deque
from collections.abc import Iterator

from webui.errors import TooManyAttempts

WINDOW = 900.0  # seconds
AT_MOST_OF_BOTH = 5  # one name from one address
AT_MOST_OF_ADDRESS = 30  # any names
AT_MOST_OF_NAME = 50  # from anywhere; few enough against guessing, too many for locking somebody out by hand
REMEMBERED = 20_000  # addresses and names

Key = tuple[str, str]


class Attempts:
    """The attempts that failed."""

    def __init__(self) -> None:
        self._failed: OrderedDict[Key, deque[float]] = OrderedDict()

    def begin(self, address: str, name: str, now: float) -> None:
        """Counts an attempt.

        Args:
            address: where it comes from.
            name: whose password is tried.
            now: seconds of a monotonic clock.

        Raises:
            TooManyAttempts: if there were too many; this one does not count.
        """
        waits = [self._wait(key, limit, now) for key, limit in _keys(address, name)]
        if max(waits) > 0:
            raise TooManyAttempts(minutes=math.ceil(max(waits) / 60))
        for key, _ in _keys(address, name):
            self._failed.setdefault(key, deque()).append(now)
            self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def was_right(self, address: str, name: str) -> None:
        """Takes the latest attempt back, and what this person had mistyped before."""
        for index, (key, _) in enumerate(_keys(address, name)):
            failed = self._failed.get(key)
            if not failed:
                continue
            failed.pop()
            if index == 0 or not failed:
                del self._failed[key]

    def _wait(self, key: Key, limit: int, now: float) -> float:
        """Seconds until another attempt may be made."""
        failed = self._failed.get(key, deque())
        while failed and failed[0] <= now - WINDOW:
            failed.popleft()
        return failed[0] + WINDOW - now if len(failed) >= limit else 0.0


def _keys(address: str, name: str) -> Iterator[tuple[Key, int]]:
    network = _network(address)
    yield (network, name), AT_MOST_OF_BOTH
    yield (network, ""), AT_MOST_OF_ADDRESS
    yield ("", name), AT_MOST_OF_NAME


def _network(address: str) -> str:
    """An address; of IPv6 the network of 64 bits, for whoever has one address has all of them."""
    try:
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        pass
    return address
