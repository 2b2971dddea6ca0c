"""LeaderWorkerSets, their real kind and their real controller: scaled by groups, and known by the name of the set."""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from kinds import LEADER_WORKER_SET, leader_worker_set
from operator_lab import POOL_LABEL, REPOSITORY, OperatorProcess, View, install, serving, wait_until

from baseload.errors import LabError
from baseload.lab import leader_worker_sets
from baseload.lab.cluster import Lab
from baseload.observe.objects import WorkloadKey
from baseload.observe.pods import workload_of

SET = "leaderworkersets.leaderworkerset.x-k8s.io"


@pytest.fixture
def controller(lab: Lab) -> Iterator[None]:
    """The kind, its controller, and the operator's rights on it; all gone afterwards."""
    if not leader_worker_sets.available():
        pytest.skip("the controller is not built: `make test` does it, and so does `baseload lab up --with lws`")
    rights = REPOSITORY / "manifests" / "targets" / "leaderworkerset.yaml"
    lab.apply(rights)
    process = leader_worker_sets.start(lab)
    yield
    assert process.poll() is None, lab.log(leader_worker_sets.PROCESS).read_text()[-2000:]
    leader_worker_sets.stop(lab)
    lab.kubectl("delete", "-f", str(rights))


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture
def operator(lab: Lab, prometheus: FakePrometheus, controller: None) -> Iterator[OperatorProcess]:
    """An operator of this test's own."""
    install(lab)
    process = OperatorProcess(lab, prometheus.url, "operator-lws")
    process.start()
    yield process
    assert process.stop() == 0
    assert not [line for line in process.log_lines() if "exception" in line]


def create(view: View) -> None:
    """Create the set once the controller's webhooks answer."""

    def created() -> bool:
        try:
            view.lab.apply(leader_worker_set(view.namespace, "chat", POOL_LABEL))
        except LabError:
            return False
        return True

    wait_until(created, "the webhooks of the controller", 60.0)


def scraped_as(lab: Lab, namespace: str) -> set[str]:
    """The workloads that the lab's Prometheus gives to the pods of a namespace."""
    with urllib.request.urlopen(f"{lab.prometheus_url}/api/v1/targets?state=active", timeout=5) as response:
        targets = [target["labels"] for target in json.load(response)["data"]["activeTargets"]]
    return {t.get("baseload_workload", "") for t in targets if t.get("namespace") == namespace}


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("operator")
def test_a_set_is_scaled_by_groups(lab: Lab, namespace: str, prometheus: FakePrometheus) -> None:
    """A replica is a group: its pods are one set's for everybody, and its accelerators are counted together."""
    view = View(lab, namespace)
    prometheus.loads[namespace, "LeaderWorkerSet/chat"] = Load()
    create(view)
    lab.apply(serving(namespace, "chat", least=2, targetRef={**LEADER_WORKER_SET, "name": "chat"}))
    wait_until(lambda: view.replicas("chat", SET) == 2, "two groups", 40.0)
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "2/2", "two groups ready", 40.0)
    pods = lab.kubectl.get("pods", "-n", namespace)["items"]
    assert len(pods) == 4
    key = WorkloadKey("LeaderWorkerSet", namespace, "chat", "leaderworkerset.x-k8s.io")
    assert {workload_of(pod["metadata"]) for pod in pods} == {key}
    wait_until(lambda: scraped_as(lab, namespace) == {"LeaderWorkerSet/chat"}, "targets with the set's name")
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 3}}})
    wait_until(lambda: view.status("chat")["display"]["replicas"] == "3/3", "three groups ready", 40.0)
    lab.kubectl("scale", SET, "chat", "-n", namespace, "--replicas=1")
    wait_until(lambda: view.replicas("chat", SET) == 3, "the number back")
