"""Whose pod a series without the workload label is from: by its owner, or by its name when only one can be meant.

A pod's name is weak evidence: the API server cuts long ones, and the pod `foo-1-1` belongs to the StatefulSet `foo-1`
as well as to the second worker of the LeaderWorkerSet `foo`. Where more than one reading is possible nobody guesses.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from baseload.observe.metrics_source import Series
from baseload.observe.queries import any_of
from baseload.plan.signals import Identity

Pod = tuple[str, str]
"""Namespace and name."""

Workload = tuple[str, str]
"""Namespace and `Kind/name`, the value of the workload label."""

LONGEST_NAME = 63
"""A generated pod name of this length may have been cut: 58 characters are kept and five are random."""

CUT_AT = 58

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of generated name suffixes, without vowels and look-alikes."""

NAME_PATTERNS = {
    "Deployment": rf"-[{SAFE}]{{1,10}}-[{SAFE}]{{5}}",
    "StatefulSet": r"-[0-9]+",
    "LeaderWorkerSet": r"-[0-9]+(-[0-9]+)?",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which workload each pod without a label belongs to, and how that was found.

    `doubtful` are workloads that some pod may belong to although nobody can tell: the pod's name by workload.
    """

    pods: Mapping[Pod, Workload] = field(default_factory=dict)
    ways: Mapping[Workload, Identity] = field(default_factory=dict)
    doubtful: Mapping[Workload, str] = field(default_factory=dict)


def owners_query(namespaces: Iterable[str]) -> str:
    """One query for the owners of all pods of some namespaces, as kube-state-metrics tells them."""
    within = f'namespace=~"{any_of(namespaces)}"'
    of_pods = f'kube_pod_owner{{{within}, owner_is_controller="true"'
    rows = (
        f'max by (namespace, pod, owner_kind, owner_name) ({of_pods}, owner_kind!="ReplicaSet"}})'
        " or max by (namespace, pod, owner_kind, owner_name) ("
        f'label_replace({of_pods}, owner_kind="ReplicaSet"}}, "replicaset", "$1", "owner_name", "(.+)")'
        " * on (namespace, replicaset) group_left (owner_kind, owner_name)"
        " max by (namespace, replicaset, owner_kind, owner_name)"
        f' (kube_replicaset_owner{{{within}, owner_kind="Deployment"}}))'
    )
    return " ".join(rows.split())


def assign(
    pods: Iterable[Pod], owners: Sequence[Series], wanted: Iterable[Workload], labelled: Set[Workload] = frozenset()
) -> Assignment:
    """Assign pods to the wanted workloads: by owner where it is known, else by name where only one can be meant.

    A name says nothing of `labelled` workloads: whoever labels their pods would have labelled this one too.
    """
    by_owner = {(row.labels.get("namespace", ""), row.labels.get("pod", "")): _owner(row) for row in owners}
    in_namespace: dict[str, list[str]] = defaultdict(list)
    for namespace, label in set(wanted):
        in_namespace[namespace].append(label)
    found: dict[Pod, Workload] = {}
    ways: dict[Workload, Identity] = {}
    doubtful: dict[Workload, str] = {}
    for pod in pods:
        namespace, name = pod
        owner = by_owner.get(pod)
        if owner is not None:
            owning = _as_wanted(owner, in_namespace[namespace])
            if owning is not None:
                found[pod] = (namespace, owning)
                ways.setdefault((namespace, owning), Identity.OWNER)
            continue
        candidates = [
            label for label in in_namespace[namespace] if (namespace, label) not in labelled and _may_own(label, name)
        ]
        if len(candidates) == 1 and _is_plain(candidates[0], name):
            found[pod] = (namespace, candidates[0])
            ways[namespace, candidates[0]] = Identity.POD_NAME
        else:
            doubtful.update({(namespace, label): name for label in candidates})
    return Assignment(found, ways, doubtful)


def _owner(row: Series) -> str:
    return f"{row.labels.get('owner_kind', '')}/{row.labels.get('owner_name', '')}"


def _as_wanted(owner: str, wanted: Sequence[str]) -> str | None:
    """The wanted workload that an owner is: itself, or the LeaderWorkerSet whose leaders it runs under its name."""
    kind, _, name = owner.partition("/")
    aliases = (owner, f"LeaderWorkerSet/{name}") if kind == "StatefulSet" else (owner,)
    return next((alias for alias in aliases if alias in wanted), None)


def _may_own(label: str, pod: str) -> bool:
    """Whether a pod of this name could be of the workload: its name is whole, or cut as the API server cuts."""
    kind, _, name = label.partition("/")
    pattern = NAME_PATTERNS.get(kind)
    if pattern is None:
        return pod.startswith(f"{name}-")
    whole = pod.startswith(name) and re.fullmatch(pattern, pod[len(name) :]) is not None
    return whole or (len(pod) == LONGEST_NAME and pod.startswith(f"{name}-"[:CUT_AT]))


def _is_plain(label: str, pod: str) -> bool:
    """Whether the name can mean only this workload, whatever else there is in the namespace."""
    kind, _, name = label.partition("/")
    if kind not in NAME_PATTERNS or len(pod) >= LONGEST_NAME:
        return False
    ordinals = re.search(r"-[0-9]+-[0-9]+$", pod)
    return kind == "Deployment" or ordinals is None or (kind == "StatefulSet" and not re.search(r"-[0-9]+$", name))
