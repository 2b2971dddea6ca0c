"""Learning how one replica slows down under load, without ever saturating it.

The law is `ITL = alpha + slope * B` for B running sequences (docs/explanation/decision.md). An autoscaler holds the
request rate per replica nearly constant, so a fit on rates is not identified; running sequences fluctuate by themselves
and are: regressed on rates the capacity comes out up to 19 % too high, on running sequences 4 %.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, inf, sqrt
from typing import NamedTuple

from baseload.plan.memory import ReplicaModel
from baseload.plan.signals import ReplicaSignals, ServingSignals, Value

FORGETTING_SECONDS = 3600.0
"""Time after which a sample has lost two thirds of its weight: long enough to average, short enough to follow."""

USUAL_LOAD_SHARE = 0.35
"""Share of the inter-token time that grows with load, assumed where nothing better is known."""

USUAL_SPREAD = 0.15
"""Relative standard deviation of that assumption."""

PRIOR_SPREAD = 0.4
"""Relative standard deviation of a prior for an accelerator and model: engine versions differ as much."""

USUAL_SCATTER = 0.05
"""Scatter of a window's mean around the line, as a share of it, assumed with the weight of SCATTER_SAMPLES."""

SCATTER_SAMPLES = 4.0

LEAST_SCATTER = 0.01
"""Windows overlap and counters are read at different moments: less scatter than this share of the mean is luck."""

PROMPT_LAG = 0.028
"""What a fit adds to the unloaded time, as a share of it, where all of the slope is prompts.

A prompt slows those that run before its own request counts as running, so in a short window prompts and running
sequences move together a little less than they do over time. Measured on seven emulated engines at 25 and 50 % of
their capacity: 1.5 to 2.7 % (docs/explanation/replica-model.md)."""

LEAST_SAMPLES = 1.0
"""Fewer effective samples than this are no model."""

LOWER_BOUND_Z = 0.84
"""One-sided 20 % bound of a normal estimate: capacity is sized on what is exceeded in four cases of five."""

QUEUE_SHARE = 0.25
"""A queue this long beside the running sequences is one of a full engine, not of requests being admitted."""

WORST_IMBALANCE = 4.0
"""Variance over mean between replicas beyond which it is an incident, not a property of the router."""

SMOOTHING_SECONDS = 300.0
"""Time constant of the slowly changing numbers beside the fit."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a replica before it was seen: seconds between tokens at no load, and more per sequence.

    From the configuration of an accelerator and model, or from what a sibling on the same accelerator has learned.
    """

    alpha_seconds: float
    slope_seconds: float


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law: seconds at no load, seconds per running sequence, and how sure both are.

    `alpha_variance`, `slope_variance` and `covariance` are those of the estimate; `residual_seconds` is the standard
    deviation of a window's mean around the line, `mean_running` where most was seen, `samples` how much.
    """

    alpha_seconds: float
    slope_seconds: float
    alpha_variance: float
    slope_variance: float
    covariance: float
    mean_running: float
    residual_seconds: float
    samples: float

    def latency_at(self, running: float) -> float:
        """Inter-token seconds at `running` sequences, as expected."""
        return self.alpha_seconds + self.slope_seconds * running

    def high_latency_at(self, running: float) -> float:
        """Inter-token seconds at `running` sequences that the true law exceeds in one case of five."""
        variance = self.alpha_variance + running * (2 * self.covariance + running * self.slope_variance)
        return self.latency_at(running) + LOWER_BOUND_Z * sqrt(max(variance, 0.0))

    def load_at(self, running: float) -> float:
        """Load rho in 0..1 at `running` sequences: `rho = slope * B / (alpha + slope * B)`."""
        return self.slope_seconds * running / self.latency_at(running)


@dataclass(frozen=True, slots=True)
class Pace:
    """When a lesson is learned: the time, the window behind a sample and the share of the old that the new replaces."""

    now: float
    window_seconds: float
    blend: float


class _Sums(NamedTuple):
    """The information behind a fit, as in `ReplicaModel`: what the line and its noise follow from, and nothing else."""

    weight: float
    running: float
    latency: float
    running_squared: float
    running_latency: float
    latency_squared: float


def fit(model: ReplicaModel, prior: Prior | None = None) -> Law | None:
    """Fit the law with a prior that counts by its information; None while neither data nor a prior say anything.

    Bayes' rule for a line (Gelman et al., Bayesian Data Analysis, 14): the precision of the prior, one over its
    variance, adds to that of the data, so with every sample the prior weighs less. Without a prior for this
    accelerator the slope is assumed from the latency seen, and the unloaded time not at all.
    """
    sums = _Sums(
        model.weight,
        model.sum_running,
        model.sum_latency,
        model.sum_running_squared,
        model.sum_running_latency,
        model.sum_latency_squared,
    )
    return _law(sums, model, prior)


def _law(sums: _Sums, model: ReplicaModel, prior: Prior | None) -> Law | None:
    """The law of some sums, with what else `model` knows of its replicas."""
    if sums.weight < LEAST_SAMPLES or sums.running <= 0 or sums.latency <= 0:
        return None if prior is None else _prior_law(prior)
    line = _line(sums, prior)
    running = sums.running / sums.weight
    hidden = _hidden_seconds(line, running, model)
    return Law(
        alpha_seconds=line.alpha - hidden,
        slope_seconds=line.slope + hidden / running,
        alpha_variance=line.alpha_variance,
        slope_variance=line.slope_variance,
        covariance=line.covariance,
        mean_running=running,
        residual_seconds=sqrt(line.noise),
        samples=sums.weight,
    )


def _hidden_seconds(line: "_Line", running: float, model: ReplicaModel) -> float:
    """What prompts have hidden of the slope (PROMPT_LAG), as unloaded seconds: the line turns around its mean by it."""
    first, tokens = model.time_to_first_token_unloaded_seconds, model.tokens_per_request
    if first is None or not tokens or running <= 0:
        return 0.0
    prompt_share = min(max((first - line.alpha) / (tokens * line.slope), 0.0), 1.0)
    return PROMPT_LAG * prompt_share * line.alpha


def prior_of(model: ReplicaModel) -> Prior | None:
    """What a sibling on the same accelerator may believe before it has seen anything itself; None of no model."""
    law = fit(model)
    return None if law is None else Prior(law.alpha_seconds, law.slope_seconds)


class _Belief(NamedTuple):
    """A prior in the form of Bayes' rule: means and precisions (one over variance)."""

    alpha: float
    alpha_precision: float
    slope: float
    slope_precision: float


