"""How much load one replica carries inside the objective, and how many replicas a load needs."""

from dataclasses import dataclass
from math import ceil, inf, log, sqrt
from statistics import NormalDist

from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import Law, fit
from baseload.plan.snapshot import LatencyTarget, ServingSpec

HIGHEST_LOAD = 0.8
"""Above this load queues and cache limits make tails explode."""

DRAIN_LOAD = 0.95
"""Load at which a replica that works off a backlog may run for a while."""

IMBALANCE_PRIOR = 1.0
"""Variance over mean of running sequences between replicas before it was measured: random routing."""

WIDEST_SCATTER = 0.05
"""Scatter around the line, as a share of the target, beyond which it is the measurement that scatters."""

BURSTINESS = 1.0
"""Variance over mean of the whole fleet's running sequences: Poisson arrivals."""

SPARED_SHARE = 0.25
"""A level of the planner is rounded up to whole replicas only beyond this part of one: `ceil(x - 0.25)` cost least."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known of one replica's capacity under the objective.

    `running_limit` is how many sequences may run before the mean inter-token time reaches its target;
    `load_limit` bounds rho for the time to first token; `work_seconds` is the engine time one request costs.
    """

    law: Law
    running_limit: float
    load_limit: float
    work_seconds: float | None
    z: float
    imbalance: float
    load_factor: float

    def running_at(self, replicas: int) -> float:
        """Mean sequences per replica so that `attainment` of the time no replica is over its limit.

        Solves `B + z sqrt(B (imbalance + burstiness / n)) = running_limit`: square-root staffing (Halfin, Whitt 1981).
        """
        if self.running_limit == inf:
            return inf
        half = 0.5 * self.z * sqrt(self.imbalance + BURSTINESS / max(replicas, 1))
        return float((sqrt(half**2 + self.running_limit) - half) ** 2) * self.load_factor

    def load_at(self, replicas: int) -> float:
        """Highest mean load rho of each of `replicas` replicas that keeps the objective."""
        running = self.running_at(replicas)
        load = 1.0 if running == inf else self.law.load_at(running)
        return min(load, self.load_limit, HIGHEST_LOAD * self.load_factor)

    def rps_at(self, replicas: int) -> float | None:
        """Requests per second of one of `replicas` replicas inside the objective; None without token counts."""
        return None if self.work_seconds is None else self.load_at(replicas) / self.work_seconds

    def tokens_at(self, replicas: int) -> float:
        """Output tokens per second of one of `replicas` replicas inside the objective."""
        return self.load_at(replicas) / self.law.slope_seconds


def capacity_of(model: ReplicaModel, spec: ServingSpec) -> Capacity | None:
    """Capacity under the serving's objective, or None while the model is unknown."""
    law = fit(model)
    if law is None:
        return None
    limit, z = inf, NormalDist().inv_cdf(strictest_attainment(spec))
    if spec.inter_token_latency is not None:
        # Not the mean request must keep the objective but the slow one, so what scatters around the line counts.
        target = spec.inter_token_latency.seconds
        limit = law.running_at(target - z * min(law.residual_seconds, WIDEST_SCATTER * target))
    if model.saturated_running is not None:
        limit = min(limit, max(model.saturated_running, 1.0))
    work = None if model.tokens_per_request is None else law.slope_seconds * model.tokens_per_request
    return Capacity(
        law=law,
        running_limit=max(limit, 0.5),
        load_limit=_first_token_load(model, spec.time_to_first_token),
        work_seconds=work,
        z=z,
        imbalance=IMBALANCE_PRIOR if model.imbalance is None else model.imbalance,
        load_factor=model.load_factor,
    )


def strictest_attainment(spec: ServingSpec) -> float:
    """The highest share asked for, kept inside what a normal quantile can answer."""
    shares = [t.attainment for t in (spec.time_to_first_token, spec.inter_token_latency) if t is not None]
    return min(max(max(shares, default=0.95), 0.5), 0.9999)


def _first_token_load(model: ReplicaModel, target: LatencyTarget | None) -> float:
    """`rho <= 1 - S_q / target` with `S_q = -ln(1 - q) S`, an exponential tail as in llm-d's WVA."""
    unloaded = model.time_to_first_token_unloaded_seconds
    if target is None or unloaded is None:
        return HIGHEST_LOAD
    tail = -log(1.0 - min(target.attainment, 0.9999))
    return max(1.0 - tail * unloaded / target.seconds, 0.05)


def replicas_for_rate(capacity: Capacity, rps: float, most: int) -> int:
    """Least replicas (at most `most`) that serve `rps` requests per second inside the objective."""
    work = rps * (capacity.work_seconds or 0.0)
    low, high = 1, max(most, 1)
    while low < high:
        middle = (low + high) // 2
        if middle * capacity.load_at(middle) >= work:
            high = middle
        else:
            low = middle + 1
    return low


def replicas_for_level(capacity: Capacity, tokens_per_second: float, most: int) -> int:
    """Least replicas `n` (at most `most`, 0 for next to nothing) of which `n + 0.25` would serve a level of demand.

    With a capacity that does not depend on `n` this is `ceil(x - 0.25)` for a level of `x` replicas.
    """
    work = tokens_per_second * capacity.law.slope_seconds
    # Many replicas carry the most load each, so fewer than this can never do; mostly it is the answer or next to it.
    high = low = max(ceil(work / capacity.load_at(most) - SPARED_SHARE), 0)
    step = 1
    while high < most and (high + SPARED_SHARE) * capacity.load_at(high) < work:
        low, high, step = high + 1, high + step, 2 * step
    low, high = min(low, most), min(high, most)
    while low < high:
        middle = (low + high) // 2
        if (middle + SPARED_SHARE) * capacity.load_at(middle) >= work:
            high = middle
        else:
            low = middle + 1
    return low


def replicas_for_backlog(capacity: Capacity, rps: float, backlog: float, within_seconds: float) -> float:
    """Replicas that work off `backlog` requests within a time beside `rps` new ones, running nearly full."""
    work = capacity.work_seconds or 0.0
    return (rps + backlog / within_seconds) * work / DRAIN_LOAD


def replicas_for_running(capacity: Capacity, running: float, most: int) -> int:
    """Least replicas (at most `most`) that hold `running` sequences inside the objective."""
    low, high = 1, max(most, 1)
    while low < high:
        middle = (low + high) // 2
        if middle * capacity.running_at(middle) >= running:
            high = middle
        else:
            low = middle + 1
    return low
