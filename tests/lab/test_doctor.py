"""`baseload doctor` and `baseload why` as processes on a real API server: faults are named, and health is quiet."""

import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from doctor_prometheus import RecordedPrometheus
from operator_lab import POOL_LABEL, OperatorProcess, View, deployment, install, pool, serving, wait_until

from baseload.lab.cluster import Lab
from baseload.lab.nodes import node

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "doctor-healthy"
SPARE = {"test.baseload.dev/pool": "spare"}
SCALED_OBJECTS: dict[str, Any] = {
    # As much of a kind of that name as doctor needs to see.
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class Answer:
    """What a run of the command said."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors

    def alarms(self) -> dict[tuple[str, str], dict[str, str]]:
        """Faults and warnings of `-o json` by check and subject."""
        rows = json.loads(self.output)["findings"]
        return {(r["check"], r["subject"]): r for r in rows if r["level"] in ("fault", "warning")}


def baseload(lab: Lab, *arguments: str) -> Answer:
    """Run the command as an admin would from a shell beside the cluster."""
    command = lab.command([sys.executable, "-m", "baseload.cli.main", *arguments])
    environment = {**lab.environment(), "COLUMNS": "80"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def served(namespace: str, name: str) -> dict[str, Any]:
    """A Deployment of emulated engines that Prometheus scrapes; no `replicas:` in it."""
    made = deployment(namespace, name, None)
    template = made["spec"]["template"]
    template["metadata"]["annotations"] = {"lab.baseload.dev/speed": "20"}
    template["spec"]["terminationGracePeriodSeconds"] = 20
    template["spec"]["containers"][0] |= {
        "image": "vllm/vllm-openai:v0.14.0",
        "args": ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--port", "8000"],
        "ports": [{"name": "http", "containerPort": 8000}],
    }
    return made


@pytest.fixture(scope="module")
def operator(lab: Lab) -> Iterator[OperatorProcess]:
    """An operator that leads by a Lease, and one served model with two replicas; nothing of other tests is left."""
    install(lab)
    # The lab's engines take their speed from the accelerator that the node names.
    lab.apply(node("operator-test-1", {**POOL_LABEL, "baseload.dev/accelerator": "L40S"}, 16))
    lab.apply(ROOT / "manifests" / "policy.yaml")
    wait_until(lambda: _only_our_pool(lab), "no pool but ours")
    lab.kubectl("create", "namespace", NAMESPACE)
    lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", NAMESPACE, "--timeout=20s")
    lab.apply(served(NAMESPACE, "chat"), serving(NAMESPACE, "chat", least=2))
    process = OperatorProcess(lab, lab.prometheus_url, "operator-doctor", options=())
    process.start()
    view = View(lab, NAMESPACE)
    view.wait_condition("chat", "Ready", ("True", "Scaling"), 90)
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "2/2", "two ready", 60)
    yield process
    process.stop()
    lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _only_our_pool(lab: Lab) -> bool:
    """Other tests' pools would be alarms of their own."""
    names = [item["metadata"]["name"] for item in lab.kubectl.get("cpool")["items"]]
    others = [name for name in names if name != "operator-test"]
    if others:
        lab.kubectl("delete", "cpool", *others)
    return not others


def test_a_healthy_set_up_gives_no_alarm(lab: Lab, operator: OperatorProcess) -> None:
    """With a running operator, a scraped serving and its pool every check is made, and every one is ok."""
    options = ("--prometheus-url", lab.prometheus_url, "--scrape-seconds", "2", "-n", NAMESPACE)
    # A machine that is busy may be late with a scrape; an alarm that stays is a false one.
    deadline = time.monotonic() + 30
    while True:
        answer = baseload(lab, "doctor", *options)
        levels = {line.split()[0] for line in answer.output.splitlines()[:-2]}
        if answer.code == 0 and levels == {"ok"}:
            break
        assert time.monotonic() < deadline, answer.output + answer.errors
    assert "\x1b[" not in answer.output


def test_the_scrape_interval_is_measured(lab: Lab, operator: OperatorProcess) -> None:
    """Told another interval than Prometheus has, doctor names the true one."""
    options = ("--prometheus-url", lab.prometheus_url, "--scrape-seconds", "0.5", "-n", NAMESPACE, "-o", "json")

    # The window that is looked at must lie behind the first scrape.
    wait_until(lambda: _was_scraped(lab, 22), "a pod that was scraped long enough", 90)
    found = baseload(lab, "doctor", *options).alarms()["scrape-interval", f"{NAMESPACE}/chat"]
    assert "and --scrape-seconds is 0.5" in found["found"]
    assert found["level"] == "fault"


def _was_scraped(lab: Lab, seconds: int) -> bool:
    """Whether Prometheus knew a pod of the serving so long ago."""
    query = urllib.parse.quote(f'up{{namespace="{NAMESPACE}"}} offset {seconds}s')
    with urllib.request.urlopen(f"{lab.prometheus_url}/api/v1/query?query={query}", timeout=10) as answer:
        return bool(json.load(answer)["data"]["result"])


def test_faults_of_servings_and_pools_are_named(lab: Lab, operator: OperatorProcess, namespace: str) -> None:
    """Ten faults at once in one namespace, each named at its serving or pool with the command that mends it."""
    seed_workloads(lab, namespace)
    lab.apply(
        {**pool(), "metadata": {"name": "spare"}, "spec": {**pool()["spec"], "nodeSelector": SPARE}},
        {**pool(), "metadata": {"name": "twice"}},
    )
    try:
        wait_until(
            lambda: lab.kubectl.get("deployment", "mute", "-n", namespace)["status"].get("readyReplicas"), "mute", 60
        )
        options = ("--prometheus-url", lab.prometheus_url, "--scrape-seconds", "2", "-n", namespace, "-o", "json")
        answer = baseload(lab, "doctor", *options)
    finally:
        lab.kubectl("delete", "cpool", "spare", "twice")
        lab.kubectl("delete", "crd", "scaledobjects.keda.sh")
    assert answer.code == 1, answer.errors
    found = answer.alarms()
    expected = {
        ("targets", "lost"): "kubectl get deployment",
        ("target-conflict", "second"): "kubectl delete msv second",
        ("foreign-autoscaler", "scaled"): "kubectl delete hpa scaled",
        ("foreign-autoscaler", "keda"): "kubectl delete scaledobject keda",
        ("declared-replicas", "declared"): "kubectl apply edit-last-applied deployment/declared",
        ("paused", "paused"): "baseload.dev/paused-",
        ("accelerators", "other-chip"): "CapacityPool for that resource",
        ("metrics", "mute"): "try the query",
    }
    for (check, name), remedy in expected.items():
        assert remedy in found.pop((check, f"{namespace}/{name}"))["remedy"], check
    assert "kubectl get nodes -l" in found.pop(("pool-nodes", "spare"))["remedy"]
    assert "kubectl edit cpool twice" in found.pop(("pool-overlap", "twice"))["remedy"]
    assert found == {}


def seed_workloads(lab: Lab, namespace: str) -> None:
    """Servings that each have one thing wrong with them."""
    names = ("shared", "scaled", "keda", "paused", "mute")
    other = deployment(namespace, "other-chip", None)
    other["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"amd.com/gpu": "1"}}
    other["spec"]["template"]["spec"]["nodeSelector"] = {"nowhere": "yet"}
    # The replicas are 0 where a pod could only add a second finding; Deployments are created, so nothing was applied.
    created = [deployment(namespace, name, 1 if name == "mute" else 0) for name in names]
    lab.kubectl("create", "-f", "-", stdin="\n---\n".join(json.dumps(item) for item in [*created, other]))
    lab.apply(SCALED_OBJECTS, deployment(namespace, "declared", 0))
    lab.kubectl("wait", "--for=condition=Established", "crd/scaledobjects.keda.sh")
    lab.kubectl("autoscale", "deployment", "scaled", "-n", namespace, "--min=1", "--max=2", "--cpu=80%")
    reference = {"scaleTargetRef": {"name": "keda"}}
    metadata = {"name": "keda", "namespace": namespace}
    lab.apply({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata, "spec": reference})
    paused = serving(namespace, "paused")
    paused["metadata"]["annotations"] = {"baseload.dev/paused": "whenever"}
    hold = {"mode": "Recommend"}
    lab.apply(serving(namespace, "first", target="shared", **hold))
    wait_until(lambda: _is_a_second_old(lab, namespace, "first"), "an older serving")
    lab.apply(
        serving(namespace, "second", target="shared", **hold),
        serving(namespace, "lost", target="gone"),
        serving(namespace, "scaled", **hold),
        serving(namespace, "keda", **hold),
        serving(namespace, "declared", **hold),
        serving(namespace, "other-chip", **hold),
        serving(namespace, "mute", **hold),
        {**paused, "spec": {**paused["spec"], **hold}},
    )


def _is_a_second_old(lab: Lab, namespace: str, name: str) -> bool:
    """Times of creation are whole seconds, and the older one is to win by its age."""
    created = lab.kubectl.get("msv", name, "-n", namespace)["metadata"]["creationTimestamp"]
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > created


def test_faults_of_the_installation_are_named(lab: Lab, operator: OperatorProcess) -> None:
    """A right taken away, a policy gone, an older kind and an operator that ended: four faults in one run."""
    manifests = ROOT / "manifests"
    role = _role_without(manifests / "rbac.yaml", "nodes")
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/behavior"
    remove = json.dumps([{"op": "remove", "path": path}])
    assert operator.stop() == 0
    try:
        lab.apply(role)
        lab.kubectl("delete", "-f", str(manifests / "policy.yaml"))
        lab.kubectl("patch", "crd", "modelservings.baseload.dev", "--type=json", "-p", remove)
        answer = wait_until(lambda: _with_faults(lab, 4), "four faults", 60)
    finally:
        lab.apply(ROOT / "crds", manifests / "rbac.yaml", manifests / "policy.yaml")
        operator.start()
        wait_until(lambda: _is_led(lab), "an operator that leads again", 60)
    assert answer.code == 1
    told = {(check, row["remedy"]) for (check, _), row in answer.alarms().items()}
    start = "baseload operator --kubeconfig FILE --prometheus-url URL, or see the log of the one that should run"
    assert told == {
        ("rights", "kubectl apply -f manifests/rbac.yaml"),
        ("admission-policy", "kubectl apply -f manifests/policy.yaml"),
        ("kinds", "kubectl apply -f crds/"),
        ("operator", start),
    }


def _is_led(lab: Lab) -> bool:
    """Whether some operator holds the Lease."""
    lease = lab.kubectl.get("lease", "baseload-operator", "-n", "baseload-system")
    return bool(lease["spec"].get("holderIdentity"))


def _with_faults(lab: Lab, checks: int) -> Answer | None:
    """A run that has so many checks in alarm: rights are cached for a moment by the API server."""
    answer = baseload(lab, "doctor", "-n", NAMESPACE, "-o", "json")
    return answer if len({check for check, _ in answer.alarms()}) >= checks else None


def _role_without(path: Path, resource: str) -> dict[str, Any]:
    """The operator's ClusterRole without one resource."""
    documents = [d for d in yaml.safe_load_all(path.read_text()) if d["kind"] == "ClusterRole" and d.get("rules")]
    role: dict[str, Any] = documents[0]
    role["rules"] = [rule for rule in role["rules"] if resource not in rule["resources"]]
    return role


def test_faults_of_prometheus_are_named(lab: Lab, operator: OperatorProcess) -> None:
    """A clock that is off, slow scrapes, a label of the ReplicaSet and a short grace, as recorded answers."""
    mine = {"namespace": NAMESPACE, "baseload_workload": "Deployment/chat"}
    wrong = {"namespace": NAMESPACE, "baseload_workload": "ReplicaSet/chat-5d4f"}
    with RecordedPrometheus() as prometheus:
        prometheus.ahead_seconds = 120.0
        prometheus.rows = {
            "count_over_time(up{baseload_workload": [(mine, 2.0)],
            "histogram_quantile(0.99": [(mine, 75.0)],
            "sum by (namespace, baseload_workload) (vllm:num_requests_running": [(wrong, 3.0)],
        }
        options = ("--prometheus-url", prometheus.url, "-n", NAMESPACE, "-o", "json")
        answer = baseload(lab, "doctor", *options)
    assert answer.code == 1, answer.errors
    assert {check for check, _ in answer.alarms()} == {"clocks", "scrape-interval", "labels", "grace"}
    assert all(row["remedy"] for row in answer.alarms().values())


def test_servers_that_cannot_be_reached_are_faults_and_not_tracebacks(lab: Lab, tmp_path: Path) -> None:
    """Nobody answers for Prometheus and the API server: two faults, exit code 1, everything else not checked."""
    kubeconfig = tmp_path / "config"
    content = yaml.safe_load(lab.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    kubeconfig.write_text(yaml.safe_dump(content))
    answer = baseload(lab, "doctor", "--kubeconfig", str(kubeconfig), "--prometheus-url", "http://127.0.0.1:9")
    assert answer.code == 1
    assert answer.errors == ""
    lines = answer.output.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("fault")] == [
        ["fault", "api-server"],
        ["fault", "prometheus"],
    ]
    assert not [line for line in lines if line.startswith("ok")]


def test_a_tenant_sees_his_own_part(lab: Lab, operator: OperatorProcess) -> None:
    """With the rights of a namespace's viewer nothing is a fault, and what he may not read is not checked."""
    lab.kubectl("create", "rolebinding", "tenant", "--clusterrole=view", f"--serviceaccount={NAMESPACE}:default",
                "-n", NAMESPACE)  # fmt: skip
    rules = ("--verb=get,list", "--resource=modelservings.baseload.dev")
    lab.kubectl("create", "role", "servings", *rules, "-n", NAMESPACE)
    lab.kubectl("create", "rolebinding", "servings", "--role=servings", f"--serviceaccount={NAMESPACE}:default",
                "-n", NAMESPACE)  # fmt: skip
    kubeconfig = lab.service_account_kubeconfig(NAMESPACE, "default")
    answer = baseload(lab, "doctor", "--kubeconfig", str(kubeconfig), "-n", NAMESPACE, "-o", "json")
    rows = json.loads(answer.output)["findings"]
    levels = {row["check"]: row["level"] for row in rows}
    assert answer.code == 0, answer.output
    assert {levels[name] for name in ("rights", "kinds", "pool-nodes", "operator")} == {"skipped"}
    assert {levels[name] for name in ("targets", "target-conflict", "foreign-autoscaler", "declared-replicas")} == {
        "ok"
    }


def test_why_tells_of_a_real_serving(lab: Lab, operator: OperatorProcess) -> None:
    """Now, then, and before there was anything; a wrong name names the right one."""
    now = baseload(lab, "why", "chat", "-n", NAMESPACE)
    assert now.code == 0, now.errors
    assert now.output.startswith(f"{NAMESPACE}/chat: 2 replicas wanted, ")
    assert "1 -> 2  " in now.output
    assert "OfferedRate" in now.output
    history = View(lab, NAMESPACE).status("chat")["history"]
    then = baseload(lab, "why", "chat", "-n", NAMESPACE, "--at", history[0]["time"], "-o", "json")
    assert then.code == 0, then.errors
    assert f"{history[0]['to']} replicas" in json.loads(then.output)["headline"]
    before = baseload(lab, "why", "chat", "-n", NAMESPACE, "--at", "2d", "--prometheus-url", lab.prometheus_url)
    assert before.code == 1
    assert "did not exist yet" in before.output
    wrong = baseload(lab, "why", "chatt", "-n", NAMESPACE)
    assert wrong.code == 1
    assert "there are chat" in wrong.errors
