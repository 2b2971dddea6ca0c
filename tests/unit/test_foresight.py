"""Foresight as others use it: advanced once a bucket, peeked at in between."""

import numpy as np
import pytest

from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import (
    Foresight,
    Levels,
    Terms,
    advance,
    append,
    begin,
    paths,
    peek,
    quantile_at,
    take,
    warm,
)
from baseload.plan.forecast.mixture import prior

GRID = Grid(600.0, 24)
"""A day of 24 buckets: everything that a day of 144 has, and a sixth of the time."""


def waves(days: int, servings: int = 2, seed: int = 1) -> np.ndarray:
    """Return noisy days, (servings, buckets), around ten replicas."""
    random = np.random.default_rng(seed)
    times = np.arange(days * GRID.buckets_per_day)
    daily = 1.0 + 0.5 * np.sin(2 * np.pi * times / GRID.buckets_per_day)
    return 10.0 * daily * np.exp(0.05 * random.standard_normal((servings, len(times))))


def terms(servings: int = 2, lead: int = 1, unit: float = 1.0, penalty: float = 20.0) -> Terms:
    """Return the same terms for all servings."""
    return Terms(np.full(servings, lead), np.full(servings, unit), np.full(servings, penalty))


def block(demand: np.ndarray) -> DemandBlock:
    """Return a block that begins with the grid."""
    return DemandBlock(demand, GRID, demand.shape[1])


def through(demand: np.ndarray, of: Terms, start: int = 0) -> tuple[Foresight, Levels]:
    """Advance through all buckets one by one and look."""
    foresight = begin(len(demand), GRID)
    for end in range(start + 1, demand.shape[1] + 1):
        foresight = advance(foresight, block(demand[:, :end]), of)
    return foresight, peek(foresight, block(demand), of)


def test_reactive_for_an_hour_and_by_rules_until_a_day_is_known() -> None:
    """At first nothing is to be followed, and the levels say so; then rules lead, after a day forecasts do."""
    demand = waves(4)
    _, new = through(demand[:, :5], terms())
    assert new.is_reactive.all()
    _, young = through(demand[:, : GRID.buckets_per_day], terms())
    assert not young.is_reactive.any()
    assert np.isnan(young.quantile).all()
    assert (young.order >= 0.7 * demand[:, GRID.buckets_per_day - 1]).all()
    _, old = through(demand, terms())
    assert not old.is_reactive.any()
    assert ((old.quantile > 0.69) & (old.quantile < 0.98)).all()


def test_levels_see_the_wave_coming() -> None:
    """Before the morning the order lies above demand now; the band holds what comes."""
    demand = waves(8)
    until = 7 * GRID.buckets_per_day + 1
    foresight, levels = through(demand[:, :until], terms(lead=2))
    assert (levels.order > 1.1 * demand[:, until - 1]).all()
    assert (levels.low <= demand[:, until + 2]).all()
    assert (levels.high >= demand[:, until + 2]).all()
    assert (levels.upper > demand[:, until]).all()
    assert foresight.end_index == until


def test_several_buckets_at_once_are_the_same() -> None:
    """A planner that was away for a while learns each bucket it missed."""
    demand = waves(3)
    _, one_by_one = through(demand, terms())
    foresight = advance(begin(2, GRID), block(demand[:, :1]), terms())
    foresight = advance(foresight, block(demand), terms())
    assert peek(foresight, block(demand), terms()).order == pytest.approx(one_by_one.order)


def test_peek_takes_the_running_bucket_as_the_newest() -> None:
    """What runs now moves the levels and is not learned from."""
    demand = waves(4)
    foresight, calm = through(demand[:, :-1], terms())
    running = demand.copy()
    running[:, -1] *= 2.0
    assert (peek(foresight, block(running), terms()).order > 1.3 * calm.order).all()
    assert peek(foresight, block(demand[:, :-1]), terms()).order == pytest.approx(calm.order)


