"""Running the operator as its own process under its own rights in the lab, and looking at what it did."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from baseload.lab.cluster import Lab
from baseload.lab.nodes import node

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[2]
OPERATOR_USER = "system:serviceaccount:baseload-system:baseload-operator"
TICK_SECONDS = 1.0
POOL_LABEL = {"test.baseload.dev/pool": "operator"}
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def install(lab: Lab) -> None:
    """Install what an admin installs, a pool, and nodes for it."""
    lab.apply(REPOSITORY / "crds", REPOSITORY / "manifests" / "rbac.yaml")
    lab.kubectl(
        "wait", "--for=condition=Established", "crd/modelservings.baseload.dev", "crd/capacitypools.baseload.dev"
    )
    lab.apply(node("operator-test-1", POOL_LABEL, 16), pool())


def restart_api_server(lab: Lab) -> None:
    """Restart the API server, and with it its other clients, which would back off for up to a minute."""
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"):
        lab.restart(name)


class OperatorProcess:
    """The operator as a process; its metrics and liveness are on ports that the lab leaves free."""

    def __init__(
        self,
        lab: Lab,
        prometheus_url: str,
        name: str = "operator-test",
        *,
        port: int = 8092,
        options: Sequence[str] = ("--no-leader-elect",),
        kubeconfig: Path | None = None,
        module: str = "baseload.cli.main",
    ) -> None:
        self.lab = lab
        self.port = port
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        kubeconfig = kubeconfig or lab.service_account_kubeconfig("baseload-system", "baseload-operator")
        self._command = [sys.executable, "-m", module, "operator", "--kubeconfig", str(kubeconfig)]
        self._command += ["--prometheus-url", prometheus_url, "--tick-seconds", str(TICK_SECONDS)]
        self._command += ["--scrape-seconds", "2", "--metrics-port", str(port), "--liveness-port", str(port + 1)]
        self._command += ["--listen-address", "127.0.0.1", "--log-format", "json", *options]

    def start(self) -> None:
        """Start it; what it logs from here on is `log_lines()`."""
        log = self.lab.log(self.name)
        self._log_start = log.stat().st_size if log.exists() else 0
        self.process = self.lab.popen(self._command, name=self.name)

    def kill(self) -> None:
        """SIGKILL, as a lost node would do."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: it sees and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def answer(self, path: str) -> tuple[int, str]:
        """Status and text of `/metrics` or `/readyz`, or of `/healthz` on the other port; 0 when nobody listens."""
        port = self.port + 1 if path == "/healthz" else self.port
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        """Whether its metrics say that it leads."""
        return "\nbaseload_leader 1.0" in self.answer("/metrics")[1]

    def log_lines(self) -> list[dict[str, Any]]:
        """What it logged; lines that are no JSON fail the test."""
        text = self.lab.log(self.name).read_bytes()[self._log_start :].decode()
        return [json.loads(line) for line in text.splitlines() if line]


def wait_until(look: Callable[[], T], what: str, seconds: float = 90.0) -> T:
    """Look until something true comes; fail with `what` when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def pool() -> dict[str, Any]:
    """The pool of the test's node."""
    return {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "CapacityPool",
        "metadata": {"name": "operator-test"},
        "spec": {
            "provider": {"static": {}},
            "nodeSelector": POOL_LABEL,
            "accelerator": {"resource": "nvidia.com/gpu", "product": "L40S", "perNode": 16},
            "cost": {"hourly": "1.50"},
        },
    }


def deployment(namespace: str, name: str, replicas: int | None = 1, kind: str = "Deployment") -> dict[str, Any]:
    """A workload whose pods are Ready at once."""
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "nodeSelector": POOL_LABEL,
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "server",
                        "image": "example.org/plain:1",
                        "resources": {"limits": {"nvidia.com/gpu": "1"}},
                    }
                ],
            },
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def serving(
    namespace: str, name: str, *, least: int = 1, most: int = 8, target: str = "", **spec: Any
) -> dict[str, Any]:
    """A ModelServing of a Deployment."""
    return {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or name},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 1000, "attainmentPercent": 95}},
            "replicas": {"min": least, "max": most},
            "behavior": {"scaleDown": {"stabilizationSeconds": 0, "maxStepPercent": 100}},
            **spec,
        },
    }


class View:
    """What kubectl sees of one namespace."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace

    def replicas(self, name: str, kind: str = "deployment") -> int:
        """spec.replicas of a workload."""
        return int(self.get(kind, name)["spec"]["replicas"])

    def status(self, name: str) -> dict[str, Any]:
        """Status of a ModelServing, empty before the first."""
        found: dict[str, Any] = self.get("modelserving.baseload.dev", name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of a condition, empty before the first."""
        for row in self.status(name).get("conditions", ()):
            if row["type"] == kind:
                return row["status"], row["reason"]
        return "", ""

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        return self.lab.kubectl.get(kind, name, "-n", self.namespace)

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Merge patch as cluster-admin."""
        self.lab.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", "-p", json.dumps(body))

    def scale(self, name: str, replicas: int) -> None:
        """Write spec.replicas as somebody else."""
        self.lab.kubectl("scale", "deployment", name, "-n", self.namespace, f"--replicas={replicas}")

    def wait_replicas(self, name: str, wanted: int, seconds: float = 90.0) -> None:
        """Wait for a number of replicas."""
        wait_until(lambda: self.replicas(name) == wanted, f"{wanted} replicas of {name}", seconds)

    def wait_condition(self, name: str, kind: str, wanted: tuple[str, str], seconds: float = 90.0) -> None:
        """Wait for a condition's status and reason."""
        wait_until(lambda: self.condition(name, kind) == wanted, f"{kind} {wanted} of {name}", seconds)

    def writes(self) -> list[dict[str, Any]]:
        """What the operator wrote to this namespace so far, from the audit log, oldest first."""
        return [entry for entry in audit(self.lab) if entry["objectRef"].get("namespace") == self.namespace]


def audit(lab: Lab) -> list[dict[str, Any]]:
    """All writes of the operator in the API server's audit log."""
    rows = []
    for line in lab.audit_log.read_text().splitlines():
        if OPERATOR_USER not in line:
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if row["user"]["username"] == OPERATOR_USER and row["verb"] in WRITES and row["stage"] == "ResponseComplete":
            rows.append(row)
    return rows


def refused(lab: Lab) -> list[str]:
    """Requests of the operator that were refused for want of a right (not because a namespace is going away)."""
    rows = [json.loads(line) for line in lab.audit_log.read_text().splitlines() if OPERATOR_USER in line]
    own = [row for row in rows if row["user"]["username"] == OPERATOR_USER]
    answers = [(row["requestURI"], row.get("responseStatus", {})) for row in own]
    return [uri for uri, s in answers if s.get("code") == 403 and "being terminated" not in s.get("message", "")]
