"""The clairvoyant bound against every schedule there is, and the programme for several pools against the exact one."""

from itertools import product

import numpy as np
import pytest
from replays import STEP_SECONDS, case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.case import SimPool
from baseload.sim.lp_bound import LpPool, lp_bound, solve


def cheapest(demand: np.ndarray, lead: int, penalty: float) -> float:
    """The least cost over every sequence of whole replicas, tried one by one."""
    most, best = int(np.ceil(demand.max())), np.inf
    for numbers in product(range(most + 1), repeat=len(demand)):
        ready = np.array(numbers)
        orders = lead * np.maximum(np.diff(ready), 0).sum()
        best = min(best, float(ready.sum() + orders + penalty * np.maximum(demand - ready, 0).sum()))
    return best


@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("penalty", [1.5, 5.0, 20.0])
def test_bound_is_the_best_of_all_schedules(lead: int, penalty: float) -> None:
    """On random demand of six steps and up to three replicas the programme finds what trying everything finds."""
    random = np.random.default_rng([lead, int(penalty)])
    for _ in range(3):
        demand = random.uniform(0, 3, 6).round(2)
        bound = clairvoyant(case(demand, pools=[pool(lead)], penalty=penalty))
        assert bound.total == pytest.approx(cheapest(demand, lead, penalty))


def test_bound_bridges_a_gap_that_is_shorter_than_the_lead_costs() -> None:
    """With a lead of two billed steps a gap of one step is bridged, one of three is not."""
    bridged = clairvoyant(case([2, 1, 2], pools=[pool(2)]))
    left = clairvoyant(case([2, 1, 1, 1, 2], pools=[pool(2)]))
    assert bridged.ready[0, :, 0].tolist() == [2, 2, 2]
    assert left.ready[0, :, 0].tolist() == [2, 1, 1, 1, 2]
    # The order that serves in the last step is paid for in the two steps before it.
    assert left.cost[0].tolist() == [2, 1, 2, 2, 2]


def test_bound_of_many_servings_is_the_sum_of_theirs() -> None:
    """Servings do not touch each other, whatever the highest level of one of them is."""
    rows = np.random.default_rng(5).gamma(2.0, 3.0, (4, 40))
    together = clairvoyant(case(*rows)).total
    assert together == pytest.approx(sum(clairvoyant(case(row)).total for row in rows))


@pytest.mark.parametrize("lead", [0, 1, 4])
def test_programme_with_whole_replicas_equals_the_exact_bound_of_one_pool(lead: int) -> None:
    """Two ways to the same number; with fractions of replicas the programme is lower."""
    one = case(np.random.default_rng(lead).gamma(2.0, 2.0, 60), pools=[pool(lead)])
    exact, programme, fractions = clairvoyant(one), lp_bound(one), lp_bound(one, whole=False)
    assert programme.total == pytest.approx(exact.total)
    assert programme.cost.sum() == pytest.approx(exact.cost.sum())
    assert fractions.total < exact.total


def test_programme_with_two_pools_is_never_above_the_best_of_all_schedules() -> None:
    """Every pair of schedules of two pools on short demand costs at least the bound, the best nearly the same."""
    demand = np.array([1.0, 2.4, 0.3, 1.9])
    pools = [pool(2), pool(0, price=2.5)]
    best = np.inf
    for numbers in product(range(4), repeat=8):
        base, burst = np.array(numbers[:4]), np.array(numbers[4:])
        orders = 2 * np.maximum(np.diff(base), 0).sum()
        missed = np.maximum(demand - base - burst, 0).sum()
        best = min(best, float(base.sum() + orders + 2.5 * burst.sum() + 20 * missed))
    bound = lp_bound(case(demand, pools=pools)).total
    assert 0.97 * best <= bound <= best + 1e-9


def test_a_hold_keeps_what_was_switched_on() -> None:
    """A peak of one step is not worth a burst replica that must stay for ten."""
    peak = [*[1.0] * 5, 2.0, *[1.0] * 4]
    burst = SimPool(name="burst", price=2.5, lead=pool(0).lead, hold_seconds=10 * STEP_SECONDS)
    free = lp_bound(case(peak, pools=[pool(9), pool(0, price=2.5)], penalty=4.0)).total
    held = lp_bound(case(peak, pools=[pool(9), burst], penalty=4.0)).total
    assert (free, held) == (pytest.approx(12.5), pytest.approx(14.0))


def test_nothing_is_there_before_the_first_step_unless_the_start_is_free() -> None:
    """Starting from nothing, the first lead's steps are short."""
    pools = [LpPool(capacity=5.0, price=1.0, order_cost=2.0, lead_steps=2)]
    demand = np.full(6, 10.0)
    late = solve(demand, pools, 3.0, start_free=False)
    early = solve(demand, pools, 3.0, start_free=True)
    assert late.ready[:, 0] == pytest.approx([0, 0, 2, 2, 2, 2])
    assert late.value == pytest.approx(2 * 10 * 3 + 2 * 2 + 4 * 2)
    assert early.value == pytest.approx(12.0)
