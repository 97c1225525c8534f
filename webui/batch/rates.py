"""Sums over a sliding window, kept in one bucket per slice of time, so that memory and cost do not grow with the load."""

from __future__ import annotations


class SlidingSum:
    """How much was added within the last `window` seconds.

    Args:
        window: seconds.
        buckets: slices of the window; the sum is exact to one slice.
    """

    def __init__(self, window: float, buckets: int) -> None:
        self._width = window / buckets
        self._sums = [0.0] * buckets
        self._newest = 0

    def add(self, amount: float, now: float) -> None:
        """Adds an amount at a time, which must not lie before the last one by more than a slice."""
        self._advance(now)
        self._sums[self._newest % len(self._sums)] += amount

    def total(self, now: float) -> float:
        """The sum over the window that ends now."""
        self._advance(now)
        return sum(self._sums)

    def rate(self, now: float) -> float:
        """The sum per second."""
        return self.total(now) / (self._width * len(self._sums))

    def _advance(self, now: float) -> None:
        slice_now = int(now / self._width)
        for index in range(max(self._newest + 1, slice_now - len(self._sums) + 1), slice_now + 1):
            self._sums[index % len(self._sums)] = 0.0
        self._newest = max(self._newest, slice_now)
