"""The emulated model server over real HTTP on loopback."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from baseload.errors import ConfigError
from baseload.lab.faults import Fault
from baseload.lab.profiles import engine_profile, profile_rows
from baseload.lab.server import ReplicaServer
from baseload.sim.requests.engine import EngineProfile

MODEL = "test-model"
PROFILE = EngineProfile(5e-3, 0, 0, 1e-6, 0, cache_tokens=4096)


class Replica:
    """A started server and a client session."""

    def __init__(self, server: ReplicaServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.url = f"http://127.0.0.1:{server.port}"

    async def complete(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Ask for a completion that is not streamed."""
        body = {"model": MODEL, "prompt": [1, 2, 3], "max_tokens": 4, **fields}
        async with self.session.post(f"{self.url}/v1/completions", json=body) as response:
            return response.status, await response.json()

    async def metrics(self) -> dict[str, float]:
        """The samples of /metrics without labels other than finished_reason."""
        async with self.session.get(f"{self.url}/metrics") as response:
            assert response.status == 200
            samples = {}
            for family in text_string_to_metric_families(await response.text()):
                for sample in family.samples:
                    suffix = sample.labels.get("finished_reason") or sample.labels.get("le") or ""
                    samples[f"{sample.name}{'/' if suffix else ''}{suffix}"] = sample.value
            return samples


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    """A server with iterations of 5 ms."""
    server = ReplicaServer(model=MODEL, profile=PROFILE, host="127.0.0.1", port=0)
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield Replica(server, session)
    await server.stop()


