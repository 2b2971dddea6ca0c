"""How much dearer a shortage is reckoned than it was set, raised while the objective is missed.

The price of a shortage is a guess at what attainment is worth; the objective says it. A multiplier of the price that
grows while too many requests are outside and shrinks while few are finds the price at which the objective holds
(multiplicative weights; Arora, Hazan and Kale 2012).
"""

from math import exp

from baseload.plan.signals import ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget, ServingSpec

HOURLY_RATE = 1.0
"""With twice the misses that are allowed, or with none at all, the logarithm moves so much in an hour."""
MOST = 8.0
"""A shortage is never reckoned dearer than this many times its price: missing capacity may have other reasons."""


def multiplier_after(multiplier: float, excess: float | None, hours: float) -> float:
    """The multiplier after a time with `excess` misses; unknown ones change nothing. Between 1 and `MOST`."""
    if excess is None:
        return multiplier
    return min(max(multiplier * exp(HOURLY_RATE * min(excess, 1.0) * hours), 1.0), MOST)


def excess_misses(spec: ServingSpec, signals: ServingSignals) -> float | None:
    """Requests outside the objective beyond those allowed, in shares of the allowed, from -1; None when not known.

    The worse of the two latencies counts.
    """
    seen = (
        (spec.time_to_first_token, signals.time_to_first_token_attainment),
        (spec.inter_token_latency, signals.inter_token_attainment),
    )
    known = [_excess(target, value.value) for target, value in seen if target is not None and isinstance(value, Value)]
    return max(known, default=None)


def _excess(target: LatencyTarget, attained: float) -> float:
    return (1.0 - attained) / max(1.0 - target.attainment, 1e-3) - 1.0
