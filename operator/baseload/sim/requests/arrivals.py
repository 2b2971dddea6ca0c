"""When requests arrive and how long they are: rates over time, seeded arrivals, token lengths."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Final

_LONGEST_IN_MEANS: Final = 8.0
_FEWEST_TOKENS: Final = 4
_JUMP_SECONDS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """One request to send: seconds after the start, and its lengths in tokens."""

    time_seconds: float
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class RateProfile:
    """A request rate over time: straight lines through (seconds, requests per second), times rising."""

    points: tuple[tuple[float, float], ...]

    @property
    def duration_seconds(self) -> float:
        """Time of the last point."""
        return self.points[-1][0]

    @property
    def peak_rps(self) -> float:
        """Highest rate of any point."""
        return max(rate for _, rate in self.points)

    def rate_at(self, time_seconds: float) -> float:
        """Return the rate in requests/s; before the first and after the last point it is that point's."""
        after = bisect_right(self.points, time_seconds, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (start, low), (end, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (time_seconds - start) / (end - start)

    def scaled(self, *, speed: float = 1.0, factor: float = 1.0) -> "RateProfile":
        """Return the profile with its time divided by `speed` and its rates multiplied by `factor`."""
        return RateProfile(tuple((time / speed, rate * factor) for time, rate in self.points))


@dataclass(frozen=True, slots=True)
class LogNormalLengths:
    """Token lengths by mean and coefficient of variation, at least 4 tokens and at most 8 means."""

    prompt_mean: float
    prompt_cv: float
    output_mean: float
    output_cv: float

    def draw(self, random: Random) -> tuple[int, int]:
        """Return (prompt, output) tokens of one request."""
        return (
            _log_normal(random, self.prompt_mean, self.prompt_cv),
            _log_normal(random, self.output_mean, self.output_cv),
        )


@dataclass(frozen=True, slots=True)
class SampledLengths:
    """Token lengths drawn with replacement from recorded (prompt, output) pairs: their correlation is kept."""

    rows: tuple[tuple[int, int], ...]

    def draw(self, random: Random) -> tuple[int, int]:
        """Return (prompt, output) tokens of one request."""
        return self.rows[random.randrange(len(self.rows))]


Lengths = LogNormalLengths | SampledLengths


def poisson_requests(profile: RateProfile, lengths: Lengths, seed: int) -> list[TimedRequest]:
    """Return Poisson arrivals of a varying rate, by thinning (Lewis and Shedler 1979); the same for the same seed.

    Times, lengths and acceptance come from generators of their own, so a lower rate keeps a subset of the times.
    """
    times, acceptance, sizes = (Random(f"{seed}/{use}") for use in ("times", "acceptance", "lengths"))  # noqa: S311
    requests: list[TimedRequest] = []
    peak, now = profile.peak_rps, 0.0
    if peak <= 0:
        return requests
    while True:
        now += times.expovariate(peak)
        if now >= profile.duration_seconds:
            return requests
        if acceptance.random() * peak < profile.rate_at(now):
            requests.append(TimedRequest(now, *lengths.draw(sizes)))


def stepped_rates(rates: Sequence[float], step_seconds: float) -> RateProfile:
    """Return rates (requests/s) that are held for a step each; the way from one to the next takes a microsecond."""
    points = []
    for number, rate in enumerate(rates):
        points += [(number * step_seconds, rate), ((number + 1) * step_seconds - _JUMP_SECONDS, rate)]
    return RateProfile(tuple(points))


def renewal_requests(
    profile: RateProfile, lengths: Lengths, seed: int, dispersion: float = 1.0
) -> Iterator[TimedRequest]:
    """Yield arrivals of a varying rate whose counts have the variance `dispersion` times that of Poisson arrivals.

    Gaps are Gamma distributed with a squared coefficient of variation of `dispersion`, on a clock that runs with the
    rate (Cox, Renewal Theory, 1962): 1 are Poisson arrivals. The first gap is one that had begun before the start.
    """
    gaps, sizes = Random(f"{seed}/gaps"), Random(f"{seed}/lengths")  # noqa: S311 (reproducible arrivals, no secret)
    shape = 1.0 / dispersion
    due, done = gaps.gammavariate(shape + 1.0, dispersion) * gaps.random(), 0.0
    for (start, low), (end, high) in pairwise(profile.points):
        slope = (high - low) / (end - start)
        expected = (low + high) / 2 * (end - start)
        while due < done + expected:
            behind = due - done
            # The root of low t + slope t^2 / 2 = behind, in the form that does not cancel.
            time = start + 2 * behind / (low + math.sqrt(max(low**2 + 2 * slope * behind, 0.0)))
            yield TimedRequest(time, *lengths.draw(sizes))
            due += gaps.gammavariate(shape, dispersion)
        done += expected


def _log_normal(random: Random, mean: float, cv: float) -> int:
    variance = math.log(1 + cv * cv)
    value = random.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))
    return round(min(max(value, _FEWEST_TOKENS), _LONGEST_IN_MEANS * mean))
