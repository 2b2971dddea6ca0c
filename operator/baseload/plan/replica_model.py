"""Learning how one replica slows down under load, without ever saturating it.

The law is `ITL = alpha + slope * B` for B running sequences (docs/explanation/decision.md). An autoscaler holds the
request rate per replica nearly constant, so a fit on rates is not identified; running sequences fluctuate by themselves
and are: regressed on rates the capacity comes out up to 19 % too high, on running sequences 4 %.
"""

from dataclasses import dataclass, replace
from math import exp, sqrt

from baseload.plan.memory import ReplicaModel
from baseload.plan.signals import ReplicaSignals, ServingSignals, Value

FORGETTING_SECONDS = 900.0
"""Time after which a sample has lost two thirds of its weight: long enough to average, short enough to follow."""

PRIOR_LOAD_SHARE = 0.35
"""Share of the inter-token time that grows with load, assumed before the data can tell; typical of measurements."""

PRIOR_SAMPLES = 4.0
"""Weight of that assumption, in samples whose running sequences vary by half their mean."""

LEAST_SAMPLES = 1.0
"""Fewer effective samples than this are no model."""

LOWER_BOUND_Z = 0.84
"""One-sided 20 % bound of a normal estimate: capacity is sized on what is exceeded in four cases of five."""

QUEUE_SHARE = 0.25
"""A queue this long beside the running sequences is one of a full engine, not of requests being admitted."""

WORST_IMBALANCE = 4.0
"""Variance over mean between replicas beyond which it is an incident, not a property of the router."""

