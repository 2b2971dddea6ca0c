"""Placement by hand: one test for each kind of constraint, on the real solver."""

import numpy as np
import pytest
from placements import PoolSketch, problem

from baseload.plan.outlook import Answer
from baseload.plan.placement.fallback import greedy
from baseload.plan.placement.place import place
from baseload.plan.placement.problem import Placement, PlacementProblem


def _placed(given: PlacementProblem) -> Placement:
    answer = place(given, 10.0)
    assert answer.answered_by is Answer.LINEAR_PROGRAM
    return answer


def test_the_cheapest_pool_comes_first_and_the_next_takes_the_rest() -> None:
    """Demand for 5 where 3 fit at 1 and the rest costs 2: three there, two here."""
    answer = _placed(problem([[[5.0]]], [PoolSketch(price=2.0), PoolSketch(price=1.0, most=3)]))
    assert answer.order.tolist() == [[2, 3]]
    assert answer.cost_per_hour == pytest.approx(7.0)


def test_the_unit_that_counts_is_a_unit_of_demand() -> None:
    """A replica at 3 that serves four units is cheaper than one at 1 that serves one."""
    answer = _placed(problem([[[8.0]]], [PoolSketch(price=1.0), PoolSketch(price=3.0)], capacity=[[1.0, 4.0]]))
    assert answer.order.tolist() == [[0, 2]]


def test_nodes_come_in_atomic_units() -> None:
    """Five nodes of a slice of four are eight; the dearer single nodes are cheaper than the second slice."""
    slices = PoolSketch(price=1.0, unit=4)
    assert _placed(problem([[[5.0]]], [slices])).nodes.tolist() == [8]
    both = _placed(problem([[[5.0]]], [slices, PoolSketch(price=2.0)]))
    assert both.nodes.tolist() == [4, 1]


def test_replicas_are_packed_on_whole_nodes() -> None:
    """Three replicas of 3 accelerators need two nodes of 8; one of 16 takes two nodes."""
    two_a_node = _placed(problem([[[3.0]]], [PoolSketch(per_node=8)], accelerators=[[3]]))
    assert (two_a_node.order.tolist(), two_a_node.nodes.tolist()) == ([[3]], [2])
    two_nodes = _placed(problem([[[1.0]]], [PoolSketch(per_node=8)], accelerators=[[16]]))
    assert two_nodes.nodes.tolist() == [2]


def test_a_limit_in_nodes_is_never_passed() -> None:
    """Two nodes of two replicas each serve four of ten; the rest is told as a shortage."""
    answer = _placed(problem([[[10.0]]], [PoolSketch(per_node=2, most=2)]))
    assert answer.order.tolist() == [[4]]
    assert answer.shortage.tolist() == pytest.approx([6.0])


def test_the_hourly_budget_of_a_pool_counts_the_price_on_the_bill() -> None:
    """Power costs 1 an hour but the bill says 5: a budget of 11 allows two nodes."""
    answer = _placed(problem([[[10.0]]], [PoolSketch(price=1.0, hourly=5.0, budget=11.0)]))
    assert answer.nodes.tolist() == [2]


def test_the_hourly_budget_of_a_serving_bounds_its_burst_alone() -> None:
    """Two replicas of its own and, for an hourly 7, two more at 3 each in the pool that is burst."""
    pools = [PoolSketch(price=1.0, most=2), PoolSketch(price=3.0, is_burst=True)]
    answer = _placed(problem([[[10.0]]], pools, budget=[7.0]))
    assert answer.order.tolist() == [[2, 2]]


def test_a_commitment_is_used_first_because_it_is_paid_anyway() -> None:
    """Two nodes at 4 are taken before the pool at 1, and no third."""
    answer = _placed(problem([[[5.0]]], [PoolSketch(price=1.0), PoolSketch(price=4.0, paid=2)]))
    assert answer.order.tolist() == [[3, 2]]
    assert answer.cost_per_hour == pytest.approx(3.0)


def test_sunk_cost_does_not_count() -> None:
    """Owned nodes of which only the power is saved are cheaper than a rented node of half their price."""
    owned = PoolSketch(price=0.5, hourly=6.0, nodes=2, most=2)
    answer = _placed(problem([[[3.0]]], [owned, PoolSketch(price=3.0)]))
    assert answer.order.tolist() == [[2, 1]]


