"""Demand one start-up time ahead: offered requests per second, its trend and how sure that is."""

from dataclasses import dataclass
from math import sqrt

from baseload.plan.memory import RateSample
from baseload.plan.signals import Signal, Value

LEAST_WINDOW_SECONDS = 20.0
"""Shorter looks back see only noise."""

MOST_SAMPLES = 24
"""Samples kept in memory, however long the look back is."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests per second now and one start-up time ahead."""

    now_rps: float
    ahead_rps: float
    lead_seconds: float


def remember(rates: tuple[RateSample, ...], offered: Signal, window_seconds: float) -> tuple[RateSample, ...]:
    """Add the newest rate and drop what is older than the window; samples are spaced so that few suffice."""
    if not isinstance(offered, Value):
        return rates
    if rates and offered.time <= rates[-1].time:
        return rates
    kept = tuple(r for r in rates if r.time > offered.time - window_seconds)
    if len(kept) >= 2 and offered.time - kept[-2].time < window_seconds / MOST_SAMPLES:
        kept = kept[:-1]
    return (*kept, RateSample(offered.time, offered.value))


def look_back_seconds(lead_seconds: float) -> float:
    """To look one lead ahead, look about one lead back."""
    return max(lead_seconds, LEAST_WINDOW_SECONDS)


def expected(rates: tuple[RateSample, ...], offered: Value, lead_seconds: float) -> Demand:
    """The rate `lead_seconds` after the newest sample on a straight line, never below the rate now.

    Only the part of the slope that stands out of its own standard error counts, so noise is not a trend.
    """
    level, slope, error = _line(rates, offered)
    now = max(level, 0.0)
    rise = max(slope - error, 0.0) * lead_seconds
    # A line fitted to a few seconds must not promise more than twice what was ever seen.
    most = 2.0 * max([offered.value, *(r.rps for r in rates)])
    return Demand(now_rps=now, ahead_rps=min(now + rise, max(most, now)), lead_seconds=lead_seconds)


def _line(rates: tuple[RateSample, ...], offered: Value) -> tuple[float, float, float]:
    """Least squares through the samples: level at the newest one, slope per second and its standard error."""
    count = len(rates)
    if count < 4:
        return offered.value, 0.0, 0.0
    mean_time = sum(r.time for r in rates) / count
    mean_rate = sum(r.rps for r in rates) / count
    spread = sum((r.time - mean_time) ** 2 for r in rates)
    if spread <= 0:
        return offered.value, 0.0, 0.0
    slope = sum((r.time - mean_time) * (r.rps - mean_rate) for r in rates) / spread
    residual = sum((r.rps - mean_rate - slope * (r.time - mean_time)) ** 2 for r in rates)
    error = sqrt(residual / (count - 2) / spread)
    level = mean_rate + slope * (rates[-1].time - mean_time)
    # The line smooths noise; a jump that it cannot follow yet counts as it is.
    return max(level, min(offered.value, level + 2 * sqrt(residual / (count - 2)))), slope, error
