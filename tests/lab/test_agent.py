"""The lab's node agent: pods of serving images are real servers for as long as their objects live."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest

from baseload.lab import processes
from baseload.lab.cluster import Lab
from baseload.lab.load import run_plan
from baseload.lab.load_plan import LoadPlan, Objective
from baseload.lab.load_results import LoadOutcome
from baseload.lab.nodes import node

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for a condition; return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"did not happen within {seconds} s")


class Workload:
    """A Deployment of model servers with a Service, on a node of its own, in a namespace of its own."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.name = f"agent-{token_hex(3)}"
        labels = {"baseload.dev/accelerator": "L40S", "agent-test": self.name}
        lab.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}, node(self.name, labels))

    def deploy(
        self, *, image: str, arguments: list[str], annotations: dict[str, str], replicas: int = 1, grace: int = 30
    ) -> None:
        """Apply the Deployment and the Service."""
        labels = {"app": self.name}
        container = {
            "name": "server",
            "image": image,
            "args": arguments,
            "ports": [{"name": "http", "containerPort": 8000}],
            "resources": {"limits": {"nvidia.com/gpu": "1"}},
        }
        pod = {
            "nodeSelector": {"agent-test": self.name},
            "containers": [container],
            "terminationGracePeriodSeconds": grace,
        }
        template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
        metadata = {"name": "chat", "namespace": self.name}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        service = {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
        self.lab.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        )

    def vllm(self, *, replicas: int = 1, start_up: str = "0.5", model: str = MODEL, grace: int = 30) -> None:
        """Deploy emulated vLLM servers."""
        annotations = {"lab.baseload.dev/start-up-seconds": start_up}
        arguments = ["--model", model]
        self.deploy(
            image="vllm/vllm-openai:v0.14.0",
            arguments=arguments,
            annotations=annotations,
            replicas=replicas,
            grace=grace,
        )

    def pods(self) -> list[dict[str, Any]]:
        """The pod objects."""
        items = json.loads(self.lab.kubectl("get", "pods", "-n", self.name, "-o", "json"))["items"]
        assert isinstance(items, list)
        return items

    def ready(self, count: int) -> list[dict[str, Any]] | None:
        """The ready pods if there are exactly `count`."""
        pods = [pod for pod in self.pods() if condition(pod)["status"] == "True"]
        return pods if len(pods) == count else None

    def scale(self, replicas: int) -> None:
        """Scale the Deployment."""
        self.lab.kubectl("scale", "deployment/chat", "-n", self.name, f"--replicas={replicas}")

    def load(self, requests: list[tuple[float, int, int]]) -> LoadPlan:
        """A plan of requests to the Service."""
        objective = Objective(time_to_first_token_seconds=2, inter_token_seconds=0.2)
        return LoadPlan(model=MODEL, objective=objective, requests=requests, namespace=self.name, service="chat")


