"""`baseload recommend` against the lab's own Prometheus: a Deployment that nobody scales, under load for a minute."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from baseload.lab.cluster import Lab
from baseload.lab.load_plan import LoadPlan, Objective
from baseload.lab.load_results import read_outcome
from baseload.lab.nodes import node

ROOT = Path(__file__).resolve().parents[2]
POOL = ROOT / "manifests" / "examples" / "capacitypool.yaml"
LABELS = {"nvidia.com/gpu.product": "NVIDIA-L40S", "test.baseload.dev/pool": "recommend"}
RATE_RPS, PROMPT_TOKENS, OUTPUT_TOKENS = 4, 400, 100
REPLICAS = 3
LOAD_SECONDS = 40
STEP_MINUTES = 0.1


@pytest.fixture
def chat(lab: Lab, namespace: str) -> Iterator[str]:
    """Three ready replicas of the example on a node of their own; its namespace."""
    lab.apply(node("recommend-test", LABELS, 4))
    lab.kubectl("apply", "-n", namespace, "-f", str(ROOT / "manifests" / "examples" / "deployment-vllm.yaml"))
    fast = {"metadata": {"annotations": {"lab.baseload.dev/start-up-seconds": "1"}}}
    patch = {"spec": {"replicas": REPLICAS, "template": fast}}
    lab.kubectl("patch", "deployment", "chat-8b", "-n", namespace, "--type", "merge", "--patch", json.dumps(patch))
    lab.kubectl("rollout", "status", "-n", namespace, "deployment/chat-8b", "--timeout=90s")
    yield namespace
    lab.kubectl("delete", "node", "recommend-test", "--wait=false")


def load(lab: Lab, namespace: str, directory: Path) -> None:
    """Send requests to its Service for as long as the load lasts."""
    plan = LoadPlan(
        model="meta-llama/Llama-3.1-8B-Instruct",
        objective=Objective(time_to_first_token_seconds=1.0),
        requests=[(n / RATE_RPS, PROMPT_TOKENS, OUTPUT_TOKENS) for n in range(RATE_RPS * LOAD_SECONDS)],
        namespace=namespace,
        service="chat-8b",
    )
    path = directory / "plan.json"
    path.write_text(plan.model_dump_json())
    command = [sys.executable, "-m", "baseload.lab.load", "--plan", str(path), "--out", str(directory)]
    process = lab.popen(command, name="recommend-load")
    assert process.wait(timeout=LOAD_SECONDS + 90) == 0
    summary = read_outcome(directory).summary
    assert summary.completed >= 0.9 * summary.total, summary


@pytest.mark.timeout(300)
def test_the_past_of_a_workload_is_told_and_judged(lab: Lab, chat: str, tmp_path: Path) -> None:
    """Demand and replicas are those that were, a capacity is learned, money is told, and nothing is written."""
    load(lab, chat, tmp_path)
    # The last scrapes and the bucket that is running.
    time.sleep(2 * 60 * STEP_MINUTES)
    out = tmp_path / "out.json"
    before = lab.kubectl("get", "deployment", "chat-8b", "-n", chat, "-o", "jsonpath={.metadata.generation}")
    command = [sys.executable, "-m", "baseload.cli.main", "recommend", "deployment/chat-8b", "--namespace", chat]
    command += ["--prometheus", lab.prometheus_url, "--since", "3m", "--step-minutes", str(STEP_MINUTES)]
    command += ["--scrape-seconds", "2", "--lead-minutes", "0.5", "--pools", str(POOL), "--json", str(out)]
    answer = subprocess.run(
        lab.command(command), env=lab.environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "what happened" in answer.stdout
    assert "$" in answer.stdout
    assert "weekly patterns need two weeks" in answer.stdout
    content = json.loads(out.read_text())
    assert content["replicas_from"] == "the pods that were scraped"
    happened, planned = content["results"]
    assert happened["policy"] == "what happened"
    assert happened["gpu_hours"] > 0
    assert planned["policy"] == "baseload"
    # A replica of the lab's L40S carries about 4 requests a second, of 100 tokens each.
    assert 150 <= content["tokens_per_second_of_a_replica"] <= 1500
    after = lab.kubectl("get", "deployment", "chat-8b", "-n", chat, "-o", "jsonpath={.metadata.generation}")
    assert before == after
