"""Means, intervals and tests of numbers for which they are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.evaluation.statistics import difference, estimate


def test_of_one_value_there_is_a_mean_and_no_interval() -> None:
    found = estimate([0.25])
    assert found is not None and (found.n, found.mean, found.low, found.high) == (1, 0.25, None, None)
    assert estimate([]) is None


def test_the_interval_of_ten_right_ones_is_the_exact_one() -> None:
    """Clopper and Pearson: of n right ones in n the lower end is (alpha / 2) ** (1 / n), and of none the upper its mirror."""
    right, wrong = estimate([1.0] * 10), estimate([0.0] * 10)
    assert right is not None and wrong is not None
    assert right.low == pytest.approx(0.025 ** (1 / 10)) and right.high == 1.0
    assert wrong.high == pytest.approx(1 - 0.025 ** (1 / 10)) and wrong.low == 0.0


def test_the_interval_of_many_is_as_wide_as_theory_has_it() -> None:
    """The mean of n values with standard deviation s lies within 1.96 s / sqrt(n)."""
    found = estimate([0.0, 1.0] * 200)
    assert found is not None and found.low is not None and found.high is not None
    assert found.mean == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(400), rel=0.1)


def test_equal_values_that_are_neither_0_nor_1_may_have_been_luck() -> None:
    """As many rows as those right ones are like these; the others may be 0 or 1."""
    found, share = estimate([0.1 + 0.2, 0.3] * 4), 0.025 ** (1 / 8)
    assert found is not None and (found.low, found.high) == (pytest.approx(0.3 * share), pytest.approx(0.3 * share + 1 - share))


def test_six_of_six_in_favour_is_the_least_that_shows() -> None:
    """Of n differences that all point one way, p is 2 / 2 ** n: 0.0625 for five, 0.03125 for six."""
    five, six = difference([1.0] * 5, [0.0] * 5), difference([1.0] * 6, [0.0] * 6)
    assert five is not None and six is not None
    assert (five.p, five.shown) == (pytest.approx(0.0625), False)
    assert (six.p, six.shown, six.mean) == (pytest.approx(0.03125), True, 1.0)
    assert (six.low, six.high) == (pytest.approx(2 * 0.025 ** (1 / 6) - 1), 1.0)
    assert five.low is not None and five.low < 0


def test_one_row_is_no_verdict() -> None:
    found = difference([1.0], [0.0])
    assert found is not None and (found.mean, found.low, found.high, found.shown) == (1.0, None, None, False)


def test_no_difference_is_not_shown() -> None:
    found = difference([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    assert found is not None and (found.mean, found.p, found.shown) == (0.0, 1.0, False)
    assert found.high == -found.low == pytest.approx(1 - 0.025 ** (1 / 3))


def test_the_sign_is_the_first_ones() -> None:
    found = difference([0.1 * i for i in range(10)], [0.11 * i + 0.3 for i in range(10)])
    assert found is not None and found.shown and found.high is not None and found.high < 0
    assert found.mean == pytest.approx(-0.345)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.25, 1.0])] * 2), min_size=1, max_size=12))
def test_there_is_no_verdict_without_an_interval_that_leaves_out_zero(pairs: list[tuple[float, float]]) -> None:
    found = difference([first for first, _ in pairs], [second for _, second in pairs])
    assert found is not None
    if found.shown:
        assert found.low is not None and found.high is not None and found.p < 0.05
        assert found.low > 0 or found.high < 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=30))
def test_the_mean_lies_in_its_interval(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    assert found.low is not None and found.high is not None
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
