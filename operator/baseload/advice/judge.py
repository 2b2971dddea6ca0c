"""What happened beside what Baseload would have done, on the same demand and in the same money."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

import numpy as np

from baseload.advice.past import Past
from baseload.errors import MetricsError
from baseload.plan.capacity import capacity_of
from baseload.plan.snapshot import LatencyTarget, ServingSpec
from baseload.sim.case import Case, Policy, SimPool, Trajectory
from baseload.sim.compare import bound_of
from baseload.sim.fluid import simulate
from baseload.sim.score import Score, mark_savers, score
from baseload.sim.traces.as_case import interpolated

MOST_REPLICAS: Final = 10_000
HAPPENED: Final = "what happened"
WEEKLY_DAYS: Final = 14
_DAY_SECONDS: Final = 86_400.0
_LEAST_DAYS: Final = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """The replay, its scores, `tokens_per_second` that one replica serves inside the objective, and what to know."""

    case: Case
    scores: tuple[Score, ...]
    trajectories: dict[str, Trajectory]
    tokens_per_second: float
    hints: tuple[str, ...]


def advise(
    past: Past,
    objective: tuple[float, float],
    policies: Sequence[Policy],
    *,
    pools: Sequence[SimPool],
    penalty: float,
    progress: Callable[[str, int, int], None] | None = None,
) -> Advice:
    """Replay the past of a workload; MetricsError when no capacity can be learned from it.

    `objective`: seconds between tokens, and the share of requests inside them.
    """
    known = np.flatnonzero(~np.isnan(past.demand))
    first = int(known[0])
    ready = interpolated(past.ready[first:]) if np.isfinite(past.ready[first:]).any() else None
    usual = max(round(float(np.median(ready))), 1) if ready is not None else 1
    capacity = capacity_of(past.model, _spec(*objective))
    if capacity is None:
        raise MetricsError(
            f"no pod of {past.workload.label} showed how many sequences it ran and how fast, so nobody knows what a"
            " replica carries; check the profile with `baseload doctor`"
        )
    tokens = capacity.tokens_at(usual)
    case = _case(past, first, tokens, pools, penalty)
    runs = [simulate(case, policy, _told(policy.name, progress)) for policy in policies]
    if ready is not None:
        runs.insert(0, happened(case, ready, interpolated(past.paid[first:])))
    bound = bound_of(case)
    scores = mark_savers([score(run, bound) for run in runs])
    return Advice(case, tuple(scores), {run.policy: run for run in runs}, tokens, hints_of(past, first, ready is None))


def _spec(inter_token_seconds: float, attainment: float) -> ServingSpec:
    """What is asked of a serving that nobody described yet."""
    return ServingSpec(
        time_to_first_token=None,
        inter_token_latency=LatencyTarget(inter_token_seconds, attainment),
        min_replicas=0,
        max_replicas=MOST_REPLICAS,
        stabilization_seconds=0.0,
        max_step_percent=100,
    )


def _told(name: str, progress: Callable[[str, int, int], None] | None) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)


def _case(past: Past, first: int, tokens: float, pools: Sequence[SimPool], penalty: float) -> Case:
    demand = past.demand[first:] / tokens
    return Case(
        name=f"{past.workload.namespace}/{past.workload.name}",
        step_seconds=past.bucket_seconds,
        demand=demand[None, :],
        world=interpolated(demand)[None, :],
        pools=tuple(pools),
        penalty=penalty,
        steps_per_day=max(round(_DAY_SECONDS / past.bucket_seconds), 1),
    )


def happened(case: Case, ready: np.ndarray, paid: np.ndarray) -> Trajectory:
    """The replicas that were there as a trajectory; all of them in the first pool."""
    shape = (*case.world.shape, len(case.pools))
    counts = np.zeros((2, *shape), dtype=np.int64)
    counts[0, 0, :, 0], counts[1, 0, :, 0] = np.rint(ready), np.rint(np.maximum(paid, ready))
    # A replica that served for a part of a bucket did a part of the work.
    return Trajectory(case, HAPPENED, counts[0], counts[1], np.maximum(case.world - ready[None, :], 0.0))


def hints_of(past: Past, first: int, no_replicas: bool) -> tuple[str, ...]:
    """What a reader must know to weigh the answer."""
    days = (len(past.demand) - first) * past.bucket_seconds / _DAY_SECONDS
    hints = []
    if days < WEEKLY_DAYS:
        remedy = "raise its retention (--storage.tsdb.retention.time)" if first else "ask for more with --since"
        shown = f"{floor(10 * days) / 10:g} days of demand"
        hints.append(f"Prometheus has {shown}; weekly patterns need two weeks: {remedy}")
    if days < _LEAST_DAYS:
        hints.append("with less than two days there is no daily pattern to learn, and the forecast follows the trend")
    if no_replicas:
        hints.append("how many replicas ran is not known: neither kube-state-metrics nor the pods' series tell")
    gaps = float(np.isnan(past.demand[first:]).mean())
    if gaps > 0.05:
        hints.append(f"{gaps:.0%} of the time was not measured and is bridged by a straight line")
    return tuple(hints)
