"""The lab's replica servers against the request-level simulator, and the capacity that the operator learns of them.

Both get the very same requests, so what differs is not luck: it is HTTP, processes and this machine.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

from baseload.errors import LabError
from baseload.lab.bench_agreement import LENGTHS, OBJECTIVE
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.demo_cluster import Operator, install
from baseload.lab.demo_load import DemoLoad
from baseload.lab.demo_objects import ACCELERATOR, MODEL, NAME, NAMESPACE, World, baseload_objects
from baseload.lab.demo_record import Objective as Wanted
from baseload.lab.load_results import quantile
from baseload.lab.profiles import engine_profile
from baseload.lab.scenario import SCRAPE_SECONDS, EngineKind
from baseload.plan.capacity import capacity_of
from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import Prior, fit
from baseload.plan.snapshot import LatencyTarget, ServingSpec
from baseload.sim.bench import Bench, Progress
from baseload.sim.case import SimPool
from baseload.sim.requests.arrivals import RateProfile, TimedRequest, renewal_requests, stepped_rates
from baseload.sim.requests.closed_loop import ClosedLoop
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.saturation import highest_rps

_LAB: Final = "agree"
_REPLICAS: Final = 3
_LOADS: Final = (0.3, 0.6, 0.8)
"""Of the highest rate that one replica keeps the objective at, in the simulator."""
_LOAD_SECONDS: Final = 25.0
_LEARNING_LOAD: Final = 0.5
_LEARNING_SECONDS: Final = 90.0
_STEPS: Final = (0.88, 1.0, 1.12)
_STEP_SECONDS: Final = 30.0
_SETTLING_SECONDS: Final = 8.0
"""About how long a request stays: at the start of a step those of the step before still run."""
_LONGER_SECONDS: Final = (_LEARNING_SECONDS, 600.0, 1800.0)
_SEEDS: Final = (1, 2, 3)
_WRONG_BY: Final = (0.6, 1.4)
_WANTED: Final = Wanted(OBJECTIVE.time_to_first_token_seconds, OBJECTIVE.inter_token_seconds, OBJECTIVE.attainment)
_SPEC: Final = ServingSpec(
    LatencyTarget(OBJECTIVE.time_to_first_token_seconds, OBJECTIVE.attainment),
    LatencyTarget(OBJECTIVE.inter_token_seconds, OBJECTIVE.attainment),
    _REPLICAS,
    _REPLICAS,
)

_WORLD: Final = World(
    nodes=1,
    replicas=1,
    engine=EngineKind.EMULATED,
    speed=1.0,
    objective=_WANTED,
    stabilization_seconds=60,
    start_up_seconds=2.0,
)

Latencies = tuple[float, float | None, float | None]
"""Arrival in seconds, time to the first token and mean time between tokens (None when there was none)."""


def _measure(progress: Progress) -> Mapping[str, Any]:
    """One server at three loads, then three that the operator learns at half load, then steps; takes six minutes."""
    profile = engine_profile(ACCELERATOR, MODEL)
    alone, together = (highest_rps(profile, LENGTHS, OBJECTIVE, count, seed=1) for count in (1, _REPLICAS))
    with _lab(progress) as lab:
        servers = []
        for load in _LOADS:
            progress(f"lab-agreement: one server at {load:.0%} of its capacity")
            rates = RateProfile(((0.0, load * alone), (_LOAD_SECONDS, load * alone)))
            requests = list(renewal_requests(rates, LENGTHS, seed=1))
            in_lab, lag = _served_in_lab(lab, requests)
            pair = {"lab": _summary(in_lab), "simulator": _summary(_simulated(requests, 1))}
            servers.append({"load": load, "requests": len(requests), "loop_lag_ms_p99": lag, **pair})
        return {"one_server": servers, "capacity": _capacity(lab, together, progress)}


@contextmanager
def _lab(progress: Progress) -> Iterator[Lab]:
    lab = Lab(_LAB)
    lab.down()
    lab.up(LabOptions(scrape_seconds=SCRAPE_SECONDS), progress)
    try:
        install(lab, _WORLD)
        _scale(lab, 1)
        yield lab
    finally:
        lab.down()


def _scale(lab: Lab, replicas: int) -> None:
    where = ("--namespace", NAMESPACE, f"deployment/{NAME}")
    lab.kubectl("scale", *where, f"--replicas={replicas}")
    lab.kubectl("wait", *where, f"--for=jsonpath={{.status.readyReplicas}}={replicas}", "--timeout=60s")


def _served_in_lab(lab: Lab, requests: Sequence[TimedRequest]) -> tuple[list[Latencies], float]:
    """Send requests and wait for them; return their latencies, and how late the client's loop was (p99, ms)."""
    load = DemoLoad(lab, "agree-load", requests, _WANTED, seed=1)
    return _awaited(load, requests[-1].time_seconds)


def _awaited(load: DemoLoad, seconds: float) -> tuple[list[Latencies], float]:
    try:
        deadline = time.monotonic() + seconds + 90.0
        while load.running:
            if time.monotonic() > deadline:
                raise LabError("the servers did not answer in time; see `baseload lab logs agent --name agree`")
            time.sleep(0.2)
        outcome = load.outcome()
    finally:
        load.stop()
    found = [(r.scheduled_seconds, r.time_to_first_token_seconds, r.inter_token_seconds) for r in outcome.requests]
    return found, outcome.summary.loop_lag_ms_p99


def _simulated(requests: Sequence[TimedRequest], replicas: int) -> list[Latencies]:
    fleet = Fleet((FleetPool(SimPool(), engine_profile(ACCELERATOR, MODEL)),), OBJECTIVE, requests)
    fleet.start(0, replicas)
    fleet.finish()
    return [(v.arrival_seconds, v.time_to_first_token_seconds, v.inter_token_seconds) for v in fleet.verdicts]


