"""How much load one replica carries inside the objective, and how many replicas a load needs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, inf, log, sqrt
from statistics import NormalDist

from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import LOWER_BOUND_Z, Law, Prior, fit
from baseload.plan.snapshot import LatencyTarget, ServingSpec

HIGHEST_LOAD = 0.8
"""Above this load queues and cache limits make tails explode."""

DRAIN_LOAD = 0.95
"""Load at which a replica that works off a backlog may run for a while."""

IMBALANCE_PRIOR = 1.0
"""How unequally replicas are loaded before it was measured, in multiples of random routing."""

DISPERSION = 1.0
"""Variance over mean of arrivals: Poisson."""

PROMPT_SCATTER = 0.3
"""Variance of a request's mean gap that prompts cause, over that of a window's mean scaled to the request's life."""

AVERAGED = 0.5
"""Share of the variance of running sequences that is left in the mean over the life of a request.

These two make the capacity predicted at half load neither too high nor too low on average over 24 emulated engines
(`baseload bench replica-model`)."""

SKEW = 1.1
"""How much farther out than a normal one the quantiles of 90 to 99 % of a request's mean gap are."""

WIDEST_SCATTER = 0.15
"""Scatter of requests, as a share of the target, beyond which it is the measurement that scatters."""

WIDEST_MEAN_SCATTER = 0.05
"""The same for the mean over all that run."""

HIGHEST_CACHE_USE = 0.9
"""Share of the key-value cache that may be used on average."""

LEAST_RUNNING = 0.05
"""An objective that no replica keeps asks for as many replicas as allowed, and divides by no zero."""

_STEPS = 4

SPARED_SHARE = 0.25
"""A level of the planner is rounded up to whole replicas only beyond this part of one: `ceil(x - 0.25)` cost least."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How a request's mean inter-token time is spread at some number of running sequences, cautiously.

    Two things scatter it: prompts that are computed between its tokens (`scatter`, variance per running sequence in
    seconds squared), and how many others run beside it (`swing`, variance over mean). Both grow with the load; how,
    was measured on the emulated engine (docs/explanation/replica-model.md).
    """

    law: Law
    scatter: float
    z: float

    def variances(self, running: float) -> tuple[float, float]:
        """Variance per running sequence by prompts, and by a swing of 1."""
        slack = self.law.alpha_seconds / self.law.latency_at(running)
        return self.scatter / sqrt(slack), AVERAGED * (self.law.slope_seconds / slack) ** 2

    def high_at(self, running: float, swing: float) -> float:
        """Seconds that the objective's share `Phi(z)` of requests stays under.

        `high_latency_at` and `variances` written out: most of a decision's time was spent calling them.
        """
        law = self.law
        growing = law.slope_seconds * running
        latency = law.alpha_seconds + growing
        slack = law.alpha_seconds / latency
        scatter = self.scatter / sqrt(slack) + AVERAGED * (law.slope_seconds / slack) ** 2 * swing
        doubt = law.alpha_variance + running * (2 * law.covariance + running * law.slope_variance)
        high = latency + LOWER_BOUND_Z * sqrt(doubt if doubt > 0.0 else 0.0)
        return high + SKEW * self.z * sqrt(running * scatter)

    def running_inside(self, target_seconds: float, swing: float) -> float:
        """Most sequences at which that is the target, within a hundredth: secants on the square root.

        The curve rises and bends upwards, so secants from its right end come down to the root and never pass it.
        """
        law = self.law
        if law.high_latency_at(0.0) >= target_seconds:
            return LEAST_RUNNING
        right = sqrt((target_seconds - law.alpha_seconds) / law.slope_seconds)
        root = 0.9 * right
        above = self.high_at(right**2, swing) - target_seconds
        for _ in range(_STEPS):
            miss = self.high_at(root**2, swing) - target_seconds
            if above <= miss:
                break
            right, above, root = root, miss, max(root - miss * (right - root) / (above - miss), 0.0)
        return max(root**2, LEAST_RUNNING)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known of one replica's capacity under the objective.

    `alone` and `many` are the mean sequences that one replica, and one of very many, may run for the inter-token
    objective (inf without one), `prompts` and `swings` the variances that lie between them, `margin_alone` and
    `margin_many` their roots at both ends; `most_running` is what the engine holds at once, `load_limit` bounds rho for
    the time to first token, `running_limit` is how many may run at any one moment; `work_seconds` is the engine time
    one request costs. `z` is the objective's share as a quantile.
    """

    law: Law
    alone: float
    many: float
    prompts: float
    swings: float
    margin_alone: float
    margin_many: float
    most_running: float
    running_limit: float
    load_limit: float
    work_seconds: float | None
    z: float
    imbalance: float
    load_factor: float

    def running_at(self, replicas: int) -> float:
        """Mean sequences per replica so that the objective's share of requests keeps it.

        The busier a replica, the wider its running sequences swing: with Poisson arrivals their variance is
        `B / (1 - rho)`, and a fleet shares the swings that its router evens out (square-root staffing: Halfin, Whitt
        1981). What an engine holds at once is kept with the same margin.
        """
        share = 1.0 / max(replicas, 1)
        swing = DISPERSION * share + self.imbalance * (1.0 - share)
        running = self.many
        if self.alone != self.many:
            # The margin is proportional to the root of the variance, and nearly straight between the two ends.
            here, end = sqrt(self.prompts + self.swings * swing), self.margin_many
            running = self.many - (self.many - self.alone) * (here - end) / (self.margin_alone - end)
        if self.most_running < inf:
            half = 0.5 * self.z * sqrt(swing)
            running = min(running, float((sqrt(half**2 + self.most_running) - half) ** 2))
        return running * self.load_factor

    def load_at(self, replicas: int) -> float:
        """Highest mean load rho of each of `replicas` replicas that keeps the objective."""
        running, law = self.running_at(replicas), self.law
        growing = law.slope_seconds * running
        load = 1.0 if running == inf else growing / (law.alpha_seconds + growing)
        return min(load, self.load_limit, HIGHEST_LOAD * self.load_factor)

    def rps_at(self, replicas: int) -> float | None:
        """Requests per second of one of `replicas` replicas inside the objective; None without token counts."""
        return None if self.work_seconds is None else self.load_at(replicas) / self.work_seconds

    def tokens_at(self, replicas: int) -> float:
        """Output tokens per second of one of `replicas` replicas inside the objective."""
        return self.load_at(replicas) / self.law.slope_seconds


def capacity_of(model: ReplicaModel, spec: ServingSpec, prior: Prior | None = None) -> Capacity | None:
    """Capacity under the serving's objective, or None while neither the model nor a prior is known."""
    law = fit(model, prior)
    if law is None:
        return None
    target = inf if spec.inter_token_latency is None else spec.inter_token_latency.seconds
    z = _quantile(strictest_attainment(spec))
    imbalance = IMBALANCE_PRIOR if model.imbalance is None else model.imbalance
    alone = many = limit = inf
    prompts = swings = 0.0
    if target < inf:
        latency = Latency(law, _scatter(law, model, target), z)
        alone = many = latency.running_inside(target, DISPERSION)
        if imbalance != DISPERSION:
            many = latency.running_inside(target, imbalance)
        prompts, swings = latency.variances(many)
        # At one moment the mean of all that run is what counts; single requests average over a longer time.
        mean_scatter = z * min(law.residual_seconds, WIDEST_MEAN_SCATTER * target)
        limit = max((target - mean_scatter - law.alpha_seconds) / law.slope_seconds, 0.5)
    most = _most_running(model)
    return Capacity(
        law=law,
        alone=alone,
        many=many,
        prompts=prompts,
        swings=swings,
        margin_alone=sqrt(prompts + swings * DISPERSION),
        margin_many=sqrt(prompts + swings * imbalance),
        most_running=most,
        running_limit=min(limit, most),
        load_limit=_first_token_load(model, spec.time_to_first_token),
        work_seconds=None if model.tokens_per_request is None else law.slope_seconds * model.tokens_per_request,
        z=z,
        imbalance=imbalance,
        load_factor=model.load_factor,
    )


