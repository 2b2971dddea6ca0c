"""What placement takes for a large fleet, how much it moves under noise, and what its short cuts cost in small ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from baseload.plan.outlook import Answer
from baseload.plan.placement.fallback import greedy, rounded
from baseload.plan.placement.first_step import solve_first_step
from baseload.plan.placement.grid import pairs_of
from baseload.plan.placement.horizon import solve_horizon
from baseload.plan.placement.place import place
from baseload.plan.placement.problem import (
    Fleet,
    Placement,
    PlacementProblem,
    PoolTerms,
    Scenarios,
    ServingTerms,
)
from baseload.sim.bench import Bench, Progress, best_seconds

_SERVINGS = 200
_CAPACITY = np.array([5.0, 5.0, 5.0, 8.0, 2.0, 4.0, 1.0, 5.0])
_PRICE = np.array([1.5, 4.0, 1.6, 7.0, 1.0, 2.8, 0.6, 2.0])
_LIMIT = np.array([14, 200, 20, 100, 40, 50, 10, 60])
_LEAD = np.array([0, 1, 1, 1, 1, 3, 0, 6])
"""The eight pools of planning.md's solver check: demand a replica serves, price, limit for 20 servings, lead."""
_SHORTAGE = 50.0
_NOISE = 0.02
_NOISY_SOLVES = 10
_SMALL_CASES = 20
_PATIENCE_SECONDS = 120.0


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Time the programmes at full size, then replan under noise, then compare with exact answers."""
    progress(f"placement: {_SERVINGS} servings on {_CAPACITY.size} pools")
    return {
        "servings": _SERVINGS,
        "pools": int(_CAPACITY.size),
        **_times(),
        **_moves(progress),
        **_short_cuts(progress),
    }


def _times() -> dict[str, Any]:
    one = _problem(_SERVINGS, steps=1, scenarios=1, with_leads=False, seed=0)
    many = _problem(_SERVINGS, steps=1, scenarios=5, with_leads=False, seed=0)
    ahead = _problem(_SERVINGS, steps=6, scenarios=5, with_leads=True, seed=0)
    return {
        "one_period_seconds": round(best_seconds(lambda: _first_step(one), 3), 3),
        "one_period_5_scenarios_seconds": round(best_seconds(lambda: _first_step(many), 3), 3),
        "horizon_6_steps_5_scenarios_seconds": round(
            best_seconds(lambda: solve_horizon(ahead, pairs_of(ahead), _PATIENCE_SECONDS), 3), 3
        ),
        "first_step_with_leads_seconds": round(best_seconds(lambda: _first_step(ahead), 1), 3),
        "greedy_seconds": round(best_seconds(lambda: greedy(ahead), 3), 3),
    }


def _first_step(problem: PlacementProblem) -> Placement:
    pairs = pairs_of(problem)
    horizon = solve_horizon(problem, pairs, _PATIENCE_SECONDS)
    answer = None if horizon is None else solve_first_step(problem, pairs, horizon, _PATIENCE_SECONDS)
    if answer is None:
        raise AssertionError("the solver did not end in two minutes")
    return answer


def _moves(progress: Progress) -> dict[str, Any]:
    """Share of the fleet that starts or goes in a solve when demand is off by 2 %, with and without a move cost."""
    shares = {}
    for name, move_hours in (("moved_share", 0.2), ("moved_share_without_move_cost", 0.0)):
        problem = _problem(_SERVINGS, steps=1, scenarios=1, with_leads=False, seed=0)
        problem = _carried_out(replace(problem, move_hours=move_hours))
        moved, random = [], np.random.default_rng(1)
        for _ in range(_NOISY_SOLVES):
            progress(f"placement: {name}")
            noise = np.exp(random.normal(0.0, _NOISE, problem.scenarios.demand.shape))
            noisy = replace(problem, scenarios=replace(problem.scenarios, demand=problem.scenarios.demand * noise))
            answer = place(noisy, _PATIENCE_SECONDS)
            ready = problem.fleet.ready
            changed = np.maximum(answer.order - ready, 0).sum(), np.maximum(ready - answer.order, 0).sum()
            moved.append(max(changed) / ready.sum())
            problem = _with_ready(problem, answer)
        shares[name] = round(float(np.mean(moved)), 4)
    return shares


def _carried_out(problem: PlacementProblem) -> PlacementProblem:
    return _with_ready(problem, place(problem, _PATIENCE_SECONDS))


def _with_ready(problem: PlacementProblem, answer: Placement) -> PlacementProblem:
    return replace(
        problem,
        fleet=replace(problem.fleet, ready=answer.order),
        pools=replace(problem.pools, nodes=answer.nodes),
    )


def _short_cuts(progress: Progress) -> dict[str, Any]:
    """Mean cost of rounding and of greedy over the exact answer, where the exact one is quickly had."""
    progress("placement: small cases")
    ratios: dict[str, list[float]] = {"rounded": [], "greedy": []}
    for seed in range(_SMALL_CASES):
        problem = _problem(4, steps=1, scenarios=3, with_leads=False, seed=seed)
        pairs = pairs_of(problem)
        horizon = solve_horizon(problem, pairs, _PATIENCE_SECONDS)
        exact = place(problem, _PATIENCE_SECONDS)
        if horizon is None or exact.answered_by is not Answer.LINEAR_PROGRAM:
            continue
        best = _cost(problem, exact)
        ratios["rounded"].append(_cost(problem, rounded(problem, pairs, horizon)) / best)
        ratios["greedy"].append(_cost(problem, greedy(problem)) / best)
    return {f"{name}_over_exact": round(float(np.mean(values)), 4) for name, values in ratios.items()}


def _cost(problem: PlacementProblem, answer: Placement) -> float:
    """Money an hour: nodes and what stays unserved."""
    return answer.cost_per_hour + float(problem.servings.shortage_cost @ answer.shortage)


def _problem(servings: int, *, steps: int, scenarios: int, with_leads: bool, seed: int) -> PlacementProblem:
    """Servings of very different sizes, a fifth of all pairs ruled out, demand that wanders from step to step."""
    random = np.random.default_rng(seed)
    shape = (servings, _CAPACITY.size)
    start = random.lognormal(1.5, 1.0, servings)
    paths = np.cumsum(random.normal(0.0, 0.1, (scenarios, servings, steps)), axis=2)
    leads = _LEAD if with_leads else np.zeros(_CAPACITY.size, dtype=np.int64)
    return PlacementProblem(
        servings=ServingTerms(
            least=np.ones(servings, dtype=np.int64),
            most=np.full(servings, 1000),
            shortage_cost=np.full(servings, _SHORTAGE),
            hourly_budget=np.full(servings, np.inf),
        ),
        pools=_pool_terms(servings, steps),
        fleet=Fleet(
            capacity=_CAPACITY * random.uniform(0.7, 1.3, shape),
            accelerators=np.ones(shape, dtype=np.int64),
            usable=random.random(shape) < 0.8,
            ready=np.zeros(shape, dtype=np.int64),
            pending=np.zeros((*shape, steps), dtype=np.int64),
            start_up_steps=np.broadcast_to(leads, shape).copy(),
            start_up_cost=np.zeros(shape),
        ),
        scenarios=Scenarios(
            demand=start[None, :, None] * np.exp(paths),
            probability=np.full(scenarios, 1.0 / scenarios),
            survival=np.ones((scenarios, _CAPACITY.size)),
        ),
        step_hours=1.0 / 6.0,
    )


def _pool_terms(servings: int, steps: int) -> PoolTerms:
    """Pools without a node yet, a twentieth of `_LIMIT` for each serving at most."""
    nothing = np.zeros(_CAPACITY.size, dtype=np.int64)
    return PoolTerms(
        accelerators_per_node=nothing + 1,
        unit_nodes=nothing + 1,
        nodes=nothing,
        pending_nodes=np.zeros((_CAPACITY.size, steps), dtype=np.int64),
        least_nodes=nothing,
        most_nodes=-(-_LIMIT * servings // 20),
        lead_steps=nothing,
        hourly=_PRICE,
        avoidable_hourly=_PRICE,
        hourly_budget=np.full(_CAPACITY.size, np.inf),
        paid_nodes=np.zeros((_CAPACITY.size, steps), dtype=np.int64),
        least_billed_steps=nothing,
        is_burst=np.zeros(_CAPACITY.size, dtype=bool),
    )


BENCH = Bench("placement", f"what does placing {_SERVINGS} servings take, and how much does it move?", _measure)
