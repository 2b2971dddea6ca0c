"""What each policy costs on every week at hand, and how that depends on what one may be wrong about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from baseload.sim.bench import Bench, Progress
from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, Lead, SimPool, Span
from baseload.sim.compare import compare
from baseload.sim.curves import curve, hours_within
from baseload.sim.policies.registry import POLICIES, make_policies
from baseload.sim.score import Score
from baseload.sim.trace_folder import made_weeks, recorded_weeks
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.trace import Trace

_LEADS_MINUTES = (10.0, 30.0)
_SLOW_MINUTES = 30.0
_RIVALS = ("baseload", "hpa", "hpa-hindsight")
_PENALTIES = (5.0, 10.0, 20.0, 50.0, 100.0)
_TOLD_FACTORS = (0.7, 0.85, 1.0, 1.2, 1.45, 1.7)
_UNSERVED_SHARES = (0.001, 0.002, 0.005, 0.01)
_DAY_SECONDS = 86_400.0
_HOUR_SECONDS = 3600.0


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure all policies by the honest protocol, then the three that matter under everything that may be wrong."""
    traces = (*recorded_weeks(), *made_weeks())
    results: dict[str, Any] = {"honest": [], "summary": {}, "curves": {}, "penalty": [], "told_lead": [], "trouble": []}
    for trace in traces:
        for lead_minutes in _LEADS_MINUTES:
            progress(f"backtest: {trace.name}, lead {lead_minutes:g} min, every policy")
            scores = compare(_case(trace, lead_minutes), make_policies(tuple(POLICIES)))
            results["honest"] += [s.record() for s in scores]
            results["summary"][f"{trace.name}, {lead_minutes:g} min"] = _summary(scores)
    for trace in traces:
        progress(f"backtest: {trace.name}, what may be wrong")
        case = _case(trace, _SLOW_MINUTES)
        results["penalty"] += _several({f"{p:g}": replace(case, penalty=p) for p in _PENALTIES})
        results["told_lead"] += _several({f"{f:g}": replace(case, lead_told_factor=f) for f in _TOLD_FACTORS})
        results["trouble"] += _several({name: change(case) for name, change in TROUBLES.items()})
        progress(f"backtest: {trace.name}, curves")
        results["curves"][trace.name] = _curves(case)
    return results


def _case(trace: Trace, lead_minutes: float) -> Case:
    lead = 60.0 * lead_minutes
    return case_of(trace, pools=(SimPool(lead=Lead(lead, lead)),))


def _summary(scores: Sequence[Score]) -> Mapping[str, Any]:
    """Baseload beside the best HPA that hindsight finds: cost over the bound and over that HPA."""
    ours, best = (next(s for s in scores if s.policy == name) for name in ("baseload", "hpa-hindsight"))
    return {
        "baseload": round(ours.ratio, 4),
        "hpa_hindsight": round(best.ratio, 4),
        "baseload_to_hpa_hindsight": round(ours.cost / best.cost, 4),
        "replica_hours_to_hpa_hindsight": round(ours.replica_hours / best.replica_hours, 4),
    }


def _several(cases: Mapping[str, Case]) -> list[Mapping[str, Any]]:
    """Records of the three policies on variants of a case, each with the variant's name."""
    return [
        {"variant": variant, **result.record()}
        for variant, case in cases.items()
        for result in compare(case, make_policies(_RIVALS))
    ]


def _curves(case: Case) -> Mapping[str, Any]:
    """Each policy's curve of cost over attainment, and the fewest replica-hours at equal shares of unserved work."""
    bound = clairvoyant(case)
    answers = {}
    for name, make in POLICIES.items():
        points = curve(case, make, bound)
        answers[name] = {
            "points": [point.record() for point in points],
            "replica_hours_at_unserved_share": {f"{s:g}": hours_within(points, s) for s in _UNSERVED_SHARES},
        }
    return answers


def _random_leads(case: Case) -> Case:
    """Every twentieth order takes more than twice its median."""
    return _with_pool(case, lead=Lead(case.pools[0].lead.p50_seconds, 2 * case.pools[0].lead.p50_seconds))


def _stockouts(case: Case) -> Case:
    """Every second day nothing can be ordered from 09:00 to 11:00."""
    days = range(0, case.world.shape[1] // case.steps_per_day, 2)
    begins = (day * _DAY_SECONDS + 9 * _HOUR_SECONDS for day in days)
    return _with_pool(case, stockouts=tuple(Span(begin, begin + 2 * _HOUR_SECONDS) for begin in begins))


def _partial_fills(case: Case) -> Case:
    """Of every order half comes."""
    return _with_pool(case, fill_share=0.5)


def _losses(case: Case) -> Case:
    """A replica lives 50 hours on average; a fifth of the losses take all at once."""
    return _with_pool(case, preemptions_per_hour=0.02, joint_loss_share=0.2)


def _level_shift(case: Case) -> Case:
    """From the middle on demand is half as high again."""
    return _times(case, np.where(_steps(case) < case.world.shape[1] // 2, 1.0, 1.5))


def _launch(case: Case) -> Case:
    """On day four at 10:00 demand trebles at once, half of the excess gone every six hours."""
    since = (_steps(case) - 3 * case.steps_per_day) * case.step_seconds / _HOUR_SECONDS - 10.0
    return _times(case, np.where(since < 0, 1.0, 1.0 + 2.0 * 0.5 ** (np.maximum(since, 0.0) / 6.0)))


def _outage(case: Case) -> Case:
    """On day five from 12:00 on nobody can reach the service for two hours, then they all come back."""
    since = (_steps(case) - 4 * case.steps_per_day) * case.step_seconds / _HOUR_SECONDS - 12.0
    return _times(case, np.where((since >= 0) & (since < 2.0), 0.0, 1.0))


def _blindness(case: Case) -> Case:
    """On day five from 12:00 on there are no metrics for three hours; demand goes on."""
    since = (_steps(case) - 4 * case.steps_per_day) * case.step_seconds / _HOUR_SECONDS - 12.0
    return replace(case, demand=np.where((since >= 0) & (since < 3.0), np.nan, case.demand))


TROUBLES: Mapping[str, Callable[[Case], Case]] = {
    "random leads": _random_leads,
    "stockouts": _stockouts,
    "partial fills": _partial_fills,
    "losses": _losses,
    "level shift": _level_shift,
    "launch": _launch,
    "outage": _outage,
    "no metrics": _blindness,
}
"""What may go wrong, each by itself on the same case."""


def _with_pool(case: Case, **changes: Any) -> Case:  # noqa: ANN401 (fields of SimPool)
    return replace(case, pools=(replace(case.pools[0], **changes), *case.pools[1:]))


def _steps(case: Case) -> np.ndarray:
    return np.arange(case.world.shape[1])


def _times(case: Case, factor: np.ndarray) -> Case:
    """The case with demand of every step times a factor."""
    return replace(case, demand=case.demand * factor, world=case.world * factor)


BENCH = Bench("backtest", "what does each policy cost on every week at hand, and under what may be wrong?", _measure)
