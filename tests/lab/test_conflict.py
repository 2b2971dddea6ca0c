"""Everybody who writes replicas beside us, on a real API server: put back three times, then left alone and said."""

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from kinds import wait_served
from operator_lab import REPOSITORY, OperatorProcess, View, deployment, install, serving, wait_until

from baseload.errors import LabError
from baseload.lab.cluster import Lab

pytestmark = pytest.mark.usefixtures("operator")

MEANT, FOREIGN = 2, 5


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture(scope="module")
def operator(lab: Lab, prometheus: FakePrometheus) -> Iterator[OperatorProcess]:
    """One operator for all tests of this file; a test may restart it."""
    install(lab)
    process = OperatorProcess(lab, prometheus.url, "operator-conflict")
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def client_side(view: View, name: str) -> None:
    """`kubectl apply`, and Argo CD as it comes: a three-way merge against the annotation on the object."""
    view.lab.apply(deployment(view.namespace, name, FOREIGN))


def server_side(view: View, name: str, manager: str) -> None:
    """`kubectl apply --server-side` and Flux: an apply patch that takes what others own."""
    manifest = json.dumps(deployment(view.namespace, name, FOREIGN))
    options = ("--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
    view.lab.kubectl("apply", *options, stdin=manifest)


def three_way(view: View, name: str) -> None:
    """Helm 3: a strategic merge patch of what differs from the manifest."""
    body = json.dumps({"spec": {"replicas": FOREIGN}})
    view.lab.kubectl("patch", "deployment", name, "-n", view.namespace, "--type=strategic", "-p", body)


WRITERS: dict[str, Callable[[View, str], None]] = {
    "apply": client_side,
    "apply-server-side": lambda view, name: server_side(view, name, "kubectl"),
    "argo": lambda view, name: server_side(view, name, "argocd-controller"),
    "helm-3": three_way,
    "scale": lambda view, _name: view.scale("scale", FOREIGN),
    "replace": lambda view, name: view.patch("deployment", name, {"spec": {"replicas": FOREIGN}}),
}


def serve(view: View, prometheus: FakePrometheus, name: str) -> None:
    """A workload with a little traffic, and its ModelServing."""
    prometheus.loads[view.namespace, f"Deployment/{name}"] = Load()
    view.lab.apply(deployment(view.namespace, name), serving(view.namespace, name, least=MEANT, most=3))


def settled(view: View, name: str) -> bool:
    """Whether the target has the number meant and the operator has seen it."""
    return view.status(name).get("display", {}).get("replicas") == f"{MEANT}/{MEANT}"


def test_every_way_of_writing_replicas_ends_in_a_conflict(view: View, prometheus: FakePrometheus) -> None:
    """Whatever the style of the write, the fourth in ten minutes is left as it is, and the status says so."""
    for name in WRITERS:
        serve(view, prometheus, name)
    for name in WRITERS:
        wait_until(lambda name=name: settled(view, name), f"{name} at its minimum", 40.0)
    for _ in range(3):
        for name, write in WRITERS.items():
            write(view, name)
        for name in WRITERS:
            view.wait_replicas(name, MEANT)
            wait_until(lambda name=name: settled(view, name), f"{name} put back", 40.0)
    for name, write in WRITERS.items():
        write(view, name)
    for name in WRITERS:
        view.wait_condition(name, "Conflict", ("True", "ForeignWriter"))
        assert view.condition(name, "Ready") == ("False", "ForeignWriter")
        assert view.replicas(name) == FOREIGN


def scale_writes(view: View) -> int:
    """How often the operator changed a scale in the namespace; what the server refused as stale changed nothing."""
    done = [w for w in view.writes() if w["responseStatus"]["code"] < 300]
    return sum(w["objectRef"].get("subresource") == "scale" for w in done)


def test_a_loop_that_heals_itself_is_never_fought(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess
) -> None:
    """Argo CD's self-heal writes at once, each time; four writes of ours later it is left, also by a new process."""
    serve(view, prometheus, "chat")
    wait_until(lambda: settled(view, "chat"), "the minimum")
    ended = threading.Event()

    def heal() -> None:
        while not ended.wait(0.1):
            if view.replicas("chat") != FOREIGN:
                server_side(view, "chat", "argocd-controller")

    loop = threading.Thread(target=heal)
    loop.start()
    try:
        view.wait_condition("chat", "Conflict", ("True", "ForeignWriter"), 60.0)
        wait_until(lambda: view.replicas("chat") == FOREIGN, "the last word of the loop")
        assert scale_writes(view) == 4
        assert operator.stop() == 0
        operator.start()
        view.lab.kubectl("label", "msv", "chat", "-n", view.namespace, "seen=yes")
        serve(view, prometheus, "other")
        wait_until(lambda: settled(view, "other"), "a decision of the new process")
        assert view.condition("chat", "Conflict") == ("True", "ForeignWriter")
        assert view.replicas("chat") == FOREIGN
    finally:
        ended.set()
        loop.join()
    view.lab.kubectl("annotate", "msv", "chat", "-n", view.namespace, "baseload.dev/note=looked")
    wait_until(lambda: view.replicas("chat") <= 3, "back inside the bounds")
    view.wait_condition("chat", "Conflict", ("False", "NoConflict"))


def test_a_removed_line_is_put_back_once(view: View, prometheus: FakePrometheus) -> None:
    """Without `replicas:` a client-side apply resets to one; that is put back and is no conflict."""
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat", 1), serving(view.namespace, "chat", least=MEANT, most=3))
    wait_until(lambda: settled(view, "chat"), "the minimum")
    view.lab.apply(deployment(view.namespace, "chat", None))
    before = scale_writes(view)
    wait_until(lambda: scale_writes(view) > before or settled(view, "chat"), "the number back")
    view.wait_replicas("chat", MEANT)
    view.lab.apply(deployment(view.namespace, "chat", None))
    assert view.replicas("chat") == MEANT
    assert view.condition("chat", "Conflict") == ("False", "NoConflict")


def test_server_side_apply_neither_removes_nor_takes_by_itself(view: View, prometheus: FakePrometheus) -> None:
    """Helm 4 and Flux: what we own stays when the line goes, and an apply with the line fails unless it is forced."""
    options = ("--server-side", "--field-manager=helm", "-f", "-")
    with_line = json.dumps(deployment(view.namespace, "chat", 1))
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.kubectl("apply", *options, stdin=with_line)
    view.lab.apply(serving(view.namespace, "chat", least=MEANT, most=3))
    wait_until(lambda: settled(view, "chat"), "the minimum")
    with pytest.raises(LabError, match="conflict"):
        view.lab.kubectl("apply", *options, stdin=with_line)
    view.lab.kubectl("apply", *options, stdin=json.dumps(deployment(view.namespace, "chat", None)))
    assert view.replicas("chat") == MEANT
    assert view.condition("chat", "Conflict") == ("False", "NoConflict")


def scaled_object_crd() -> dict[str, object]:
    """As much of KEDA's kind as an operator that stands back looks at."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {"group": "keda.sh", "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture
def keda(lab: Lab, operator: OperatorProcess) -> Iterator[None]:
    """KEDA's kind and the right to see it, known to an operator that has just started."""
    lab.apply(scaled_object_crd(), REPOSITORY / "manifests" / "targets" / "keda.yaml")
    wait_served(lab, "scaledobjects.keda.sh")
    can = ("auth", "can-i", "watch", "scaledobjects.keda.sh", "-A", "--as")
    user = "system:serviceaccount:baseload-system:baseload-operator"

    def granted() -> bool:
        try:
            return lab.kubectl(*can, user).strip() == "yes"
        except LabError:
            return False

    wait_until(granted, "the right to see ScaledObjects")
    assert operator.stop() == 0
    operator.start()
    yield
    # The right stays: taken away in the same moment it would be missed by whoever still looks.
    lab.kubectl("delete", "crd/scaledobjects.keda.sh")


@pytest.mark.usefixtures("keda")
def test_a_scaled_object_is_a_conflict_before_the_first_write(view: View, prometheus: FakePrometheus) -> None:
    """A ScaledObject that KEDA has not acted on yet, without kind or version in its reference, counts as one."""
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "chat", "namespace": view.namespace},
        "spec": {"scaleTargetRef": {"name": "chat"}, "triggers": []},
    }
    view.lab.apply(scaled)
    view.lab.apply(deployment(view.namespace, "chat"), serving(view.namespace, "chat", least=MEANT))
    view.wait_condition("chat", "Conflict", ("True", "ForeignAutoscaler"))
    message = next(c["message"] for c in view.status("chat")["conditions"] if c["type"] == "Conflict")
    assert "ScaledObject 'chat'" in message
    assert scale_writes(view) == 0
    view.lab.kubectl("delete", "scaledobject", "chat", "-n", view.namespace)
    view.wait_replicas("chat", MEANT)
