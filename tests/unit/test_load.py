"""The load generator against real servers on loopback, good and bad ones."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from baseload.errors import ConfigError, LoadError
from baseload.lab.arrivals import RequestTrace, read_trace
from baseload.lab.balancer import Balancer, ready_addresses
from baseload.lab.faults import Fault
from baseload.lab.load import LoadRun, run_plan
from baseload.lab.load_plan import LoadPlan, Objective, read_plan
from baseload.lab.load_results import LoadOutcome, read_outcome, read_snapshot, summarise
from baseload.lab.server import ReplicaServer
from baseload.sim.requests.arrivals import LogNormalLengths, RateProfile, SampledLengths, poisson_requests
from baseload.sim.requests.engine import EngineProfile

OBJECTIVE = Objective(time_to_first_token_seconds=0.5, inter_token_seconds=0.05)
PROFILE = EngineProfile(5e-3, 0, 0, 1e-6, 0, cache_tokens=8192)


@pytest.fixture
async def server() -> AsyncIterator[ReplicaServer]:
    """An emulated server with iterations of 5 ms."""
    server = ReplicaServer(model="m", profile=PROFILE, host="127.0.0.1", port=0)
    await server.start()
    yield server
    await server.stop()


def plan_for(*ports: int, count: int = 10, gap_seconds: float = 0.02, timeout_seconds: float = 5.0) -> LoadPlan:
    """A plan of requests of 50 prompt and 10 output tokens."""
    return LoadPlan(
        model="m",
        objective=OBJECTIVE,
        requests=[(number * gap_seconds, 50, 10) for number in range(count)],
        addresses=[f"127.0.0.1:{port}" for port in ports],
        request_timeout_seconds=timeout_seconds,
    )


async def run(plan: LoadPlan) -> LoadOutcome:
    """Run a plan against its addresses, without files."""
    load = LoadRun(plan)
    load.balancer.set_ready(("127.0.0.1", int(address.split(":")[1])) for address in plan.addresses)
    return await load.run()


async def test_every_request_is_measured(server: ReplicaServer) -> None:
    """All requests complete with every token, none of which comes before the engine's 5 ms for each."""
    outcome = await run(plan_for(server.port))
    assert (outcome.summary.total, outcome.summary.completed, outcome.summary.attainment) == (10, 10, 1.0)
    for result in outcome.requests:
        assert (result.status, result.error, result.received_tokens) == (200, None, 10)
        assert result.inter_token_seconds is not None
        assert result.time_to_first_token_seconds is not None
        assert result.time_to_first_token_seconds >= 5e-3
        # A first token that a busy client sees late takes from the gaps what it adds to its own time.
        assert result.time_to_first_token_seconds + 9 * result.inter_token_seconds >= 0.9 * 10 * 5e-3
    assert server.metrics.prompt_tokens == 500


async def test_a_failing_server_fails_requests_once(server: ReplicaServer) -> None:
    """Errors are counted by reason and never retried."""
    server.set_fault(Fault(kind="error"))
    outcome = await run(plan_for(server.port))
    assert outcome.summary.errors == {"HTTP 500": 10}
    assert (outcome.summary.completed, outcome.summary.within_objective) == (0, 0)


async def test_a_hanging_server_does_not_hold_up_the_others(server: ReplicaServer) -> None:
    """The loop is open: requests go out on time though none is answered, and each fails at its own timeout."""
    server.set_fault(Fault(kind="hang"))
    outcome = await run(plan_for(server.port, timeout_seconds=0.4))
    assert outcome.summary.errors == {"timeout": 10}
    for number, result in enumerate(outcome.requests):
        # One after the other they would be 0.4 s apart.
        assert number * 0.02 <= result.sent_seconds + 1e-3 < number * 0.02 + 0.4
    assert outcome.summary.duration_seconds < 3.5


