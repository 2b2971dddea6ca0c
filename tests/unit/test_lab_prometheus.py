"""Which pods the lab's Prometheus scrapes and what identity their series get."""

import re
from pathlib import Path

import pytest

from baseload.lab.certificates import Pki
from baseload.lab.components import kwok_stages
from baseload.lab.prometheus import prometheus_config, serving_relabel_configs
from baseload.lab.serving_images import SERVING_IMAGES

PREFIX = "__meta_kubernetes_"
POD = {
    "namespace": "team-a",
    "pod_name": "chat-8b-6f79-x2x4z",
    "pod_node_name": "gpu-1",
    "pod_phase": "Running",
    "pod_container_port_name": "http",
    "pod_container_image": "vllm/vllm-openai:v0.11.0",
    "pod_controller_kind": "ReplicaSet",
    "pod_controller_name": "chat-8b-6f79",
    "pod_labelpresent_pod_template_hash": "true",
}


def relabel(meta: dict[str, str]) -> dict[str, str] | None:
    """Apply the rules as Prometheus does (anchored patterns, values joined by ';'); None when the target is dropped."""
    labels = {f"{PREFIX}{key}": value for key, value in meta.items()}
    for rule in serving_relabel_configs():
        value = ";".join(labels.get(name, "") for name in rule["source_labels"])
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        action = rule.get("action", "replace")
        if (action == "keep" and not match) or (action == "drop" and match):
            return None
        if action == "replace" and match:
            replacement = rule.get("replacement", "$1").replace("$", "\\")
            labels[rule["target_label"]] = match.expand(replacement)
    return {key: value for key, value in labels.items() if not key.startswith("__")}


def test_a_deployment_pod_carries_its_deployment() -> None:
    """A pod of a Deployment's ReplicaSet is labelled with the Deployment, not with a guess from the pod's name."""
    assert relabel(POD) == {
        "namespace": "team-a",
        "pod": "chat-8b-6f79-x2x4z",
        "node": "gpu-1",
        "baseload_workload": "Deployment/chat-8b",
    }


@pytest.mark.parametrize(
    ("change", "workload"),
    [
        ({"pod_controller_kind": "StatefulSet", "pod_controller_name": "chat-8b-1"}, "StatefulSet/chat-8b-1"),
        ({"pod_labelpresent_pod_template_hash": ""}, "ReplicaSet/chat-8b-6f79"),
        ({"pod_controller_kind": "", "pod_controller_name": ""}, None),
        (
            {
                "pod_controller_kind": "StatefulSet",
                "pod_controller_name": "chat-1",
                "pod_label_leaderworkerset_sigs_k8s_io_name": "chat",
            },
            "LeaderWorkerSet/chat",
        ),
    ],
)
def test_other_controllers_keep_their_own_name(change: dict[str, str], workload: str | None) -> None:
    """Other kinds, a ReplicaSet without a Deployment, and a bare pod are not mistaken for a Deployment's."""
    labels = relabel(POD | change)
    assert labels is not None
    assert labels.get("baseload_workload") == workload


@pytest.mark.parametrize(
    "change",
    [
        {"pod_container_port_name": "metrics"},
        {"pod_container_image": "nginx:1"},
        {"pod_container_image": "example.com/vllm/vllm-openai-exporter:1"},
        {"pod_phase": "Failed"},
    ],
)
def test_other_pods_are_not_scraped(change: dict[str, str]) -> None:
    """Other ports, images that are not served, and ended pods are left out."""
    assert relabel(POD | change) is None


def test_the_annotation_adds_a_pod() -> None:
    """A pod with another image is scraped when it asks for it."""
    assert relabel(POD | {"pod_container_image": "nginx:1", "pod_annotation_prometheus_io_scrape": "true"}) is not None


@pytest.mark.parametrize(
    ("image", "served"),
    [
        ("vllm/vllm-openai", True),
        ("vllm/vllm-openai:v0.11.0", True),
        ("docker.io/vllm/vllm-openai@sha256:0", True),
        ("ghcr.io/ggml-org/llama.cpp:server", True),
        ("ghcr.io/ggml-org/llamaXcpp", False),
        ("vllm/vllm-openai-other:1", False),
        ("nginx", False),
    ],
)
def test_serving_images(image: str, served: bool) -> None:
    """The pattern accepts every reference to the two repositories and nothing that only looks alike."""
    assert bool(re.search(SERVING_IMAGES, image)) is served


def test_stages_carry_the_pattern() -> None:
    """KWOK's stages are told the same pattern, and no placeholder is left."""
    assert "@SERVING_IMAGES@" not in kwok_stages()
    assert kwok_stages().count(SERVING_IMAGES) == 3


def test_scrape_settings() -> None:
    """The interval is the one asked for, and the operator is scraped on its port."""
    config = prometheus_config(
        api_url="https://127.0.0.1:1", pki=Pki(Path("pki")), scrape_seconds=7, operator_port=8081
    )
    assert config["global"] == {"scrape_interval": "7s", "scrape_timeout": "7s"}
    assert config["scrape_configs"][1]["static_configs"] == [{"targets": ["127.0.0.1:8081"]}]
