"""What a pod asks of a node and whether a node can take it, as far as accelerators are concerned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]
Pairs = tuple[tuple[str, str], ...]

BLOCKING_EFFECTS = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint that keeps pods away."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """A toleration; an empty key tolerates every key, an empty effect every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """Whether this toleration covers the taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.operator == "Exists":
            return self.key in ("", taint.key)
        return self.key == taint.key and self.value == taint.value


@dataclass(frozen=True, slots=True)
class Expression:
    """One requirement of a node selector term on a label."""

    key: str
    operator: str
    values: tuple[str, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil the requirement; an operator nobody knows matches nothing."""
        value = labels.get(self.key)
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or self.operator not in ("Gt", "Lt"):
            return False
        try:
            given, bound = int(value), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return given > bound if self.operator == "Gt" else given < bound


@dataclass(frozen=True, slots=True)
class PodShape:
    """What one pod of a workload needs: `requests` are effective counts of extended resources.

    `node_terms` are the alternatives of its required node affinity; none means no restriction. `workers` are the
    other pods of a replica that is a group, such as a LeaderWorkerSet's; what is asked here is asked of this pod.
    """

    requests: tuple[tuple[str, int], ...] = ()
    node_selector: Pairs = ()
    tolerations: tuple[Toleration, ...] = ()
    node_terms: tuple[tuple[Expression, ...], ...] = ()
    workers: tuple["PodShape", ...] = ()

    def request(self, resource: str) -> int:
        """How many of an extended resource one pod holds."""
        return dict(self.requests).get(resource, 0)

    def accepts(self, labels: Mapping[str, str], taints: Sequence[Taint]) -> bool:
        """Whether a node with these labels and taints may take the pod."""
        if any(labels.get(key) != value for key, value in self.node_selector):
            return False
        if self.node_terms and not any(all(e.matches(labels) for e in term) for term in self.node_terms):
            return False
        return all(any(t.tolerates(taint) for t in self.tolerations) for taint in taints)


def pod_shape(pod_spec: Raw) -> PodShape:
    """The shape of a raw pod spec or pod template spec."""
    affinity = pod_spec.get("affinity") or {}
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return PodShape(
        requests=tuple(sorted(effective_requests(pod_spec).items())),
        node_selector=tuple(sorted((pod_spec.get("nodeSelector") or {}).items())),
        tolerations=tuple(_toleration(raw) for raw in pod_spec.get("tolerations") or ()),
        node_terms=tuple(
            tuple(_expression(raw) for raw in term.get("matchExpressions") or ())
            for term in required.get("nodeSelectorTerms") or ()
        ),
    )


def effective_requests(pod_spec: Raw) -> dict[str, int]:
    """Extended resources a pod holds: the larger of what runs and what any init step needs beside its sidecars.

    Sidecars are init containers with restartPolicy Always; they go on running (Kubernetes' own rule).
    """
    running: dict[str, int] = {}
    for container in pod_spec.get("containers") or ():
        _add(running, _extended(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in pod_spec.get("initContainers") or ():
        wanted = _extended(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, wanted)
            step = dict(sidecars)
        else:
            step = dict(sidecars)
            _add(step, wanted)
        for name, count in step.items():
            peak[name] = max(peak.get(name, 0), count)
    _add(running, sidecars)
    return {name: max(running.get(name, 0), peak.get(name, 0)) for name in running.keys() | peak.keys()}


def whole(quantity: object) -> int | None:
    """An extended resource's quantity; they are whole numbers, in canonical form up to `999` or with a k; else None."""
    text = str(quantity)
    scale = 1
    if text.endswith("k"):
        text, scale = text[:-1], 1000
    return int(text) * scale if text.isdecimal() else None


def extended(quantities: Raw) -> dict[str, int]:
    """Only the extended resources (`vendor.example/name`) of a resource list."""
    counts = {name: whole(value) for name, value in quantities.items() if "/" in name}
    return {name: count for name, count in counts.items() if count}


def _extended(container: Raw) -> dict[str, int]:
    resources = container.get("resources") or {}
    # For extended resources requests equal limits, and either may be left out.
    return extended({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _toleration(raw: Raw) -> Toleration:
    operator = raw.get("operator") or "Equal"
    return Toleration(raw.get("key") or "", operator, raw.get("value") or "", raw.get("effect") or "")


def _expression(raw: Raw) -> Expression:
    return Expression(raw["key"], raw["operator"], tuple(raw.get("values") or ()))