async def test_a_stream_that_breaks_off_has_failed(server: ReplicaServer) -> None:
    """A server that dies in the middle of a stream fails its request, tokens or not."""
    plan = plan_for(server.port, count=1).model_copy(update={"requests": [(0.0, 10, 2000)]})
    running = asyncio.create_task(run(plan))
    await asyncio.sleep(0.2)
    await server.stop()
    (result,) = (await running).requests
    assert not result.completed
    assert result.received_tokens > 0
    assert result.end_to_end_seconds is None


async def test_nobody_listening_is_an_error() -> None:
    """A refused connection is a failed request."""
    outcome = await run(plan_for(1, count=1))
    assert outcome.summary.errors == {"connect: ConnectionRefusedError": 1}


async def test_requests_wait_for_a_ready_endpoint_and_the_wait_counts(server: ReplicaServer) -> None:
    """Without a ready endpoint requests wait; the time to first token counts from the scheduled time."""
    load = LoadRun(plan_for(server.port, count=2))
    asyncio.get_running_loop().call_later(0.3, load.balancer.set_ready, [("127.0.0.1", server.port)])
    outcome = await load.run()
    assert outcome.summary.completed == 2
    first = outcome.requests[0].time_to_first_token_seconds
    assert first is not None
    assert first >= 0.3


async def test_a_request_gives_up_waiting_for_an_endpoint() -> None:
    """The wait is bounded."""
    plan = plan_for(1, count=1).model_copy(update={"endpoint_wait_seconds": 0.1})
    outcome = await LoadRun(plan).run()
    assert outcome.summary.errors == {"no ready endpoint": 1}


async def test_a_late_client_makes_the_run_invalid(server: ReplicaServer) -> None:
    """A client whose own event loop stood still measured itself: the summary says so."""
    plan = plan_for(server.port, count=3)
    running = asyncio.create_task(run(plan))
    for _ in range(3):
        await asyncio.sleep(0.02)
        time.sleep(0.2)  # noqa: ASYNC251 (stopping the loop is the point)
    outcome = await running
    assert not outcome.summary.valid
    assert outcome.summary.loop_lag_ms_p99 > 25


async def test_results_and_snapshots_are_written(server: ReplicaServer, tmp_path: Path) -> None:
    """The folder of a run holds what was measured, and the last snapshot of the live view."""
    outcome = await run_plan(plan_for(server.port, count=5, gap_seconds=0.25), tmp_path, None)
    assert read_outcome(tmp_path) == outcome
    snapshot = read_snapshot(tmp_path)
    assert snapshot is not None
    assert snapshot["started_unix_seconds"] == outcome.summary.started_unix_seconds
    assert set(snapshot) >= {"t", "offered_rps", "inflight", "p95_ttft_ms", "attainment", "completed", "failed"}


def test_a_run_without_results_is_an_error(tmp_path: Path) -> None:
    """Reading an unfinished run says so."""
    with pytest.raises(LoadError, match="has no results"):
        read_outcome(tmp_path)


def test_an_empty_run_has_a_summary() -> None:
    """No request is no failure."""
    assert summarise([], OBJECTIVE, [], started_unix_seconds=0, duration_seconds=0).attainment == 1.0


def test_the_least_loaded_endpoint_gets_the_request() -> None:
    """Requests spread evenly, and a released endpoint is next."""
    balancer = Balancer(1, lambda: None)
    assert balancer.take() is None
    balancer.set_ready([("a", 1), ("b", 1), ("c", 1)])
    taken = [balancer.take() for _ in range(6)]
    assert sorted(str(t) for t in taken) == sorted(2 * [str(a) for a in balancer.ready])
    balancer.release(("b", 1))
    assert balancer.take() == ("b", 1)


def test_only_ready_endpoints_of_the_port_are_used() -> None:
    """Terminating endpoints are not ready; an absent condition means ready."""
    endpoint_slice = {
        "ports": [{"name": "http", "port": 8000}, {"name": "admin", "port": 9000}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
            {"addresses": ["10.0.0.3"]},
        ],
    }
    assert ready_addresses(endpoint_slice, "http") == [("10.0.0.1", 8000), ("10.0.0.3", 8000)]
    assert ready_addresses(endpoint_slice, "grpc") == []


