"""Which kinds the operator scales: what it says of one it cannot, and how that ends by itself."""

from collections.abc import Iterator

import pytest
from fake_prometheus import FakePrometheus, Load
from kinds import WIDGET, wait_served, widget, widget_crd
from operator_lab import REPOSITORY, OperatorProcess, View, install, serving, wait_until

from baseload.lab.cluster import Lab

pytestmark = pytest.mark.usefixtures("operator")

TARGETS = REPOSITORY / "manifests" / "targets"


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture(scope="module")
def operator(lab: Lab, prometheus: FakePrometheus) -> Iterator[OperatorProcess]:
    """One operator for all tests of this file."""
    install(lab)
    process = OperatorProcess(lab, prometheus.url, "operator-targets")
    process.start()
    yield process
    assert process.stop() == 0
    assert not [line for line in process.log_lines() if "exception" in line]


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


@pytest.fixture
def no_widgets(lab: Lab) -> Iterator[None]:
    """Neither the kind nor the rights on it, before and after."""
    objects = ("crd/widgets.example.com", "clusterrole/baseload-target-widgets")
    lab.kubectl("delete", "--ignore-not-found", *objects)
    yield
    lab.kubectl("delete", "--ignore-not-found", *objects)


def count(view: View) -> int:
    """The replicas of the Widget, where its kind keeps them."""
    return int(view.get("widget", "chat")["spec"]["scaling"]["count"])


@pytest.mark.usefixtures("no_widgets")
def test_a_kind_comes_is_granted_and_goes(view: View, prometheus: FakePrometheus, lab: Lab) -> None:
    """An unknown kind, one without a scale and one without rights each say so, and what is missing heals by itself."""
    prometheus.loads[view.namespace, "Widget/chat"] = Load()
    view.lab.apply(serving(view.namespace, "chat", least=3, targetRef={**WIDGET, "name": "chat"}))
    view.wait_condition("chat", "Accepted", ("False", "TargetKindUnknown"))
    lab.apply(widget_crd(scale=False))
    view.wait_condition("chat", "Accepted", ("False", "TargetNotScalable"))
    lab.apply(widget_crd())
    wait_served(lab, "widgets.example.com")
    lab.apply(widget(view.namespace, "chat"))
    view.wait_condition("chat", "Accepted", ("False", "TargetForbidden"))
    message = next(c["message"] for c in view.status("chat")["conditions"] if c["type"] == "Accepted")
    assert "patch widgets/scale (group example.com)" in message
    assert 'rbac.baseload.dev/aggregate-to-operator: "true"' in message
    assert count(view) == 1
    lab.apply(TARGETS / "any-kind.yaml")
    wait_until(lambda: count(view) == 3, "three replicas at the path that the kind declares")
    view.wait_condition("chat", "Accepted", ("True", "Accepted"))
    lab.kubectl("delete", "crd", "widgets.example.com")
    view.wait_condition("chat", "Accepted", ("False", "TargetKindUnknown"))


@pytest.mark.usefixtures("no_widgets")
def test_applying_the_rights_again_takes_none_away(view: View, lab: Lab) -> None:
    """The aggregated role keeps what an admin added when the manifest with the operator's own rights is renewed."""
    lab.apply(TARGETS / "any-kind.yaml")

    def granted() -> bool:
        rules = lab.kubectl.get("clusterrole", "baseload-operator-targets").get("rules") or ()
        return any("widgets" in rule["resources"] for rule in rules)

    wait_until(granted, "the rules of the added role in the aggregated one")
    lab.apply(REPOSITORY / "manifests" / "rbac.yaml")
    assert granted()
