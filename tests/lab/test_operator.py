"""The operator as a process under its own rights, on a real API server: what it writes and what it leaves alone."""

import json
import time
from collections.abc import Iterator
from importlib.resources import files

import pytest
from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, refused, serving, wait_until

from baseload.lab.cluster import Lab
from baseload.observe import profiles

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture(scope="module")
def operator(lab: Lab, prometheus: FakePrometheus) -> Iterator[OperatorProcess]:
    """One operator for all tests of this file; it must end with 0 on SIGTERM."""
    install(lab)
    process = OperatorProcess(lab, prometheus.url)
    process.start()
    yield process
    assert process.stop() == 0
    assert not [line for line in process.log_lines() if "exception" in line]


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def serve(view: View, prometheus: FakePrometheus, name: str = "chat", **given: object) -> None:
    """A workload with a little traffic and its ModelServing."""
    prometheus.loads[view.namespace, f"Deployment/{name}"] = Load()
    view.lab.apply(deployment(view.namespace, name), serving(view.namespace, name, **given))


def test_raises_to_the_minimum_and_says_so_first(view: View, prometheus: FakePrometheus) -> None:
    """A new serving is brought to its minimum; the status with the intent is written before the scale."""
    serve(view, prometheus, least=3)
    view.wait_replicas("chat", 3)
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "3/3", "three ready")
    status = view.status("chat")
    assert status["variants"][0]["desired"] == 3
    assert status["history"][0]["from"] == 1
    assert status["history"][0]["to"] == 3
    assert view.condition("chat", "Ready")[0] == "True"
    resources = [(w["objectRef"]["resource"], w["objectRef"].get("subresource")) for w in view.writes()]
    scale = resources.index(("deployments", "scale"))
    assert ("modelservings", "status") in resources[:scale]


def test_posts_one_event_for_a_change(view: View, prometheus: FakePrometheus) -> None:
    """A change of replicas is an event on the ModelServing with the numbers in it."""
    serve(view, prometheus, least=2)
    view.wait_replicas("chat", 2)

    def scaled() -> list[str]:
        found = view.lab.kubectl.get("events.events.k8s.io", "-n", view.namespace)["items"]
        return [e["note"] for e in found if e["regarding"]["kind"] == "ModelServing" and e["action"] == "Scale"]

    notes = wait_until(scaled, "an event")
    assert len(notes) == 1
    assert notes[0].startswith("1 -> 2 replicas")


def test_decides_on_a_changed_spec_at_once(view: View, prometheus: FakePrometheus) -> None:
    """A raised minimum is written in well under a production tick."""
    serve(view, prometheus)
    view.wait_condition("chat", "Ready", ("True", "Scaling"))
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 4}}})
    began = time.monotonic()
    view.wait_replicas("chat", 4)
    assert time.monotonic() - began < 2.0


def test_recommend_mode_only_publishes(view: View, prometheus: FakePrometheus) -> None:
    """In Recommend mode the number stands in the status and the target is left alone."""
    serve(view, prometheus, least=3, mode="Recommend")
    wait_until(lambda: view.status("chat").get("recommendation", {}).get("replicas") == 3, "a recommendation")
    time.sleep(2.0)
    assert view.replicas("chat") == 1
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"mode": "Enforce"}})
    view.wait_replicas("chat", 3)
    wait_until(lambda: "recommendation" not in view.status("chat"), "no recommendation in Enforce mode")


def test_pause_annotation_holds_and_an_unreadable_one_too(view: View, prometheus: FakePrometheus) -> None:
    """A pause holds what is there, also what a person writes; a value that is no yes or no means paused."""
    paused = serving(view.namespace, "chat", least=3)
    paused["metadata"]["annotations"] = {"baseload.dev/paused": "perhaps"}
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat"), paused)
    view.wait_condition("chat", "Paused", ("True", "Paused"))
    view.scale("chat", 2)
    time.sleep(2.5)
    assert view.replicas("chat") == 2
    view.lab.kubectl("annotate", "msv", "chat", "-n", view.namespace, "baseload.dev/paused-")
    view.wait_replicas("chat", 3)


def test_pinned_replicas(view: View, prometheus: FakePrometheus) -> None:
    """The annotation that pins a number wins over everything."""
    pinned = serving(view.namespace, "chat", least=1)
    pinned["metadata"]["annotations"] = {"baseload.dev/paused-replicas": "5"}
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat"), pinned)
    view.wait_replicas("chat", 5)


def test_leaves_a_target_of_an_autoscaler_alone(view: View, prometheus: FakePrometheus) -> None:
    """A HorizontalPodAutoscaler on the target is a Conflict before the first write; without it scaling begins."""
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat", 1))
    view.lab.kubectl("autoscale", "deployment", "chat", "-n", view.namespace, "--min=1", "--max=2", "--cpu=80%")
    view.lab.apply(serving(view.namespace, "chat", least=3))
    view.wait_condition("chat", "Conflict", ("True", "ForeignAutoscaler"))
    time.sleep(2.0)
    assert view.replicas("chat") == 1
    view.lab.kubectl("delete", "hpa", "chat", "-n", view.namespace)
    view.wait_replicas("chat", 3)
    view.wait_condition("chat", "Conflict", ("False", "NoConflict"))


