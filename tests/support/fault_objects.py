"""The objects of a fault world, with as much in them as the operator reads."""

from datetime import UTC, datetime

from fake_api import Raw

NAMESPACE = "team"
START_UP_SECONDS = 12.0
WINDOW_SECONDS = 20.0
ITL_TARGET_MILLISECONDS = 250
"""A boundary of the fake Prometheus' histogram; a replica holds 30 sequences or 1.2 requests a second inside it."""


def deployment(name: str, replicas: int) -> Raw:
    """A Deployment whose pods ask for one accelerator each."""
    container = {"name": "server", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"nodeSelector": {"pool": "a"}, "containers": [container]}},
        },
    }


def pod(workload: str, name: str, now: float) -> Raw:
    """One pod of a Deployment, on the one node."""
    owner = {"kind": "ReplicaSet", "name": f"{workload}-abc", "controller": True}
    times = {"PodScheduled": now, "Ready": now + START_UP_SECONDS}
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "labels": {"pod-template-hash": "abc"},
            "ownerReferences": [owner],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "server", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
        },
        # Written in advance; the operator only takes the difference, as a start-up time.
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": datetime.fromtimestamp(int(at), UTC).isoformat()}
                for kind, at in times.items()
            ]
        },
    }


def node(name: str) -> Raw:
    """A Ready node of sixteen accelerators."""
    return {
        "metadata": {"name": name, "labels": {"pool": "a"}},
        "status": {
            "allocatable": {"nvidia.com/gpu": "16"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pool() -> Raw:
    """The pool that the node is in."""
    return {
        "metadata": {"name": "pool-a"},
        "spec": {
            "provider": {"static": {}},
            "nodeSelector": {"pool": "a"},
            "accelerator": {"resource": "nvidia.com/gpu", "product": "L40S", "perNode": 16},
            "cost": {"hourly": "1.50"},
        },
    }


def serving(name: str, least: int, most: int, spec: Raw) -> Raw:
    """A ModelServing; `target` in the spec names another workload than its own name."""
    target = spec.pop("target", name)
    return {
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "objective": {"interTokenLatency": {"targetMilliseconds": ITL_TARGET_MILLISECONDS}},
            "replicas": {"min": least, "max": most},
            "behavior": {"scaleDown": {"stabilizationSeconds": int(WINDOW_SECONDS), "maxStepPercent": 100}},
            **spec,
        },
    }
