"""Why a serving was given capacity in a pool, or why not, in words and numbers: what a decision shows as considered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from baseload.plan.decision import Considered
from baseload.plan.placement.problem import Placement, PlacementProblem

_EDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One serving and one pool of an answer."""

    problem: PlacementProblem
    placement: Placement
    serving: int
    pool: int

    @property
    def price(self) -> float:
        """Avoidable money per hour and unit of demand."""
        problem, at = self.problem, (self.serving, self.pool)
        return float(problem.pools.avoidable_hourly[self.pool] * problem.node_share[at] / problem.fleet.capacity[at])

    @property
    def share(self) -> float:
        """Nodes that one replica takes."""
        return float(self.problem.node_share[self.serving, self.pool])


def considered(
    problem: PlacementProblem, placement: Placement, serving: int, names: Sequence[str]
) -> tuple[Considered, ...]:
    """One row for each pool, in the order of `names`: chosen, or the first rule that says why not."""
    looks = [_Look(problem, placement, serving, pool) for pool in range(len(names))]
    return tuple(
        Considered(name, bool(placement.order[serving, look.pool]), _words(look))
        for name, look in zip(names, looks, strict=True)
    )


def _words(look: _Look) -> str:
    for rule in RULES:
        words = rule(look)
        if words is not None:
            return words
    return f"{look.price:.3g} an hour for a unit of demand: what is cheaper or sooner suffices"


def _unusable(look: _Look) -> str | None:
    if look.problem.fleet.usable[look.serving, look.pool]:
        return None
    return "may not be used by this serving"


def _chosen(look: _Look) -> str | None:
    order = int(look.placement.order[look.serving, look.pool])
    if not order:
        return None
    paid = look.problem.pools.paid_nodes[look.pool, 0]
    words = f"{order} replica{'' if order == 1 else 's'} at {look.price:.3g} an hour for a unit of demand"
    return f"{words}; {paid} nodes are paid for anyway" if paid else words


def _full(look: _Look) -> str | None:
    most = int(look.problem.node_bounds[1][look.pool])
    used = float((look.problem.node_share[:, look.pool] * look.placement.order[:, look.pool]).sum())
    if used + look.share <= most + _EDGE:
        return None
    limited = most < int(look.problem.pools.most_nodes[look.pool])
    by = f"the hourly budget of {look.problem.pools.hourly_budget[look.pool]:.4g}" if limited else "the limit"
    return f"full: {used:.3g} of {most} nodes that {by} allows are taken"


def _over_budget(look: _Look) -> str | None:
    problem, serving = look.problem, look.serving
    if not problem.pools.is_burst[look.pool]:
        return None
    hourly = problem.pools.hourly * problem.node_share[serving] * problem.pools.is_burst
    spent = float(hourly @ look.placement.order[serving])
    budget = float(problem.servings.hourly_budget[serving])
    if spent + hourly[look.pool] <= budget * (1 + _EDGE):
        return None
    return f"one more costs {hourly[look.pool]:.4g} an hour; {spent:.4g} of a burst budget of {budget:.4g} are spent"


def _too_dear(look: _Look) -> str | None:
    cost = float(look.problem.servings.shortage_cost[look.serving])
    if look.price <= cost:
        return None
    return f"{look.price:.3g} an hour for a unit of demand is more than a shortage costs, {cost:.3g}"


RULES: tuple[Callable[[_Look], str | None], ...] = (_unusable, _chosen, _full, _over_budget, _too_dear)
"""Asked in turn; the first that has something to say is the reason."""
