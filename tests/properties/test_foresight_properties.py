"""What must hold of levels whatever demand does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Levels, Terms, advance, begin, peek

GRID = Grid(600.0, 24)
DAYS = 3
FIELDS = ("order", "keep", "upper", "low", "median", "high")

DEMANDS = st.builds(
    lambda seed, swing, noise, level: (
        level
        * (1.0 + swing * np.sin(np.arange(DAYS * 24) / 24 * 2 * np.pi))
        * np.exp(noise * np.random.default_rng(seed).standard_normal(DAYS * 24))
    ),
    seed=st.integers(0, 10_000),
    swing=st.floats(0.0, 0.9),
    noise=st.floats(0.0, 0.5),
    level=st.floats(0.5, 50.0),
)
GAPS = st.sets(st.integers(0, DAYS * 24 - 2), max_size=30)
LEADS = st.integers(0, 8)


def levels(demand: np.ndarray, lead: int, unit: float = 1.0, penalty: float = 20.0) -> Levels:
    """Advance one serving through all of its buckets and look at the end."""
    terms = Terms(np.array([lead]), np.array([unit]), np.array([penalty]))
    foresight = begin(1, GRID)
    for end in range(1, len(demand) + 1):
        block = DemandBlock(demand[None, :end], GRID, end)
        foresight = advance(foresight, block, terms)
    return peek(foresight, block, terms)


@settings(max_examples=10, deadline=None)
@given(demand=DEMANDS, lead=LEADS, factor=st.floats(0.01, 5000.0))
def test_levels_scale_with_demand(demand: np.ndarray, lead: int, factor: float) -> None:
    """The unit of demand is the caller's: in another one, told with the capacity of a replica, levels are the same."""
    plain, scaled = levels(demand, lead), levels(factor * demand, lead, unit=factor)
    for name in FIELDS:
        assert getattr(scaled, name) == pytest.approx(factor * getattr(plain, name), rel=1e-3, abs=1e-3 * factor)


@settings(max_examples=10, deadline=None)
@given(value=st.floats(0.3, 200.0), lead=LEADS, penalty=st.floats(2.0, 100.0))
def test_constant_demand_has_constant_levels(value: float, lead: int, penalty: float) -> None:
    """A load that never changes is forecast as it is, and the levels stay: nothing oscillates."""
    long = levels(np.full(DAYS * 24, value), lead, penalty=penalty)
    longer = levels(np.full(DAYS * 24 + 5, value), lead, penalty=penalty)
    assert long.median.item() == pytest.approx(value, rel=0.01)
    assert longer.order.item() == pytest.approx(long.order.item(), rel=0.01)
    assert long.order.item() >= 0.95 * value
    assert longer.keep.item() == pytest.approx(long.keep.item(), rel=0.01)


@settings(max_examples=10, deadline=None)
@given(demand=DEMANDS, gaps=GAPS, lead=LEADS)
def test_levels_are_finite_and_ordered_with_any_gaps(demand: np.ndarray, gaps: set[int], lead: int) -> None:
    """Whatever is missing: a band in its order, finite levels, and none above twice what the rules can want."""
    torn = demand.copy()
    torn[list(gaps)] = np.nan
    seen = levels(torn, lead)
    for name in FIELDS:
        assert np.isfinite(getattr(seen, name)).all()
    assert 0.0 <= seen.low.item() <= seen.median.item() + 1e-9
    assert seen.median.item() <= seen.high.item() + 1e-9
    assert 0.0 <= seen.order.item() <= 3.0 * np.nanmax(torn) + 2.0


@settings(max_examples=10, deadline=None)
@given(demand=DEMANDS, lead=LEADS, more=st.floats(1.01, 3.0))
def test_more_demand_from_the_start_is_never_less_level(demand: np.ndarray, lead: int, more: float) -> None:
    """A serving that always had more demand has higher levels: the weights may differ, the order may not.

    Within 10 % of rounding: the fleets of the replay are whole replicas, so money does not scale exactly with demand.
    """
    less, greater = levels(demand, lead), levels(more * demand, lead)
    assert greater.order.item() >= 0.9 * less.order.item()
    assert greater.median.item() >= 0.99 * less.median.item()