def _summary(found: Sequence[Latencies]) -> dict[str, float | None]:
    firsts = [first for _, first, _ in found if first is not None]
    p95 = quantile(firsts, 0.95)
    return {
        "inter_token_ms_mean": round(1000 * fmean([between for _, _, between in found if between]), 3),
        "time_to_first_token_ms_p95": None if p95 is None else round(1000 * p95, 1),
    }


def _capacity(lab: Lab, highest: float, progress: Progress) -> dict[str, Any]:
    """Let the operator learn at half load, read what it predicts, then load more and more; rates are per replica."""
    progress("lab-agreement: three servers at half load, then steps around their capacity")
    _scale(lab, _REPLICAS)
    (pool, serving) = baseload_objects(_WORLD)
    serving["spec"]["replicas"] = {"min": _REPLICAS, "max": _REPLICAS}
    operator = Operator(lab)
    try:
        lab.apply(pool, serving)
        rates = [_LEARNING_LOAD * highest] * round(_LEARNING_SECONDS / _STEP_SECONDS)
        rates += [step * highest for step in _STEPS]
        profile = stepped_rates([_REPLICAS * rate for rate in rates], _STEP_SECONDS)
        requests = list(renewal_requests(profile, LENGTHS, seed=1))
        load = DemoLoad(lab, "agree-load", requests, _WANTED, seed=1)
        time.sleep(max(load.await_start() + _LEARNING_SECONDS - time.time(), 0.0))
        operator.check()
        status = lab.kubectl.get("modelserving", NAME, "--namespace", NAMESPACE)["status"]["replicaModel"]
        found, lag = _awaited(load, profile.duration_seconds)
    finally:
        operator.stop()
    steps = [
        (step * highest, _attainment(found, n), _attainment(_simulated(requests, _REPLICAS), n))
        for n, step in enumerate(_STEPS)
    ]
    predicted = _predictions(status)
    return {
        "learning_share_of_capacity": _LEARNING_LOAD,
        "predicted_rps": predicted,
        "learned": asdict(_model(status)),
        "operator_rps": float(status["requestsPerSecondPerReplica"]),
        "simulator_highest_rps": round(highest, 3),
        "predicted_over_simulator": {name: round(rps / highest - 1.0, 4) for name, rps in predicted.items()},
        "after_seconds_in_virtual_time": _learned_longer(highest),
        "steps": [{"rps": round(r, 3), "lab": round(a, 4), "simulator": round(s, 4)} for r, a, s in steps],
        "lab_highest_rps": _crossing([(rate, share) for rate, share, _ in steps]),
        "loop_lag_ms_p99": lag,
    }


def _learned_longer(highest: float) -> dict[str, list[float]]:
    """Prediction over the highest rate, less one, seed by seed: what learning at half load for longer would give."""
    loop = ClosedLoop(engine_profile(ACCELERATOR, MODEL), _SPEC, start_up_seconds=2.0)
    errors: dict[str, list[float]] = {}
    for seconds in _LONGER_SECONDS:
        rps = _REPLICAS * _LEARNING_LOAD * highest
        for seed in _SEEDS:
            requests = renewal_requests(RateProfile(((0.0, rps), (seconds, rps))), LENGTHS, seed)
            run = loop.run(requests, seconds, start_replicas=_REPLICAS, seed=seed)
            capacity = capacity_of(run.decisions[-1].memory.model, _SPEC)
            predicted = (capacity.rps_at(_REPLICAS) if capacity else None) or 0.0
            errors.setdefault(f"{seconds:g}", []).append(round(predicted / highest - 1.0, 4))
    return errors


def _predictions(status: Mapping[str, Any]) -> dict[str, float]:
    """What the operator's learned model says in requests/s, alone and with priors wrong by 40 % either way."""
    model = _model(status)
    law = fit(model)
    if law is None:
        raise LabError("the operator learned nothing; see `baseload lab logs operator --name agree`")
    priors: dict[str, Prior | None] = {"no prior": None}
    priors |= {f"prior x {by:g}": Prior(by * law.alpha_seconds, by * law.slope_seconds) for by in _WRONG_BY}
    capacities = {name: capacity_of(model, _SPEC, prior) for name, prior in priors.items()}
    return {name: round((c.rps_at(_REPLICAS) if c else None) or 0.0, 3) for name, c in capacities.items()}


def _model(status: Mapping[str, Any]) -> ReplicaModel:
    """The learned state as the operator wrote it: the fields of the model in their order."""
    return ReplicaModel(*json.loads(status["state"]))


def _attainment(found: Sequence[Latencies], step: int) -> float:
    """Share of a step's requests inside the latency that fewer keep; an answer that never came is outside."""
    start = _LEARNING_SECONDS + step * _STEP_SECONDS
    judged = [f for f in found if start + _SETTLING_SECONDS <= f[0] < start + _STEP_SECONDS]
    first = sum(f is not None and f <= OBJECTIVE.time_to_first_token_seconds for _, f, _ in judged)
    between = sum(b is None or b <= OBJECTIVE.inter_token_seconds for _, _, b in judged)
    return min(first, between) / len(judged)


def _crossing(steps: Sequence[tuple[float, float]]) -> float | None:
    """The rate at which attainment falls through the objective, on the line between two steps; None outside them."""
    for (low, above), (high, below) in pairwise(steps):
        if above >= OBJECTIVE.attainment > below:
            return round(low + (high - low) * (above - OBJECTIVE.attainment) / (above - below), 3)
    return None


BENCH: Final = Bench("lab-agreement", "do the lab's servers do what the simulator says, and is it learned?", _measure)
