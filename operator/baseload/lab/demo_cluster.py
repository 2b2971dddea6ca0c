"""Put the demo's world into a lab, run the operator in it as its own ServiceAccount, and take it all out again."""

import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from subprocess import Popen
from typing import Any, Final

from baseload.errors import LabError
from baseload.lab import prometheus_adapter
from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import (
    DEMO_LABEL,
    NAME,
    NAMESPACE,
    OPERATOR_ACCOUNT,
    OPERATOR_NAMESPACE,
    OPERATOR_USER,
    POOL,
    World,
    baseload_objects,
    cluster_objects,
    manifests,
    workload_objects,
)
from baseload.lab.demo_watch import Tail
from baseload.lab.scenario import SCRAPE_SECONDS, TICK_SECONDS

OPERATOR_PROCESS: Final = "operator"
"""Name of the operator among the lab's processes and logs."""

_LOG_TAIL_LINES: Final = 12
_DECISION_SECONDS: Final = 60.0


def install(lab: Lab, world: World) -> None:
    """Put Baseload's API, the nodes and the workload into the lab; what an earlier run left is taken out before."""
    remove(lab)
    install_api(lab)
    lab.apply(*cluster_objects(world))
    lab.apply(*workload_objects(world))


def install_api(lab: Lab) -> None:
    """Apply what an admin applies: CRDs, the operator's ServiceAccount and rights, the admission policy."""
    crds = manifests().parent / "crds"
    lab.apply(crds)
    lab.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crds))
    lab.apply(manifests() / "rbac.yaml", manifests() / "policy.yaml")


def remove(lab: Lab) -> None:
    """Take the demo's objects out of the lab; Baseload's API stays."""
    prometheus_adapter.withdraw(lab)
    lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout_seconds=130)
    lab.kubectl("delete", "nodes", "--selector", DEMO_LABEL, "--ignore-not-found")
    crds = lab.kubectl("get", "customresourcedefinitions", "--output", "name")
    if "capacitypools.baseload.dev" in crds:
        lab.kubectl("delete", "capacitypool", POOL, "--ignore-not-found")


class Operator:
    """The operator as a process of the lab, with no more rights than its ServiceAccount has."""

    user = OPERATOR_USER
    """Who writes, in the audit log."""

    def __init__(
        self,
        lab: Lab,
        *,
        tick_seconds: int = TICK_SECONDS,
        scrape_seconds: int = SCRAPE_SECONDS,
        options: Sequence[str] = (),
    ) -> None:
        self._lab = lab
        self._options = ["--tick-seconds", str(tick_seconds), "--scrape-seconds", str(scrape_seconds), *options]
        # The log is appended to: lines of an earlier run are not ours.
        self._tail = Tail(lab.log(OPERATOR_PROCESS), from_end=True)
        self._process = self._start()
        self._breaches: list[tuple[float, float]] = []

    def _start(self) -> "Popen[bytes]":
        kubeconfig = self._lab.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)
        command = [sys.executable, "-m", "baseload.cli.main", "operator", "--kubeconfig", str(kubeconfig)]
        command += ["--prometheus-url", self._lab.prometheus_url, "--metrics-port", str(self._lab.operator_port)]
        command += self._options
        command += ["--listen-address", "127.0.0.1"]
        # It must not find the lab's admin kubeconfig in its environment.
        return self._lab.popen(command, name=OPERATOR_PROCESS, env={"KUBECONFIG": os.devnull})

    @property
    def pid(self) -> int:
        """Process id, the same inside and outside the lab's network."""
        return self._process.pid

    def check(self) -> None:
        """Raise LabError with the end of its log if the operator is no longer running."""
        code = self._process.poll()
        if code is None:
            return
        lines = self._lab.log(OPERATOR_PROCESS).read_text(errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
        raise LabError(f"the operator ended with exit code {code}; the last lines of its log:\n" + "\n".join(lines))

    def hand_over(self, world: World) -> None:
        """Apply the ModelServing and its pool, and wait for the operator's first decision."""
        self._lab.apply(*baseload_objects(world))
        deadline = time.monotonic() + _DECISION_SECONDS
        while time.monotonic() < deadline:
            self.check()
            serving = self._lab.kubectl.get("modelserving", NAME, "--namespace", NAMESPACE)
            if serving.get("status", {}).get("lastDecision"):
                return
            time.sleep(1.0)
        raise LabError(
            f"the operator decided nothing in {_DECISION_SECONDS:g} s; see {self._lab.log(OPERATOR_PROCESS)}"
        )

    def breaches(self) -> list[tuple[float, float]]:
        """Return (breach, logged) in Unix seconds of each scale-up that answered a breach.

        The breach is the time of the first sample that called for more replicas; the line is logged after the write.
        """
        for line in self._tail.lines():
            entry = _parsed(line)
            delay = entry.get("breach_to_write_seconds")
            if entry.get("message") == "scaled" and delay is not None:
                logged = datetime.fromisoformat(entry["time"]).timestamp()
                self._breaches.append((logged - float(delay), logged))
        return self._breaches

    def stop(self) -> None:
        """Let it finish its work and end."""
        self._lab.stop(OPERATOR_PROCESS)


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
