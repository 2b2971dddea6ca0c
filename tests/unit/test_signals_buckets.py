"""The share of a histogram under a target, from the buckets around it."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.observe.buckets import boundaries, share_under

RATES = {0.25: 1.0, 0.5: 3.0, 1.0: 4.0, inf: 5.0}


@pytest.mark.parametrize(
    ("target", "share"),
    [(0.5, 0.6), (0.25, 0.2), (0.375, 0.4), (0.125, 0.1), (1.0, 0.8), (2.0, 0.8), (0.75, 0.7)],
    ids=["on a boundary", "first", "between", "below the first", "last finite", "above the last", "between later"],
)
def test_share_is_interpolated_between_neighbours(target: float, share: float) -> None:
    """Linear inside a bucket, and nothing is assumed of the one without an end."""
    assert share_under(target, RATES) == pytest.approx(share)


def test_no_observation_is_no_share() -> None:
    """Neither 0 nor 1: there was nobody to be inside or outside."""
    assert share_under(0.5, {0.5: 0.0, inf: 0.0}) is None
    assert share_under(0.5, {}) is None


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=8),
    st.floats(0.001, 20),
    st.floats(0.001, 20),
)
def test_share_stays_in_bounds_and_grows_with_the_target(steps: list[float], one: float, two: float) -> None:
    """For any cumulative histogram a laxer target is met by no fewer requests."""
    total, rates = 0.0, {}
    for index, step in enumerate(steps):
        total += step
        rates[inf if index == len(steps) - 1 else float(index + 1)] = total
    low, high = share_under(min(one, two), rates), share_under(max(one, two), rates)
    if total == 0:
        assert low is None
        return
    assert low is not None
    assert high is not None
    assert 0.0 <= low <= high + 1e-9 <= 1.0 + 1e-6


def test_only_the_neighbours_of_the_targets_and_the_total_are_fetched() -> None:
    """Two targets need at most four boundaries and infinity, spelled as the labels are."""
    grid = boundaries({"0.1": 9, "0.25": 9, "0.5": 9, "1": 4, "1.0": 5, "2.5": 9, "+Inf": 9})
    assert grid.around([0.3]) == ("0.25", "0.5", "+Inf")
    assert grid.around([1.0, 0.1]) == ("0.1", "0.5", "1", "1.0", "+Inf")
    assert grid.around([99.0]) == ("2.5", "+Inf")


def test_engines_with_another_grid_get_boundaries_that_they_have() -> None:
    """A boundary that only a few series have is fetched, and so is the nearest one that all have."""
    grid = boundaries({"0.5": 9, "0.75": 2, "1.0": 9, "+Inf": 9})
    assert grid.around([0.7]) == ("0.5", "0.75", "1.0", "+Inf")


def test_labels_that_are_no_numbers_are_never_asked_for() -> None:
    """A bucket label is data of whoever exposes it."""
    assert boundaries({'"} or vector(1)': 3, "nan": 3, "+Inf": 3}).around([1.0]) == ("+Inf",)
    assert boundaries({}).around([1.0]) == ()
