"""What may go wrong in the backtest's bench, each by itself on the same case."""

from dataclasses import replace

import numpy as np
import pytest
from replays import case, pool

from baseload.sim.bench_backtest import TROUBLES
from baseload.sim.case import Case
from baseload.sim.fluid import simulate
from baseload.sim.policies.hpa import Hpa


def six_days() -> Case:
    """Constant demand of ten replicas, ten-minute steps."""
    return replace(case([10.0] * (6 * 144), pools=[pool(3)]), steps_per_day=144)


@pytest.mark.parametrize("name", list(TROUBLES))
def test_every_trouble_can_be_replayed_and_differs_from_the_case(name: str) -> None:
    """The world, what is seen of it or the pool is another; the length and the number of servings are not."""
    calm = six_days()
    wrong = TROUBLES[name](calm)
    assert wrong.world.shape == wrong.demand.shape == calm.world.shape
    same_demand = np.array_equal(wrong.demand, calm.demand) and np.array_equal(wrong.world, calm.world)
    assert not (same_demand and wrong.pools == calm.pools)
    assert not np.isnan(wrong.world).any()
    assert simulate(wrong, Hpa()).ready.shape == (1, 6 * 144, 1)


def test_troubles_happen_when_they_are_said_to() -> None:
    """The launch trebles demand on day four at 10:00, the outage is two hours of day five, metrics miss for three."""
    calm = six_days()
    launch, outage, blind = (TROUBLES[name](calm) for name in ("launch", "outage", "no metrics"))
    assert launch.world[0, [3 * 144 + 59, 3 * 144 + 60, 3 * 144 + 96]] == pytest.approx([10.0, 30.0, 20.0])
    assert np.flatnonzero(outage.world[0] == 0).tolist() == list(range(4 * 144 + 72, 4 * 144 + 84))
    assert np.flatnonzero(np.isnan(blind.demand[0])).tolist() == list(range(4 * 144 + 72, 4 * 144 + 90))
    assert (blind.world == 10.0).all()
