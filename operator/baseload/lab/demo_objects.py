"""The objects of a demo: what a team with a few accelerators of its own would have in its cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import baseload
from baseload.errors import ConfigError
from baseload.lab.demo_record import Objective
from baseload.lab.nodes import node
from baseload.lab.scenario import ACCELERATORS_PER_NODE, EngineKind
from baseload.lab.served_pod import SPEED_ANNOTATION, START_UP_ANNOTATION
from baseload.lab.serving_images import LLAMA_CPP_REPOSITORY

NAMESPACE: Final = "demo"
OPERATOR_NAMESPACE: Final = "baseload-system"
OPERATOR_ACCOUNT: Final = "baseload-operator"
OPERATOR_USER: Final = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"
NAME: Final = "chat-8b"
"""Name of the Deployment, the Service and the ModelServing."""
MODEL: Final = "meta-llama/Llama-3.1-8B-Instruct"
ACCELERATOR: Final = "L40S"
PRODUCT: Final = "NVIDIA-L40S"
LABELS: Final = {"app": NAME}
POOL: Final = "owned-l40s"
DEMO_LABEL: Final = "lab.baseload.dev/demo"
"""Label of the nodes that belong to the demo."""

# Requests that one llama.cpp server answers at a time.
_LLAMA_SLOTS = 4
_NODE_LABELS = {"nvidia.com/gpu.product": PRODUCT, "baseload.dev/accelerator": ACCELERATOR, DEMO_LABEL: ""}


@dataclass(frozen=True, slots=True)
class World:
    """What the objects depend on: nodes, replicas at the start, engine, speed, objective and hold (wall seconds).

    `start_up_seconds` (wall time) None is the accelerator's own, divided by the speed.
    """

    nodes: int
    replicas: int
    engine: EngineKind
    speed: float
    objective: Objective
    stabilization_seconds: int
    start_up_seconds: float | None = None

    @property
    def accelerators(self) -> int:
        """Accelerators of all nodes."""
        return self.nodes * ACCELERATORS_PER_NODE


def cluster_objects(world: World) -> list[dict[str, Any]]:
    """Return the admin's part: the namespace and the owned nodes."""
    nodes = [node(f"gpu-{number}", _NODE_LABELS, ACCELERATORS_PER_NODE) for number in range(1, world.nodes + 1)]
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *nodes]


def workload_objects(world: World) -> list[dict[str, Any]]:
    """Return the team's own part, from the example: a Deployment of model servers and the Service before them."""
    deployment, service = (_in_namespace(document) for document in _example("deployment-vllm.yaml"))
    spec = deployment["spec"]
    spec["replicas"] = world.replicas
    annotations = {SPEED_ANNOTATION: f"{world.speed:g}"}
    if world.start_up_seconds is not None:
        annotations[START_UP_ANNOTATION] = f"{world.start_up_seconds:g}"
    spec["template"]["metadata"]["annotations"] = annotations
    if world.engine is EngineKind.LLAMA_CPP:
        container = spec["template"]["spec"]["containers"][0]
        container["image"] = f"{LLAMA_CPP_REPOSITORY}:server"
        container["args"] = ["--parallel", str(_LLAMA_SLOTS), "--metrics", "--port", "8000"]
    return [deployment, service]


def baseload_objects(world: World) -> list[dict[str, Any]]:
    """Return what hands the Deployment to Baseload, from the examples: the CapacityPool and the ModelServing."""
    (pool,) = _example("capacitypool.yaml")
    pool["spec"]["limits"] = {"minNodes": world.nodes, "maxNodes": world.nodes}
    (serving,) = (_in_namespace(document) for document in _example("modelserving.yaml"))
    spec, objective = serving["spec"], world.objective
    for name, seconds in (
        ("timeToFirstToken", objective.time_to_first_token_seconds),
        ("interTokenLatency", objective.inter_token_seconds),
    ):
        percent = round(100 * objective.attainment)
        spec["objective"][name] = {"targetMilliseconds": round(1000 * seconds), "attainmentPercent": percent}
    spec["replicas"]["max"] = world.accelerators
    spec["behavior"] = {"scaleDown": {"stabilizationSeconds": world.stabilization_seconds}}
    if world.engine is EngineKind.LLAMA_CPP:
        spec["metricsProfileName"] = "llamacpp"
    return [pool, serving]


def manifests() -> Path:
    """Return the folder of what an admin applies; ConfigError outside a clone of the repository."""
    path = Path(baseload.__file__).resolve().parents[2] / "manifests"
    if not path.is_dir():
        raise ConfigError(f"{path} is missing: run the demo from a clone of the repository")
    return path


def _example(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((manifests() / "examples" / name).read_text()))


def _in_namespace(document: dict[str, Any]) -> dict[str, Any]:
    document["metadata"]["namespace"] = NAMESPACE
    # The watches and the Service find what belongs together by it.
    document["metadata"]["labels"] = LABELS
    return document
