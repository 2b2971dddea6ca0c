"""The decision against emulated replicas in virtual time: what the demo shows, without a cluster."""

import pytest
import worlds

from baseload.lab.schedule import clairvoyant
from baseload.plan.snapshot import LatencyTarget
from baseload.sim.requests.arrivals import LogNormalLengths, RateProfile, renewal_requests
from baseload.sim.requests.closed_loop import ClosedLoop, LoopRun
from baseload.sim.requests.engine import EngineProfile

CAPACITY_RPS = 4.1
"""What one replica of this profile serves inside the objective for 95 % of requests."""

START_UP_SECONDS = 24.0

PROFILE = EngineProfile(
    alpha_seconds=22.2e-3,
    beta_seconds_per_sequence=0.036e-3,
    gamma_seconds_per_cached_token=1.9e-7,
    kappa_seconds_per_prompt_token=0.0447e-3,
    kappa2_seconds_per_token_squared=5.2e-9,
    cache_tokens=184_000,
)

CURVE = (
    (0, 1.05),
    (60, 1.05),
    (140, 5.4),
    (155, 5.4),
    (185, 1.7),
    (197, 1.7),
    (199, 3.4),
    (244, 3.4),
    (246, 1.05),
    (290, 1.05),
)
"""Seconds and replicas' worth of demand: quiet, a steep ramp, the way back with a spike of x2 for 45 s, quiet."""

SECONDS = 290.0


RATES = RateProfile(tuple((float(second), CAPACITY_RPS * load) for second, load in CURVE))

LENGTHS = LogNormalLengths(prompt_mean=1100.0, prompt_cv=0.8, output_mean=200.0, output_cv=0.6)


def run(seed: int, fixed_replicas: int | None = None) -> LoopRun:
    """One run of the curve."""
    spec = worlds.spec(
        time_to_first_token=LatencyTarget(1.0, 0.95),
        inter_token_latency=LatencyTarget(0.05, 0.95),
        max_replicas=12,
        stabilization_seconds=25.0,
    )
    loop = ClosedLoop(PROFILE, spec, START_UP_SECONDS)
    requests = renewal_requests(RATES, LENGTHS, seed)
    return loop.run(requests, SECONDS, fixed_replicas=fixed_replicas, start_replicas=2, seed=seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_objective_holds_through_ramp_and_spike_at_little_cost(seed: int) -> None:
    """At least 95 % of requests inside the objective for at most 1.4 times what a clairvoyant would pay."""
    outcome = run(seed).outcome
    bound = clairvoyant([RATES.rate_at(t) / CAPACITY_RPS for t in range(int(SECONDS))], START_UP_SECONDS)
    assert outcome.attainment >= 0.95
    assert sum(outcome.replica_seconds) <= 1.4 * bound.replica_seconds


def test_the_fewest_replicas_cannot_hold_it() -> None:
    """The same demand on one replica misses the objective for most requests: the run is no walk-over."""
    assert run(1, fixed_replicas=1).outcome.attainment < 0.5


def test_a_run_is_repeatable() -> None:
    """Two runs of one seed decide the same."""
    assert run(3).wanted == run(3).wanted
