"""The highest rate at which replicas keep an objective, found by trying."""

from collections.abc import Callable
from itertools import islice
from typing import Final

from baseload.sim.case import SimPool
from baseload.sim.requests.arrivals import Lengths, RateProfile, renewal_requests
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import Objective

_REQUESTS: Final = 6000
_LEAST_RPS: Final = 1e-3
_PRECISION: Final = 0.01
_FOREVER_SECONDS: Final = 1e9


def highest_rps(profile: EngineProfile, lengths: Lengths, objective: Objective, replicas: int, seed: int) -> float:
    """Return the highest Poisson rate per replica, in requests/s within 1 %, that keeps each latency's share.

    Each latency by itself is inside its limit for `objective.attainment` of requests; 0 if none is at any rate.
    """

    def keeps(rps: float) -> bool:
        return _least_share(profile, lengths, objective, (replicas, rps * replicas, seed)) >= objective.attainment

    return highest_kept(keeps) or 0.0


def highest_kept(keeps: Callable[[float], bool]) -> float | None:
    """Return the highest rate in requests/s, within 1 %, that `keeps` the objective, None if the least does not.

    `keeps` holds up to some rate and fails above it.
    """
    low, high = _LEAST_RPS, 1.0
    if not keeps(low):
        return None
    while keeps(high):
        low, high = high, 2 * high
    while high / low > 1 + _PRECISION:
        middle = (low * high) ** 0.5 if high / low > 4 else (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def _least_share(
    profile: EngineProfile, lengths: Lengths, objective: Objective, tried: tuple[int, float, int]
) -> float:
    """Share of requests inside the latency that is kept by fewer; the first twentieth finds replicas empty."""
    replicas, rps, seed = tried
    rates = RateProfile(((0.0, rps), (_FOREVER_SECONDS, rps)))
    requests = list(islice(renewal_requests(rates, lengths, seed), _REQUESTS))
    fleet = Fleet((FleetPool(SimPool(), profile),), objective, requests, seed=seed)
    fleet.start(0, replicas)
    fleet.finish()
    begin = requests[_REQUESTS // 20].time_seconds
    judged = [v for v in fleet.verdicts if v.arrival_seconds >= begin]
    first = sum((v.time_to_first_token_seconds or 0.0) <= objective.time_to_first_token_seconds for v in judged)
    between = sum((v.inter_token_seconds or 0.0) <= objective.inter_token_seconds for v in judged)
    return min(first, between) / len(judged)
