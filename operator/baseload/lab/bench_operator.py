"""What the operator costs with thousands of ModelServings: start, memory, processor, tick, stalls, writes.

Each figure stands beside its budget (docs/explanation/limits.md) and their ratio. The API server and etcd are real and
hold full objects; the fleet below them and its metrics are made up (`bench_world`, `bench_prometheus`).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from statistics import mean
from typing import Any, Final

from baseload.errors import LabError
from baseload.lab.bench_process import Measured, OperatorRun
from baseload.lab.bench_world import REPLICAS
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.demo_audit import writes_of
from baseload.lab.demo_cluster import install_api
from baseload.lab.demo_objects import OPERATOR_USER
from baseload.sim.bench import Bench, Progress

SERVINGS: Final = int(os.environ.get("BASELOAD_BENCH_SERVINGS", "5000"))
_PROMETHEUS_PORT: Final = 9199
_FILL_SECONDS: Final = 900
_FIRST_STATUSES_SECONDS: Final = 600.0
_SETTLE_SECONDS: Final = 45.0
_PHASE_SECONDS: Final = 60.0

# design.md 7: seconds, MiB and shares.
BUDGETS: Final[Mapping[str, float]] = {
    "full_cache_seconds": 4.0,
    "memory_mib": 200.0,
    "tick_p99_seconds": 1.0,
    "stall_at_start_seconds": 0.1,
    "stall_seconds": 0.02,
    "cpu_share": 0.1,
    "writes": 0.0,
    "statuses_per_second": 50.0,
}


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure a first start, a second one with full statuses, and phases in which more and more changes."""
    lab = Lab("bench")
    lab.down()
    try:
        lab.up(LabOptions(), progress)
        install_api(lab)
        _only_the_api_server(lab)
        _fill(lab, progress)
        run = OperatorRun(lab, f"http://127.0.0.1:{_PROMETHEUS_PORT}")
        first = _first_start(lab, run, progress)
        sizes = _sizes(lab)
        return {
            "servings": SERVINGS,
            "replicas_each": REPLICAS,
            "objects": sizes,
            **first,
            **_again(lab, run, progress),
        }
    finally:
        lab.down()


def _only_the_api_server(lab: Lab) -> None:
    """Stop what would work beside it, and be Prometheus."""
    for name in ("kube-controller-manager", "kube-scheduler", "kwok", "agent", "prometheus"):
        lab.stop(name)
    module = [sys.executable, "-m", "baseload.lab.bench_prometheus"]
    lab.popen([*module, "--port", str(_PROMETHEUS_PORT), "--servings", str(SERVINGS)], name="bench-prometheus")


def _fill(lab: Lab, progress: Progress) -> None:
    progress(f"operator: creating {SERVINGS} ModelServings, Deployments and {SERVINGS * REPLICAS} pods")
    module = [sys.executable, "-m", "baseload.lab.bench_loader", str(lab.kubeconfig)]
    answer = subprocess.run(
        lab.command([*module, "--fill", str(SERVINGS)]),
        capture_output=True,
        text=True,
        timeout=_FILL_SECONDS,
        check=False,
    )
    if answer.returncode != 0:
        raise LabError(f"the fleet could not be created: {answer.stderr.strip().splitlines()[-1:]}")
    for line in answer.stdout.splitlines():
        progress(f"operator: {line}")
    lab.popen(module, name="bench-follower")


def _first_start(lab: Lab, run: OperatorRun, progress: Progress) -> dict[str, Any]:
    """Start with empty statuses and wait until each serving has one: the rate of status writes."""
    progress("operator: first start, which writes a status for each serving")
    run.start()
    since = time.time()
    deadline = time.monotonic() + _FIRST_STATUSES_SECONDS
    while _status_writes(lab, since) < SERVINGS:
        if time.monotonic() > deadline:
            raise LabError(f"not every serving had a status in {_FIRST_STATUSES_SECONDS:g} s")
        run.check()
        time.sleep(2.0)
    times = [write.time for write in writes_of(lab.audit_log, OPERATOR_USER, since, time.time())]
    rate = len(times) / max(times[-1] - times[0], 1.0)
    # Models are learned and the statuses that say so written, then the world is still.
    time.sleep(_SETTLE_SECONDS)
    run.stop()
    return {"statuses_per_second": _beside("statuses_per_second", round(rate, 1))}


