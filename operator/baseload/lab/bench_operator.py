"""What the operator costs with many ModelServings: cold start, memory, processor, tick, writes when all is still."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import psutil
from prometheus_client.parser import text_string_to_metric_families

from baseload.errors import LabError
from baseload.lab.bench import Bench, Progress
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.demo_audit import writes_of
from baseload.lab.demo_cluster import OPERATOR_PROCESS, Operator, install_api
from baseload.lab.demo_objects import OPERATOR_USER

_SERVINGS: Final = 1000
_NAMESPACE: Final = "bench"
_READY_SECONDS: Final = 120.0
# The first decisions write a status each, 50 a second; then the world is still.
_SETTLE_SECONDS: Final = 60.0
_STILL_SECONDS: Final = 60.0


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure a fresh operator process on a lab of its own, with the production tick and scrape."""
    lab = Lab("bench")
    lab.down()
    try:
        lab.up(LabOptions(), progress)
        install_api(lab)
        progress(f"operator: creating {_SERVINGS} ModelServings and Deployments")
        _create(lab)
        started = time.time()
        operator = Operator(lab, tick_seconds=5, scrape_seconds=15)
        _await_ready(lab)
        cold_start_seconds = time.time() - started
        progress(f"operator: settling for {_SETTLE_SECONDS:g} s")
        time.sleep(_SETTLE_SECONDS)
        return {"cold_start_seconds": round(cold_start_seconds, 2), **_still(lab, operator, progress)}
    finally:
        lab.down()


def _still(lab: Lab, operator: Operator, progress: Progress) -> dict[str, Any]:
    """Measure one minute in which nothing changes."""
    progress(f"operator: measuring {_STILL_SECONDS:g} s in which nothing changes")
    process = psutil.Process(operator.pid)
    before, since = process.cpu_times(), time.time()
    ticks, tick_seconds = _ticks(lab)
    time.sleep(_STILL_SECONDS)
    operator.check()
    after, until = process.cpu_times(), time.time()
    more_ticks, more_seconds = _ticks(lab)
    cpu_seconds = after.user + after.system - before.user - before.system
    return {
        "servings": _SERVINGS,
        "memory_mib": round(process.memory_info().rss / 2**20, 1),
        "cpu_share_of_a_core": round(cpu_seconds / (until - since), 4),
        "mean_tick_seconds": round((more_seconds - tick_seconds) / max(more_ticks - ticks, 1), 4),
        "writes_in_a_still_minute": len(writes_of(lab.audit_log, OPERATOR_USER, since, until)),
    }


def _create(lab: Lab) -> None:
    """Create the servings; their Deployments are paused, so that no pod is made and only the operator works."""
    objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}]
    for number in range(_SERVINGS):
        objects += _serving(f"serving-{number}")
    lab.kubectl("create", "-f", "-", stdin="\n".join(json.dumps(entry) for entry in objects), timeout_seconds=600)


def _serving(name: str) -> list[dict[str, Any]]:
    labels = {"app": name}
    container = {"name": "server", "image": "example.org/server:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {
            "replicas": 1,
            "paused": True,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    serving = {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 1000, "attainmentPercent": 95}},
            "replicas": {"min": 1, "max": 8},
        },
    }
    return [deployment, serving]


def _await_ready(lab: Lab) -> None:
    """Wait for the operator's readiness: its first full list."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if _get(lab, "/readyz") is not None:
            return
        time.sleep(0.1)
    raise LabError(f"the operator was not ready in {_READY_SECONDS:g} s; see {lab.log(OPERATOR_PROCESS)}")


def _ticks(lab: Lab) -> tuple[float, float]:
    """Return how many ticks there were and how many seconds they took in all."""
    text = _get(lab, "/metrics")
    if text is None:
        raise LabError("the operator's /metrics did not answer")
    samples = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    return samples["baseload_tick_seconds_count"], samples["baseload_tick_seconds_sum"]


def _get(lab: Lab, path: str) -> str | None:
    """GET a path of the operator from inside the lab's network; None without a 200."""
    url = f"http://127.0.0.1:{lab.operator_port}{path}"
    script = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=5).read().decode())"
    answer = subprocess.run(
        lab.command([sys.executable, "-c", script, url]), capture_output=True, text=True, timeout=20, check=False
    )
    return answer.stdout if answer.returncode == 0 else None


BENCH = Bench("operator", f"what does the operator cost with {_SERVINGS:,} ModelServings?", _measure)
