"""Means with intervals, and differences with tests. It knows numbers, nothing of what they are scores of.

A value is one row's: of repeats the mean is taken first, since they are not independent of each other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
RESAMPLES = 1999
SEED = 20_000  # the same numbers each time that a report is made
AT_LEAST = 2  # rows, for an interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval; the interval is None where it cannot be told."""

    n: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of paired differences, first - second.

    Attributes:
        n: pairs.
        p: how likely a mean at least as far from 0 would be if it were chance which of the two is which.
        shown: whether a difference is shown: p is below 1 - CONFIDENCE and the interval leaves out 0.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    p: float
    shown: bool


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of values with its interval; None of nothing.

    The interval is scipy's bootstrap (percentiles of resampled means). Resampling values that are all the same would give an
    interval without a width: of zeros or ones it is then Clopper and Pearson's exact one, of others there is none.
    """
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) < AT_LEAST:
        return Estimate(len(values), mean, None, None)
    low, high = _bootstrap(values) if len(set(values)) > 1 else _of_the_same(values)
    return Estimate(len(values), mean, low, high)


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    import numpy as np
    from scipy import stats

    found = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // len(values)),
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _of_the_same(values: Sequence[float]) -> tuple[float | None, float | None]:
    if values[0] not in (0.0, 1.0):
        return None, None
    from scipy import stats

    interval = stats.binomtest(int(sum(values)), len(values)).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Compares values of the same rows in the same order; None of nothing.

    The test is the paired permutation test (scipy's): which of the two values is whose is exchanged, in all ways where there
    are few, else in RESAMPLES random ones.
    """
    pairs = [a - b for a, b in zip(first, second, strict=True)]
    if not pairs:
        return None
    mean = math.fsum(pairs) / len(pairs)
    if len(pairs) < AT_LEAST or not any(pairs):
        return Difference(len(pairs), mean, None, None, 1.0, shown=False)
    low, high = _bootstrap(pairs) if len(set(pairs)) > 1 else (None, None)
    p = _permutation(first, second)
    beside_zero = low is None or high is None or low > 0 or high < 0
    return Difference(len(pairs), mean, low, high, p, shown=p < 1 - CONFIDENCE and beside_zero)


def _permutation(first: Sequence[float], second: Sequence[float]) -> float:
    import numpy as np
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer ways than resamples: then all of them are taken
        found = stats.permutation_test(
            (np.asarray(first, dtype=float), np.asarray(second, dtype=float)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, 4_000_000 // len(first)),
            alternative="two-sided",
            rng=np.random.default_rng(SEED),
        )
    return float(found.pvalue)
