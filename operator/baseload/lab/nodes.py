"""Manifests of simulated nodes with accelerators."""

from collections.abc import Mapping
from typing import Any


def node(
    name: str,
    labels: Mapping[str, str] | None = None,
    accelerators: int = 8,
    *,
    resource: str = "nvidia.com/gpu",
) -> dict[str, Any]:
    """Return the manifest of a node that KWOK keeps Ready, with `accelerators` allocatable units of `resource`."""
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110", **({resource: str(accelerators)} if accelerators else {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **(labels or {}),
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "status": {"capacity": capacity, "allocatable": capacity},
    }
