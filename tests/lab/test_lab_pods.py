"""What the lab does with nodes and pods before any server is involved."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from baseload.lab.cluster import Lab
from baseload.lab.nodes import node

SERVING = "vllm/vllm-openai:v0.11.0"


@pytest.fixture
def gpu_node(lab: Lab) -> Iterator[str]:
    """A node with four accelerators that only pods of this module select."""
    name = "lab-pods-node"
    lab.apply(node(name, {"test": "lab-pods"}, 4))
    yield name
    lab.kubectl("delete", "node", name)


def deployment(name: str, image: str, replicas: int, *, accelerators: int = 0) -> dict[str, Any]:
    """Return a Deployment with one container port called http."""
    limits = {"resources": {"limits": {"nvidia.com/gpu": str(accelerators)}}} if accelerators else {}
    container = {"name": "model", "image": image, "ports": [{"name": "http", "containerPort": 8000}], **limits}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"nodeSelector": {"test": "lab-pods"}, "containers": [container]},
            },
        },
    }


def eventually(condition: Callable[[], bool], message: str, timeout_seconds: float = 15.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.1)


def test_plain_pods_are_ready_at_once_and_accelerators_are_counted(lab: Lab, gpu_node: str, namespace: str) -> None:
    """Pods of any image become Ready with an address; one that finds no accelerator stays Pending."""
    lab.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(deployment("plain", "nginx", 5, accelerators=1)))
    lab.kubectl(
        "wait", "-n", namespace, "deployment/plain", "--for=jsonpath={.status.readyReplicas}=4", "--timeout=20s"
    )
    pods = lab.kubectl.get("pods", "-n", namespace)["items"]
    assert sorted(pod["status"]["phase"] for pod in pods) == ["Pending"] + 4 * ["Running"]
    addresses = {pod["status"]["podIP"] for pod in pods if pod["status"]["phase"] == "Running"}
    assert len(addresses) == 4
    assert all(address.startswith("10.64.") for address in addresses)
    lab.kubectl("delete", "-n", namespace, "deployment/plain")
    eventually(lambda: not lab.kubectl.get("pods", "-n", namespace)["items"], "pods stayed after the Deployment")


def test_serving_pods_wait_for_their_server(lab: Lab, gpu_node: str, namespace: str) -> None:
    """Without the agent a serving pod has an address but is not Ready, and its object stays after deletion."""
    lab.stop("agent")
    try:
        lab.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(deployment("served", SERVING, 1)))
        eventually(lambda: _phases(lab, namespace) == ["Running"], "the serving pod does not run")
        pod = lab.kubectl.get("pods", "-n", namespace)["items"][0]
        conditions = {item["type"]: item["status"] for item in pod["status"]["conditions"]}
        assert conditions["Ready"] == "False"
        assert pod["status"]["podIP"]
        identity = {
            "namespace": namespace,
            "pod": pod["metadata"]["name"],
            "node": gpu_node,
            "baseload_workload": "Deployment/served",
        }
        eventually(lambda: identity in _targets(lab, namespace), f"Prometheus has no target {identity}")
        lab.kubectl("delete", "-n", namespace, "deployment/served")
        eventually(lambda: _terminating(lab, namespace) == 1, "the pod is not terminating")
        time.sleep(1)
        assert _terminating(lab, namespace) == 1, "KWOK deleted a serving pod"
    finally:
        lab.kubectl("delete", "pods", "-n", namespace, "--all", "--grace-period=0", "--force")
        lab.start("agent")


def _phases(lab: Lab, namespace: str) -> list[str]:
    return [pod["status"]["phase"] for pod in lab.kubectl.get("pods", "-n", namespace)["items"]]


def _terminating(lab: Lab, namespace: str) -> int:
    pods = lab.kubectl.get("pods", "-n", namespace)["items"]
    return sum("deletionTimestamp" in pod["metadata"] for pod in pods)


def _targets(lab: Lab, namespace: str) -> list[dict[str, str]]:
    """Return the identity labels of the targets that Prometheus scrapes in this namespace."""
    with urllib.request.urlopen(f"{lab.prometheus_url}/api/v1/targets?state=active", timeout=5) as response:
        targets = json.load(response)["data"]["activeTargets"]
    names = ("namespace", "pod", "node", "baseload_workload")
    found = [{name: target["labels"].get(name, "") for name in names} for target in targets]
    return [labels for labels in found if labels["namespace"] == namespace]
