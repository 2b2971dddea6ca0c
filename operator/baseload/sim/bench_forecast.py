"""What the forecast is worth: coverage of its band, its loss, its time, and each of its parts by ablation."""

from collections.abc import Mapping
from time import process_time
from typing import Any

import numpy as np

from baseload.plan.forecast import band
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Foresight, Terms, advance, begin, peek, see, warm
from baseload.plan.forecast.quantile_regression import TAUS
from baseload.sim.ablation import ABLATIONS, LevelsAlone, learn
from baseload.sim.bench import Bench, Progress
from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, FloatArray, Lead, SimPool
from baseload.sim.fluid import simulate
from baseload.sim.score import score
from baseload.sim.trace_folder import made_weeks, recorded_weeks
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.trace import Trace

_LEADS_MINUTES = (10.0, 30.0)
_HORIZONS = (1, 2, 3, 4, 5, 6, 36)
_GRID = Grid()
_FLEET = 200
_FLEET_STEPS = 54
"""Three times the buckets between two fits of a serving, so that each is fitted as often as it ever is."""


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure on every week at hand, then the time that a fleet takes."""
    results: dict[str, Any] = {"traces": {}}
    for trace in (*recorded_weeks(), *made_weeks()):
        progress(f"forecast: {trace.name}")
        results["traces"][trace.name] = {
            "bands": _bands(_case(trace, _LEADS_MINUTES[0])),
            "ablation": {f"{lead:g} min": _ablation(_case(trace, lead)) for lead in _LEADS_MINUTES},
        }
    progress(f"forecast: {_FLEET} servings")
    results["fleet"] = _fleet_times()
    return results


def _case(trace: Trace, lead_minutes: float) -> Case:
    lead = 60.0 * lead_minutes
    return case_of(trace, pools=(SimPool(lead=Lead(lead, lead)),))


def _ablation(case: Case) -> Mapping[str, Any]:
    """Return cost over the bound with each part switched off, with its 90 % day-block bootstrap interval."""
    bound, learned = clairvoyant(case), learn(case)
    answers = {}
    for name, look in ABLATIONS.items():
        result = score(simulate(case, LevelsAlone(name, look, learned)), bound)
        answers[name] = {
            "ratio": round(result.ratio, 4),
            "interval": [round(edge, 4) for edge in result.interval],
            "attainment": round(result.attainment, 4),
        }
    return answers


def _bands(case: Case) -> Mapping[str, Any]:
    """Return per horizon: coverage and mean width of the band, and the loss of band and regression at 0.93."""
    steps = case.demand.shape[1]
    bands, quantiles = _forecasts(case)
    answers = {}
    for horizon in _HORIZONS:
        made = np.arange(_GRID.buckets_per_day, steps - horizon)
        outcome = case.demand[0, made + horizon]
        low, median, high = np.expm1(bands[made, horizon - 1].T)
        known = ~np.isnan(outcome)
        fitted = np.expm1(quantiles[made, horizon - 1])
        answers[f"{10 * horizon} min"] = {
            "coverage": round(float(((outcome >= low) & (outcome <= high))[known].mean()), 4),
            "width_over_median": round(float(((high - low) / np.maximum(median, 1e-9))[known].mean()), 3),
            "loss_of_band_high": round(_loss(outcome - high, 1.0 - band.MISS), 4),
            "loss_of_regression": {
                f"{tau:g}": round(_loss(outcome - fitted[:, index], tau), 4) for index, tau in enumerate(TAUS)
            },
        }
    return answers


def _forecasts(case: Case) -> tuple[FloatArray, FloatArray]:
    """Return the band (steps, horizons, 3) and quantiles (steps, horizons, taus) of each step, as logs."""
    steps, furthest = case.demand.shape[1], _HORIZONS[-1]
    terms = Terms(np.array([furthest - 4]), np.ones(1), np.array([case.penalty]))
    bands, quantiles = np.full((steps, furthest, 3), np.nan), np.full((steps, furthest, len(TAUS)), np.nan)
    foresight = begin(1, _GRID)
    for step in range(steps):
        block = DemandBlock(case.demand[:, : step + 1], _GRID, step + 1)
        foresight = advance(foresight, block, terms)
        sight = see(foresight, block, terms)
        for horizon in _HORIZONS:
            bands[step, horizon - 1] = band.at_horizon(sight.bands, horizon)[0]
        quantiles[step] = sight.quantiles[0, :furthest]
    return bands, quantiles


def _loss(error: FloatArray, tau: float) -> float:
    """Mean pinball loss of outcome minus forecast, in replicas of which the mean demand needs twenty."""
    return float(np.nanmean(np.maximum(tau * error, (tau - 1.0) * error)))


def _fleet_times() -> Mapping[str, Any]:
    """Return the CPU milliseconds of a bucket, of a look and of a start, for servings at the end of two weeks."""
    weeks = made_weeks()
    random = np.random.default_rng(0)
    rows = [
        np.roll(weeks[i % 3].work, int(random.integers(2000))) / np.nanmean(weeks[i % 3].work) for i in range(_FLEET)
    ]
    demand = 20.0 * np.stack(rows)
    terms = Terms(random.choice([1, 3], _FLEET), np.ones(_FLEET), np.full(_FLEET, 20.0))
    first = demand.shape[1] - _FLEET_STEPS
    begun = process_time()
    foresight = warm(DemandBlock(demand[:, :first], _GRID, first), terms)
    start = process_time() - begun
    learning, looking = [], []
    for end in range(first + 1, demand.shape[1] + 1):
        block = DemandBlock(demand[:, :end], _GRID, end)
        begun = process_time()
        foresight = advance(foresight, block, terms)
        learned = process_time()
        peek(foresight, block, terms)
        looking.append(process_time() - learned)
        learning.append(learned - begun)
    return {
        "servings": _FLEET,
        "buckets_of_history": first,
        "advance_milliseconds": round(1e3 * float(np.mean(learning)), 2),
        "advance_longest_milliseconds": round(1e3 * max(learning), 2),
        "peek_milliseconds": round(1e3 * float(np.mean(looking)), 2),
        "warm_seconds": round(start, 2),
        "state_bytes_per_serving": _bytes(foresight) // _FLEET,
    }


def _bytes(state: Any) -> int:  # noqa: ANN401 (nested dataclasses, tuples and arrays)
    """Return what the arrays in a nested state take."""
    if isinstance(state, np.ndarray):
        return state.nbytes
    if isinstance(state, tuple):
        return sum(_bytes(part) for part in state)
    names = (
        getattr(state, "__slots__", ())
        if isinstance(state, Foresight) or hasattr(state, "__dataclass_fields__")
        else ()
    )
    return sum(_bytes(getattr(state, name)) for name in names)


BENCH = Bench(
    "forecast", "what is the forecast worth, part by part, how true is its band, and what does it take?", _measure
)
