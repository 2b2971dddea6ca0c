"""What is known of each kind that can be scaled: where its collection is, and how to read its objects.

Three kinds are known by name; every other one is read by the paths of its scale subresource.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from baseload.observe.objects import COLLECTIONS, Workload, WorkloadKey, deployment, group_of, stateful_set
from baseload.observe.placement import PodShape, pod_shape

Raw = Mapping[str, Any]
Path = tuple[str, ...]

LEADER_WORKER_SETS = "leaderworkerset.x-k8s.io"


@dataclass(frozen=True, slots=True, order=True)
class KindRef:
    """A kind as `spec.targetRef` names it."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return group_of(self.api_version)

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind keeps its numbers, in the words of a CRD's scale subresource."""

    wanted: Path = ("spec", "replicas")
    present: Path = ("status", "replicas")


@dataclass(frozen=True, slots=True)
class TargetKind:
    """A kind that can be scaled: its collection's path, and the reader of one object."""

    ref: KindRef
    collection: str
    read: Callable[[Raw], Workload]


DEPLOYMENTS = KindRef("apps/v1", "Deployment")
STATEFUL_SETS = KindRef("apps/v1", "StatefulSet")

ALWAYS_THERE: Mapping[KindRef, TargetKind] = {
    DEPLOYMENTS: TargetKind(DEPLOYMENTS, COLLECTIONS["Deployment"], deployment),
    STATEFUL_SETS: TargetKind(STATEFUL_SETS, COLLECTIONS["StatefulSet"], stateful_set),
}
"""Kinds of every cluster, whose rights are the operator's own: nothing to discover."""


def target_kind(ref: KindRef, plural: str, paths: ScalePaths) -> TargetKind:
    """How to read a kind that was found by discovery."""
    collection = f"/apis/{ref.api_version}/{plural}"
    if (ref.group, ref.kind) == (LEADER_WORKER_SETS, "LeaderWorkerSet"):
        return TargetKind(ref, collection, partial(leader_worker_set, collection))
    return TargetKind(ref, collection, partial(any_workload, ref, collection, paths))


def leader_worker_set(collection: str, raw: Raw) -> Workload:
    """A LeaderWorkerSet: a replica is a group of pods, a leader and its workers, and is ready when all of them are."""
    spec, status = raw["spec"], raw.get("status") or {}
    template = spec["leaderWorkerTemplate"]
    worker = (template["workerTemplate"].get("spec")) or {}
    leader = (template.get("leaderTemplate") or {}).get("spec") or worker
    progress = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return Workload(
        key=_key(raw, "LeaderWorkerSet", LEADER_WORKER_SETS),
        uid=raw["metadata"]["uid"],
        resource_version=raw["metadata"]["resourceVersion"],
        wanted=int(spec.get("replicas", 1)),
        ready=int(status.get("readyReplicas") or 0),
        rolling_out=progress.get("UpdateInProgress") == "True",
        shape=_group(pod_shape(leader), pod_shape(worker), int(template.get("size", 1)) - 1),
        priority_class=leader.get("priorityClassName") or "",
        collection=collection,
        pods=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
    )


def any_workload(ref: KindRef, collection: str, paths: ScalePaths, raw: Raw) -> Workload:
    """An object of any kind by the paths of its scale subresource; its pods' shape where a pod template usually is.

    The scale subresource does not tell which replicas are ready: `status.readyReplicas` does where the kind has it,
    and the replicas that exist stand for it elsewhere.
    """
    wanted, present = _count(raw, paths.wanted), _count(raw, paths.present) or 0
    ready, updated = _count(raw, ("status", "readyReplicas")), _count(raw, ("status", "updatedReplicas"))
    pods = _at(raw, ("spec", "template", "spec"))
    template = pods if isinstance(pods, Mapping) else {}
    return Workload(
        key=_key(raw, ref.kind, ref.group),
        uid=raw["metadata"]["uid"],
        resource_version=raw["metadata"]["resourceVersion"],
        wanted=wanted or 0,
        ready=present if ready is None else ready,
        rolling_out=updated is not None and updated < present,
        shape=pod_shape(template),
        priority_class=template.get("priorityClassName") or "",
        collection=collection,
        pods=present,
        updated=updated or 0,
        number_missing="" if wanted is not None else "." + ".".join(paths.wanted),
    )


def json_path(text: str) -> Path:
    """The names of a CRD's path such as `.spec.replicas`; a CRD allows no brackets and no array notation here."""
    return tuple(part for part in text.split(".") if part)


def _group(leader: PodShape, worker: PodShape, workers: int) -> PodShape:
    return PodShape(
        leader.requests, leader.node_selector, leader.tolerations, leader.node_terms, (worker,) * max(workers, 0)
    )


def _key(raw: Raw, kind: str, group: str) -> WorkloadKey:
    return WorkloadKey(kind, raw["metadata"]["namespace"], raw["metadata"]["name"], group)


def _count(raw: object, path: Path) -> int | None:
    found = _at(raw, path)
    return found if isinstance(found, int) else None


def _at(raw: object, path: Path) -> object:
    for name in path:
        if not isinstance(raw, Mapping):
            return None
        raw = raw.get(name)
    return raw
