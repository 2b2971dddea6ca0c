"""What attainment costs with each policy: its one knob turned from thrifty to generous, on one case.

A single cost hides that policies miss the objective by different shares; at equal attainment replica-hours compare.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from baseload.sim.bound import Bound
from baseload.sim.case import Case, Policy
from baseload.sim.fluid import simulate
from baseload.sim.policies.told import Told
from baseload.sim.score import score

PLAN_IN_MONEY = frozenset({"baseload", "hpa-hindsight", "clairvoyant"})
"""Policies whose knob is the penalty; the others' is what a replica is said to carry."""

CARRIES = (1.4, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""What a replica is said to carry, over the truth; at 0.5 an HPA's target of 0.7 is 0.35."""

PENALTY_FACTORS = (0.25, 1.0, 2.5, 5.0, 20.0)
"""What a shortage is said to cost, over the truth: with a penalty of 20 they are 5 to 400."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One setting of a policy's knob and what came of it; `value` is a multiple of the truth."""

    policy: str
    knob: str
    value: float
    ratio: float
    attainment: float
    unserved_share: float
    replica_hours: float

    def record(self) -> Mapping[str, Any]:
        """The point as JSON values."""
        return {
            "policy": self.policy,
            "knob": self.knob,
            "value": self.value,
            "ratio": round(self.ratio, 4),
            "attainment": round(self.attainment, 5),
            "unserved_share": round(self.unserved_share, 6),
            "replica_hours": round(self.replica_hours, 2),
        }


def curve(case: Case, make: Callable[[], Policy], bound: Bound) -> tuple[CurvePoint, ...]:
    """Replay a case once for each setting of the policy's knob, thrifty ones first."""
    if make().name in PLAN_IN_MONEY:
        return tuple(_point(case, Told(make(), penalty_factor=f), bound, "penalty", f) for f in PENALTY_FACTORS)
    return tuple(_point(case, Told(make(), carries=c), bound, "carries", c) for c in CARRIES)


def _point(case: Case, policy: Policy, bound: Bound, knob: str, value: float) -> CurvePoint:
    result = score(simulate(case, policy), bound)
    return CurvePoint(
        policy.name, knob, value, result.ratio, result.attainment, result.unserved_share, result.replica_hours
    )


def hours_within(points: Iterable[CurvePoint], unserved_share: float) -> float | None:
    """The fewest replica-hours with no more than this share of work unserved, between settings on a straight line.

    None where no setting gets there.
    """
    # Of settings that serve alike the thriftiest comes last, so that the line begins there.
    ordered = sorted(points, key=lambda point: (point.unserved_share, -point.replica_hours))
    hours = [point.replica_hours for point in ordered if point.unserved_share <= unserved_share]
    for inside, outside in pairwise(ordered):
        if inside.unserved_share <= unserved_share < outside.unserved_share:
            part = (unserved_share - inside.unserved_share) / (outside.unserved_share - inside.unserved_share)
            hours.append(inside.replica_hours + part * (outside.replica_hours - inside.replica_hours))
    return min(hours, default=None)
