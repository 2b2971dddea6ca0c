"""How far the formulas, the request-level simulator and the fluid one agree, on the same engine and the same day."""

from collections.abc import Mapping
from dataclasses import asdict
from statistics import fmean
from typing import Any, Final

from baseload.lab.profiles import engine_profile
from baseload.sim.agreement import Levels, Served, both_levels
from baseload.sim.bench import Bench, Progress
from baseload.sim.case import Case, Lead, SimPool
from baseload.sim.policies.registry import POLICIES
from baseload.sim.requests.arrivals import LogNormalLengths
from baseload.sim.requests.closed_form import Steady, cache_use, closed_form, simulated, work_seconds
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.saturation import highest_rps
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.generator import Shape, generate

LENGTHS: Final = LogNormalLengths(1155.0, 1.0, 211.0, 0.8)
OBJECTIVE: Final = Objective(1.0, 0.05, 0.95)

_LOADS: Final = (0.3, 0.4, 0.5, 0.65, 0.8)
_SECONDS: Final = 3600.0
_SEEDS: Final = (1, 2, 3)
_POLICIES: Final = ("static-peak", "hpa", "point", "baseload")
_MEAN_REPLICAS: Final = 6
_STEP_SECONDS: Final = 60.0
"""A day's 144 steps of ten minutes, played in a tenth of their time: some 214,000 requests for each policy."""
_STEPS_PER_DAY: Final = 144
_WARM_DAYS: Final = 2


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Compare formulas with requests on one replica, then both levels of replay on a day."""
    profile = engine_profile("L40S", "Llama-3.1-8B")
    rps = highest_rps(profile, LENGTHS, OBJECTIVE, _MEAN_REPLICAS, seed=1)
    served = Served(profile, LENGTHS, OBJECTIVE, rps)
    rows = []
    for load in _LOADS:
        progress(f"agreement: one replica at a load of {load:g}")
        rows.append(_one_replica(served, load))
    days = {}
    for name in _POLICIES:
        progress(f"agreement: a day with {name}")
        days[name] = _rounded(both_levels(_day(), POLICIES[name], served))
    return {"replica_rps": round(rps, 3), "formulas_against_requests": rows, "fluid_against_requests": days}


def _one_replica(served: Served, load: float) -> dict[str, Any]:
    profile, lengths = served.profile, served.lengths
    formula = closed_form(profile, lengths, load)
    runs = [asdict(simulated(profile, lengths, load, _SECONDS, seed)) for seed in _SEEDS]
    found = Steady(**{name: fmean(run[name] for run in runs) for name in runs[0]})
    return {
        "load": load,
        "requests_per_second": round(load / work_seconds(profile, lengths), 3),
        "cache_use": round(cache_use(profile, lengths, formula), 3),
        "formula": {name: round(value, 5) for name, value in asdict(formula).items()},
        "requests": {name: round(value, 5) for name, value in asdict(found).items()},
        "difference": {name: round(value / asdict(found)[name] - 1.0, 4) for name, value in asdict(formula).items()},
    }


def _day() -> Case:
    """The third day of made demand, the first two being history."""
    week = case_of(generate(Shape(days=_WARM_DAYS + 1.0), seed=1), 1.0 / _MEAN_REPLICAS)
    first = _WARM_DAYS * _STEPS_PER_DAY
    day, pool = week.world[:, first:], SimPool(lead=Lead(_STEP_SECONDS, _STEP_SECONDS))
    return Case("day", _STEP_SECONDS, day, day, (pool,), history=week.world[:, :first], steps_per_day=_STEPS_PER_DAY)


def _rounded(levels: Levels) -> dict[str, Any]:
    return {
        **{name: round(value, 5) for name, value in asdict(levels).items()},
        "replica_hours_difference": round(levels.replica_hours_difference, 4),
        "attainment_difference": round(levels.attainment_difference, 4),
    }


BENCH: Final = Bench("agreement", "how far do formulas, fluid replay and request-level replay agree?", _measure)