SMOOTHING_SECONDS = 60.0
"""Time constant of the slowly changing numbers beside the fit."""


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law: seconds at no load, seconds per running sequence, and the cautious versions of both.

    The line runs through the mean of the samples; `slope_high_seconds` is the upper 20 % bound of the slope and
    `residual_seconds` the standard deviation of a window's mean around the line.
    """

    alpha_seconds: float
    slope_seconds: float
    slope_high_seconds: float
    mean_running: float
    mean_latency_seconds: float
    residual_seconds: float
    samples: float

    def running_at(self, latency_seconds: float) -> float:
        """Sequences that may run at once, cautiously, while the inter-token time stays at `latency_seconds`."""
        distance = latency_seconds - self.mean_latency_seconds
        slope = self.slope_high_seconds if distance >= 0 else self.slope_seconds
        return max(self.mean_running + distance / slope, 0.0)

    def load_at(self, running: float) -> float:
        """Load rho in 0..1 at `running` sequences: `rho = slope * B / (alpha + slope * B)`."""
        work = self.slope_seconds * running
        return work / (self.alpha_seconds + work)


@dataclass(frozen=True, slots=True)
class Pace:
    """When a lesson is learned: the time, the window behind a sample and the share of the old that the new replaces."""

    now: float
    window_seconds: float
    blend: float


def fit(model: ReplicaModel) -> Law | None:
    """Fit the law by weighted least squares with a prior on the slope; None while too little was seen."""
    if model.weight < LEAST_SAMPLES or model.sum_running <= 0 or model.sum_latency <= 0:
        return None
    mean_running = model.sum_running / model.weight
    mean_latency = model.sum_latency / model.weight
    spread = max(model.sum_running_squared - model.weight * mean_running**2, 0.0)
    cross = model.sum_running_latency - model.weight * mean_running * mean_latency
    scale = max(mean_running, 1.0)
    prior_slope = PRIOR_LOAD_SHARE * mean_latency / scale
    prior_spread = PRIOR_SAMPLES * (0.5 * scale) ** 2
    slope = (cross + prior_slope * prior_spread) / (spread + prior_spread)
    # The load share can be neither nothing nor all of the time: both would make capacity infinite or zero.
    slope = min(max(slope, 0.02 * mean_latency / scale), 0.98 * mean_latency / scale)
    variance = _residual_variance(model, mean_running, mean_latency, slope)
    slope_error = sqrt(variance / (spread + prior_spread))
    return Law(
        alpha_seconds=mean_latency - slope * mean_running if mean_running <= scale else mean_latency * 0.02,
        slope_seconds=slope,
        slope_high_seconds=slope + LOWER_BOUND_Z * slope_error,
        mean_running=mean_running,
        mean_latency_seconds=mean_latency,
        residual_seconds=sqrt(variance),
        samples=model.weight,
    )


def _residual_variance(model: ReplicaModel, mean_running: float, mean_latency: float, slope: float) -> float:
    """Variance of the latency around the line, never below (2 % of the mean)^2: windows overlap and lie a little."""
    total = model.sum_latency_squared - model.weight * mean_latency**2
    cross = model.sum_running_latency - model.weight * mean_running * mean_latency
    spread = model.sum_running_squared - model.weight * mean_running**2
    residual = max(total - 2 * slope * cross + slope**2 * spread, 0.0)
    return max(residual / max(model.weight - 2.0, 1.0), (0.02 * mean_latency) ** 2)


def learn(
    model: ReplicaModel, signals: ServingSignals, now: float, window_seconds: float, *, settled: bool = True
) -> ReplicaModel:
    """Fold one tick's replica samples into the model; samples of overlapping windows count by their new part.

    `settled` says that the same replicas have been ready for long enough to be compared with each other.
    """
    usable = [s for s in signals.replicas if s.inter_token_seconds and s.running >= 0.5]
    if model.weight == 0:
        # Engines that still fill up show slow tokens beside few sequences: the first window of traffic teaches nothing.
        began = (model.updated_time or now) if usable else 0.0
        if not usable or now - began < window_seconds:
            return replace(model, updated_time=began)
    elapsed = now - model.updated_time
    if elapsed < 0:
        # Read from the status that a process with a fast clock wrote: learning must not wait until ours has caught up.
        return replace(model, updated_time=now, load_factor_time=min(model.load_factor_time, now), queued_since=None)
    if elapsed == 0:
        return model
    weight = min(elapsed / window_seconds, 1.0)
    learned = _fold(model, usable, weight, exp(-elapsed / FORGETTING_SECONDS))
    # A plain mean at first, so that the first window is not believed for a minute; later the old fades.
    newest = weight * len(usable) / learned.weight if learned.weight > 0 else 0.0
    pace = Pace(now, window_seconds, max(1.0 - exp(-elapsed / SMOOTHING_SECONDS), newest))
    changes = _beside(learned, usable, signals, pace, settled=settled)
    return replace(learned, updated_time=now, **changes)  # type: ignore[arg-type]


def learn_nothing(model: ReplicaModel, now: float) -> ReplicaModel:
    """Let time pass without a lesson: what the replicas show now is no property of one kind of replica."""
    return replace(model, queued_since=None, updated_time=now)


def _fold(model: ReplicaModel, usable: list[ReplicaSignals], weight: float, keep: float) -> ReplicaModel:
    """Fade the sums and add the samples, in one go because each copy of a model costs as much as ten samples.

    They never fade below the information of a few samples: an idle night must not unlearn the model.
    """
    if model.weight * keep < 4 * LEAST_SAMPLES:
        keep = 1.0
    total, running_sum, latency_sum = model.weight * keep, model.sum_running * keep, model.sum_latency * keep
    running_squared, latency_squared = model.sum_running_squared * keep, model.sum_latency_squared * keep
    running_latency = model.sum_running_latency * keep
    for sample in usable:
        running, latency = sample.running, sample.inter_token_seconds or 0.0
        total += weight
        running_sum += weight * running
        latency_sum += weight * latency
        running_squared += weight * running**2
        running_latency += weight * running * latency
        latency_squared += weight * latency**2
    return replace(
        model,
        weight=total,
        sum_running=running_sum,
        sum_latency=latency_sum,
        sum_running_squared=running_squared,
        sum_running_latency=running_latency,
        sum_latency_squared=latency_squared,
    )


def _beside(
    model: ReplicaModel, usable: list[ReplicaSignals], signals: ServingSignals, pace: Pace, *, settled: bool
) -> dict[str, float | None]:
    """Changes of tokens per request, the unloaded time to first token, imbalance between replicas and saturation."""
    waiting = signals.waiting.value if isinstance(signals.waiting, Value) else 0.0
    changes = _saturation(model, usable, waiting, pace)
    if isinstance(signals.output_tokens_per_request, Value):
        changes["tokens_per_request"] = _follow(
            model.tokens_per_request, signals.output_tokens_per_request.value, pace.blend
        )
    law = fit(model)
    first = [s for s in usable if s.time_to_first_token_seconds is not None]
    if law and first and waiting < 1:
        unloaded = sum([(s.time_to_first_token_seconds or 0.0) * (1 - law.load_at(s.running)) for s in first])
        changes["time_to_first_token_unloaded_seconds"] = _follow(
            model.time_to_first_token_unloaded_seconds, unloaded / len(first), pace.blend
        )
    if settled and len(usable) >= 2:
        mean = sum([s.running for s in usable]) / len(usable)
        variance = sum([(s.running - mean) ** 2 for s in usable]) / (len(usable) - 1)
        measured = min(variance / max(mean, 1.0), WORST_IMBALANCE)
        changes["imbalance"] = _follow(model.imbalance, measured, pace.blend)
    return changes


def _saturation(
    model: ReplicaModel, usable: list[ReplicaSignals], waiting: float, pace: Pace
) -> dict[str, float | None]:
    """Changes of how many sequences run where many wait for a whole window: the engine's own limit, seen.

    A shorter queue is one of requests being admitted, which every engine has between two iterations.
    """
    if not usable or waiting < QUEUE_SHARE * sum([s.running for s in usable]):
        return {"queued_since": None}
    since = pace.now if model.queued_since is None else model.queued_since
    if pace.now - since < pace.window_seconds:
        return {"queued_since": since}
    old, most = model.saturated_running, max(s.running for s in usable)
    limit = most if old is None else max(most, _follow(old, most, pace.blend))
    return {"queued_since": since, "saturated_running": limit}


def _follow(old: float | None, new: float, blend: float) -> float:
    return new if old is None else old + blend * (new - old)
