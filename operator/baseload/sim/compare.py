"""Policies side by side on one case: the same world, the same bound, one score each."""

from collections.abc import Callable, Sequence

from baseload.sim.bound import Bound, clairvoyant
from baseload.sim.case import Case, Policy, Trajectory
from baseload.sim.fluid import simulate
from baseload.sim.lp_bound import lp_bound
from baseload.sim.score import Score, mark_savers, score

Told = Callable[[str, int, int], None]
"""Told the policy that runs and how many steps of how many it has done."""

Seen = Callable[[Trajectory], None]
"""Given each trajectory as it is done, for pictures: a score keeps none."""


def bound_of(case: Case) -> Bound:
    """The least a case can cost: exact with one pool, by the linear programme with several."""
    return clairvoyant(case) if len(case.pools) == 1 else lp_bound(case)


def compare(case: Case, policies: Sequence[Policy], told: Told | None = None, seen: Seen | None = None) -> list[Score]:
    """Replay a case against each policy in turn; those that save by missing the objective are marked."""
    bound = bound_of(case)
    scores = []
    for policy in policies:
        trajectory = simulate(case, policy, _progress(policy, told))
        scores.append(score(trajectory, bound))
        if seen is not None:
            seen(trajectory)
    return mark_savers(scores)


def _progress(policy: Policy, told: Told | None) -> Callable[[int, int], None] | None:
    if told is None:
        return None

    def progress(done: int, total: int) -> None:
        told(policy.name, done, total)

    return progress