def _again(lab: Lab, run: OperatorRun, progress: Progress) -> dict[str, Any]:
    """Start with full statuses, then let nothing, 2 % and 20 % of the servings change at each tick."""
    progress("operator: second start, with full statuses")
    start = run.start()
    results: dict[str, Any] = {
        "start": {
            "full_cache_seconds": _beside("full_cache_seconds", start.full_cache_seconds),
            "ready_seconds": start.ready_seconds,
            "cpu_seconds": start.cpu_seconds,
            "stall_seconds": _beside("stall_at_start_seconds", run.longest_stall()),
        }
    }
    time.sleep(_SETTLE_SECONDS)
    for name, changing in (("still", 0.0), ("changing_2_percent", 0.02), ("changing_20_percent", 0.2)):
        progress(f"operator: {_PHASE_SECONDS:g} s with {changing:.0%} changing at each tick")
        results[name] = _phase(lab, run, changing)
    return results


def _phase(lab: Lab, run: OperatorRun, changing: float) -> dict[str, Any]:
    """Measure one phase, from a tick's distance after its begin."""
    run.control(f"changing={changing}")
    if changing:
        time.sleep(15.0)
    since = time.time()
    measured = run.measure(_PHASE_SECONDS)
    writes = writes_of(lab.audit_log, OPERATOR_USER, since, time.time())
    scales = sum(write.resource.endswith("/scale") for write in writes)
    statuses = sum(write.resource.endswith("/status") for write in writes)
    return {
        **_of_process(measured),
        "scale_writes_per_tick": round(scales / measured.ticks, 1),
        "status_writes_per_tick": round(statuses / measured.ticks, 1),
        "event_writes_per_tick": round((len(writes) - scales - statuses) / measured.ticks, 1),
        **({} if changing else {"writes_in_a_minute": _beside("writes", len(writes))}),
    }


def _of_process(measured: Measured) -> dict[str, Any]:
    return {
        "cpu_share_of_a_core": _beside("cpu_share", measured.cpu_share),
        "memory_mib": _beside("memory_mib", measured.memory_mib),
        "tick_p50_seconds": measured.tick_p50_seconds,
        "tick_p99_seconds": _beside("tick_p99_seconds", measured.tick_p99_seconds),
        "longest_stall_seconds": _beside("stall_seconds", measured.longest_stall_seconds),
        "stalls_over_20_ms_per_minute": measured.stalls_over_budget,
        "prometheus_queries_per_tick": measured.queries_per_tick,
        "prometheus_mib_per_tick": measured.mib_per_tick,
        "api_requests_per_tick": measured.api_requests_per_tick,
    }


def _beside(budget: str, value: float) -> dict[str, float | None]:
    """A figure with its budget and their ratio."""
    limit = BUDGETS[budget]
    return {"value": value, "budget": limit, "ratio": round(value / limit, 3) if limit else None}


def _status_writes(lab: Lab, since: float) -> int:
    writes = writes_of(lab.audit_log, OPERATOR_USER, since, time.time())
    return sum(write.resource == "modelservings/status" for write in writes)


def _sizes(lab: Lab) -> dict[str, int]:
    """Mean bytes of the JSON of a ModelServing and its parts, and of a Deployment."""
    listed = lab.kubectl.get(
        "modelservings.baseload.dev", "--all-namespaces", "--show-managed-fields", "--chunk-size=500"
    )
    samples = listed["items"][:200]
    deployments = lab.kubectl.get("deployments", "--namespace", "team-0", "--show-managed-fields")["items"][:100]

    def size(value: object) -> int:
        return len(json.dumps(value, separators=(",", ":")))

    return {
        "model_serving_bytes": round(mean(size(item) for item in samples)),
        "status_bytes": round(mean(size(item.get("status", {})) for item in samples)),
        "managed_fields_bytes": round(mean(size(item["metadata"]["managedFields"]) for item in samples)),
        "deployment_bytes": round(mean(size(item) for item in deployments)),
    }


BENCH = Bench("operator", f"what does the operator cost with {SERVINGS:,} ModelServings?", _measure)
