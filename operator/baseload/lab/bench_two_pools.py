"""Two pools for one serving, on recorded weeks: cost over the bound, and requests inside the objective."""

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from baseload.lab.demo_record import Objective as Wanted
from baseload.lab.profiles import engine_profile
from baseload.lab.replica_capacity import capacity_rps
from baseload.sim.bench import Bench, Progress
from baseload.sim.case import Case, FloatArray, Lead, SimPool
from baseload.sim.fluid import simulate
from baseload.sim.lp_bound import lp_bound
from baseload.sim.policies.two_pools import TwoPools
from baseload.sim.requests.arrivals import LogNormalLengths, RateProfile, renewal_requests, stepped_rates
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.outcome import Outcome
from baseload.sim.requests.replay import Replay, replay
from baseload.sim.score import score
from baseload.sim.trace_folder import FOLDER_VARIABLE
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.cutting import read_trace
from baseload.sim.traces.trace import Trace

_FILES = ("azure_llm_2024_conv_week_digitised.csv.gz", "servegen_m_mid_10min.csv.gz")
_STEP_SECONDS = 120.0
_STEPS_IN_BUCKET = 5
_STEPS_IN_HOUR = 30
_HOURS = 6
_WARM_DAYS = 2
_POOLS = (
    SimPool("base", 1.0, Lead(1800.0, 1800.0)),
    SimPool("burst", 2.5, Lead(120.0, 120.0), hold_seconds=240.0),
)
_LENGTHS = LogNormalLengths(1155.0, 1.0, 211.0, 0.8)
_OBJECTIVE = Wanted(time_to_first_token_seconds=1.0, inter_token_seconds=0.05, attainment=0.99)


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure on each week, linear and stepped between its ten-minute means; nothing without the weeks."""
    folder = Path(os.environ.get(FOLDER_VARIABLE, "../shared/traces"))
    results: dict[str, Any] = {}
    for file in _FILES:
        if not (folder / file).is_file():
            progress(f"two-pools: no {folder / file}")
            continue
        trace = read_trace(folder / file)
        for form in ("linear", "stepped"):
            case = two_pool_case(trace, form)
            progress(f"two-pools: {case.name}")
            results[case.name] = {**_fluid(case), **_by_requests(case, form, progress)}
    return results


def two_pool_case(trace: Trace, form: str) -> Case:
    """A week in steps of two minutes, a mean of 20 replicas: `linear` between bucket means or `stepped` on them."""
    buckets = case_of(trace).world[0]
    if form == "stepped":
        demand = np.repeat(buckets, _STEPS_IN_BUCKET)
    else:
        middles = (np.arange(buckets.size * _STEPS_IN_BUCKET) + 0.5) / _STEPS_IN_BUCKET - 0.5
        demand = np.interp(middles, np.arange(buckets.size), buckets)
    steps_per_day = round(86_400 / _STEP_SECONDS)
    return Case(f"{trace.name} {form}", _STEP_SECONDS, demand[None], demand[None], _POOLS, steps_per_day=steps_per_day)


def _fluid(case: Case) -> Mapping[str, Any]:
    result = score(simulate(case, TwoPools()), lp_bound(case))
    return {
        "cost_over_bound": round(result.ratio, 4),
        "interval": [round(edge, 4) for edge in result.interval],
        "demand_in_short_steps": round(1.0 - result.attainment, 5),
        "unserved_share": round(result.unserved_share, 6),
        "policy_seconds": round(result.policy_seconds, 2),
    }


def _by_requests(case: Case, form: str, progress: Progress) -> Mapping[str, Any]:
    """Play some hours, drawn by seed from the days after the warm-up, request by request."""
    profile = engine_profile("L40S", "Llama-3.1-8B")
    random = Random("lengths")  # noqa: S311 (reproducible, no secret)
    lengths = [_LENGTHS.draw(random) for _ in range(2000)]
    rps = capacity_rps(profile, lengths, _OBJECTIVE, seed=1)
    limits = Objective(_OBJECTIVE.time_to_first_token_seconds, _OBJECTIVE.inter_token_seconds, _OBJECTIVE.attainment)
    warm = _WARM_DAYS * case.steps_per_day
    starts = np.random.default_rng(1).integers(
        warm // _STEPS_IN_HOUR + 1, case.world.shape[1] // _STEPS_IN_HOUR, size=_HOURS
    )
    outcomes = []
    for seed, start in enumerate(starts.tolist()):
        progress(f"two-pools: {case.name}, hour {start}")
        hour = _hour(case, start * _STEPS_IN_HOUR, warm)
        given = Replay(hour, _STEPS_IN_HOUR, (profile, profile), limits, rps)
        rates = np.where(np.arange(2 * _STEPS_IN_HOUR) < _STEPS_IN_HOUR, 0.0, hour.world[0] * rps)
        requests = renewal_requests(_rates(rates, form), _LENGTHS, seed)
        outcomes.append(replay(given, TwoPools(), requests, seed=seed))
    return _summary(outcomes, rps)


def _hour(case: Case, start: int, warm: int) -> Case:
    """An hour with the hour before it, and the days before that as history."""
    first, end = start - _STEPS_IN_HOUR, start + _STEPS_IN_HOUR
    demand = case.world[:, first:end].copy()
    return Case(
        case.name,
        case.step_seconds,
        demand,
        demand.copy(),
        case.pools,
        history=case.world[:, max(first - warm, 0) : first],
        steps_per_day=case.steps_per_day,
    )


def _rates(rates: FloatArray, form: str) -> RateProfile:
    """Rates over time: held for a step, or straight lines between the middles of the steps that have requests."""
    if form == "stepped":
        return stepped_rates(rates.tolist(), _STEP_SECONDS)
    first = _STEPS_IN_HOUR * _STEP_SECONDS
    middles = (np.arange(_STEPS_IN_HOUR) + 0.5) * _STEP_SECONDS + first
    played = rates[_STEPS_IN_HOUR:]
    points = [(0.0, 0.0), (first - 1e-6, 0.0), (first, played[0]), *zip(middles, played, strict=True)]
    return RateProfile((*((float(t), float(r)) for t, r in points), (first + 3600.0, float(played[-1]))))


def _summary(outcomes: list[Outcome], rps: float) -> Mapping[str, Any]:
    requests = sum(outcome.requests for outcome in outcomes)
    inside = sum(outcome.attainment * outcome.requests for outcome in outcomes)
    return {
        "requests": requests,
        "replica_rps": round(rps, 3),
        "requests_inside_objective": round(inside / max(requests, 1), 5),
        "by_hour": [round(outcome.attainment, 5) for outcome in outcomes],
    }


BENCH = Bench("two-pools", "what do a slow and a fast pool cost together, and who waits?", _measure)
