"""The demand of a run: which requests are sent when, and how many replicas' worth of work that is in each second."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from random import Random
from typing import Final

from baseload.errors import ConfigError
from baseload.lab.arrivals import RequestTrace, read_trace
from baseload.lab.scenario import DEFAULT_PEAK_REPLICAS, SHIPPED_TRACE, DemoOptions, EngineKind
from baseload.sim.requests.arrivals import (
    Lengths,
    LogNormalLengths,
    RateProfile,
    SampledLengths,
    TimedRequest,
    poisson_requests,
)

_SHIPPED_PEAK_REPLICAS: Final = 5.4
# The mean lengths of the Azure 2023 conversation trace (Patel et al., Splitwise, ISCA 2024), rounded.
EMULATED_LENGTHS: Final = LogNormalLengths(prompt_mean=1100.0, prompt_cv=0.8, output_mean=200.0, output_cv=0.6)
# Short enough for a small model on a processor, long enough that requests are few and not all overhead.
_LLAMA_LENGTHS: Final = LogNormalLengths(prompt_mean=32.0, prompt_cv=0.3, output_mean=96.0, output_cv=0.3)
_LENGTHS_IN_SAMPLE: Final = 2000
_SAMPLE_SEED: Final = 1
_SMOOTHING_SECONDS: Final = 5
_SHORTEST_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Trace:
    """A demand curve in wall time before it is scaled: a rate, or single requests (then `rates` is None)."""

    name: str
    seconds: int
    rates: RateProfile | None
    requests: tuple[TimedRequest, ...]
    lengths: Lengths
    peak_replicas: float
    """What the peak is scaled to, in replicas' worth."""
    lead_in_seconds: int = 0
    """What comes before the first second that counts; `rates` begins with it, `seconds` is without it."""
    earlier: RateProfile | None = None
    """What went before all that, for the operator's history."""

    def sample_lengths(self) -> list[tuple[int, int]]:
        """Return (prompt, output) tokens of typical requests, always the same ones."""
        random = Random(_SAMPLE_SEED)  # noqa: S311 (a reproducible load, no secret)
        return [self.lengths.draw(random) for _ in range(_LENGTHS_IN_SAMPLE)]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is sent, and what it is worth: `loads` in replicas' worth second by second.

    The first `lead_in_seconds` of the requests come before second 0 of the loads; `earlier` are requests of earlier
    days that nobody sends, which took `earlier_seconds` and end where those sent begin.
    """

    name: str
    requests: tuple[TimedRequest, ...]
    loads: tuple[float, ...]
    capacity_rps: float
    lead_in_seconds: int = 0
    earlier: tuple[TimedRequest, ...] = ()
    earlier_seconds: float = 0.0


def read_demand_trace(options: DemoOptions) -> Trace:
    """Read the trace that the options name and bring it to wall time; ConfigError if it cannot be used."""
    shipped = resources.files("baseload.lab").joinpath("demand_shipped.csv")
    if options.trace is None:
        with resources.as_file(shipped) as path:
            content = read_trace(path)
    else:
        content = read_trace(options.trace)
    lengths: Lengths = _LLAMA_LENGTHS if options.engine is EngineKind.LLAMA_CPP else EMULATED_LENGTHS
    default_peak = _SHIPPED_PEAK_REPLICAS if options.trace is None else DEFAULT_PEAK_REPLICAS
    rates: RateProfile | None = None
    requests: tuple[TimedRequest, ...] = ()
    if isinstance(content, RequestTrace):
        requests = _wall_time(content, options.speed)
        seconds = requests[-1].time_seconds
        if options.engine is EngineKind.EMULATED:
            lengths = SampledLengths(tuple((r.prompt_tokens, r.output_tokens) for r in requests))
    else:
        rates = _wall_time_rates(content, options.speed)
        seconds = rates.duration_seconds
    name = options.trace.name if options.trace else SHIPPED_TRACE
    whole = int(min(seconds, options.duration_seconds or seconds))
    if whole < _SHORTEST_SECONDS:
        raise ConfigError(
            f"--speed {options.speed:g} leaves {whole} s of {name}: use a lower one, a run needs {_SHORTEST_SECONDS} s"
        )
    return Trace(name, whole, rates, requests, lengths, options.peak_replicas or default_peak)


def _wall_time_rates(profile: RateProfile, speed: float) -> RateProfile:
    start = profile.points[0][0]
    return RateProfile(tuple((time - start, rate) for time, rate in profile.points)).scaled(speed=speed)


def _wall_time(trace: RequestTrace, speed: float) -> tuple[TimedRequest, ...]:
    start = trace.requests[0].time_seconds
    return tuple(replace(request, time_seconds=(request.time_seconds - start) / speed) for request in trace.requests)


def demand_of(trace: Trace, capacity_rps: float, seed: int) -> Demand:
    """Scale a trace so that its peak is worth `trace.peak_replicas` replicas of `capacity_rps` requests/s each.

    A rate becomes Poisson arrivals and its load is exact. Single requests are dropped or repeated at random, and the
    load in each second is their count averaged over five seconds to either side.
    """
    peak_rps = trace.peak_replicas * capacity_rps
    earlier: list[TimedRequest] = []
    if trace.rates is not None:
        span = trace.lead_in_seconds + trace.seconds
        middles = [second + 0.5 for second in range(trace.lead_in_seconds, span)]
        present = max(trace.rates.rate_at(middle) for middle in middles)
        if present <= 0:
            raise ConfigError(f"{trace.name}: the rate is 0 throughout the run; use another part or file")
        rates = trace.rates.scaled(factor=peak_rps / present)
        requests = [r for r in poisson_requests(rates, trace.lengths, seed) if r.time_seconds < span]
        loads = [rates.rate_at(middle) / capacity_rps for middle in middles]
        if trace.earlier is not None:
            # Other chance than in the run, or a day would repeat the one before request by request.
            earlier = poisson_requests(trace.earlier.scaled(factor=peak_rps / present), trace.lengths, -1 - seed)
    else:
        recorded = [request for request in trace.requests if request.time_seconds < trace.seconds]
        factor = peak_rps / max(smoothed_counts(recorded, trace.seconds))
        requests = _scaled(recorded, factor, trace, seed)
        loads = [count / capacity_rps for count in smoothed_counts(requests, trace.seconds)]
    if not requests:
        raise ConfigError(f"{trace.name}: not one request falls into {trace.seconds} s; use a longer run")
    return Demand(
        name=trace.name,
        requests=tuple(requests),
        loads=tuple(loads),
        capacity_rps=capacity_rps,
        lead_in_seconds=trace.lead_in_seconds,
        earlier=tuple(earlier),
        earlier_seconds=trace.earlier.duration_seconds if trace.earlier else 0.0,
    )


def _scaled(recorded: Sequence[TimedRequest], factor: float, trace: Trace, seed: int) -> list[TimedRequest]:
    """Return each request `factor` times on average, repetitions moved by up to half a second."""
    random = Random(seed)  # noqa: S311 (a reproducible load, no secret)
    recorded_lengths = isinstance(trace.lengths, SampledLengths)
    requests = []
    for request in recorded:
        copies = int(factor) + (random.random() < factor % 1)
        for copy in range(copies):
            moved = request.time_seconds + (random.uniform(-0.5, 0.5) if copy else 0.0)
            time = min(max(moved, 0.0), trace.seconds - 1e-3)
            prompt, output = request.prompt_tokens, request.output_tokens
            if not recorded_lengths:
                prompt, output = trace.lengths.draw(random)
            requests.append(TimedRequest(time, prompt, output))
    return sorted(requests, key=lambda request: request.time_seconds)


def smoothed_counts(requests: Sequence[TimedRequest], seconds: int) -> list[float]:
    """Return requests per second in each second: the mean over five seconds to either side, less at the ends."""
    counts = [0] * seconds
    for request in requests:
        counts[int(request.time_seconds)] += 1
    means = []
    for second in range(seconds):
        window = counts[max(second - _SMOOTHING_SECONDS, 0) : second + _SMOOTHING_SECONDS + 1]
        means.append(sum(window) / len(window))
    return means
