"""The operator against faults: metrics that fail in every way, an API server that goes, a process that is killed."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from fake_prometheus import FakePrometheus, Load
from operator_lab import (
    OPERATOR_USER,
    WRITES,
    OperatorProcess,
    View,
    deployment,
    install,
    restart_api_server,
    serving,
    wait_until,
)

from baseload.lab.cluster import Lab


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture
def operator(lab: Lab, prometheus: FakePrometheus) -> Iterator[OperatorProcess]:
    """A fresh operator, ended at the test's end whatever happened to it."""
    install(lab)
    prometheus.mode = "ok"
    prometheus.loads.clear()
    process = OperatorProcess(lab, prometheus.url, "operator-faults")
    process.start()
    yield process
    assert process.process is not None
    if process.process.poll() is None:
        process.stop()


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def serve_ready(view: View, prometheus: FakePrometheus, least: int = 3) -> None:
    """A serving at its minimum, ready and with readable metrics."""
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    view.lab.apply(deployment(view.namespace, "chat"), serving(view.namespace, "chat", least=least))
    settled = f"{least}/{least}"
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == settled, settled)
    view.wait_condition("chat", "MetricsAvailable", ("True", "MetricsFresh"))


@pytest.mark.parametrize(
    ("mode", "reason"), [("error", "Unreachable"), ("empty", "NoSeries"), ("nan", "NotANumber"), ("stale", "Stale")]
)
def test_missing_metrics_hold_and_say_why(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess, mode: str, reason: str
) -> None:
    """While metrics are missing nothing goes down, the condition says why, and it recovers by itself."""
    serve_ready(view, prometheus)
    prometheus.mode = mode
    view.wait_condition("chat", "MetricsAvailable", ("False", reason))
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 1}}})
    time.sleep(4.0)
    assert view.replicas("chat") == 3
    prometheus.mode = "ok"
    view.wait_condition("chat", "MetricsAvailable", ("True", "MetricsFresh"))
    assert not [line for line in operator.log_lines() if "exception" in line]


def kill_at_write(view: View, operator: OperatorProcess, count: int, change: Callable[[], None]) -> None:
    """SIGKILL as soon as the API server has carried out so many writes of the operator after a change."""
    with view.lab.audit_log.open("rb") as lines:
        lines.seek(0, 2)
        change()
        deadline = time.monotonic() + 15.0
        while count and time.monotonic() < deadline:
            line = lines.readline()
            if not line:
                time.sleep(0.002)
            elif OPERATOR_USER.encode() in line and f'"namespace":"{view.namespace}"'.encode() in line:
                count -= any(f'"verb":"{verb}"'.encode() in line for verb in WRITES)
    operator.kill()


def test_killed_operator_ends_in_the_same_state(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess
) -> None:
    """Killed right after the k-th write of a change, it arrives at the same number: see also test_every_write.py."""
    serve_ready(view, prometheus, least=2)
    for step, count in enumerate((1, 2, 3, 4)):
        wanted = 3 + step
        change = {"spec": {"replicas": {"min": wanted}}}
        kill_at_write(view, operator, count, partial(view.patch, "modelserving.baseload.dev", "chat", change))
        operator.start()
        view.wait_replicas("chat", wanted)
        settled = f"{wanted}/{wanted}"
        wait_until(lambda text=settled: view.status("chat")["display"]["replicas"] == text, settled)
        assert view.condition("chat", "Conflict") == ("False", "NoConflict")


def test_intent_without_its_scale_is_finished_after_a_restart(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess
) -> None:
    """The process died between the status with the intent and the scale: the next one writes the scale."""
    serve_ready(view, prometheus, least=4)
    operator.kill()
    view.scale("chat", 2)
    wait_until(lambda: view.get("deployment", "chat")["status"].get("readyReplicas") == 2, "two ready")
    operator.start()
    view.wait_replicas("chat", 4)
    assert view.condition("chat", "Conflict") == ("False", "NoConflict")


def test_model_survives_a_restart(view: View, prometheus: FakePrometheus, operator: OperatorProcess) -> None:
    """What was learned of a replica is read back from the status."""
    serve_ready(view, prometheus, least=3)
    most = itertools.count(9)

    def learned() -> str | None:
        # A status is written for a changed spec, and with it what has been learned by then.
        view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"max": next(most)}}})
        number: str | None = view.status("chat")["replicaModel"].get("requestsPerSecondPerReplica")
        return number

    before = wait_until(learned, "something learned", 60.0)
    operator.kill()
    prometheus.loads[view.namespace, "Deployment/chat"].running = 0.0
    operator.start()
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 4}}})
    wait_until(lambda: view.status("chat")["display"]["replicas"] == "4/4", "4/4")
    after = view.status("chat")["replicaModel"]["requestsPerSecondPerReplica"]
    assert float(after) == pytest.approx(float(before), rel=0.2)


def test_survives_an_api_server_restart_and_sees_what_was_deleted_meanwhile(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess
) -> None:
    """After a restart of the API server it goes on; objects deleted while it could not look are forgotten."""
    serve_ready(view, prometheus, least=2)
    view.lab.apply(deployment(view.namespace, "ghost"), serving(view.namespace, "ghost", least=2))
    view.wait_replicas("ghost", 2)
    assert operator.process is not None
    operator.pause()
    view.lab.kubectl("delete", "msv", "ghost", "-n", view.namespace, "--wait=false")
    restart_api_server(view.lab)
    operator.resume()
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 3}}})
    view.wait_replicas("chat", 3, 60.0)
    view.scale("ghost", 1)
    time.sleep(5.0)
    assert view.replicas("ghost") == 1
    assert operator.process.poll() is None


def test_missing_kinds_are_said_and_end_with_one(lab: Lab, prometheus: FakePrometheus) -> None:
    """Without the CRDs the operator says what to install and ends with 1."""
    install(lab)
    for name in ("modelservings", "capacitypools"):
        lab.kubectl("delete", "crd", f"{name}.baseload.dev")
    try:
        process = OperatorProcess(lab, prometheus.url, "operator-no-crd")
        process.start()
        assert process.process is not None
        assert process.process.wait(30) == 1
        text = lab.log("operator-no-crd").read_text()
        assert "kubectl apply -f crds/" in text
        assert "Traceback" not in text
    finally:
        install(lab)
