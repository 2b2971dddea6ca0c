"""A full owned pool on the real scheduler: who comes first, who shares, and what is said of the shortage."""

from collections.abc import Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, pool, refused, serving, wait_until

from baseload.lab.cluster import Lab
from baseload.lab.nodes import node

LABEL = {"test.baseload.dev/pool": "fleet"}
CLASS = "fleet-test-gold"
NAMES = ("high", "one", "two")
WANTED = 4


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture(scope="module")
def operator(lab: Lab, prometheus: FakePrometheus) -> Iterator[OperatorProcess]:
    """One operator, a pool of six accelerators and a PriorityClass."""
    install(lab)
    fleet = pool()
    fleet["metadata"]["name"] = "fleet-test"
    fleet["spec"]["nodeSelector"] = LABEL
    gold = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": CLASS}, "value": 1000}
    lab.apply(fleet, gold, node("fleet-test-1", LABEL, 6))
    process = OperatorProcess(lab, prometheus.url)
    process.start()
    yield process
    assert process.stop() == 0
    lab.kubectl("delete", "node", "-l", "test.baseload.dev/pool=fleet")
    lab.kubectl("delete", "capacitypool/fleet-test", f"priorityclass/{CLASS}")


@pytest.fixture
def view(lab: Lab, namespace: str, operator: OperatorProcess) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def fill(view: View, prometheus: FakePrometheus) -> None:
    """Three servings that take all six accelerators as their minimum, `high` with the higher priority."""
    for name in NAMES:
        prometheus.loads[view.namespace, f"Deployment/{name}"] = Load()
        workload = deployment(view.namespace, name)
        workload["spec"]["template"]["spec"]["nodeSelector"] = LABEL
        ranked = {"priorityClassName": CLASS} if name == "high" else {}
        view.lab.apply(workload, serving(view.namespace, name, least=2, most=WANTED, **ranked))
    for name in NAMES:
        wait_until(lambda n=name: view.status(n).get("display", {}).get("replicas") == "2/2", f"two of {name}", 60)


def numbers(view: View) -> dict[str, tuple[int, int]]:
    """Replicas wanted by each target, and replicas its serving publishes as missing."""
    found = {}
    for name in NAMES:
        shortage = view.status(name).get("shortage") or {}
        found[name] = (view.replicas(name), shortage.get("replicas", 0))
    return found


def test_a_full_pool_is_shared_by_priority_and_the_shortage_ends_with_new_nodes(
    view: View, prometheus: FakePrometheus, lab: Lab
) -> None:
    """On six of twelve accelerators all miss some; four more fill the high one and half of its equals; two more all."""
    fill(view, prometheus)
    for name in NAMES:
        # Far more than four replicas can serve.
        prometheus.loads[view.namespace, f"Deployment/{name}"] = Load(rps=40000.0, running=80.0, waiting=80.0)
    wait_until(lambda: numbers(view) == dict.fromkeys(NAMES, (2, 2)), "a shortage of two each", 60)
    wait_until(lambda: "requestsPerSecond" in view.status("one")["shortage"], "requests outside the objective", 60)
    assert view.condition("one", "CapacityAvailable") == ("False", "CapacityShort")
    assert view.condition("one", "Ready") == ("True", "Scaling")
    assert view.condition("one", "Reconciling") == ("", "")
    entry = view.status("one")["lastDecision"]["limitedBy"][-1]
    assert (entry["reason"], entry["before"], entry["after"]) == ("CapacityShort", 4, 2)
    assert "of higher priority miss 2 accelerators and others of the same 2" in entry["message"]

    lab.apply(node("fleet-test-2", LABEL, 4))
    shared = {"high": (4, 0), "one": (3, 1), "two": (3, 1)}
    wait_until(lambda: numbers(view) == shared, "the high one full, the others alike", 60)
    wait_until(lambda: all_placed(view), "no pod waits for a node", 60)

    lab.apply(node("fleet-test-3", LABEL, 2))
    wait_until(lambda: numbers(view) == dict.fromkeys(NAMES, (4, 0)), "no shortage", 60)
    for name in NAMES:
        view.wait_condition(name, "CapacityAvailable", ("True", "CapacityAvailable"), 60)
    assert refused(lab) == []


def all_placed(view: View) -> bool:
    """Whether every pod has a node: no pod was ever made that fits nowhere."""
    pods = view.lab.kubectl.get("pods", "-n", view.namespace)["items"]
    return all(pod["spec"].get("nodeName") for pod in pods)


def test_an_unknown_class_is_refused_until_it_is_there(view: View, prometheus: FakePrometheus, lab: Lab) -> None:
    """A PriorityClass that does not exist is a clear refusal; nothing is scaled until it is created."""
    late = f"late-{view.namespace}"
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    lab.apply(deployment(view.namespace, "chat"), serving(view.namespace, "chat", priorityClassName=late))
    view.wait_condition("chat", "Accepted", ("False", "PriorityClassNotFound"))
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": late}, "value": 7}
    lab.apply(made)
    view.wait_condition("chat", "Accepted", ("True", "Accepted"))
    lab.kubectl("delete", f"priorityclass/{late}")
