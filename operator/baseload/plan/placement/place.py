"""`place()`: which way of placing answers, in their order; pure but for the time that the solver is given."""

from collections.abc import Callable

from baseload.plan.placement.fallback import greedy, rounded
from baseload.plan.placement.first_step import solve_first_step
from baseload.plan.placement.grid import Pairs, pairs_of
from baseload.plan.placement.horizon import Horizon, solve_horizon
from baseload.plan.placement.problem import Placement, PlacementProblem

HORIZON_SHARE = 0.4
"""Share of the time limit for the programme over the horizon; the integer programme has the rest."""

_Way = Callable[[PlacementProblem, Pairs, Horizon, float], Placement | None]


def place(problem: PlacementProblem, time_limit_seconds: float) -> Placement:
    """Ask each way in turn; the last always answers."""
    pairs = pairs_of(problem)
    if not pairs.serving.size:
        return greedy(problem)
    horizon = solve_horizon(problem, pairs, time_limit_seconds * HORIZON_SHARE)
    if horizon is None:
        return greedy(problem)
    for way in WAYS:
        answer = way(problem, pairs, horizon, time_limit_seconds * (1 - HORIZON_SHARE))
        if answer is not None:
            return answer
    return greedy(problem)


def _by_rounding(
    problem: PlacementProblem, pairs: Pairs, horizon: Horizon, _time_limit_seconds: float
) -> Placement | None:
    return rounded(problem, pairs, horizon)


WAYS: tuple[_Way, ...] = (solve_first_step, _by_rounding)
