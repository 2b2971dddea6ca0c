"""Kinds that an admin may let the operator scale: one of nobody's, with odd paths, and the LeaderWorkerSet."""

from typing import Any

from operator_lab import wait_until

from baseload.errors import LabError
from baseload.lab.cluster import Lab

GROUP, VERSION = "example.com", "v1"
WIDGET = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Widget"}


def widget(namespace: str, name: str, count: int = 1) -> dict[str, Any]:
    """A Widget; nothing acts on it, so its status stays what a test writes."""
    return {**WIDGET, "metadata": {"namespace": namespace, "name": name}, "spec": {"scaling": {"count": count}}}


def widget_crd(*, scale: bool = True) -> dict[str, Any]:
    """The CRD of Widgets; `scale` whether it has the subresource."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    paths = {"specReplicasPath": ".spec.scaling.count", "statusReplicasPath": ".status.running"}
    subresources: dict[str, Any] = {"status": {}, **({"scale": paths} if scale else {})}
    count = {"type": "object", "properties": {"count": {"type": "integer"}}}
    fields = {"spec": {"type": "object", "properties": {"scaling": count}}, "status": anything}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}},
                }
            ],
        },
    }


def wait_served(lab: Lab, resource: str) -> None:
    """Wait until the API server serves a kind whose CRD was just applied: its conditions come later than itself."""

    def listed() -> bool:
        try:
            lab.kubectl("get", resource, "--all-namespaces")
        except LabError:
            return False
        return True

    wait_until(listed, f"{resource} to be served", 30.0)


LEADER_WORKER_SET = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet"}


def leader_worker_set(namespace: str, name: str, node_selector: dict[str, str], size: int = 2) -> dict[str, Any]:
    """One group of pods that are Ready at once; each holds two accelerators and has a port to be scraped at."""
    container = {
        "name": "server",
        "image": "example.org/plain:1",
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"limits": {"nvidia.com/gpu": "2"}},
    }
    pod = {"nodeSelector": node_selector, "terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"annotations": {"prometheus.io/scrape": "true"}}, "spec": pod}
    return {
        **LEADER_WORKER_SET,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": size, "workerTemplate": template}},
    }
