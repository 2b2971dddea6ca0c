"""What the node agent reads out of a pod object."""

from typing import Any

import pytest

from baseload.errors import ConfigError
from baseload.lab.faults import Fault
from baseload.lab.served_pod import ServedPod, served


def pod(
    *, image: str = "vllm/vllm-openai:v0.14.0", annotations: dict[str, str] | None = None, **container: Any
) -> ServedPod:
    """A pod with one container."""
    metadata = {"name": "p", "namespace": "n", "uid": "u", "annotations": annotations or {}}
    return ServedPod({"metadata": metadata, "spec": {"containers": [{"image": image, **container}]}, "status": {}})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("vllm/vllm-openai", True),
        ("docker.io/vllm/vllm-openai:v0.14.0", True),
        ("vllm/vllm-openai@sha256:00", True),
        ("ghcr.io/ggml-org/llama.cpp:server", True),
        ("ghcr.io/ggml-org/llamaxcpp:server", False),
        ("example.com/vllm/vllm-openai", False),
        ("nginx", False),
    ],
)
def test_only_serving_images_are_served(image: str, *, expected: bool) -> None:
    """The image's repository decides."""
    assert served(pod(image=image).raw) is expected


@pytest.mark.parametrize(
    "words", [["--model", "x"], ["--model=x"], ["vllm", "serve", "x", "--port", "1"], ["serve", "x"]]
)
def test_the_model_is_read_from_the_command_line(words: list[str]) -> None:
    """Both ways of naming a model are understood, in command or arguments."""
    assert pod(args=words).model == "x"
    assert pod(command=words).model == "x"


def test_a_pod_without_a_model_says_so() -> None:
    """The error tells what to add."""
    with pytest.raises(ConfigError, match="add --model NAME"):
        _ = pod(args=["--port", "8000"]).model


def test_ports_and_accelerators() -> None:
    """The port named http counts, else 8000; extended resources are accelerators."""
    ports = [{"name": "admin", "containerPort": 1}, {"name": "http", "containerPort": 9000}]
    limits = {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4"}
    assert (pod(ports=ports).port, pod().port) == (9000, 8000)
    assert (pod(resources={"limits": limits}).accelerators, pod().accelerators) == (4, 1)


def test_annotations_set_start_up_and_faults() -> None:
    """Speed, a fixed start-up time and a fault are read."""
    annotated = pod(
        annotations={
            "lab.baseload.dev/speed": "10",
            "lab.baseload.dev/start-up-seconds": "0",
            "lab.baseload.dev/fault": '{"kind": "slow", "factor": 3}',
        }
    )
    assert (annotated.speed, annotated.start_up_seconds, annotated.fault) == (10.0, 0.0, Fault(kind="slow", factor=3))
    assert (pod().speed, pod().start_up_seconds, pod().fault.kind) == (1.0, None, "none")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [("speed", "0"), ("speed", "fast"), ("speed", "nan"), ("start-up-seconds", "-1"), ("fault", "slow")],
)
def test_wrong_annotations_are_named(annotation: str, text: str) -> None:
    """The error names the annotation and its value."""
    wrong = pod(annotations={f"lab.baseload.dev/{annotation}": text})
    with pytest.raises(ConfigError, match=rf"lab.baseload.dev/{annotation}: '{text}'"):
        _ = (wrong.speed, wrong.start_up_seconds, wrong.fault)


def test_wrong_numbers_in_arguments_are_named() -> None:
    """Limits of the scheduler are checked."""
    assert pod(args=["--max-num-seqs", "8"]).number("max-num-seqs", 256) == 8
    with pytest.raises(ConfigError, match="--max-num-seqs 'many'"):
        pod(args=["--max-num-seqs=many"]).number("max-num-seqs", 256)
