"""The HPA path in the lab: the real controller scales on what prometheus-adapter reads from the lab's Prometheus."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operator_lab import wait_until

from baseload.errors import LabError
from baseload.lab import prometheus_adapter
from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import ACCELERATOR, PRODUCT, manifests
from baseload.lab.hpa import HpaSettings, hpa
from baseload.lab.kubectl import Kubectl
from baseload.lab.load_plan import LoadPlan, Objective
from baseload.lab.nodes import node
from baseload.lab.served_pod import START_UP_ANNOTATION

NAME = "chat-8b"
NODE = "hpa-test-1"
VALUE = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/{}/pods/*/" + prometheus_adapter.IN_FLIGHT


@pytest.fixture
def adapter(lab: Lab) -> Iterator[None]:
    """prometheus-adapter behind the lab's API server, and a node for its pods; both gone afterwards."""
    if not prometheus_adapter.available():
        pytest.skip(
            "prometheus-adapter is not built: `make test` and `baseload lab up --with prometheus-adapter` do it"
        )
    lab.apply(node(NODE, {"nvidia.com/gpu.product": PRODUCT, "baseload.dev/accelerator": ACCELERATOR}, 4))
    prometheus_adapter.start(lab)
    yield
    prometheus_adapter.stop(lab)
    lab.kubectl("delete", "node", NODE)


def in_flight(cluster: Kubectl, namespace: str) -> float:
    """The sum of the metric over the namespace's pods; 0 while there is none."""
    try:
        items = json.loads(cluster("get", "--raw", VALUE.format(namespace)))["items"]
    except LabError:
        return 0.0
    return sum(float(item["value"].removesuffix("m")) / (1000 if item["value"].endswith("m") else 1) for item in items)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("adapter")
def test_the_hpa_scales_on_requests_in_flight(lab: Lab, cluster: Kubectl, namespace: str, tmp_path: Path) -> None:
    """Eight long requests on one replica, two wanted per replica: it goes up to all it may have."""
    example = (manifests() / "examples" / "deployment-vllm.yaml").read_text()
    example = example.replace(
        "    metadata:\n", f"    metadata:\n      annotations: {{{START_UP_ANNOTATION}: '0'}}\n", 1
    )
    cluster("apply", "-n", namespace, "-f", "-", stdin=example)
    # The controller first looks at an HPA one period after it has come: 15 s.
    cluster.apply(hpa(NAME, namespace, {}, HpaSettings(2.0, 3, 300, lab.hpa_sync_seconds)))
    wait_until(lambda: cluster.get("deployment", NAME, "-n", namespace)["status"].get("readyReplicas"), "a replica")
    plan = LoadPlan(
        model="meta-llama/Llama-3.1-8B-Instruct",
        objective=Objective(time_to_first_token_seconds=1.0, inter_token_seconds=None),
        requests=[(0.0, 100, 4000)] * 8,
        namespace=namespace,
        service=NAME,
    )
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    command = [sys.executable, "-m", "baseload.lab.load", "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path)]
    lab.popen(command, name="hpa-load")
    wait_until(lambda: in_flight(cluster, namespace) == 8, "the requests as a custom metric", 30.0)
    wait_until(
        lambda: cluster.get("deployment", NAME, "-n", namespace)["spec"]["replicas"] == 3, "three replicas", 40.0
    )
    lab.stop("hpa-load")
