"""What a replay cost and how well it served, beside the least it could have cost.

Attainment is the share of all work that was offered in steps without any shortage: in a step in which a replica is
missing every request of the serving waits longer than it should, so all its work counts as late, not only the part
that no replica took (that part is `unserved_share`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from baseload.sim.bound import Bound
from baseload.sim.case import FloatArray, IntArray, Trajectory

OBJECTIVE = 0.95
"""Attainment that a policy must reach for its cost to be compared with others': the default of a ModelServing.

It is a stern reading: one replica short among forty makes all work of the step late.
"""

SHORT = 1e-9
"""Work missing in a step beyond rounding errors, in replica-steps."""

FLAP_SECONDS = 3600.0
"""A change of direction this soon after the change before it is part of a flap."""

RESAMPLES = 1000
"""Draws of the bootstrap: enough for two digits of a 90 % interval."""


@dataclass(frozen=True, slots=True)
class Score:
    """One policy's result on one case.

    Money is in replica-hours at the price of the first pool. `interval` holds 90 % of the ratios of weeks made of days
    drawn at random from this one. `scale_events` counts steps in which a serving's ready replicas changed,
    `longest_flap` the most changes of direction in a row, each within an hour of the one before.
    `saves_by_missing` marks a policy below the objective that costs less than all that reach it.
    """

    policy: str
    trace: str
    lead_minutes: float
    cost: float
    bound: float
    ratio: float
    interval: tuple[float, float]
    attainment: float
    short_steps_share: float
    unserved_share: float
    replica_hours: float
    scale_events: int
    longest_flap: int
    policy_seconds: float
    saves_by_missing: bool = False

    def record(self) -> Mapping[str, Any]:
        """The result as JSON values."""
        return {
            "policy": self.policy,
            "trace": self.trace,
            "lead_minutes": round(self.lead_minutes, 3),
            "cost": round(self.cost, 3),
            "bound": round(self.bound, 3),
            "ratio": round(self.ratio, 4),
            "ratio_interval": [round(edge, 4) for edge in self.interval],
            "attainment": round(self.attainment, 5),
            "short_steps_share": round(self.short_steps_share, 5),
            "unserved_share": round(self.unserved_share, 6),
            "replica_hours": round(self.replica_hours, 2),
            "scale_events": self.scale_events,
            "longest_flap": self.longest_flap,
            "policy_seconds": round(self.policy_seconds, 3),
            "saves_by_missing": self.saves_by_missing,
        }


def score(trajectory: Trajectory, bound: Bound) -> Score:
    """Judge a trajectory against the bound of its case."""
    case = trajectory.case
    hours = case.step_seconds / 3600.0
    cost = cost_by_step(trajectory)
    short = trajectory.unserved > SHORT
    total_work = max(float(case.world.sum()), SHORT)
    return Score(
        policy=trajectory.policy,
        trace=case.name,
        lead_minutes=case.pools[0].lead.p50_seconds / 60.0,
        cost=float(cost.sum()) * hours,
        bound=bound.total * hours,
        ratio=float(cost.sum()) / max(bound.total, SHORT),
        interval=ratio_interval(cost.sum(axis=0), bound.cost.sum(axis=0), case.steps_per_day, case.seed),
        attainment=1.0 - float(case.world[short].sum()) / total_work,
        short_steps_share=float(short.mean()),
        unserved_share=float(trajectory.unserved.sum()) / total_work,
        replica_hours=float(trajectory.billed.sum()) * hours,
        scale_events=int(np.count_nonzero(np.diff(trajectory.ready.sum(axis=2), axis=1))),
        longest_flap=longest_flap(trajectory.ready.sum(axis=2), case.step_seconds),
        policy_seconds=trajectory.policy_seconds,
    )


def cost_by_step(trajectory: Trajectory) -> FloatArray:
    """Cost in replica-steps at the price of the first pool, (servings, steps): what is billed, and what is missing."""
    case = trajectory.case
    prices = np.array([pool.price for pool in case.pools]) / case.pools[0].price
    return np.asarray(trajectory.billed @ prices + case.penalty * trajectory.unserved)


def ratio_interval(cost: FloatArray, bound: FloatArray, steps_per_day: int, seed: int) -> tuple[float, float]:
    """90 % interval of total cost over total bound when the days, as blocks, are drawn with replacement.

    Days are blocks because steps of a day depend on each other (Kuensch 1989); a part of a day at the end is a block.
    """
    starts = np.arange(0, len(cost), steps_per_day)
    days = np.add.reduceat(cost, starts), np.add.reduceat(bound, starts)
    drawn = np.random.default_rng(seed).integers(len(starts), size=(RESAMPLES, len(starts)))
    ratios = days[0][drawn].sum(axis=1) / np.maximum(days[1][drawn].sum(axis=1), SHORT)
    low, high = np.quantile(ratios, (0.05, 0.95))
    return float(low), float(high)


def longest_flap(ready: IntArray, step_seconds: float) -> int:
    """Most changes of direction in a row, each within an hour of the change before it; `ready` is (servings, steps)."""
    change = np.sign(np.diff(ready, axis=1))
    longest = 0
    for row in change:
        at = np.flatnonzero(row)
        soon = np.diff(at) * step_seconds <= FLAP_SECONDS
        turned = soon & (row[at[1:]] != row[at[:-1]])
        longest = max(longest, *(len(list(run)) for is_turn, run in groupby(turned) if is_turn), 0)
    return longest


def mark_savers(scores: list[Score]) -> list[Score]:
    """Mark, among results of one trace and lead, policies that are cheap only because they miss the objective."""
    met: dict[tuple[str, float], float] = {}
    for s in scores:
        if s.attainment >= OBJECTIVE:
            key = (s.trace, s.lead_minutes)
            met[key] = min(met.get(key, s.cost), s.cost)
    return [
        replace(s, saves_by_missing=s.attainment < OBJECTIVE and s.cost < met.get((s.trace, s.lead_minutes), 0.0))
        for s in scores
    ]
