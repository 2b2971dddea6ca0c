"""The score of a replay against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from replays import Scripted, case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.fluid import simulate
from baseload.sim.score import Score, longest_flap, mark_savers, ratio_interval, score


def scored(order: list[int], *demand: list[float], penalty: float = 20.0) -> Score:
    """The score of a script."""
    one = case(*demand, pools=[pool(1)], penalty=penalty)
    return score(simulate(one, Scripted(order)), clairvoyant(one))


def test_cost_is_what_is_billed_and_the_penalty_of_what_is_missing() -> None:
    """Steps of ten minutes: 2, 4, 4, 4 replicas billed and two missing in one step at a penalty of 20."""
    result = scored([4], [2, 4, 4, 4])
    assert result.cost == pytest.approx((2 + 4 + 4 + 4 + 20 * 2) / 6)
    # The bound starts with what it likes: four replicas from the second step on, ordered in the first.
    assert result.bound == pytest.approx((2 + 4 + 4 + 4 + 2) / 6)
    assert result.ratio == pytest.approx(54 / 16)
    assert result.replica_hours == pytest.approx(14 / 6)


def test_attainment_counts_all_work_of_a_short_step_as_late() -> None:
    """One of four steps is short of two: 4 of 14 work late, 2 unserved."""
    result = scored([4], [2, 4, 4, 4])
    assert result.attainment == pytest.approx(10 / 14)
    assert result.unserved_share == pytest.approx(2 / 14)
    assert result.short_steps_share == 0.25


def test_prices_of_pools_count_in_units_of_the_first() -> None:
    """Prices twice as high everywhere change nothing; a pool at 2.5 times the first costs that much more."""
    pools = (pool(1, price=2.0), pool(0, price=5.0))
    one = case([1, 2, 2], pools=pools)
    result = score(simulate(one, Scripted([[1, 1]])), clairvoyant(one))
    assert result.cost == pytest.approx((3 + 2.5 * 2) / 6)


def test_scale_events_and_flaps() -> None:
    """Five changes, of which four in a row turn within an hour; one much later does not count to them."""
    ready = np.array([[1, 2, 1, 2, 2, 2, 1, *[1] * 9, 2]])
    assert longest_flap(ready, 600.0) == 3
    assert longest_flap(np.array([[1, 2, 3, 3]]), 600.0) == 0
    assert longest_flap(ready, 3600.0) == 2
    assert scored([2], [1, 1, 1, 1, 1]).scale_events == 1


def test_interval_of_equal_days_is_a_point() -> None:
    """Where all days are alike there is nothing to draw."""
    low, high = ratio_interval(np.tile([3.0, 2.0], 4), np.tile([2.0, 1.0], 4), 2, seed=1)
    assert low == high == pytest.approx(5 / 3)


def test_interval_holds_the_ratio_and_widens_with_the_days() -> None:
    """A dear day among seven shows as a wide interval around the ratio."""
    cost = np.repeat([10.0, 10, 10, 10, 10, 10, 40], 3)
    low, high = ratio_interval(cost, np.full(21, 10.0), 3, seed=1)
    assert low < cost.mean() / 10 < high
    assert high - low > 0.5


def test_a_policy_that_saves_by_missing_is_marked() -> None:
    """Below the objective and cheaper than one that reaches it: marked; dear ones and those that reach it are not."""
    base = scored([4], [2, 4, 4, 4])
    good = replace(base, policy="good", attainment=0.995, cost=10.0)
    thin = replace(base, policy="thin", attainment=0.93, cost=8.0)
    poor = replace(base, policy="poor", attainment=0.93, cost=12.0)
    other = replace(base, policy="thin", attainment=0.93, cost=8.0, lead_minutes=30.0)
    marks = [s.saves_by_missing for s in mark_savers([good, thin, poor, other])]
    assert marks == [False, True, False, False]


def test_record_has_the_fields_of_the_report() -> None:
    """The JSON record carries what `baseload backtest` promises, as plain numbers."""
    record = scored([4], [2, 4, 4, 4]).record()
    promised = "policy trace lead_minutes cost bound ratio attainment short_steps_share unserved_share replica_hours"
    assert {*promised.split(), "scale_events"} <= set(record)
    assert record["policy"] == "scripted"
    assert record["lead_minutes"] == 10.0
