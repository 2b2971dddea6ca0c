"""What holds of every placement, on the real solver: whatever the demand, pools, limits and prices."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from placements import PoolSketch, applied, problem

from baseload.plan.placement.fallback import greedy, rounded
from baseload.plan.placement.grid import pairs_of
from baseload.plan.placement.horizon import solve_horizon
from baseload.plan.placement.place import place
from baseload.plan.placement.problem import Placement, PlacementProblem

_QUICK = settings(max_examples=25, deadline=None)

_POOLS = st.builds(
    PoolSketch,
    price=st.sampled_from([0.5, 1.0, 1.6, 2.5, 4.0]),
    nodes=st.integers(0, 6),
    most=st.integers(0, 12),
    per_node=st.sampled_from([1, 4, 8]),
    unit=st.sampled_from([1, 2]),
    lead=st.integers(0, 2),
    paid=st.integers(0, 3),
    budget=st.sampled_from([3.0, 10.0, np.inf]),
    least_billed=st.integers(0, 3),
    is_burst=st.booleans(),
)


@st.composite
def problems(draw: st.DrawFn, servings: int = 3) -> PlacementProblem:
    """A few servings on a few pools over a few steps and scenarios, with replicas that are there."""
    count, steps, scenarios = draw(st.integers(1, servings)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    # What is there and what is paid for comes in units, too.
    pools = [
        replace(p, nodes=p.nodes * p.unit, paid=p.paid * p.unit) for p in draw(st.lists(_POOLS, min_size=1, max_size=3))
    ]
    numbers = st.integers(0, 2**32 - 1)
    random = np.random.default_rng(draw(numbers))
    shape = (count, len(pools))
    sizes = [[draw(st.sampled_from([1, 2, 4, 8])) for _ in pools] for _ in range(count)]
    made = problem(
        random.uniform(0, 12, (scenarios, count, steps)).round(1).tolist(),
        pools,
        survival=random.choice([0.0, 0.5, 1.0], (scenarios, len(pools)), p=[0.1, 0.2, 0.7]).tolist(),
        capacity=random.choice([1.0, 2.0, 3.5], shape).tolist(),
        accelerators=sizes,
        ready=random.integers(0, 3, shape).tolist(),
        shortage_cost=random.choice([10.0, 20.0, 60.0], count).tolist(),
        least=draw(st.integers(0, 2)),
        most=draw(st.integers(2, 12)),
        budget=random.choice([2.0, 9.0, np.inf], count).tolist(),
    )
    # What is ready stands on nodes.
    unit = made.pools.unit_nodes
    needed = np.ceil((made.node_share * made.fleet.ready).sum(axis=0) / unit).astype(int) * unit
    return replace(made, pools=replace(made.pools, nodes=np.maximum(made.pools.nodes, needed)))


def _ways(given_problem: PlacementProblem) -> list[Placement]:
    """The answer of every way of placing."""
    pairs = pairs_of(given_problem)
    horizon = solve_horizon(given_problem, pairs, 20.0)
    assert horizon is not None
    return [place(given_problem, 60.0), rounded(given_problem, pairs, horizon), greedy(given_problem)]


@_QUICK
@given(problems())
def test_every_way_stays_inside_bounds_limits_and_budgets(case: PlacementProblem) -> None:
    """Kept and ordered together never pass a bound, the nodes of a pool or a budget, whichever way answers."""
    pools = case.pools
    for answer in _ways(case):
        assert (answer.keep >= 0).all()
        assert (answer.keep <= answer.order).all()
        assert (answer.order.sum(axis=1) <= case.servings.most).all()
        assert (answer.order[~case.fleet.usable] == 0).all()
        assert (answer.nodes <= pools.most_nodes).all()
        assert (answer.nodes % pools.unit_nodes == 0).all()
        assert (answer.nodes * pools.hourly <= pools.hourly_budget + 1e-9).all()
        assert ((case.node_share * answer.order).sum(axis=0) <= answer.nodes + 1e-6).all()
        spent = (case.node_share * answer.order * pools.hourly * pools.is_burst).sum(axis=1)
        assert (spent <= case.servings.hourly_budget + 1e-6).all()


@_QUICK
@given(problems(servings=1), st.floats(1.0, 2.0))
def test_more_demand_never_means_less_capacity(case: PlacementProblem, factor: float) -> None:
    """One serving, exact solve, one step, nothing lost: what it has serves at least as much."""
    now = replace(
        case.scenarios,
        demand=case.scenarios.demand[:, :, :1],
        survival=np.ones_like(case.scenarios.survival),
    )
    case = replace(case, scenarios=now)
    more = replace(case, scenarios=replace(now, demand=now.demand * factor))
    few, many = (float((case.fleet.capacity * place(each, 60.0).order).sum()) for each in (case, more))
    assert many >= few - 1e-6


@_QUICK
@given(problems())
def test_carrying_a_plan_out_and_planning_again_changes_nothing(case: PlacementProblem) -> None:
    """One step without leads: what was ordered is what is wanted."""
    pools = replace(case.pools, lead_steps=np.zeros_like(case.pools.lead_steps))
    case = replace(case, pools=pools, scenarios=replace(case.scenarios, demand=case.scenarios.demand[:, :, :1]))
    first = place(case, 60.0)
    second = place(applied(case, first.keep, first.order, first.nodes), 60.0)
    assert (second.order == first.order).all()


@_QUICK
@given(problems())
def test_constant_load_comes_to_rest(case: PlacementProblem) -> None:
    """With leads, the same demand for ever ends in the same answer for ever: nothing oscillates."""
    demand = case.scenarios.demand[:, :, :1].repeat(4, axis=2)
    case = replace(case, scenarios=replace(case.scenarios, demand=demand))
    orders = []
    for _ in range(5):
        answer = place(case, 60.0)
        orders.append(answer.order)
        case = applied(case, answer.keep, answer.order, answer.nodes)
    assert (orders[-1] == orders[-2]).all()


@_QUICK
@given(problems(), st.sampled_from([0.01, 0.37, 3.0, 1000.0]))
def test_the_currency_changes_nothing(case: PlacementProblem, rate: float) -> None:
    """All money times one factor: the same answer."""
    other = replace(
        case,
        servings=replace(
            case.servings,
            shortage_cost=case.servings.shortage_cost * rate,
            hourly_budget=case.servings.hourly_budget * rate,
        ),
        pools=replace(
            case.pools,
            hourly=case.pools.hourly * rate,
            avoidable_hourly=case.pools.avoidable_hourly * rate,
            hourly_budget=case.pools.hourly_budget * rate,
        ),
        fleet=replace(case.fleet, start_up_cost=case.fleet.start_up_cost * rate),
    )
    ours, theirs = place(case, 60.0), place(other, 60.0)
    assert (ours.order == theirs.order).all()
    assert (ours.keep == theirs.keep).all()
    assert (ours.nodes == theirs.nodes).all()


@_QUICK
@given(problems())
def test_the_same_question_has_the_same_answer(case: PlacementProblem) -> None:
    """Nothing but the problem decides."""
    assert (place(case, 60.0).order == place(case, 60.0).order).all()