def test_a_gap_is_not_zero() -> None:
    """A bucket without metrics leaves weights and levels nearly where they were; no value at all has no level."""
    demand = waves(5)
    demand[1, -3:] = np.nan
    _, levels = through(demand, terms())
    assert levels.order[1] > 0.7 * demand[1, -4]
    long = np.hstack([waves(3, servings=1), np.full((1, 3 * GRID.buckets_per_day), np.nan)])
    foresight, gone = through(long, terms(1))
    assert np.isnan(gone.order[0])
    assert gone.is_reactive.all()
    back = np.hstack([long, np.full((1, 1), 12.0)])
    found = peek(advance(foresight, block(back), terms(1)), block(back), terms(1))
    assert 0.6 * 12.0 < found.order[0] < 2.0 * 12.0
    nothing = np.full((1, 3), np.nan)
    _, unknown = through(nothing, terms(1))
    assert np.isnan([unknown.order[0], unknown.keep[0], unknown.upper[0], unknown.median[0]]).all()
    assert unknown.is_reactive.all()


def test_warm_has_judged_its_experts() -> None:
    """A history at the start gives forecasts at once, and weights that are no longer the prior's."""
    demand = waves(7)
    foresight = warm(block(demand), terms(), days=2)
    levels = peek(foresight, block(demand), terms())
    assert not levels.is_reactive.any()
    assert foresight.mixture.weights.max() > 2 * prior(terms().penalty).max()
    _, slowly = through(demand, terms())
    assert levels.order == pytest.approx(slowly.order, rel=0.1)


def test_terms_may_change() -> None:
    """A longer lead looks further, also when its regressions are not there yet; a new capacity moves no forecast."""
    demand = waves(6)
    foresight, _ = through(demand[:, :-2], terms())
    changed = terms(lead=9, unit=2.0)
    soon = advance(foresight, block(demand[:, :-1]), changed)
    late = advance(soon, block(demand), changed)
    levels = peek(late, block(demand), changed)
    assert not levels.is_reactive.any()
    assert np.isfinite(levels.order).all()
    assert late.scale.tolist() == [1.0, 1.0]


def test_servings_come_and_go() -> None:
    """Taken, joined and new servings have the levels that they have alone."""
    demand = waves(3, servings=3)
    foresight, levels = through(demand, terms(3))
    both = append(take(foresight, np.array([2])), take(foresight, np.array([0])))
    swapped = peek(both, block(demand[[2, 0]]), terms())
    assert swapped.order == pytest.approx(levels.order[[2, 0]])
    young = append(foresight, begin(1, GRID))
    more = np.vstack([waves(4, servings=3)[:, : demand.shape[1]], np.full((1, demand.shape[1]), np.nan)])
    grown = np.hstack([more, np.full((4, 1), 10.0)])
    after = peek(advance(young, block(grown), terms(4)), block(grown), terms(4))
    assert after.is_reactive.tolist() == [False, False, False, True]
    assert after.order[3] >= 0.9 * 10.0


def test_no_serving_at_all() -> None:
    """An empty fleet has empty levels."""
    _, levels = through(np.empty((0, 30)), terms(0))
    assert levels.order.shape == (0,)


def test_quantiles_and_paths() -> None:
    """Quantiles rise with their share, also before there is a regression, and a path is a quantile at each horizon."""
    demand = waves(5)
    foresight, _ = through(demand, terms())
    low, high = (quantile_at(foresight, block(demand), 3, tau) for tau in (0.3, 0.95))
    assert (low < high).all()
    scenarios = paths(foresight, block(demand), 6, (0.1, 0.5, 0.9))
    assert scenarios.shape == (2, 3, 6)
    assert (np.diff(scenarios, axis=1) >= 0).all()
    assert quantile_at(foresight, block(demand), 6, 0.9) == pytest.approx(scenarios[:, 2, 5])
    young, _ = through(demand[:, :12], terms())
    assert (np.diff(paths(young, block(demand[:, :12]), 4, (0.1, 0.5, 0.9)), axis=1) > 0).all()
