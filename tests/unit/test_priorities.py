"""Which priority a serving has: by its own class, its pods' class, the cluster's default, or none."""

import pytest

from baseload.api.reasons import Reason
from baseload.observe.objects import deployment
from baseload.observe.priorities import Priorities, PriorityClass, priority_class
from baseload.plan.snapshot import Priority, Refusal

GOLD, PLAIN = PriorityClass("gold", 1000, is_default=False), PriorityClass("plain", 10, is_default=True)


@pytest.mark.parametrize(
    ("asked", "pods", "expected"),
    [
        ("gold", "plain", Priority(1000, "gold")),
        (None, "gold", Priority(1000, "gold")),
        (None, "", Priority(10, "plain")),
        (None, "nobody-knows", Priority(10, "plain")),
    ],
)
def test_own_class_then_that_of_the_pods_then_the_default(asked: str | None, pods: str, expected: Priority) -> None:
    """The first of the three that is there counts."""
    assert Priorities([GOLD, PLAIN]).of(asked, pods) == expected


def test_without_any_class_the_priority_is_zero() -> None:
    """As Kubernetes does it for pods."""
    assert Priorities().of(None, "") == Priority(0, "")


def test_the_lowest_of_several_defaults_counts() -> None:
    """As Kubernetes does it for pods."""
    other = PriorityClass("other", 5, is_default=True)
    assert Priorities([PLAIN, other]).of(None, "") == Priority(5, "other")


def test_an_unknown_class_is_refused_with_a_remedy() -> None:
    """A name that no PriorityClass has is no priority of zero."""
    refusal = Priorities([GOLD]).of("platinum", "gold")
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.PRIORITY_CLASS_NOT_FOUND
    assert "'platinum'" in refusal.message
    assert "create it" in refusal.message


def test_classes_and_workloads_are_read_lean() -> None:
    """Of a class its value and whether it is the default; of a workload the class of its pods."""
    raw = {"metadata": {"name": "gold"}, "value": 1000, "preemptionPolicy": "Never"}
    assert priority_class(raw) == GOLD
    metadata = {"namespace": "team", "name": "chat", "uid": "u", "resourceVersion": "1"}
    template = {"spec": {"priorityClassName": "gold", "containers": []}}
    assert deployment({"metadata": metadata, "spec": {"template": template}}).priority_class == "gold"
