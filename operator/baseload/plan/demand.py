"""Demand one start-up time ahead: offered requests per second, its trend and how sure that is."""

from bisect import bisect_left
from dataclasses import dataclass
from math import sqrt
from operator import mul

from baseload.plan.memory import RateSample
from baseload.plan.signals import Signal, Value

LEAST_WINDOW_SECONDS = 20.0
"""Shorter looks back see only noise."""

LEAST_POINTS = 4
"""Fewer samples are no line."""

LEAST_SPAN_SHARE = 0.7
"""Share of the look back that the samples must cover."""

CHANCE_Z = 0.3
"""Standard errors taken off a slope: chance alone exceeds them in four cases of ten."""

NEWEST_SHARE = 0.5
"""Share of the look back for a second, shorter line: the start of a ramp shows there first."""

MOST_GROWTH = 1.4
"""Most that a line may promise, in multiples of the highest rate it was fitted to.

A step looks like a ramp for as long as the look back. Allowed 2.0, it cost a fifth more on steps and kept no more
requests inside the objective (sim/requests/closed_loop.py, six seeds).
"""

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
    # They stand in the order of time, so what is too old stands in front.
    first = 0
    while first < len(rates) and rates[first].time <= offered.time - window_seconds:
        first += 1
    kept = rates[first:]
    if len(kept) >= 2 and offered.time - kept[-2].time < window_seconds / MOST_SAMPLES:
        kept = kept[:-1]
    return (*kept, RateSample(offered.time, offered.value))


def look_back_seconds(lead_seconds: float) -> float:
    """To look one lead ahead, look about one lead back."""
    return max(lead_seconds, LEAST_WINDOW_SECONDS)


def expected(rates: tuple[RateSample, ...], offered: Value, lead_seconds: float) -> Demand:
    """The rate `lead_seconds` after the newest sample on a straight line, never below the rate now.

    Only the part of the slope that stands out of chance counts, so noise is not a trend; and only when the line is
    long enough not to mistake the first seconds of traffic for a ramp.
    """
    look_back = look_back_seconds(lead_seconds)
    if len(rates) < LEAST_POINTS or rates[-1].time - rates[0].time < LEAST_SPAN_SHARE * look_back:
        return Demand(now_rps=offered.value, ahead_rps=offered.value, lead_seconds=lead_seconds)
    times, heights = [r.time for r in rates], [r.rps for r in rates]
    line = _line(times, heights)
    newest = bisect_left(times, times[-1] - NEWEST_SHARE * look_back)
    # The line smooths noise; a jump that it cannot follow yet counts as it is, up to what chance explains.
    now = max(line.level, min(offered.value, line.level + 2 * line.residual()), 0.0)
    rise = max(_rise(line, now, lead_seconds), 0.0)
    if len(rates) - newest >= LEAST_POINTS:
        rise = max(_rise(_line(times[newest:], heights[newest:]), now, lead_seconds), rise)
    most = MOST_GROWTH * max(offered.value, *heights)
    return Demand(now_rps=now, ahead_rps=min(now + rise, max(most, now)), lead_seconds=lead_seconds)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line through samples: level at the newest one, slope per second, and the samples around their means."""

    level: float
    slope: float
    times: list[float]
    heights: list[float]

    @property
    def span_seconds(self) -> float:
        """How long the samples reach back."""
        return self.times[-1] - self.times[0]

    def residual(self) -> float:
        """Standard deviation of the samples around the line."""
        slope = self.slope
        squares = [(h - slope * t) ** 2 for t, h in zip(self.times, self.heights, strict=True)]
        return sqrt(sum(squares) / (len(squares) - 2))


def _rise(line: _Line, rps: float, lead_seconds: float) -> float:
    """How much more a line promises after a lead: its slope above chance, for no longer than it has been seen.

    The standard error of the slope of a Poisson rate is `sqrt(12 rps / span^3)`; the samples are windows that overlap,
    so their own scatter would look far too small. A step looks like a steep ramp to a short line, hence the bound.
    """
    slope = line.slope - CHANCE_Z * sqrt(12.0 * max(rps, 0.1) / line.span_seconds**3)
    return slope * min(lead_seconds, line.span_seconds)


def _line(times: list[float], heights: list[float]) -> _Line:
    """Least squares through samples, in lists of differences instead of the textbook's sums: a third of the time."""
    mean_time, mean_height = sum(times) / len(times), sum(heights) / len(heights)
    times, heights = [t - mean_time for t in times], [h - mean_height for h in heights]
    slope = sum(map(mul, times, heights)) / sum(map(mul, times, times))
    return _Line(mean_height + slope * times[-1], slope, times, heights)
