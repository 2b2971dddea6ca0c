"""A step down on the real controllers: the least busy replicas go, and the right it takes allows nothing else."""

import json
from collections.abc import Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from operator_lab import OPERATOR_USER, REPOSITORY, OperatorProcess, View, deployment, install, serving, wait_until

from baseload.errors import LabError
from baseload.lab.cluster import Lab

COST = "controller.kubernetes.io/pod-deletion-cost"


@pytest.fixture(scope="module", autouse=True)
def policy(lab: Lab) -> None:
    """What an admin installs, the policy that confines the operator among it."""
    install(lab)
    lab.apply(REPOSITORY / "manifests" / "policy.yaml")


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


def pods(view: View) -> list[str]:
    """Names of the pods that are Ready and not leaving."""
    rows = view.lab.kubectl.get("pods", "-n", view.namespace)["items"]
    there = [row for row in rows if "deletionTimestamp" not in row["metadata"]]
    ready = [
        row
        for row in there
        if any(c["type"] == "Ready" and c["status"] == "True" for c in row.get("status", {}).get("conditions", ()))
    ]
    return sorted(row["metadata"]["name"] for row in ready)


def test_the_least_busy_replicas_go(lab: Lab, view: View, prometheus: FakePrometheus) -> None:
    """Of six replicas the two that run most sequences are left, by marks that are set before the scale is written."""
    load = prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    lab.apply(deployment(view.namespace, "chat", 6), serving(view.namespace, "chat", least=6))
    process = OperatorProcess(lab, prometheus.url, "operator-step-down")
    process.start()
    try:
        names = wait_until(lambda: found if len(found := pods(view)) == 6 else [], "six replicas", 60.0)
        busy = [names[1], names[4]]
        load.running_by_pod = {name: 3.0 if name in busy else 0.5 for name in names}
        view.wait_condition("chat", "Ready", ("True", "Scaling"), 60.0)
        read = prometheus.queries + 3 * len(prometheus._prefixes)
        wait_until(lambda: prometheus.queries > read, "the load of each pod was read", 60.0)
        view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 2, "max": 2}}})
        view.wait_replicas("chat", 2, 60.0)
        wait_until(lambda: pods(view) == busy, "the two busiest are left", 60.0)
    finally:
        assert process.stop() == 0
    writes = [(w["objectRef"]["resource"], w["objectRef"].get("subresource"), w["verb"]) for w in view.writes()]
    scale = writes.index(("deployments", "scale", "patch"))
    assert writes[:scale].count(("pods", None, "patch")) == 4


def patched(view: View, name: str, body: dict[str, object], user: str) -> str:
    """Patch a pod as a user without keeping it; the server's refusal, empty when it is allowed."""
    arguments = ("-n", view.namespace, "--as", user, "--dry-run=server", "--type=strategic", "-p", json.dumps(body))
    try:
        view.lab.kubectl("patch", "pod", name, *arguments)
    except LabError as error:
        return str(error)
    return ""


def test_the_operator_may_change_one_annotation_of_a_pod(lab: Lab, view: View) -> None:
    """An image, a label, another annotation or a finalizer are refused to it by the policy, and to nobody else."""
    lab.apply(deployment(view.namespace, "chat"))
    # kubectl reads a pod before it patches it, which the operator has no right to.
    lab.kubectl("create", "role", "reader", "-n", view.namespace, "--verb=get", "--resource=pods")
    lab.kubectl("create", "rolebinding", "reader", "-n", view.namespace, "--role=reader", f"--user={OPERATOR_USER}")
    (name,) = wait_until(lambda: pods(view), "a pod", 60.0)
    image = {"spec": {"containers": [{"name": "server", "image": "example.org/other:1"}]}}
    words = f"may change nothing of pod '{name}' but the annotation {COST}"
    wait_until(lambda: words in patched(view, name, image, OPERATOR_USER), "the policy in force", 60.0)
    forbidden: list[dict[str, object]] = [
        {"labels": {"app": "other"}},
        {"annotations": {"example.org/note": "x"}},
        {"annotations": {COST: "-1", "example.org/note": "x"}},
        {"finalizers": ["example.org/hold"]},
        {"ownerReferences": None},
    ]
    for metadata in forbidden:
        assert "may change nothing of pod" in patched(view, name, {"metadata": metadata}, OPERATOR_USER), metadata
    for value in ("-1000000", None):
        assert patched(view, name, {"metadata": {"annotations": {COST: value}}}, OPERATOR_USER) == ""
    admin = "kubernetes-admin"
    lab.kubectl("create", "rolebinding", "admin", "-n", view.namespace, "--clusterrole=admin", f"--user={admin}")
    assert patched(view, name, image, admin) == ""