def test_target_comes_goes_and_comes_again(view: View, prometheus: FakePrometheus) -> None:
    """A missing target is said; one that is created, or deleted and created again, is brought to the minimum."""
    view.lab.apply(serving(view.namespace, "chat", least=2))
    view.wait_condition("chat", "Accepted", ("False", "TargetNotFound"))
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat"))
    view.wait_replicas("chat", 2)
    view.lab.kubectl("delete", "deployment", "chat", "-n", view.namespace)
    view.wait_condition("chat", "Accepted", ("False", "TargetNotFound"))
    view.lab.apply(deployment(view.namespace, "chat"))
    view.wait_replicas("chat", 2)
    view.wait_condition("chat", "Accepted", ("True", "Accepted"))


def test_older_serving_of_a_target_wins(view: View, prometheus: FakePrometheus) -> None:
    """The second serving of a target is refused until the first is gone."""
    serve(view, prometheus, least=2)
    view.wait_replicas("chat", 2)
    time.sleep(1.1)
    view.lab.apply(serving(view.namespace, "other", least=4, target="chat"))
    view.wait_condition("other", "Conflict", ("True", "TargetConflict"))
    assert view.replicas("chat") == 2
    view.lab.kubectl("delete", "msv", "chat", "-n", view.namespace)
    view.wait_replicas("chat", 4)


def test_scales_stateful_sets(view: View, prometheus: FakePrometheus) -> None:
    """A StatefulSet is scaled like a Deployment."""
    prometheus.loads[view.namespace, "StatefulSet/chat"] = Load()
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "chat"}
    view.lab.apply(
        deployment(view.namespace, "chat", kind="StatefulSet"),
        serving(view.namespace, "chat", least=3, targetRef=target),
    )
    wait_until(lambda: view.replicas("chat", "statefulset") == 3, "three replicas")


def test_one_broken_object_does_not_stop_the_others(view: View, prometheus: FakePrometheus) -> None:
    """Servings that cannot be used say why, and the good one among them is scaled."""
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "chat"}
    view.lab.apply(
        serving(view.namespace, "kind", targetRef=job),
        serving(view.namespace, "profile", target="alone", metricsProfileName="nobody-knows"),
        deployment(view.namespace, "alone"),
    )
    garbage = json.dumps({"status": {"replicaModel": {"stateVersion": 1, "state": "[NaN"}}})
    serve(view, prometheus, "chat", least=2)
    options = ("-n", view.namespace, "--subresource=status", "--type=merge", "-p", garbage)
    view.lab.kubectl("patch", "msv", "chat", *options)
    view.wait_condition("kind", "Accepted", ("False", "TargetNotScalable"))
    view.wait_condition("profile", "Accepted", ("False", "ProfileNotFound"))
    view.wait_replicas("chat", 2)


def test_an_own_profile_is_taken_as_it_comes_and_refused_where_it_is_broken(
    view: View, prometheus: FakePrometheus
) -> None:
    """A ConfigMap beside the operator: broken, corrected, deleted; the serving that names it says so each time."""
    name = f"house-{view.namespace}"
    text = files(profiles).joinpath("vllm.yaml").read_text().replace("name: vllm", f"name: {name}", 1)
    metadata = {"name": name, "namespace": "baseload-system", "labels": {"baseload.dev/metrics-profile": "true"}}
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    broken = text.replace("vllm:num_requests_waiting{${labelled}}", "vllm:num_requests_waiting", 1)
    serve(view, prometheus, metricsProfileName=name)
    view.wait_condition("chat", "Accepted", ("False", "ProfileNotFound"))
    view.lab.apply({**configmap, "data": {f"{name}.yaml": broken}})
    view.wait_condition("chat", "Accepted", ("False", "InvalidProfile"))
    view.lab.apply({**configmap, "data": {f"{name}.yaml": text}})
    view.wait_condition("chat", "Ready", ("True", "Scaling"))
    view.lab.kubectl("delete", "configmap", name, "-n", "baseload-system")
    view.wait_condition("chat", "Accepted", ("False", "ProfileNotFound"))


def test_waiting_requests_bring_replicas_within_a_scrape_and_a_tick(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess
) -> None:
    """Breach to scale write takes at most a scrape and a tick."""
    serve(view, prometheus)
    view.wait_condition("chat", "Ready", ("True", "Scaling"))
    load = prometheus.loads[view.namespace, "Deployment/chat"]
    load.rps, load.running, load.waiting, load.inter_token_seconds = 8.0, 60.0, 80.0, 0.2
    wait_until(lambda: view.replicas("chat") > 1, "more replicas")
    mine = f"{view.namespace}/chat"
    lines = [line for line in operator.log_lines() if line["message"] == "scaled" and line["serving"] == mine]
    assert float(lines[0]["breach_to_write_seconds"]) <= 3.0


def test_pool_shows_its_accelerators(view: View, prometheus: FakePrometheus) -> None:
    """The pool's status tells nodes and accelerators, the decision how many replicas still fit."""
    serve(view, prometheus, least=2)
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "2/2", "two ready")
    status = wait_until(lambda: view.get("capacitypool", "operator-test").get("status"), "a status")
    assert (status["nodes"], status["accelerators"]) == (1, 16)
    assert view.status("chat")["lastDecision"]["considered"][0]["pool"] == "operator-test"


def test_writes_nothing_in_steady_state_and_is_never_refused(view: View, prometheus: FakePrometheus, lab: Lab) -> None:
    """While nothing changes the operator writes nothing at all, and it never asked for a right it lacks."""
    serve(view, prometheus, least=2)
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "2/2", "two ready")
    time.sleep(6.0)
    before = len(view.writes())
    load = prometheus.loads[view.namespace, "Deployment/chat"]
    for step in range(40):
        load.rps, load.running = 1.0 + 0.02 * (step % 5), 2.0 + 0.1 * (step % 3)
        time.sleep(0.5)
    assert view.writes()[before:] == []
    assert refused(lab) == []
