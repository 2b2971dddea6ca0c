"""What a request must keep, and whether it did."""

from dataclasses import dataclass
from math import inf

from baseload.plan.capacity import strictest_attainment
from baseload.plan.snapshot import ServingSpec
from baseload.sim.requests.engine import Sequence


@dataclass(frozen=True, slots=True)
class Objective:
    """The latencies a request must keep, in seconds (inf: any), and the share (0..1) of requests that must do so."""

    time_to_first_token_seconds: float
    inter_token_seconds: float
    attainment: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One request at its end, or at the end of the replay: latencies in seconds, None when it never got there.

    `is_shed` says that it was refused at once because every replica had too many.
    """

    arrival_seconds: float
    time_to_first_token_seconds: float | None
    inter_token_seconds: float | None
    output_tokens: int
    is_inside: bool
    is_shed: bool = False


def objective_of(spec: ServingSpec) -> Objective:
    """Return a serving's objective as limits for single requests."""
    first, between = spec.time_to_first_token, spec.inter_token_latency
    return Objective(
        time_to_first_token_seconds=inf if first is None else first.seconds,
        inter_token_seconds=inf if between is None else between.seconds,
        attainment=strictest_attainment(spec),
    )


def judge(sequence: Sequence, objective: Objective) -> Verdict:
    """Judge a request; the time between tokens is its mean, and one that did not finish is outside."""
    if sequence.first_token_time is None or sequence.finish_time is None:
        return Verdict(sequence.arrival_time, None, None, sequence.output_tokens, is_inside=False)
    first = sequence.first_token_time - sequence.arrival_time
    between = (sequence.finish_time - sequence.first_token_time) / max(sequence.output_tokens - 1, 1)
    inside = first <= objective.time_to_first_token_seconds and between <= objective.inter_token_seconds
    return Verdict(sequence.arrival_time, first, between, sequence.output_tokens, is_inside=inside)
