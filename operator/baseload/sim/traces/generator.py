"""Demand that is made, not recorded: days, weeks, growth, bursts and what goes wrong, the same for the same seed.

The defaults resemble a conversation service of the public traces: highest step 1.8 times the mean, nine tenths of the
steps within a tenth of the one before, weekends below weekdays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import Span
from baseload.sim.traces.rows import FloatArray
from baseload.sim.traces.trace import Trace, work_of

_HOUR_SECONDS: Final = 3600.0
_DAY_SECONDS: Final = 86_400.0
_DAYS_IN_WEEK: Final = 7
_WEEKDAYS: Final = 5
_SECOND_HARMONIC: Final = 0.25
"""A day is no sine: its second harmonic makes the night longer than the peak."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A new thing that everybody tries: demand times `factor` at once, half of the excess gone each half-life."""

    at_seconds: float
    factor: float = 3.0
    half_life_hours: float = 6.0


@dataclass(frozen=True, slots=True)
class LevelShift:
    """A customer comes or goes: demand times `factor` from now on."""

    at_seconds: float
    factor: float = 1.5


@dataclass(frozen=True, slots=True)
class Shape:
    """What demand looks like; it begins on a Monday at midnight.

    `day_swing` is the height of the day's wave and `weekend_factor` the level of Saturday and Sunday, in shares of the
    mean. `wander` is the standard deviation of a slow random drift of the logarithm, forgotten after `wander_hours`.
    `dispersion` is the variance of the counts over their mean (1: Poisson), by Gamma bursts. In `gaps` nothing is
    measured; in `silences` there is no request. `mean_rps` is the mean before launches, shifts and silences.
    """

    days: float = 7.0
    step_seconds: float = 600.0
    mean_rps: float = 20.0
    day_swing: float = 0.45
    peak_hour: float = 14.0
    weekend_factor: float = 0.8
    growth_per_week: float = 0.02
    wander: float = 0.08
    wander_hours: float = 6.0
    dispersion: float = 10.0
    prompt_tokens: float = 1600.0
    output_tokens: float = 110.0
    launches: tuple[Launch, ...] = ()
    shifts: tuple[LevelShift, ...] = ()
    gaps: tuple[Span, ...] = ()
    silences: tuple[Span, ...] = ()


def generate(shape: Shape, seed: int, name: str = "synthetic") -> Trace:
    """Return the demand of one serving; steps and bursts come from generators of their own."""
    drifting, bursting = (np.random.default_rng(source) for source in np.random.SeedSequence(seed).spawn(2))
    steps = round(shape.days * _DAY_SECONDS / shape.step_seconds)
    times = np.asarray((np.arange(steps) + 0.5) * shape.step_seconds, np.float64)
    expected = _calm(shape, times) * _drift(shape, len(times), drifting)
    for launch in shape.launches:
        since = times - launch.at_seconds
        excess = (launch.factor - 1.0) * 0.5 ** (since / (launch.half_life_hours * _HOUR_SECONDS))
        expected = expected * np.where(since >= 0, 1.0 + excess, 1.0)
    for shift in shape.shifts:
        expected = expected * np.where(times >= shift.at_seconds, shift.factor, 1.0)
    rate = _bursts(expected, shape, bursting)
    rate[_inside(times, shape.silences)] = 0.0
    rate[_inside(times, shape.gaps)] = np.nan
    prompt, output = (np.full(len(times), tokens) for tokens in (shape.prompt_tokens, shape.output_tokens))
    return Trace(name, shape.step_seconds, rate, prompt, output, rate * work_of(prompt, output), shape.dispersion)


def generate_many(shape: Shape, count: int, seed: int) -> list[Trace]:
    """Return the demand of `count` servings around a shape: some are larger, some peak at other hours, no two alike.

    More servings leave the first ones as they were.
    """
    traces = []
    for number, source in enumerate(np.random.SeedSequence(seed).spawn(count)):
        random = np.random.default_rng(source)
        own = replace(
            shape,
            mean_rps=shape.mean_rps * float(np.exp(random.normal(-0.5, 1.0))),
            day_swing=float(np.clip(shape.day_swing * random.uniform(0.5, 1.5), 0.0, 0.9)),
            peak_hour=(shape.peak_hour + random.normal(0.0, 3.0)) % 24,
        )
        traces.append(generate(own, int(random.integers(2**31)), f"synthetic-{number}"))
    return traces


def _calm(shape: Shape, times: FloatArray) -> FloatArray:
    """Day, week and growth without chance, with the mean of the shape."""
    phase = 2 * np.pi * (times / _HOUR_SECONDS - shape.peak_hour) / 24.0
    day = 1.0 + shape.day_swing * (np.cos(phase) + _SECOND_HARMONIC * np.cos(2 * phase))
    weekday = (times // _DAY_SECONDS) % _DAYS_IN_WEEK < _WEEKDAYS
    growth = (1.0 + shape.growth_per_week) ** (times / (_DAYS_IN_WEEK * _DAY_SECONDS))
    level = np.maximum(day, 0.0) * np.where(weekday, 1.0, shape.weekend_factor) * growth
    return np.asarray(shape.mean_rps * level / level.mean())


def _drift(shape: Shape, count: int, random: np.random.Generator) -> FloatArray:
    """A factor around 1 whose logarithm is an autoregression of order one."""
    kept = float(np.exp(-shape.step_seconds / (shape.wander_hours * _HOUR_SECONDS)))
    news = random.normal(0.0, shape.wander * np.sqrt(1.0 - kept * kept), count)
    log, value = np.empty(count), random.normal(0.0, shape.wander)
    for step in range(count):
        value = kept * value + news[step]
        log[step] = value
    return np.asarray(np.exp(log - shape.wander**2 / 2))


def _bursts(expected: FloatArray, shape: Shape, random: np.random.Generator) -> FloatArray:
    """Rates drawn so that the counts of a step have the variance `dispersion` times their mean (Gamma)."""
    if shape.dispersion <= 0:
        return expected.copy()
    counts = expected * shape.step_seconds
    return np.asarray(random.gamma(np.maximum(counts / shape.dispersion, 1e-9), shape.dispersion) / shape.step_seconds)


def _inside(times: FloatArray, spans: Sequence[Span]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), np.bool_)
    for span in spans:
        inside |= (times >= span.start_seconds) & (times < span.end_seconds)
    return inside
