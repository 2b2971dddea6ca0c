"""How well the capacity of a replica is known without ever loading it fully: predicted at half load, then measured."""

from collections.abc import Mapping
from typing import Any, Final

from baseload.lab.profiles import ProfileRow, profile_rows
from baseload.plan.capacity import capacity_of
from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import Prior, fit
from baseload.plan.snapshot import LatencyTarget, Mode, ServingSpec
from baseload.sim.bench import Bench, Progress
from baseload.sim.requests.arrivals import LogNormalLengths, RateProfile, renewal_requests
from baseload.sim.requests.closed_loop import ClosedLoop
from baseload.sim.requests.objective import objective_of
from baseload.sim.requests.saturation import highest_rps

_LENGTHS: Final = LogNormalLengths(prompt_mean=1100.0, prompt_cv=0.8, output_mean=200.0, output_cv=0.6)
_SPEC: Final = ServingSpec(
    LatencyTarget(1.0, 0.95), LatencyTarget(0.05, 0.95), min_replicas=1, max_replicas=16, mode=Mode.RECOMMEND
)
_REPLICAS: Final = 4
_SECONDS: Final = 1800.0
_LOADS: Final = (0.25, 0.5)
_SEEDS: Final = (1, 2, 3)
_WRONG_BY: Final = (0.6, 1.4)


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Predict from half an hour of four replicas at a quarter and at half of their capacity, engine by engine."""
    return {
        f"{row.accelerators_per_replica} x {row.accelerator}, {row.model}": _row(row, progress)
        for row in profile_rows()
    }


def _row(row: ProfileRow, progress: Progress) -> dict[str, Any]:
    progress(f"replica-model: {row.accelerator} {row.model}")
    profile = row.engine_profile()
    measured = highest_rps(profile, _LENGTHS, objective_of(_SPEC), _REPLICAS, seed=1)
    errors: dict[str, list[float]] = {}
    for load in _LOADS:
        for seed in _SEEDS:
            model = _learned(row, load * measured * _REPLICAS, seed)
            for name, prior in _priors(model).items():
                capacity = capacity_of(model, _SPEC, prior)
                predicted = capacity.rps_at(_REPLICAS) if capacity else None
                errors.setdefault(f"{load:.0%} load, {name}", []).append(round((predicted or 0.0) / measured - 1, 4))
    return {"measured_rps_per_replica": round(measured, 3), "relative_errors": errors}


def _learned(row: ProfileRow, rps: float, seed: int) -> ReplicaModel:
    loop = ClosedLoop(row.engine_profile(), _SPEC, row.start_up_seconds, tick_seconds=5.0)
    requests = renewal_requests(RateProfile(((0.0, rps), (_SECONDS, rps))), _LENGTHS, seed)
    run = loop.run(requests, _SECONDS, start_replicas=_REPLICAS, seed=seed)
    return run.decisions[-1].memory.model


def _priors(model: ReplicaModel) -> dict[str, Prior | None]:
    """No prior, and priors wrong by 40 % either way around what was learned."""
    law = fit(model)
    if law is None:
        return {"no prior": None}
    wrong = {f"prior x {by:g}": Prior(by * law.alpha_seconds, by * law.slope_seconds) for by in _WRONG_BY}
    return {"no prior": None, **wrong}


BENCH = Bench("replica-model", "how well is a replica's capacity known without loading it fully?", _measure)
