"""What the decision remembers of a serving between ticks; passed in and handed back, never mutated.

All of it is either kept in status or can be learned again from Prometheus; a fresh memory is always safe.
"""

from dataclasses import dataclass, field, replace
from math import inf


@dataclass(frozen=True, slots=True)
class ReplicaModel:
    """The learned law of one replica: inter-token time over running sequences, `ITL = alpha + slope * B`.

    `weight` and the five sums are the information behind the fit, in replica samples with forgetting, seconds and
    sequences. `time_to_first_token_unloaded_seconds` is S in `TTFT = S / (1 - rho)`; `imbalance` is how unequally
    replicas are loaded, in multiples of random routing; `saturated_running` is how many sequences ran where requests
    had to wait for long, `queued_since` when that began; `cache_per_sequence` is the share of the key-value cache that
    one holds, `window_seconds` what a sample averages over; `load_factor` (0..1] is what
    experience took off the capacity, `load_factor_time` when it last did. `updated_time` is the last lesson's, before
    the first one when traffic began (0 without traffic). See docs/explanation/decision.md.
    """

    weight: float = 0.0
    sum_running: float = 0.0
    sum_latency: float = 0.0
    sum_running_squared: float = 0.0
    sum_running_latency: float = 0.0
    sum_latency_squared: float = 0.0
    time_to_first_token_unloaded_seconds: float | None = None
    imbalance: float | None = None
    tokens_per_request: float | None = None
    saturated_running: float | None = None
    cache_per_sequence: float | None = None
    window_seconds: float = 15.0
    queued_since: float | None = None
    load_factor: float = 1.0
    load_factor_time: float = 0.0
    updated_time: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A wanted number at a time, remembered for the scale-down window."""

    time: float
    replicas: int


@dataclass(frozen=True, slots=True)
class RateSample:
    """Offered requests per second at the time of its newest sample."""

    time: float
    rps: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Ordered replicas that no node took although one could: the same two numbers since a time."""

    ordered: int
    placed: int
    since: float


@dataclass(frozen=True, slots=True)
class Watched:
    """Since when a target, by its uid, has been decided on without a break."""

    uid: str
    since: float


@dataclass(frozen=True, slots=True)
class Order:
    """More replicas ordered at a time because demand asked for them: up to which number."""

    time: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Fall:
    """The last step down: when, and how many replicas were told to go, those of steps not seen before it too."""

    time: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of metrics that lasts: since when nothing could be measured, and how many replicas were wanted then."""

    since: float
    replicas: int


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """How many replicas a rollout has brought to the new revision, and since when it is that many."""

    updated: int
    since: float


@dataclass(frozen=True, slots=True)
class ServingMemory:
    """Everything remembered of one serving.

    `ready` and `ready_since` tell since when the same number of replicas has been ready; `breach_since` is the
    sample time of the first reading that called for more replicas than are wanted. `orders` are those that have
    neither come nor are late. `shortage_multiplier` is how much dearer a shortage is reckoned than it was set.
    `excused_time` is when a missed objective was last no fault of the model: more was running than it allows,
    requests waited, or capacity that was wanted had not come.
    """

    model: ReplicaModel = field(default_factory=ReplicaModel)
    wishes: tuple[Wish, ...] = ()
    rates: tuple[RateSample, ...] = ()
    ready: int | None = None
    ready_since: float = 0.0
    breach_since: float | None = None
    excused_time: float = -inf
    watched: Watched | None = None
    orders: tuple[Order, ...] = ()
    fall: Fall | None = None
    loss: Loss | None = None
    rollout: RolloutProgress | None = None
    waiting: Waiting | None = None
    shortage_multiplier: float = 1.0


def without_times(memory: ServingMemory, now: float) -> ServingMemory:
    """What is left when the times remembered mean nothing any more: the model, as if it had been learned until now."""
    model = memory.model
    kept = replace(
        model,
        queued_since=None,
        updated_time=now if model.updated_time else 0.0,
        load_factor_time=now if model.load_factor_time else 0.0,
    )
    return ServingMemory(model=kept)
