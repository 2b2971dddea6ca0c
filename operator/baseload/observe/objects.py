"""Lean values of what the cluster holds: only what a decision looks at, never raw objects."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from baseload.observe.placement import BLOCKING_EFFECTS, PodShape, Taint, extended, pod_shape

Raw = Mapping[str, Any]

COLLECTIONS = {"Deployment": "/apis/apps/v1/deployments", "StatefulSet": "/apis/apps/v1/statefulsets"}


@dataclass(frozen=True, slots=True)
class WorkloadKey:
    """Kind, namespace, name and API group of a workload; versions of one group show the same object."""

    kind: str
    namespace: str
    name: str
    group: str = "apps"


@dataclass(frozen=True, slots=True)
class Workload:
    """A scalable workload: its numbers, and the shape of its pods and their PriorityClass (empty: not named).

    `collection` is the API path of its kind, such as `/apis/apps/v1/deployments`; `number_missing` names the field
    that should hold the replicas and does not.
    `pods` is how many replicas exist, those of a rollout's surge too; `updated` how many are of the newest revision;
    `rollout_failed` whether its controller gave a rollout up; `selector` finds its pods where the order in which they
    go can be chosen, and is empty elsewhere.
    """

    key: WorkloadKey
    uid: str
    resource_version: str
    wanted: int
    ready: int
    rolling_out: bool
    shape: PodShape
    priority_class: str = ""
    collection: str = ""
    number_missing: str = ""
    pods: int = 0
    updated: int = 0
    rollout_failed: bool = False
    selector: str = ""

    @property
    def surplus(self) -> int:
        """Pods beyond what is wanted, as a rollout brings: neither capacity to come nor asked for."""
        return max(self.pods - self.wanted, 0)


@dataclass(frozen=True, slots=True)
class Node:
    """A node that may hold replicas: `usable` is Ready and schedulable; taints are the blocking ones."""

    name: str
    usable: bool
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    allocatable: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """Another autoscaler, as Kind 'name', and what it scales."""

    name: str
    target: WorkloadKey


@dataclass(frozen=True, slots=True)
class ServingObject:
    """A ModelServing as it is stored; spec and status as JSON bytes, parsed when they are needed."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: str
    annotations: tuple[tuple[str, str], ...]
    spec: bytes
    status: bytes


@dataclass(frozen=True, slots=True)
class PoolObject:
    """A CapacityPool as it is stored; spec and status as JSON bytes."""

    name: str
    uid: str
    resource_version: str
    generation: int
    spec: bytes
    status: bytes
    labels: tuple[tuple[str, str], ...] = ()


def deployment(raw: Raw) -> Workload:
    """A Deployment; a rollout is in progress while pods of an older template are still there."""
    status = raw.get("status") or {}
    updated = int(status.get("updatedReplicas") or 0)
    given_up = any(
        c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded"
        for c in status.get("conditions") or ()
    )
    found = _workload("Deployment", raw, rolling_out=updated < int(status.get("replicas") or 0))
    return replace(found, rollout_failed=given_up, selector=label_selector(raw["spec"].get("selector") or {}))


def stateful_set(raw: Raw) -> Workload:
    """A StatefulSet; a rollout is in progress while its two revisions differ."""
    status = raw.get("status") or {}
    rolling_out = status.get("updateRevision", "") != status.get("currentRevision", status.get("updateRevision", ""))
    return _workload("StatefulSet", raw, rolling_out=rolling_out)


def label_selector(selector: Raw) -> str:
    """A label selector as a query parameter; empty when it cannot be written as one."""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for row in selector.get("matchExpressions") or ():
        key, values = row["key"], ",".join(row.get("values") or ())
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        if row["operator"] not in forms:
            return ""
        parts.append(forms[row["operator"]])
    return ",".join(parts)


def node(raw: Raw) -> Node:
    """A Node; what is not Ready or is cordoned can take nothing."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    taints = tuple(
        Taint(t["key"], t.get("value") or "", t["effect"])
        for t in spec.get("taints") or ()
        if t["effect"] in BLOCKING_EFFECTS
    )
    return Node(
        name=raw["metadata"]["name"],
        usable=ready and not spec.get("unschedulable", False),
        labels=tuple(sorted((raw["metadata"].get("labels") or {}).items())),
        taints=taints,
        allocatable=tuple(sorted(extended(status.get("allocatable") or {}).items())),
    )


def autoscaler(raw: Raw) -> Autoscaler:
    """A HorizontalPodAutoscaler."""
    return _autoscaler("HorizontalPodAutoscaler", raw)


def scaled_object(raw: Raw) -> Autoscaler:
    """A ScaledObject of KEDA, also while KEDA has not made its HorizontalPodAutoscaler."""
    return _autoscaler("ScaledObject", raw)


def group_of(api_version: str) -> str:
    """API group of an apiVersion, empty for the core group."""
    return api_version.rpartition("/")[0]


def serving_object(raw: Raw) -> ServingObject:
    """A ModelServing."""
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    return ServingObject(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=int(metadata.get("generation", 0)),
        created=metadata.get("creationTimestamp", ""),
        annotations=tuple(sorted((k, v) for k, v in annotations.items() if k.startswith("baseload.dev/"))),
        spec=orjson.dumps(raw.get("spec") or {}),
        status=orjson.dumps(raw.get("status") or {}),
    )


def pool_object(raw: Raw) -> PoolObject:
    """A CapacityPool."""
    metadata = raw["metadata"]
    return PoolObject(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=int(metadata.get("generation", 0)),
        spec=orjson.dumps(raw.get("spec") or {}),
        status=orjson.dumps(raw.get("status") or {}),
        labels=tuple(sorted((metadata.get("labels") or {}).items())),
    )


def _autoscaler(kind: str, raw: Raw) -> Autoscaler:
    """Both default to a Deployment where the reference leaves kind or version out."""
    target, metadata = raw["spec"]["scaleTargetRef"], raw["metadata"]
    group = group_of(target.get("apiVersion") or "apps/v1")
    key = WorkloadKey(target.get("kind") or "Deployment", metadata["namespace"], target["name"], group)
    return Autoscaler(f"{kind} '{metadata['name']}'", key)


def _workload(kind: str, raw: Raw, *, rolling_out: bool) -> Workload:
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    template = spec["template"].get("spec") or {}
    return Workload(
        key=WorkloadKey(kind, metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        wanted=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas") or 0),
        rolling_out=rolling_out,
        shape=pod_shape(template),
        priority_class=template.get("priorityClassName") or "",
        collection=COLLECTIONS[kind],
        pods=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
    )
