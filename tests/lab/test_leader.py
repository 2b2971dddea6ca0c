"""Two operators on one cluster: one leads, one stands by, and what happens when the leader changes."""

import time
from collections.abc import Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, refused, serving, wait_until

from baseload.lab.cluster import Lab

# Long enough for a busy machine, short enough for a test.
TIMES = ("--lease-seconds", "5", "--lease-renew-seconds", "4", "--lease-retry-seconds", "0.5")


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture
def pair(lab: Lab, prometheus: FakePrometheus) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """A leader and a standby, both ready."""
    install(lab)
    first = OperatorProcess(lab, prometheus.url, "operator-first", port=8092, options=TIMES)
    second = OperatorProcess(lab, prometheus.url, "operator-second", port=8094, options=TIMES)
    first.start()
    wait_until(first.leads, "the first one leads")
    second.start()
    wait_until(lambda: second.answer("/readyz")[0] == 200, "the second one is ready")
    yield first, second
    for operator in (first, second):
        assert operator.process is not None
        if operator.process.poll() is None:
            operator.stop()


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def test_standby_is_ready_and_alive_and_silent_and_takes_over_without_going_down(
    view: View, prometheus: FakePrometheus, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    """A standby is ready, alive and silent; when the leader stops it leads, and nothing goes down for a window."""
    first, second = pair
    prometheus.loads[view.namespace, "Deployment/chat"] = Load(rps=0.0, running=0.0)
    scale_down = {"scaleDown": {"stabilizationSeconds": 15, "maxStepPercent": 100}}
    view.lab.apply(deployment(view.namespace, "chat"), serving(view.namespace, "chat", least=4, behavior=scale_down))
    settled = "4/4"
    wait_until(lambda: view.status("chat").get("display", {}).get("replicas", "").startswith("4/"), settled)
    assert second.answer("/healthz")[0] == 200
    assert not second.leads()
    assert {line["message"] for line in second.log_lines()}.isdisjoint({"scaled", "signals missing"})

    assert first.stop() == 0
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 1}}})
    stopped = time.monotonic()
    wait_until(second.leads, "the second one leads", 60.0)

    def held_by() -> list[str]:
        return [row["reason"] for row in view.status("chat")["lastDecision"]["limitedBy"]]

    wait_until(lambda: "WarmingUp" in held_by(), "a decision that is held")
    assert view.replicas("chat") == 4
    view.wait_replicas("chat", 1, 60.0)
    assert time.monotonic() - stopped >= 13.0
    assert refused(view.lab) == []