async def test_a_stream_has_one_event_for_each_token(replica: Replica) -> None:
    """Streams carry the tokens, a finish reason, the usage that was asked for, and the end mark."""
    body = {
        "model": MODEL,
        "prompt": "a b c",
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with replica.session.post(f"{replica.url}/v1/completions", json=body) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        events = [line[6:].strip() for line in (await response.text()).splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    *tokens, usage = (json.loads(event) for event in events[:-1])
    assert [token["choices"][0]["finish_reason"] for token in tokens] == [None] * 4 + ["length"]
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


async def test_a_chat_answer_is_complete(replica: Replica) -> None:
    """Chat completions answer with a message of as many words as tokens were asked for."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello there"}], "max_completion_tokens": 3}
    async with replica.session.post(f"{replica.url}/v1/chat/completions", json=body) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"].split() == ["token"] * 3
    assert answer["usage"]["completion_tokens"] == 3


async def test_tokens_take_the_engines_time_and_no_less(replica: Replica) -> None:
    """60 tokens at 5 ms take 300 ms and, deadlines being kept, hardly more."""
    started = time.monotonic()
    await replica.complete(max_tokens=60)
    elapsed = time.monotonic() - started
    assert 0.3 <= elapsed < 0.6


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"prompt": [1, -2]}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": None}, 400, "prompt"),
        ({"max_tokens": 5000}, 400, "max_tokens"),
        ({"model": "other"}, 404, "model"),
    ],
)
async def test_bad_requests_name_the_field(replica: Replica, fields: dict[str, Any], status: int, param: str) -> None:
    """Errors have OpenAI's shape and name the field that is wrong."""
    answered, answer = await replica.complete(**fields)
    assert (answered, answer["error"]["param"], answer["error"]["code"]) == (status, param, status)
    assert answer["error"]["message"].startswith(param)


async def test_metrics_count_what_happened(replica: Replica) -> None:
    """Counters and histograms have vLLM's names and add up over requests."""
    await asyncio.gather(*(replica.complete(max_tokens=10) for _ in range(3)))
    metrics = await replica.metrics()
    assert metrics["vllm:request_success_total/length"] == 3
    assert metrics["vllm:prompt_tokens_total"] == 9
    assert metrics["vllm:generation_tokens_total"] == 30
    assert metrics["vllm:time_to_first_token_seconds_count"] == 3
    assert metrics["vllm:inter_token_latency_seconds_count"] == 27
    assert metrics["vllm:inter_token_latency_seconds_bucket/0.01"] > 0
    assert metrics["vllm:request_time_per_output_token_seconds_count"] == 3
    assert metrics["vllm:e2e_request_latency_seconds_count"] == 3
    assert metrics["vllm:request_queue_time_seconds_count"] == 3
    assert metrics["vllm:num_requests_running"] == 0
    assert metrics["vllm:num_requests_waiting"] == 0
    assert metrics["vllm:cache_config_info"] == 1


async def test_a_client_that_goes_away_frees_its_sequence(replica: Replica) -> None:
    """An aborted stream leaves neither a running sequence nor cache behind and is counted as aborted."""
    body = {"model": MODEL, "prompt": [1] * 100, "max_tokens": 3000, "stream": True}
    async with replica.session.post(f"{replica.url}/v1/completions", json=body) as response:
        await response.content.readline()
        assert replica.server.engine.running == 1
        response.close()
    async with asyncio.timeout(2):
        while replica.server.outstanding:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.01)
    assert replica.server.engine.cache_usage == 0.0
    assert (await replica.metrics())["vllm:request_success_total/abort"] == 1


async def test_faults_are_had_and_end(replica: Replica) -> None:
    """Errors answer 500 until the fault's time is over."""
    async with replica.session.post(f"{replica.url}/lab/fault", json={"kind": "error", "seconds": 0.2}) as response:
        assert response.status == 200
    assert (await replica.complete())[0] == 500
    await asyncio.sleep(0.25)
    assert (await replica.complete())[0] == 200


async def test_a_slow_replica_takes_longer(replica: Replica) -> None:
    """A factor of 4 makes 10 tokens of 5 ms take 200 ms."""
    replica.server.set_fault(Fault(kind="slow", factor=4))
    started = time.monotonic()
    await replica.complete(max_tokens=10)
    assert time.monotonic() - started >= 0.2


async def test_a_hanging_replica_never_answers(replica: Replica) -> None:
    """Completions of a hanging replica time out while its health and metrics still answer."""
    replica.server.set_fault(Fault(kind="hang"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(replica.complete(), timeout=0.3)
    assert (await replica.metrics())["vllm:num_requests_running"] == 0


async def test_stale_and_absent_metrics(replica: Replica) -> None:
    """Stale metrics stand still while requests are served; absent ones are a 404."""
    replica.server.set_fault(Fault(kind="stale-metrics"))
    await replica.complete()
    assert (await replica.metrics())["vllm:request_success_total/length"] == 0
    replica.server.set_fault(Fault(kind="no-metrics"))
    async with replica.session.get(f"{replica.url}/metrics") as response:
        assert response.status == 404


async def test_an_unknown_fault_is_refused(replica: Replica) -> None:
    """The error names the field and its value."""
    async with replica.session.post(f"{replica.url}/lab/fault", json={"kind": "melt"}) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["param"]) == (400, "kind")


async def test_a_draining_replica_finishes_and_then_refuses(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """While draining it takes requests for a moment, then answers 503; what is in progress ends well."""
    monkeypatch.setattr("baseload.lab.server.ACCEPT_WHILE_DRAINING_SECONDS", 0.1)
    running = asyncio.create_task(replica.complete(max_tokens=80))
    await asyncio.sleep(0.05)
    replica.server.begin_drain()
    assert (await replica.complete(max_tokens=1))[0] == 200
    await asyncio.sleep(0.15)
    assert not replica.server.drained
    assert (await replica.complete())[0] == 503
    assert (await running)[0] == 200
    assert replica.server.drained


def test_every_profile_row_can_be_found() -> None:
    """Rows are found by short name, by product label and by each of the model's names."""
    for row in profile_rows():
        for accelerator in (row.accelerator, *row.products):
            for model in row.names:
                assert engine_profile(accelerator, model, row.accelerators_per_replica) == row.engine_profile()


def test_an_unknown_profile_names_what_is_known() -> None:
    """The error names the value and the choices."""
    with pytest.raises(ConfigError, match=r"'gpt-9'.*meta-llama"):
        engine_profile("L40S", "gpt-9")
    with pytest.raises(ConfigError, match=r"1 x 'TPU'.*1 x L40S"):
        engine_profile("TPU", "meta-llama/Llama-3.1-8B-Instruct")