@cache
def _quantile(share: float) -> float:
    """The normal quantile of a share; there are as many as servings have different objectives."""
    return NormalDist().inv_cdf(share)


def _most_running(model: ReplicaModel) -> float:
    """What an engine holds at once: where requests were seen to wait, or where its key-value cache would be full."""
    seen = inf if model.saturated_running is None else max(model.saturated_running, 1.0)
    if not model.cache_per_sequence:
        return seen
    return min(seen, max(HIGHEST_CACHE_USE / model.cache_per_sequence, 1.0))


def _scatter(law: Law, model: ReplicaModel, target_seconds: float) -> float:
    """How much a request's own mean scatters, from how much a window's does: a shorter time averages less."""
    running = max(law.mean_running, 1.0)
    latency = law.latency_at(running)
    life = (model.tokens_per_request or 0.0) * latency or model.window_seconds
    variance = PROMPT_SCATTER * law.residual_seconds**2 * model.window_seconds / life
    scatter = variance * sqrt(law.alpha_seconds / latency) / running
    widest = (WIDEST_SCATTER * target_seconds) ** 2 * law.slope_seconds / max(target_seconds - law.alpha_seconds, 1e-3)
    return min(scatter, widest) if target_seconds < inf else scatter


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


def replicas_for_rate(capacity: Capacity, rps: float, most: int, near: int = 1) -> int:
    """Least replicas (at most `most`) that serve `rps` requests per second inside the objective.

    The search begins at `near`: mostly the number there is, or one beside it, is the answer.
    """
    work = rps * (capacity.work_seconds or 0.0)
    return _least(lambda number: number * capacity.load_at(number) >= work, most, near)


def replicas_for_level(capacity: Capacity, tokens_per_second: float, most: int) -> int:
    """Least replicas `n` (at most `most`, 0 for next to nothing) of which `n + 0.25` would serve a level of demand.

    With a capacity that does not depend on `n` this is `ceil(x - 0.25)` for a level of `x` replicas.
    """
    # Quotients of floats: exactly a quarter more than three replicas must not become four by rounding.
    work = tokens_per_second * capacity.law.slope_seconds * (1.0 - 1e-9)
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


def replicas_for_running(capacity: Capacity, running: float, most: int, near: int = 1) -> int:
    """Least replicas (at most `most`) that hold `running` sequences inside the objective, searched from `near`."""
    return _least(lambda number: number * capacity.running_at(number) >= running, most, near)


def _least(is_enough: Callable[[int], bool], most: int, near: int) -> int:
    """Least number from 1 to `most` that is enough, `most` if none is: beside `near` first, then by halves."""
    low, high = 1, max(most, 1)
    for guess in (near, near - 1, near + 1):
        if low <= guess < high:
            low, high = (low, guess) if is_enough(guess) else (guess + 1, high)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low