class _Line(NamedTuple):
    """A fitted line: seconds at no load and per sequence, their variances, and the variance `noise` around it."""

    alpha: float
    slope: float
    alpha_variance: float
    slope_variance: float
    covariance: float
    noise: float


# A tick learns from its samples and then sizes on the same sums: the last answer is asked for twice.
@lru_cache(maxsize=1)
def _line(sums: _Sums, prior: Prior | None) -> _Line:
    belief = _belief(sums, prior)
    # The noise decides how much a sample says, and follows from the line that it decides: twice is enough.
    first = _posterior(sums, belief, (USUAL_SCATTER * sums.latency / sums.weight) ** 2)
    return _posterior(sums, belief, _noise(sums, first))


def _belief(sums: _Sums, prior: Prior | None) -> _Belief:
    if prior is None:
        running, latency = sums.running / sums.weight, sums.latency / sums.weight
        slope = USUAL_LOAD_SHARE * latency / max(running, 1.0)
        return _Belief(0.0, 0.0, slope, (USUAL_SPREAD * slope) ** -2)
    alpha, slope = prior.alpha_seconds, prior.slope_seconds
    return _Belief(alpha, (PRIOR_SPREAD * alpha) ** -2, slope, (PRIOR_SPREAD * slope) ** -2)


def _prior_law(prior: Prior) -> Law:
    alpha, slope = prior.alpha_seconds, prior.slope_seconds
    return Law(
        alpha_seconds=alpha,
        slope_seconds=slope,
        alpha_variance=(PRIOR_SPREAD * alpha) ** 2,
        slope_variance=(PRIOR_SPREAD * slope) ** 2,
        covariance=0.0,
        mean_running=0.0,
        residual_seconds=USUAL_SCATTER * alpha,
        samples=0.0,
    )


def _posterior(sums: _Sums, belief: _Belief, noise: float) -> _Line:
    """The posterior line: precisions of data (sums over `noise`, a variance) and belief added, the 2 x 2 solved."""
    alpha_precision = sums.weight / noise + belief.alpha_precision
    slope_precision = sums.running_squared / noise + belief.slope_precision
    shared = sums.running / noise
    alpha_pull = sums.latency / noise + belief.alpha_precision * belief.alpha
    slope_pull = sums.running_latency / noise + belief.slope_precision * belief.slope
    determinant = alpha_precision * slope_precision - shared**2
    slope = (alpha_precision * slope_pull - shared * alpha_pull) / determinant
    running, latency = sums.running / sums.weight, sums.latency / sums.weight
    # The load share can be neither nothing nor all of the time: both would make capacity infinite or zero.
    busy = max(running, 1.0)
    slope = min(max(slope, 0.02 * latency / busy), 0.98 * latency / busy)
    alpha = (alpha_pull - shared * slope) / alpha_precision
    return _Line(
        alpha, slope, slope_precision / determinant, alpha_precision / determinant, -shared / determinant, noise
    )