def condition(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod's condition Ready, or one that is Unknown."""
    conditions = pod["status"].get("conditions") or []
    return next((c for c in conditions if c["type"] == "Ready"), {"status": "Unknown"})


def get(pod: dict[str, Any], path: str) -> str:
    """GET a path of the pod's server."""
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8000{path}", timeout=5) as response:
        return response.read().decode()


@pytest.fixture
def workload(lab: Lab) -> Iterator[Workload]:
    """A namespace and a node, removed after the test."""
    workload = Workload(lab)
    yield workload
    lab.kubectl("delete", "namespace", workload.name, "--wait=false")
    lab.kubectl("delete", "node", workload.name, "--wait=false")


def test_a_pod_is_ready_after_its_start_up_time_and_serves(workload: Workload) -> None:
    """The pod runs at once, is ready when its start-up time is over, and then answers on its own address."""
    workload.vllm(start_up="3")
    until(lambda: [pod for pod in workload.pods() if pod["status"]["phase"] == "Running"])
    began = time.monotonic()
    assert not workload.ready(1)
    (pod,) = until(lambda: workload.ready(1))
    assert time.monotonic() - began > 2
    assert pod["status"]["containerStatuses"][0]["ready"]
    assert "vllm:num_requests_running" in get(pod, "/metrics")


def test_a_scale_down_under_load_fails_no_request(workload: Workload, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A pod that is deleted finishes its streams, its object staying until then, and nothing fails."""
    workload.vllm(replicas=3)
    until(lambda: workload.ready(3))
    plan = workload.load([(0.1 * number, 200, 100) for number in range(80)])

    async def run() -> LoadOutcome:
        running = asyncio.create_task(run_plan(plan, tmp_path_factory.mktemp("load"), workload.lab.kubeconfig))
        await asyncio.sleep(3)
        await asyncio.to_thread(workload.scale, 1)
        await asyncio.sleep(1)
        assert len(await asyncio.to_thread(workload.pods)) == 3
        return await running

    outcome = asyncio.run(run())
    assert outcome.summary.errors == {}
    assert outcome.summary.completed == 80
    assert len({result.endpoint for result in outcome.requests}) == 3
    until(lambda: len(workload.pods()) == 1)


def test_a_request_longer_than_the_grace_period_breaks_off(
    workload: Workload, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """When the grace period is over the server and the object go, whatever is in progress."""
    workload.vllm(grace=3)
    until(lambda: workload.ready(1))
    plan = workload.load([(0.0, 10, 2000)])

    async def run() -> LoadOutcome:
        running = asyncio.create_task(run_plan(plan, tmp_path_factory.mktemp("load"), workload.lab.kubeconfig))
        await asyncio.sleep(1)
        await asyncio.to_thread(workload.scale, 0)
        return await running

    outcome = asyncio.run(run())
    assert outcome.summary.failed == 1
    assert outcome.summary.duration_seconds < 10
    until(lambda: not workload.pods())


def test_a_model_without_profile_says_so_in_the_pods_condition(workload: Workload) -> None:
    """A pod that cannot be served stays not ready and its condition names the value and the choices."""
    workload.vllm(model="acme/unknown")
    message = until(lambda: [condition(pod)["message"] for pod in workload.pods() if "message" in condition(pod)])[0]
    assert "'acme/unknown' has no profile" in message
    assert MODEL in message


def test_pods_are_served_again_after_the_agent_and_the_api_server_restart(workload: Workload) -> None:
    """A new agent serves ready pods at once; a restart of the API server is waited out."""
    workload.vllm(start_up="4")
    (pod,) = until(lambda: workload.ready(1))
    workload.lab.restart("agent")

    def answers() -> bool:
        try:
            return get(pod, "/health") == ""
        except OSError:
            return False

    until(answers, seconds=5)
    workload.lab.restart("kube-apiserver")
    workload.scale(2)
    until(lambda: workload.ready(2))
    workload.scale(0)
    until(lambda: not workload.pods())


def test_a_llama_cpp_pod_is_a_real_server_that_ends_with_its_pod(
    workload: Workload, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A llama.cpp pod answers real completions and shows its own metrics; its process ends with the pod."""
    workload.deploy(image="ghcr.io/ggml-org/llama.cpp:server", arguments=["--parallel", "2"], annotations={})
    (pod,) = until(lambda: workload.ready(1), seconds=60)
    plan = workload.load([(0.0, 20, 20), (0.1, 20, 20), (0.2, 20, 20)])
    outcome = asyncio.run(run_plan(plan, tmp_path_factory.mktemp("load"), workload.lab.kubeconfig))
    assert outcome.summary.errors == {}
    assert [result.received_tokens for result in outcome.requests] == [20, 20, 20]
    assert "llamacpp:requests_processing" in get(pod, "/metrics")
    workload.scale(0)
    until(lambda: not workload.pods())
    with pytest.raises(OSError, match="refused"):
        get(pod, "/health")


def test_a_crashed_server_makes_its_pod_not_ready_until_it_runs_again(workload: Workload) -> None:
    """When a real server's process dies the pod is restarted in place, as a kubelet would."""
    workload.deploy(image="ghcr.io/ggml-org/llama.cpp:server", arguments=["--parallel", "1"], annotations={})
    (pod,) = until(lambda: workload.ready(1), seconds=60)
    for process in processes.marked(workload.lab.directory):
        words = process.cmdline()
        if "baseload.lab.llama" in words and pod["status"]["podIP"] in words:
            process.kill()
    until(lambda: not workload.ready(1))
    (again,) = until(lambda: workload.ready(1))
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    assert again["status"]["containerStatuses"][0]["restartCount"] == 1


def test_faults_come_by_annotation(workload: Workload) -> None:
    """A fault annotation takes effect on the running server; one that cannot be read is ignored."""
    workload.vllm()
    (pod,) = until(lambda: workload.ready(1))

    def annotate(text: str) -> None:
        workload.lab.kubectl(
            "annotate",
            "pod",
            pod["metadata"]["name"],
            "-n",
            workload.name,
            "--overwrite",
            f"lab.baseload.dev/fault={text}",
        )

    def metrics_absent() -> bool:
        try:
            get(pod, "/metrics")
        except OSError:
            return True
        return False

    annotate('{"kind": "melt"}')
    annotate('{"kind": "no-metrics"}')
    until(metrics_absent, seconds=5)
    annotate('{"kind": "none"}')
    until(lambda: not metrics_absent(), seconds=5)
