"""The lab's Prometheus configuration: serving pods with their workload's identity, and the operator."""

from typing import Any

from baseload.lab.certificates import Pki
from baseload.lab.serving_images import SERVING_IMAGES

# Prometheus anchors its patterns itself.
_IMAGES = SERVING_IMAGES.removeprefix("^").removesuffix("$")


def prometheus_config(*, api_url: str, pki: Pki, scrape_seconds: int, operator_port: int) -> dict[str, Any]:
    """Return prometheus.yml as a dict.

    Job `serving` scrapes every container port named `http` of pods that run a serving image or carry the annotation
    prometheus.io/scrape: "true", with the labels namespace, pod, node and baseload_workload. Job `baseload` scrapes
    the operator on 127.0.0.1.
    """
    return {
        "global": {"scrape_interval": f"{scrape_seconds}s", "scrape_timeout": f"{scrape_seconds}s"},
        "scrape_configs": [
            {
                "job_name": "serving",
                "kubernetes_sd_configs": [
                    {
                        "role": "pod",
                        "api_server": api_url,
                        "tls_config": {
                            "ca_file": str(pki.authority),
                            "cert_file": str(pki.certificate("prometheus")),
                            "key_file": str(pki.key("prometheus")),
                        },
                    }
                ],
                "relabel_configs": serving_relabel_configs(),
            },
            {
                "job_name": "baseload",
                "static_configs": [{"targets": [f"127.0.0.1:{operator_port}"]}],
            },
        ],
    }


def serving_relabel_configs() -> list[dict[str, Any]]:
    """Return the rules that choose serving pods and put their identity on every series.

    `baseload_workload` is Kind/name of the pod's controller; for a ReplicaSet made by a Deployment (its pods carry the
    label pod-template-hash) it is the Deployment, whose name is the ReplicaSet's without the hash; for the StatefulSets
    of a LeaderWorkerSet, of which each group has one of its own, it is the set that the pod's label names.
    """
    pod = "__meta_kubernetes_pod_"
    return [
        {"source_labels": [f"{pod}container_port_name"], "regex": "http", "action": "keep"},
        {
            "source_labels": [f"{pod}annotation_prometheus_io_scrape", f"{pod}container_image"],
            "regex": f"true;.*|.*;{_IMAGES}",
            "action": "keep",
        },
        {"source_labels": [f"{pod}phase"], "regex": "Succeeded|Failed", "action": "drop"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{pod}name"], "target_label": "pod"},
        {"source_labels": [f"{pod}node_name"], "target_label": "node"},
        *_workload_relabel_configs(pod),
    ]


def _workload_relabel_configs(pod: str) -> list[dict[str, Any]]:
    """Return the rules that set `baseload_workload`; the last that matches counts."""
    return [
        {
            "source_labels": [f"{pod}controller_kind", f"{pod}controller_name"],
            "regex": "(.+);(.+)",
            "replacement": "$1/$2",
            "target_label": "baseload_workload",
        },
        {
            "source_labels": [
                f"{pod}controller_kind",
                f"{pod}labelpresent_pod_template_hash",
                f"{pod}controller_name",
            ],
            "regex": "ReplicaSet;true;(.+)-[^-]+",
            "replacement": "Deployment/$1",
            "target_label": "baseload_workload",
        },
        {
            "source_labels": [f"{pod}controller_kind", f"{pod}label_leaderworkerset_sigs_k8s_io_name"],
            "regex": "StatefulSet;(.+)",
            "replacement": "LeaderWorkerSet/$1",
            "target_label": "baseload_workload",
        },
    ]