def test_spot_replicas_that_go_together_do_not_stand_in_for_each_other() -> None:
    """Spot at a third of the price, gone as a whole one hour in ten: a dear shortage is covered without it."""
    pools = [PoolSketch(price=1.0), PoolSketch(price=0.3)]
    demand = [[[4.0]], [[4.0]]]
    dear = problem(demand, pools, probability=[0.9, 0.1], survival=[[1.0, 1.0], [1.0, 0.0]], shortage_cost=[20.0])
    assert _placed(dear).order.tolist() == [[4, 0]]
    cheap = problem(demand, pools, probability=[0.9, 0.1], survival=[[1.0, 1.0], [1.0, 0.0]], shortage_cost=[3.0])
    assert _placed(cheap).order.tolist() == [[0, 4]]


def test_the_dearer_shortage_is_served_first() -> None:
    """Four places for two servings of four: the one of higher priority has them all."""
    answer = _placed(problem([[[4.0], [4.0]]], [PoolSketch(most=4)], shortage_cost=[20.0, 40.0]))
    assert answer.order.tolist() == [[0], [4]]


def test_a_shortage_is_shared_by_equals_in_proportion_to_their_demand() -> None:
    """Six places for demands of 8 and 4: each gets half."""
    answer = _placed(problem([[[8.0], [4.0]]], [PoolSketch(most=6)]))
    assert answer.order.tolist() == [[4], [2]]


def test_the_least_replicas_are_there_without_demand_and_the_most_are_the_most() -> None:
    """Between 2 and 3 whatever the demand."""
    assert _placed(problem([[[0.0]]], [PoolSketch()], least=2, most=3)).order.tolist() == [[2]]
    assert _placed(problem([[[9.0]]], [PoolSketch()], least=2, most=3)).order.tolist() == [[3]]


def test_capacity_is_ordered_its_lead_ahead_and_what_serves_now_is_kept() -> None:
    """Demand rises from 2 to 5 in two steps, the lead is two steps: three are ordered now, and none later would do."""
    given = problem([[[2.0, 2.0, 5.0, 5.0]]], [PoolSketch(lead=2, nodes=2)], ready=[[2]])
    answer = _placed(given)
    assert (answer.keep.tolist(), answer.order.tolist()) == ([[2]], [[5]])
    soon = problem([[[2.0, 2.0, 2.0, 5.0, 5.0]]], [PoolSketch(lead=2, nodes=2)], ready=[[2]])
    assert _placed(soon).order.tolist() == [[2]]


def test_a_slow_cheap_pool_is_ordered_for_what_is_likely_and_a_fast_dear_one_takes_the_rest() -> None:
    """Of five equally likely demands the base covers those that come often enough for its price and its lead."""
    demand = [[[4.0, 4.0, 4.0 + more]] for more in range(5)]
    pools = [PoolSketch(price=1.0, lead=2, nodes=4), PoolSketch(price=2.5, is_burst=True)]
    given = problem(demand, pools, ready=[[4, 0]], move_hours=0.0)
    answer = _placed(given)
    # An order costs 2 hours of lead and 3 of the last step, the burst pool 3 x 2.5 x the probability that a level is
    # reached: 6 of 5 for level 5 (probability 0.8), 4.5 of 5 for level 6.
    assert answer.keep.tolist() == [[4, 0]]
    assert answer.order.tolist() == [[5, 0]]


def test_a_minimum_billing_makes_a_short_need_dearer() -> None:
    """One hour of need: a pool at 1 that bills six hours loses against one at 3."""
    demand = [[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]
    pools = [PoolSketch(price=1.0, least_billed=6), PoolSketch(price=3.0)]
    assert _placed(problem(demand, pools)).order.tolist() == [[0, 1]]
    pools = [PoolSketch(price=1.0, least_billed=2), PoolSketch(price=3.0)]
    assert _placed(problem(demand, pools)).order.tolist() == [[1, 0]]


def test_what_may_not_be_used_is_not_used() -> None:
    """No usable pool: nothing is ordered and all demand is short."""
    given = problem([[[3.0]]], [PoolSketch()])
    given.fleet.usable[:] = False
    answer = place(given, 10.0)
    assert answer.order.tolist() == [[0]]
    assert answer.shortage.tolist() == [3.0]


def test_without_time_the_cheapest_usable_capacity_answers() -> None:
    """The solver is given no time: greedy, and it says so."""
    given = problem([[[5.0]]], [PoolSketch(price=2.0), PoolSketch(price=1.0, most=3)])
    answer = place(given, 0.0)
    assert answer.answered_by is Answer.GREEDY
    assert answer.order.tolist() == [[2, 3]]


def test_greedy_covers_what_is_worth_its_price() -> None:
    """A demand of 9 that comes once in fifty times is not worth a price of 1 at a shortage cost of 20."""
    demand = [[[4.0]], [[9.0]]]
    answer = greedy(problem(demand, [PoolSketch()], probability=[0.98, 0.02]))
    assert answer.order.tolist() == [[4]]
    assert np.isclose(answer.shortage[0], 0.02 * 5)
