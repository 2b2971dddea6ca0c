"""The cluster's PriorityClasses, and which of them a serving has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from baseload.api.reasons import Reason
from baseload.plan.snapshot import Priority, Refusal

PRIORITIES_PATH = "/apis/scheduling.k8s.io/v1/priorityclasses"

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A PriorityClass: its value, and whether pods that name none have it."""

    name: str
    value: int
    is_default: bool


def priority_class(raw: Raw) -> PriorityClass:
    """A PriorityClass as the server shows it."""
    return PriorityClass(raw["metadata"]["name"], int(raw["value"]), bool(raw.get("globalDefault")))


class Priorities:
    """All PriorityClasses at one instant."""

    def __init__(self, classes: Iterable[PriorityClass] = ()) -> None:
        self._values = {each.name: each for each in classes}
        defaults = [each for each in self._values.values() if each.is_default]
        # Kubernetes takes the lowest where several call themselves the default.
        lowest = min(defaults, key=lambda each: (each.value, each.name), default=None)
        self._default = Priority() if lowest is None else Priority(lowest.value, lowest.name)

    def of(self, asked: str | None, pods: str) -> Priority | Refusal:
        """The priority by the class a serving asks for, else by the class of its pods, else the cluster's default.

        A class of the pods that does not exist is Kubernetes' to refuse, pod by pod.
        """
        if asked is not None and asked not in self._values:
            message = f"`spec.priorityClassName` names '{asked}', which is no PriorityClass of this cluster"
            return Refusal(Reason.PRIORITY_CLASS_NOT_FOUND, f"{message}; create it, change the name or leave it out")
        found = self._values.get(asked if asked is not None else pods)
        return self._default if found is None else Priority(found.value, found.name)