def test_poisson_arrivals_follow_the_rate_and_the_seed() -> None:
    """The same seed gives the same requests; their number follows the rate's integral."""
    profile = RateProfile(((0.0, 5.0), (100.0, 15.0)))
    lengths = LogNormalLengths(1000, 0.8, 200, 0.6)
    requests = poisson_requests(profile, lengths, 1)
    assert requests == poisson_requests(profile, lengths, 1)
    assert requests != poisson_requests(profile, lengths, 2)
    assert len(requests) == pytest.approx(1000, abs=120)
    assert sum(r.time_seconds < 50 for r in requests) == pytest.approx(375, abs=80)
    assert sum(r.prompt_tokens for r in requests) / len(requests) == pytest.approx(1000, rel=0.1)
    sampled = poisson_requests(profile, SampledLengths(((7, 8),)), 1)
    assert {(r.prompt_tokens, r.output_tokens) for r in sampled} == {(7, 8)}
    assert poisson_requests(RateProfile(((0.0, 0.0), (9.0, 0.0))), lengths, 1) == []


def test_traces_of_both_forms_are_read(tmp_path: Path) -> None:
    """A rate profile, and single requests in a gzip file with more columns."""
    rates = tmp_path / "rates.csv"
    rates.write_text("t_seconds,requests_per_second\n0,1\n10,3\n")
    profile = read_trace(rates)
    assert isinstance(profile, RateProfile)
    assert (profile.rate_at(5), profile.rate_at(99), profile.scaled(speed=2, factor=3).points[1]) == (2, 3, (5, 9))
    requests = tmp_path / "requests.csv.gz"
    requests.write_bytes(gzip.compress(b"t_s,prompt_tokens,output_tokens,x\n0.5,10,0,1\n1.5,20,7,1\n"))
    trace = read_trace(requests)
    assert isinstance(trace, RequestTrace)
    assert [(r.time_seconds, r.prompt_tokens, r.output_tokens) for r in trace.requests] == [(0.5, 10, 1), (1.5, 20, 7)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_seconds,requests_per_second\n0,1\n5,fast\n", "line 3, column requests_per_second: 'fast'"),
        ("t_seconds,requests_per_second\n0,1\n5,-1\n", "line 3, column requests_per_second: '-1'"),
        ("t_seconds,requests_per_second\n0,1\n0,2\n", "line 3, column t_seconds: 0 is not after 0"),
        ("t_seconds,requests_per_second\n0,1\n", "at least two points"),
        ("t_s,prompt_tokens,output_tokens\n1,2\n", "line 2, column output_tokens: ''"),
        ("t_s,prompt_tokens,output_tokens\n2,2,2\n1,2,2\n", "line 3, column t_s: 1 is before 2"),
        ("t_s,prompt_tokens,output_tokens\n1,nan,2\n", "line 2, column prompt_tokens: 'nan'"),
        ("t_s,prompt_tokens,output_tokens\n", "no request"),
        ("time,rate\n1,2\n", "line 1: the columns are 'time,rate'; use t_seconds"),
        ("", "line 1: the columns are 'missing'"),
    ],
)
def test_bad_traces_name_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    """The error says where the file is wrong and what was found there."""
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_trace(path)
    assert message in str(caught.value)


def test_an_unreadable_trace_is_a_config_error(tmp_path: Path) -> None:
    """An absent file and a torn gzip file are said to be so, not shown as a traceback."""
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(b"t_s,prompt_tokens,output_tokens\n" * 99)[:40])
    for path in (torn, tmp_path / "absent.csv"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_trace(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requests": []}, "requests must not be empty"),
        ({"requests": [[1, 1, 1], [0, 1, 1]]}, "in the order of their times"),
        ({"service": "s"}, "exactly one of service and addresses"),
        ({"objective": {"time_to_first_token_seconds": 0}}, "objective.time_to_first_token_seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_plans_name_the_field(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """A wrong plan file is refused before anything is sent."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**plan_for(1).model_dump(), **change}))
    with pytest.raises(ConfigError, match=message):
        read_plan(path)
