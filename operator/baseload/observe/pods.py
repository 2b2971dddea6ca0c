"""The pods of the cluster, listed by pages: what they hold on each node and how long they took to start.

Pods are listed, not watched: they change twenty times as often as all else.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from baseload.observe.connection import KubeConnection
from baseload.observe.objects import WorkloadKey, group_of
from baseload.observe.placement import effective_requests

Raw = Mapping[str, Any]

PODS_PATH = "/api/v1/pods"
PAGE_SIZE = 200
"""Pods are large: parsing this many stops the event loop for some 10 ms."""
YIELD_EVERY_PODS = 50
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
SAMPLES_KEPT = 20
START_UP_QUANTILE = 0.75
OVERDUE_SECONDS = 30.0
"""A pod that is still there this long after its grace is stuck, as on a node that is lost."""
LONGEST_START_UP_SECONDS = 6 * 3600.0
SET_NAME_LABEL = "leaderworkerset.sigs.k8s.io/name"
GROUP_INDEX_LABEL = "leaderworkerset.sigs.k8s.io/group-index"
WORKER_INDEX_LABEL = "leaderworkerset.sigs.k8s.io/worker-index"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One live pod; times in Unix seconds, None while it has not happened.

    `deletion_time` is when the grace of a terminating pod ends. `replica` tells the replicas of a workload apart: the
    pod itself, or its group; `leads` is False for the workers of a group, whose Ready says nothing of the replica's.
    """

    uid: str
    node: str
    workload: WorkloadKey | None
    requests: Mapping[str, int]
    scheduled_time: float | None
    ready_time: float | None
    deletion_time: float | None = None
    replica: str = ""
    leads: bool = True

    @property
    def terminating(self) -> bool:
        """Whether it was told to go; until it has gone it holds what it holds."""
        return self.deletion_time is not None


@dataclass(frozen=True, slots=True)
class PodCensus:
    """What one listing says: held resources by node, pods on nodes and homeless replicas by workload; `time` its start.

    A pod that terminates holds its resources still and is no longer one of its workload's: `leaving` are the ends of
    grace of those, by workload.
    """

    time: float = 0.0
    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    placed: Mapping[WorkloadKey, int] = field(default_factory=dict)
    unplaced: Mapping[WorkloadKey, int] = field(default_factory=dict)
    leaving: Mapping[WorkloadKey, tuple[float, ...]] = field(default_factory=dict)

    def draining(self, workload: WorkloadKey, now: float) -> int:
        """How many pods of a workload finish their requests; one that outlived its grace has none any more."""
        return sum(end + OVERDUE_SECONDS > now for end in self.leaving.get(workload, ()))


class StartUpTimes:
    """Start-up times of workloads: from the node taking a pod to the pod's first Ready, seconds."""

    def __init__(self) -> None:
        self._samples: dict[WorkloadKey, dict[str, float]] = defaultdict(dict)

    def observe(self, pod: PodFacts) -> None:
        """Remember a pod's start-up the first time it is seen Ready: a later flap of Ready is no start-up."""
        if pod.workload is None or not pod.leads or pod.scheduled_time is None or pod.ready_time is None:
            return
        samples = self._samples[pod.workload]
        seconds = pod.ready_time - pod.scheduled_time
        if pod.uid in samples or not 0 <= seconds <= LONGEST_START_UP_SECONDS:
            return
        samples[pod.uid] = seconds
        while len(samples) > SAMPLES_KEPT:
            del samples[next(iter(samples))]

    def seconds(self, workload: WorkloadKey) -> float | None:
        """Upper quartile of the last samples, None without any: late capacity costs more than early capacity."""
        samples = sorted(self._samples.get(workload, {}).values())
        if not samples:
            return None
        # Condition times are whole seconds, so a start-up of nothing is one of less than a second.
        return max(samples[min(int(START_UP_QUANTILE * len(samples)), len(samples) - 1)], 1.0)

    def keep(self, workloads: Set[WorkloadKey]) -> None:
        """Drop what belongs to workloads without any pod: Jobs come and go."""
        for workload in self._samples.keys() - workloads:
            del self._samples[workload]


