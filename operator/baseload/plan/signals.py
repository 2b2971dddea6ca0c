"""What one reading of a metric can be: a value, proof of no traffic, or missing with a reason.

Missing is never zero. Code that needs a number asks `isinstance(signal, Value)` and decides what a gap means.
"""

from dataclasses import dataclass
from enum import StrEnum

from baseload.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Value:
    """A finite number and the Unix time in seconds of the newest sample behind it."""

    value: float
    time: float


@dataclass(frozen=True, slots=True)
class NoTraffic:
    """The counters are there and did not move: nobody asked, which is not the same as not knowing."""

    time: float


@dataclass(frozen=True, slots=True)
class Missing:
    """No usable number; `reason` is one of the missing-signal reasons, `message` says what to look at."""

    reason: Reason
    message: str


Signal = Value | NoTraffic | Missing


class Identity(StrEnum):
    """How the series of a workload were recognised as its own, the surest way first."""

    LABEL = "Label"
    OWNER = "Owner"
    POD_NAME = "PodName"


NOT_OBSERVED = Missing(Reason.NOT_OBSERVED, "not observed yet")


@dataclass(frozen=True, slots=True)
class ReplicaSignals:
    """One ready replica over the last learning window (15 s in production): the sample behind the replica model.

    `running` is the mean number of sequences decoding, `inter_token_seconds` the mean gap between tokens,
    `time_to_first_token_seconds` the mean time to the first token. Each may be None when not exposed.
    """

    pod: str
    time: float
    running: float
    inter_token_seconds: float | None
    time_to_first_token_seconds: float | None
    cache_usage: float | None


@dataclass(frozen=True, slots=True)
class ServingSignals:
    """What Prometheus says of one workload; units in the names, shares in 0..1.

    `offered_rps` is arrivals per second: completions plus the growth of what is running and waiting, so that it
    does not flatten at saturation. The two attainments are shares of requests over the last half minute or so: first
    token inside its objective, mean inter-token time of the request inside its objective. `identified_by` is None when
    no series of the workload was found.
    """

    offered_rps: Signal = NOT_OBSERVED
    running: Signal = NOT_OBSERVED
    waiting: Signal = NOT_OBSERVED
    output_tokens_per_second: Signal = NOT_OBSERVED
    output_tokens_per_request: Signal = NOT_OBSERVED
    time_to_first_token_attainment: Signal = NOT_OBSERVED
    inter_token_attainment: Signal = NOT_OBSERVED
    replicas: tuple[ReplicaSignals, ...] = ()
    identified_by: Identity | None = None
