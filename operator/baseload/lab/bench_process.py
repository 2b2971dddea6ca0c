"""The operator as a process of the benchmark's lab, and what can be read from outside of it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psutil
from prometheus_client.parser import text_string_to_metric_families

from baseload.errors import LabError
from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, OPERATOR_USER

TICK_SECONDS: Final = 5
_NAME: Final = "bench-operator"
_READY_SECONDS: Final = 180.0
_SERVINGS, _DEPLOYMENTS = "/apis/baseload.dev/v1alpha1/modelservings", "/apis/apps/v1/deployments"
_STALL_BUDGET_SECONDS: Final = 0.02

Samples = dict[tuple[str, str], float]
"""Value by metric name and `le` label, other labels summed up."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process until all servings and Deployments were in the cache, and until ready."""

    full_cache_seconds: float
    ready_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a running operator cost over a while."""

    ticks: int
    cpu_share: float
    memory_mib: float
    tick_p50_seconds: float
    tick_p99_seconds: float
    longest_stall_seconds: float
    stalls_over_budget: float
    queries_per_tick: float
    mib_per_tick: float
    api_requests_per_tick: float


class OperatorRun:
    """Starts, stops and measures the operator; `prometheus_url` is that of the fleet's made-up metrics."""

    def __init__(self, lab: Lab, prometheus_url: str) -> None:
        self._lab = lab
        self._prometheus_url = prometheus_url
        kubeconfig = lab.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)
        self._command = [sys.executable, "-m", "baseload.cli.main", "operator", "--kubeconfig", str(kubeconfig)]
        self._command += ["--prometheus-url", prometheus_url, "--metrics-port", str(lab.operator_port)]
        self._command += ["--tick-seconds", str(TICK_SECONDS), "--scrape-seconds", "15"]
        self._command += ["--listen-address", "127.0.0.1", "--log-format", "json"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Start:
        """Start it and wait until it is ready."""
        log = self._lab.log(_NAME)
        offset = log.stat().st_size if log.exists() else 0
        began = time.time()
        self._process = self._lab.popen(self._command, name=_NAME, env={"KUBECONFIG": os.devnull})
        deadline = time.monotonic() + _READY_SECONDS
        while self.get("/readyz") is None:
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"the operator was not ready in {_READY_SECONDS:g} s; see {log}")
            time.sleep(0.2)
        ready = time.time()
        times = psutil.Process(self._process.pid).cpu_times()
        pictures = _pictures(log.read_bytes()[offset:].decode(errors="replace"))
        full = max(pictures.get(path, ready) for path in (_SERVINGS, _DEPLOYMENTS))
        return Start(round(full - began, 2), round(ready - began, 2), round(times.user + times.system, 2))

    def stop(self) -> None:
        """Let it finish its work and end."""
        self._lab.stop(_NAME)

    def check(self) -> None:
        """Raise LabError when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise LabError(f"the operator ended with {self._process.returncode}; see {self._lab.log(_NAME)}")

    def measure(self, seconds: float) -> Measured:
        """Look at it for so long."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        before, queries, since = self.samples(), self.control(""), time.time()
        cpu = process.cpu_times()
        time.sleep(seconds)
        self.check()
        cpu_after, until = process.cpu_times(), time.time()
        after, queries_after = self.samples(), self.control("")
        used = cpu_after.user + cpu_after.system - cpu.user - cpu.system
        gone = {key: value - before.get(key, 0.0) for key, value in after.items()}
        ticks = max(round(gone["baseload_tick_seconds_count", ""]), 1)
        return Measured(
            ticks=ticks,
            cpu_share=round(used / (until - since), 4),
            memory_mib=round(process.memory_info().rss / 2**20, 1),
            tick_p50_seconds=_quantile(gone, "baseload_tick_seconds", 0.5),
            tick_p99_seconds=_quantile(gone, "baseload_tick_seconds", 0.99),
            longest_stall_seconds=_quantile(gone, "baseload_event_loop_stall_seconds", 1.0),
            stalls_over_budget=_over(gone, "baseload_event_loop_stall_seconds", _STALL_BUDGET_SECONDS)
            * 60.0
            / (until - since),
            queries_per_tick=round((queries_after["queries"] - queries["queries"]) / ticks, 1),
            mib_per_tick=round((queries_after["bytes"] - queries["bytes"]) / ticks / 2**20, 1),
            api_requests_per_tick=round(_requests(self._lab, since, until) / ticks, 1),
        )

    def longest_stall(self) -> float:
        """The longest stall of the event loop since the start, in seconds, up to a bucket's edge."""
        return _quantile(self.samples(), "baseload_event_loop_stall_seconds", 1.0)

    def samples(self) -> Samples:
        """The operator's own metrics."""
        text = self.get("/metrics")
        if text is None:
            raise LabError("the operator's /metrics did not answer")
        found: Samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = sample.name, sample.labels.get("le", "")
                found[key] = found.get(key, 0.0) + sample.value
        return found

    def control(self, query: str) -> dict[str, Any]:
        """Set what the made-up Prometheus does; the counts of its answers."""
        text = self._fetch(f"{self._prometheus_url}/control?{query}")
        if text is None:
            raise LabError("the benchmark's Prometheus did not answer")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def get(self, path: str) -> str | None:
        """GET a path of the operator; None without a 200."""
        return self._fetch(f"http://127.0.0.1:{self._lab.operator_port}{path}")

    def _fetch(self, url: str) -> str | None:
        """GET from inside the lab's network."""
        script = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=10).read().decode())"
        answer = subprocess.run(
            self._lab.command([sys.executable, "-c", script, url]),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return answer.stdout if answer.returncode == 0 else None


def _pictures(log: str) -> dict[str, float]:
    """Unix time of the first complete picture of each collection."""
    found: dict[str, float] = {}
    for line in log.splitlines():
        if "complete picture" in line:
            entry = json.loads(line)
            found.setdefault(entry["path"], datetime.fromisoformat(entry["time"]).timestamp())
    return found


def _requests(lab: Lab, since: float, until: float) -> int:
    """Requests of the operator in the audit log, reads included, leases left out."""
    count = 0
    needle = json.dumps(OPERATOR_USER)
    with lab.audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if needle not in line or '"resource":"leases"' in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            at = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
            count += entry["stage"] == "ResponseComplete" and since <= at <= until
    return count


def _quantile(samples: Samples, name: str, share: float) -> float:
    """The upper edge of the bucket in which a quantile lies, in seconds; 0 when nothing was observed."""
    edges = sorted((float(le), value) for (metric, le), value in samples.items() if metric == f"{name}_bucket")
    total = samples.get((f"{name}_count", ""), 0.0)
    if total <= 0:
        return 0.0
    return next((edge for edge, value in edges if value >= share * total), float("inf"))


def _over(samples: Samples, name: str, limit: float) -> float:
    """How many observations were above a bucket's edge."""
    total = samples.get((f"{name}_count", ""), 0.0)
    return total - samples.get((f"{name}_bucket", str(limit)), total)