async def list_pods(connection: KubeConnection, now: float, start_up: StartUpTimes) -> PodCensus:
    """List all live pods by pages and add them up; raises ApiError. Terminating pods still hold what they hold."""
    tally = _Tally()
    parameters = {"limit": str(PAGE_SIZE), "fieldSelector": LIVE_PODS}
    while True:
        page = orjson.loads(await connection.get(PODS_PATH, parameters))
        for number, raw in enumerate(page["items"], start=1):
            if number % YIELD_EVERY_PODS == 0:
                await asyncio.sleep(0)
            pod = pod_facts(raw)
            start_up.observe(pod)
            tally.add(pod)
        token = page["metadata"].get("continue")
        if not token:
            start_up.keep(tally.seen)
            return tally.census(now)
        parameters["continue"] = token
        await asyncio.sleep(0)


class _Tally:
    """Adds the pods of one listing up."""

    def __init__(self) -> None:
        self.seen: set[WorkloadKey] = set()
        self._held: dict[str, dict[str, int]] = defaultdict(dict)
        self._placed: dict[WorkloadKey, int] = defaultdict(int)
        self._unplaced: dict[WorkloadKey, set[str]] = defaultdict(set)
        self._leaving: dict[WorkloadKey, tuple[float, ...]] = defaultdict(tuple)

    def add(self, pod: PodFacts) -> None:
        """Count one pod."""
        if pod.node:
            holding = self._held[pod.node]
            for name, count in pod.requests.items():
                holding[name] = holding.get(name, 0) + count
        if pod.workload is None:
            return
        self.seen.add(pod.workload)
        if pod.deletion_time is not None:
            if pod.leads:
                self._leaving[pod.workload] += (pod.deletion_time,)
        elif pod.node:
            self._placed[pod.workload] += 1
        else:
            self._unplaced[pod.workload].add(pod.replica)

    def census(self, now: float) -> PodCensus:
        """What was counted."""
        waiting = {key: len(replicas) for key, replicas in self._unplaced.items()}
        return PodCensus(now, dict(self._held), dict(self._placed), waiting, dict(self._leaving))


def pod_facts(raw: Raw) -> PodFacts:
    """The facts of one raw pod."""
    metadata, spec = raw["metadata"], raw["spec"]
    times = {
        c["type"]: _unix(c.get("lastTransitionTime"))
        for c in (raw.get("status") or {}).get("conditions") or ()
        if c["status"] == "True" and c["type"] in ("PodScheduled", "Ready")
    }
    labels = metadata.get("labels") or {}
    return PodFacts(
        uid=metadata["uid"],
        node=spec.get("nodeName") or "",
        workload=workload_of(metadata),
        requests=effective_requests(spec),
        scheduled_time=times.get("PodScheduled"),
        ready_time=times.get("Ready"),
        deletion_time=_unix(metadata.get("deletionTimestamp")),
        replica=labels.get(GROUP_INDEX_LABEL) or metadata["uid"],
        leads=labels.get(WORKER_INDEX_LABEL, "0") == "0",
    )


def workload_of(metadata: Raw) -> WorkloadKey | None:
    """The workload a pod belongs to: its controller, or what stands behind it; None for a bare pod.

    Behind a ReplicaSet stands its Deployment; behind the StatefulSets of a LeaderWorkerSet, one for the leaders and
    one for the workers of each group, stands the set that the pod's label names.
    """
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return None
    kind, name, group = owner["kind"], owner["name"], group_of(owner.get("apiVersion") or "apps/v1")
    labels = metadata.get("labels") or {}
    suffix = "-" + labels.get("pod-template-hash", "")
    if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
        kind, name = "Deployment", name.removesuffix(suffix)
    if kind == "StatefulSet" and labels.get(SET_NAME_LABEL):
        kind, name, group = "LeaderWorkerSet", labels[SET_NAME_LABEL], "leaderworkerset.x-k8s.io"
    return WorkloadKey(kind, metadata["namespace"], name, group)


def _unix(text: str | None) -> float | None:
    return None if not text else datetime.fromisoformat(text).timestamp()
