"""The objects of the operator's benchmark: a fleet of servings with the workloads, pods, nodes and pools under it.

No controller runs beside them: what a Deployment controller, a scheduler and kubelets would write is written here, so
that only the operator and the API server work.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

POOLS: Final = 8
REPLICAS: Final = 2
NAMESPACES: Final = 50
RESOURCE: Final = "nvidia.com/gpu"

_PER_NODE: Final = 8
_TIME: Final = "2026-01-01T00:00:00Z"
_GROUP: Final = "/apis/baseload.dev/v1alpha1"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """An object to post to the collection at `path`; its status, and a merge patch, which are sent afterwards."""

    path: str
    body: Json
    status: Json | None = None
    patch: Json | None = None


def namespace_of(number: int) -> str:
    """The namespace of a serving: tenants have many."""
    return f"team-{number % NAMESPACES}"


def name_of(number: int) -> str:
    """The name of a serving, its Deployment and the stem of its pods' names."""
    return f"chat-model-{number}"


def pod_names(number: int, replicas: int) -> list[str]:
    """Names as a Deployment's pods have them."""
    return [f"{name_of(number)}-7d9f8b6c5d-{index:05d}" for index in range(replicas)]


def frame(servings: int) -> Iterator[Create]:
    """What stands before the servings: namespaces, pools, and nodes with a tenth more accelerators than are held."""
    for number in range(min(NAMESPACES, servings)):
        name = namespace_of(number)
        yield Create("/api/v1/namespaces", {"metadata": {"name": name}})
        # Pods are refused without it.
        yield Create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    for pool in range(POOLS):
        yield Create(f"{_GROUP}/capacitypools", _pool(pool))
    for number in range(node_count(servings)):
        # The API server taints a new node until somebody calls it ready.
        yield Create("/api/v1/nodes", _node(number), patch={"spec": {"taints": None}})


def node_count(servings: int) -> int:
    """How many nodes hold the replicas and leave some room, in whole pools."""
    return POOLS * (1 + servings * REPLICAS * 11 // (10 * _PER_NODE * POOLS))


def workloads(servings: int) -> Iterator[Create]:
    """Each serving's Deployment and its Ready pods."""
    nodes = node_count(servings)
    for number in range(servings):
        path = f"/apis/apps/v1/namespaces/{namespace_of(number)}/deployments"
        yield Create(path, _deployment(number), deployment_status(REPLICAS))
        for index, name in enumerate(pod_names(number, REPLICAS)):
            node = (number * REPLICAS + index) % nodes
            yield Create(f"/api/v1/namespaces/{namespace_of(number)}/pods", _pod(number, name, node), _POD_STATUS)


def model_servings(servings: int) -> Iterator[Create]:
    """The ModelServings; their statuses are the operator's own."""
    for number in range(servings):
        yield Create(f"{_GROUP}/namespaces/{namespace_of(number)}/modelservings", _serving(number))


def deployment_status(replicas: int) -> Json:
    """The status of a Deployment whose replicas are all Ready."""
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": _TIME,
            "lastUpdateTime": _TIME,
        }
        for kind, reason, message in (
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            ("Progressing", "NewReplicaSetAvailable", 'ReplicaSet "server-7d9f8b6c5d" has successfully progressed.'),
        )
    ]
    numbers = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    return {"observedGeneration": 1, "conditions": conditions, **dict.fromkeys(numbers, replicas)}


def _serving(number: int) -> Json:
    return {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name_of(number)},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name_of(number)},
            "objective": {
                "timeToFirstToken": {"targetMilliseconds": 800, "attainmentPercent": 95},
                "interTokenLatency": {"targetMilliseconds": 50, "attainmentPercent": 95},
            },
            "replicas": {"min": 1, "max": 16},
            # Down as quickly as up, so that demand that comes and goes makes writes in both directions.
            "behavior": {"scaleDown": {"stabilizationSeconds": 0, "maxStepPercent": 100}},
        },
    }


def _deployment(number: int) -> Json:
    labels = {"app": name_of(number), "app.kubernetes.io/part-of": "inference", "team": namespace_of(number)}
    annotations = {"deployment.kubernetes.io/revision": "3", "example.org/change": "rolled out by the pipeline " * 4}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name_of(number), "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name_of(number)}},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(number)},
        },
    }


def _pod_spec(number: int) -> Json:
    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 10, "failureThreshold": 3}
    return {
        "terminationGracePeriodSeconds": 120,
        "containers": [
            {
                "name": "server",
                "image": "registry.example.org/inference/server:v0.11.2",
                "args": ["--model", "/models/chat", "--max-num-seqs", "256", "--gpu-memory-utilization", "0.92"],
                "env": [{"name": f"SETTING_{index}", "value": f"value-{number}-{index}"} for index in range(16)],
                "ports": [{"name": "http", "containerPort": 8000}],
                "readinessProbe": probe,
                "startupProbe": {**probe, "failureThreshold": 120},
                "resources": {"limits": {RESOURCE: "1", "cpu": "16", "memory": "128Gi"}},
                "volumeMounts": [{"name": "models", "mountPath": "/models"}, {"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
            }
        ],
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        ],
    }


def _pod(number: int, name: str, node: int) -> Json:
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{name_of(number)}-7d9f8b6c5d",
        "uid": f"rs-{number}",
    }
    labels = {"app": name_of(number), "pod-template-hash": "7d9f8b6c5d"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [{**owner, "controller": True}]},
        "spec": {**_pod_spec(number), "nodeName": f"node-{node}", "automountServiceAccountToken": False},
    }


_POD_STATUS: Final = {
    "phase": "Running",
    "conditions": [
        {"type": kind, "status": "True", "lastTransitionTime": _TIME}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ],
    "podIP": "10.64.0.2",
    "startTime": _TIME,
}


def _node(number: int) -> Json:
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110", RESOURCE: str(_PER_NODE)}
    labels = {
        "kubernetes.io/hostname": f"node-{number}",
        "kubernetes.io/os": "linux",
        "example.org/pool": f"pool-{number % POOLS}",
        "topology.kubernetes.io/zone": f"zone-{number % 3}",
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": _TIME, "lastHeartbeatTime": _TIME}
    return {
        "metadata": {"name": f"node-{number}", "labels": labels},
        "status": {"capacity": capacity, "allocatable": capacity, "conditions": [ready]},
    }


def _pool(number: int) -> Json:
    return {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "CapacityPool",
        "metadata": {"name": f"pool-{number}"},
        "spec": {
            "provider": {"static": {}},
            "nodeSelector": {"example.org/pool": f"pool-{number}"},
            "accelerator": {"resource": RESOURCE, "product": "H100", "perNode": _PER_NODE},
            "cost": {"hourly": f"{2 + number / 4:.2f}"},
        },
    }


def patch_of(replicas: int) -> Mapping[str, Any]:
    """The merge patch that makes a Deployment's status follow its spec."""
    return {"status": deployment_status(replicas)}
