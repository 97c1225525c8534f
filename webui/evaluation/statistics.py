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
SAME = 1e-9  # values that are no further apart are the same, but for how floats are added


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval, which a single value does not have."""

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
        shown: whether a difference is shown: p is below 1 - CONFIDENCE and the interval, without which there is no verdict,
            leaves out 0.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    p: float
    shown: bool


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of scores, each 0 to 1, with its interval; None of nothing."""
    if not values:
        return None
    return Estimate(len(values), math.fsum(values) / len(values), *_interval(values, 0.0, 1.0))


def _interval(values: Sequence[float], least: float, most: float) -> tuple[float | None, float | None]:
    """scipy's bootstrap: percentiles of resampled means. Of values that are all the same that would be an interval without a
    width: then it is what can be said of any values from least to most."""
    if len(values) < AT_LEAST:
        return None, None
    return _of_the_same(values, least, most) if max(values) - min(values) < SAME else _bootstrap(values)


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


def _of_the_same(values: Sequence[float], least: float, most: float) -> tuple[float, float]:
    """At least so large a share of all rows gives this value (Clopper and Pearson's exact end); the others may give any."""
    from scipy import stats

    share = float(stats.binomtest(len(values), len(values)).proportion_ci(CONFIDENCE, method="exact").low)
    return values[0] - (1 - share) * (values[0] - least), values[0] + (1 - share) * (most - values[0])


def difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Compares scores of the same rows in the same order; None of nothing.

    The test is the paired permutation test (scipy's): which of the two values is whose is exchanged, in all ways where there
    are few, else in RESAMPLES random ones.
    """
    pairs = [a - b for a, b in zip(first, second, strict=True)]
    if not pairs:
        return None
    low, high = _interval(pairs, -1.0, 1.0)
    p = _permutation(first, second) if len(pairs) >= AT_LEAST and any(pairs) else 1.0
    beside_zero = low is not None and high is not None and (low > SAME or high < -SAME)
    return Difference(len(pairs), math.fsum(pairs) / len(pairs), low, high, p, shown=p < 1 - CONFIDENCE and beside_zero)


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
