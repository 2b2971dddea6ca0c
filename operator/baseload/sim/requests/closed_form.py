"""The closed formulas for one replica under a steady load, and what the request-level simulator finds.

An iteration takes `T = alpha + beta B + gamma K + kappa C + kappa2 C ctx` (`engine`). With `rho` the share of time
that grows with the load, Little's law gives the time between tokens and the sequences that run:
`rho = lambda w`, `ITL = alpha / (1 - rho)`, `B = lambda N ITL`; and the time to the first token of a long prompt is
`TTFT_q = (kappa_q P_q + alpha ceil(P_q / C)) / (1 - rho)`.
"""

from dataclasses import dataclass
from itertools import takewhile
from math import ceil
from random import Random
from typing import Final

from baseload.sim.case import SimPool
from baseload.sim.requests.arrivals import Lengths, RateProfile, renewal_requests
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import Objective

_DRAWN: Final = 20_000
_TAIL: Final = 0.95
_WARM_SHARE: Final = 0.05
_NO_LIMIT: Final = Objective(1e9, 1e9, _TAIL)


@dataclass(frozen=True, slots=True)
class Steady:
    """One replica under a steady load: mean seconds between tokens, mean sequences that decode, and TTFT's p95."""

    inter_token_seconds: float
    running: float
    time_to_first_token_p95_seconds: float


def work_seconds(profile: EngineProfile, lengths: Lengths) -> float:
    """Return `w`: the engine time that a request costs on average, in seconds.

    `w = E[(kappa + kappa2 P / 2) P + beta N + gamma N (P + N / 2)]`, the mean over drawn lengths.
    """
    total = sum(
        (profile.kappa_seconds_per_prompt_token + profile.kappa2_seconds_per_token_squared * prompt / 2) * prompt
        + profile.beta_seconds_per_sequence * output
        + profile.gamma_seconds_per_cached_token * output * (prompt + output / 2)
        for prompt, output in _drawn(lengths)
    )
    return total / _DRAWN


def closed_form(profile: EngineProfile, lengths: Lengths, load: float) -> Steady:
    """Return what the formulas say at a load `rho` in 0..1 (excluded)."""
    drawn = _drawn(lengths)
    rps = load / work_seconds(profile, lengths)
    between = profile.alpha_seconds / (1.0 - load)
    long = sorted(prompt for prompt, _ in drawn)[int(_TAIL * _DRAWN)]
    per_token = profile.kappa_seconds_per_prompt_token + profile.kappa2_seconds_per_token_squared * long / 2
    chunks = ceil(long / profile.max_batched_tokens)
    return Steady(
        inter_token_seconds=between,
        running=rps * sum(output for _, output in drawn) / _DRAWN * between,
        time_to_first_token_p95_seconds=(per_token * long + profile.alpha_seconds * chunks) / (1.0 - load),
    )


def cache_use(profile: EngineProfile, lengths: Lengths, steady: Steady) -> float:
    """Return the mean share of the key-value cache, `B E[P + N / 2] / tokens`: near 1 requests queue."""
    held = sum(prompt + output / 2 for prompt, output in _drawn(lengths)) / _DRAWN
    return steady.running * held / profile.cache_tokens


def simulated(profile: EngineProfile, lengths: Lengths, load: float, seconds: float, seed: int) -> Steady:
    """Serve Poisson arrivals of a load `rho` for some (virtual) seconds, request by request; the start is left out."""
    rps = load / work_seconds(profile, lengths)
    arrivals = renewal_requests(RateProfile(((0.0, rps), (seconds, rps))), lengths, seed)
    requests = list(takewhile(lambda request: request.time_seconds < seconds, arrivals))
    fleet = Fleet((FleetPool(SimPool(), profile),), _NO_LIMIT, requests, seed=seed)
    fleet.start(0, 1)
    begin = _WARM_SHARE * seconds
    fleet.run(begin)
    fleet.catch_up()
    (replica,) = fleet.serving
    before = replica.counters.copy()
    fleet.run(seconds)
    fleet.catch_up()
    gaps = replica.counters.gaps - before.gaps
    gap_seconds = replica.counters.gap_seconds - before.gap_seconds
    fleet.finish()
    firsts = sorted(v.time_to_first_token_seconds or 0.0 for v in fleet.verdicts if v.arrival_seconds >= begin)
    return Steady(
        inter_token_seconds=gap_seconds / gaps,
        running=gap_seconds / (seconds - begin),
        time_to_first_token_p95_seconds=firsts[int(_TAIL * len(firsts))],
    )


def _drawn(lengths: Lengths) -> list[tuple[int, int]]:
    random = Random("closed-form")  # noqa: S311 (reproducible, no secret)
    return [lengths.draw(random) for _ in range(_DRAWN)]
