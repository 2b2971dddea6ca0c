"""One day of a longer recording as the demand of a run, and the days before it as history for the operator.

The last three minutes of the day before are played first and not counted: an operator with history has been running.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np

from baseload.errors import ConfigError
from baseload.lab.arrivals import RequestTrace, read_trace
from baseload.lab.demand import EMULATED_LENGTHS, Demand, Trace
from baseload.lab.demo_objects import NAME, NAMESPACE
from baseload.lab.scenario import DAY_SECONDS, DEFAULT_PEAK_REPLICAS, DemoOptions
from baseload.sim.requests.arrivals import Lengths, RateProfile, SampledLengths
from baseload.sim.traces.cutting import read_trace as read_steps

LEAD_IN_SECONDS: Final = 180
"""Long enough for the operator to have learned what a replica can do, as one that has run for days has."""
BUCKETS_PER_DAY: Final = 72
"""Twice as long as the 144 of ten minutes in production: with 400 s a day a bucket then holds two or three scrapes."""

_STEP_SECONDS: Final = 600.0


def read_day(options: DemoOptions) -> Trace:
    """Return the day that the options name, in wall time; ConfigError if the recording has no such day, or none before.

    Rates of the recording are means of ten minutes with straight lines between them; gaps are bridged.
    """
    assert options.trace is not None
    assert options.day is not None
    rates = _recording(options.trace, options.speed)
    day_seconds = DAY_SECONDS / options.speed
    whole_days = int((rates.duration_seconds + _STEP_SECONDS / options.speed) / day_seconds)
    if not 2 <= options.day <= whole_days:
        raise ConfigError(
            f"--day {options.day} is not in {options.trace.name}: it has {whole_days} whole days; use one from 2 on"
        )
    midnight = (options.day - 1) * day_seconds
    seconds = int(min(day_seconds, options.duration_seconds or day_seconds))
    return Trace(
        name=f"{options.trace.name} day {options.day}",
        seconds=seconds,
        rates=_between(rates, midnight - LEAD_IN_SECONDS, midnight + seconds),
        requests=(),
        lengths=_lengths(options.lengths),
        peak_replicas=options.peak_replicas or DEFAULT_PEAK_REPLICAS,
        lead_in_seconds=LEAD_IN_SECONDS,
        earlier=_between(rates, 0.0, midnight - LEAD_IN_SECONDS),
    )


def _recording(path: Path, speed: float) -> RateProfile:
    rates = read_steps(path, _STEP_SECONDS).rate_rps
    middles = (np.arange(len(rates)) + 0.5) * _STEP_SECONDS
    known = np.isfinite(rates)
    bridged = np.interp(middles, middles[known], rates[known])
    return RateProfile(tuple(zip((middles / speed).tolist(), bridged.tolist(), strict=True)))


def _between(rates: RateProfile, start: float, end: float) -> RateProfile:
    """Return the part of a profile from `start` to `end`, which become 0 and its last point."""
    inside = [(time - start, rate) for time, rate in rates.points if start < time < end]
    return RateProfile(((0.0, rates.rate_at(start)), *inside, (end - start, rates.rate_at(end))))


def _lengths(path: Path | None) -> Lengths:
    """Return the lengths of recorded requests, or the built-in ones."""
    if path is None:
        return EMULATED_LENGTHS
    content = read_trace(path)
    if not isinstance(content, RequestTrace):
        raise ConfigError(f"--lengths {path}: it holds rates; use a file with t_s,prompt_tokens,output_tokens")
    return SampledLengths(tuple((r.prompt_tokens, r.output_tokens) for r in content.requests))


def bucket_seconds(speed: float) -> float:
    """Return the length of the planner's buckets in wall time."""
    return DAY_SECONDS / speed / BUCKETS_PER_DAY


def write_history(path: Path, demand: Demand, started: float, length_seconds: float) -> None:
    """Write what earlier days asked for as the operator's `--history`: output tokens a second in each bucket.

    `started` is the Unix time of the first request that is sent; buckets are cut at multiples of their length, as the
    operator does. What was asked for is what arrived, with all its chance, not the rate it was drawn from.
    """
    begin = started - demand.earlier_seconds
    first, end = int(np.ceil(begin / length_seconds)), int(started // length_seconds)
    times = begin + np.array([request.time_seconds for request in demand.earlier])
    tokens = np.array([request.output_tokens for request in demand.earlier], np.float64)
    index = np.floor(times / length_seconds).astype(np.int64) - first
    inside = (index >= 0) & (index < end - first)
    sums = np.bincount(index[inside], tokens[inside], end - first)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("namespace", "name", "t_seconds", "tokens_per_second"))
        for bucket, total in enumerate(sums.tolist()):
            middle = (first + bucket + 0.5) * length_seconds
            rows.writerow((NAMESPACE, NAME, f"{middle:.3f}", f"{total / length_seconds:.2f}"))