def _noise(sums: _Sums, line: _Line) -> float:
    """Variance of a window's mean latency around the line, with a few samples' worth of what is usual."""
    alpha, slope = line.alpha, line.slope
    squares = (
        sums.latency_squared
        + alpha**2 * sums.weight
        + slope**2 * sums.running_squared
        + 2 * (alpha * slope * sums.running - alpha * sums.latency - slope * sums.running_latency)
    )
    mean = sums.latency / sums.weight
    usual = SCATTER_SAMPLES * (USUAL_SCATTER * mean) ** 2
    measured = (max(squares, 0.0) + usual) / (sums.weight + SCATTER_SAMPLES)
    return max(measured, (LEAST_SCATTER * mean) ** 2)


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
    sums = _fold(model, usable, weight, exp(-elapsed / FORGETTING_SECONDS))
    # A plain mean at first, so that the first window is not believed for a minute; later the old fades.
    newest = weight * len(usable) / sums.weight if sums.weight > 0 else 0.0
    pace = Pace(now, window_seconds, max(1.0 - exp(-elapsed / SMOOTHING_SECONDS), newest))
    changes = _beside(model, _law(sums, model, None), usable, signals, pace, settled=settled)
    return replace(
        model,
        weight=sums.weight,
        sum_running=sums.running,
        sum_latency=sums.latency,
        sum_running_squared=sums.running_squared,
        sum_running_latency=sums.running_latency,
        sum_latency_squared=sums.latency_squared,
        updated_time=now,
        window_seconds=window_seconds,
        **changes,  # type: ignore[arg-type]
    )


def learn_nothing(model: ReplicaModel, now: float) -> ReplicaModel:
    """Let time pass without a lesson: what the replicas show now is no property of one kind of replica."""
    return replace(model, queued_since=None, updated_time=now)


def _fold(model: ReplicaModel, usable: list[ReplicaSignals], weight: float, keep: float) -> _Sums:
    """Fade the sums and add the samples.

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
    return _Sums(total, running_sum, latency_sum, running_squared, running_latency, latency_squared)


def _beside(
    model: ReplicaModel,
    law: Law | None,
    usable: list[ReplicaSignals],
    signals: ServingSignals,
    pace: Pace,
    *,
    settled: bool,
) -> dict[str, float | None]:
    """Changes of tokens per request, the unloaded time to first token, imbalance between replicas and saturation."""
    waiting = signals.waiting.value if isinstance(signals.waiting, Value) else 0.0
    changes = _saturation(model, usable, waiting, pace)
    if isinstance(signals.output_tokens_per_request, Value):
        changes["tokens_per_request"] = _follow(
            model.tokens_per_request, signals.output_tokens_per_request.value, pace.blend
        )
    first = [s for s in usable if s.time_to_first_token_seconds is not None]
    if law and first and waiting < 1:
        unloaded = sum([(s.time_to_first_token_seconds or 0.0) * (1 - law.load_at(s.running)) for s in first])
        changes["time_to_first_token_unloaded_seconds"] = _follow(
            model.time_to_first_token_unloaded_seconds, unloaded / len(first), pace.blend
        )
    held = [(s.cache_usage, s.running) for s in usable if s.cache_usage is not None]
    if held:
        each = sum([usage for usage, _ in held]) / sum([running for _, running in held])
        changes["cache_per_sequence"] = _follow(model.cache_per_sequence, each, pace.blend)
    if law and settled and len(usable) >= 2:
        changes["imbalance"] = _follow(model.imbalance, _imbalance(model, law, usable, pace), pace.blend)
    return changes


def _imbalance(model: ReplicaModel, law: Law, usable: list[ReplicaSignals], pace: Pace) -> float:
    """How unequally replicas are loaded, in multiples of what requests sent at random would do.

    At random the variance of running sequences between replicas is `B / (1 - rho)` at any moment (a queue that shares
    its processor), and less in the mean of a window that is longer than a request's stay: `r (1 - r / 3)` of it for
    a stay of r windows.
    """
    mean = sum([s.running for s in usable]) / len(usable)
    variance = sum([(s.running - mean) ** 2 for s in usable]) / (len(usable) - 1)
    slack = 1.0 - law.load_at(mean)
    stay = (model.tokens_per_request or inf) * law.latency_at(mean) / slack / pace.window_seconds
    averaged = stay * (1.0 - stay / 3.0) if stay < 1.0 else 1.0 - 1.0 / (3.0 * stay)
    return min(variance * slack / (max(mean, 1.0) * averaged), WORST_IMBALANCE)


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
