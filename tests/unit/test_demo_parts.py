"""The parts of the demo that need no cluster: options, objects, audit log, live view, tails, capacity."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from baseload.errors import ConfigError
from baseload.lab import replica_capacity
from baseload.lab.demo_audit import Write, answered, count, writes_of
from baseload.lab.demo_objects import World, baseload_objects, cluster_objects, workload_objects
from baseload.lab.demo_record import Objective
from baseload.lab.demo_watch import Tail
from baseload.lab.live import LiveView, Moment, line_of, spark
from baseload.lab.profiles import engine_profile
from baseload.lab.scenario import DemoOptions, EngineKind, nodes_for

OBJECTIVE = Objective(1.0, 0.05, 0.95)
USER = "system:serviceaccount:baseload-system:baseload-operator"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 0.0}, "--speed 0 is out of range: use a number from 0.1 to 1000"),
        ({"speed": float("nan")}, "--speed nan is out of range"),
        ({"slo_milliseconds": 5}, "--slo-ms 5 is out of range: use a number from 50 to 60000"),
        ({"peak_replicas": 0.5}, "--peak-replicas 0.5 is out of range"),
        ({"duration_seconds": 1.0}, "--duration 1 is out of range: use a number from 20 to 86400"),
        ({"policy": "static-0"}, "--policy 'static-0' is unknown: use baseload, hpa, or static-N"),
        ({"policy": "keda"}, "--policy 'keda' is unknown"),
        ({"day": 3}, "--day needs --trace and the emulated engine"),
        ({"lengths": Path("nowhere.csv")}, "--lengths 'nowhere.csv' is not a file"),
        ({"start_up_seconds": -1.0}, "--start-up-seconds -1 is out of range: use a number from 0 to 3600"),
        ({"trace": Path("nowhere.csv")}, "--trace 'nowhere.csv' is not a file"),
        ({"report": Path(__file__)}, "is a file: name a folder"),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_a_remedy(options: dict[str, object], message: str) -> None:
    """Every refused option says which, what it was and what to do."""
    with pytest.raises(ConfigError) as caught:
        DemoOptions(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_speed_divides_the_hold_and_never_the_objective() -> None:
    """At speed 10 the production default of 300 s becomes 30 s; the objective stays."""
    options = DemoOptions(speed=10.0, policy="static-3")
    assert options.stabilization_seconds == 24
    assert options.objective == OBJECTIVE
    assert options.static_replicas == 3
    assert DemoOptions().static_replicas is None


@pytest.mark.parametrize(
    ("peak", "policy", "engine", "nodes"),
    [
        (5.2, "baseload", EngineKind.EMULATED, 3),
        (12.0, "baseload", EngineKind.EMULATED, 4),
        (2.0, "static-20", EngineKind.EMULATED, 5),
        (3.0, "baseload", EngineKind.LLAMA_CPP, 1),
    ],
)
def test_there_are_nodes_for_the_peak_and_some_more(peak: float, policy: str, engine: EngineKind, nodes: int) -> None:
    """Four accelerators a node; real servers get no more than the machine can run."""
    assert nodes_for(DemoOptions(policy=policy, engine=engine), peak) == nodes


@pytest.mark.parametrize("engine", list(EngineKind))
def test_the_objects_fit_together(engine: EngineKind) -> None:
    """The Service selects the Deployment's pods, the pool its nodes, and the ModelServing names the Deployment."""
    world = World(3, 1, engine, 10.0, OBJECTIVE, 30)
    namespace, *nodes = cluster_objects(world)
    deployment, service = workload_objects(world)
    pool, serving = baseload_objects(world)
    pods = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    assert all(pool["spec"]["nodeSelector"].items() <= node["metadata"]["labels"].items() for node in nodes)
    assert serving["spec"]["targetRef"]["name"] == deployment["metadata"]["name"]
    assert serving["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert serving["spec"]["replicas"] == {"min": 1, "max": 12}
    assert pods["metadata"]["annotations"] == {"lab.baseload.dev/speed": "10"}
    assert ("metricsProfileName" in serving["spec"]) is (engine is EngineKind.LLAMA_CPP)


def audit_line(second: int, resource: str, subresource: str | None = None, **changes: object) -> str:
    """One line of the audit log."""
    entry: dict[str, object] = {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": USER},
        "objectRef": {"resource": resource, **({"subresource": subresource} if subresource else {})},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": f"2026-01-01T00:00:{second:02d}.500000Z",
    }
    return json.dumps(entry | changes)


def test_writes_are_counted_by_user_verb_and_resource(tmp_path: Path) -> None:
    """Reads, refused writes, leases, other users and a torn last line do not count."""
    lines = [
        audit_line(1, "modelservings", "status"),
        audit_line(2, "deployments", "scale"),
        audit_line(3, "events", verb="create"),
        audit_line(4, "deployments", "scale", responseStatus={"code": 409}),
        audit_line(5, "leases", verb="update"),
        audit_line(6, "pods", verb="list"),
        audit_line(7, "modelservings", "status", user={"username": "admin"}),
        audit_line(8, "deployments", "scale")[:40],
    ]
    log = tmp_path / "audit.log"
    log.write_text("\n".join(lines))
    start = 1767225600.0
    writes = writes_of(log, USER, start, start + 60)
    assert [write.resource for write in writes] == ["modelservings/status", "deployments/scale", "events"]
    counted = count(writes, start)
    assert (counted.scale, counted.status, counted.events) == (1, 1, 1)
    assert counted.scale_times_seconds == (2.5,)
    assert writes_of(log, USER, start + 2, start + 3) == [Write(start + 2.5, "patch", "deployments/scale")]


def test_a_breach_is_answered_by_the_scale_write_before_its_log_line() -> None:
    """Each breach is matched with its own write, not with an earlier or a later one."""
    assert answered([(10.0, 12.6), (30.0, 33.1)], [5.0, 12.5, 33.0, 50.0]) == (2.5, 3.0)
    assert answered([(10.0, 12.6)], []) == ()


def test_a_tail_gives_each_complete_line_once(tmp_path: Path) -> None:
    """A half-written line waits for its end."""
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_text("one\ntw")
    assert tail.lines() == ["one"]
    with path.open("a") as file:
        file.write("o\n")
    assert tail.lines() == ["two"]
    assert Tail(path, from_end=True).lines() == []


MOMENT = Moment(
    seconds=12.0,
    total_seconds=60,
    load=1.4,
    offered_rps=5.5,
    p95_milliseconds=400.0,
    attainment=0.97,
    failed=2,
    wanted=3,
    ready=2,
    free_accelerators=9,
    accelerators=12,
    decision="DemandRose: needs 3",
    demand_history=(1.0, 1.4),
    ready_history=(1, 2),
)


def test_without_a_terminal_the_view_is_plain_lines() -> None:
    """A new decision is told at once, the numbers each ten seconds."""
    console = Console(record=True, width=400, force_terminal=False)
    with LiveView(console, OBJECTIVE, "Baseload") as view:
        view.show(MOMENT)
        view.show(MOMENT)
    lines = console.export_text().splitlines()
    assert lines == ["  12 s  DemandRose: needs 3", line_of(MOMENT)]
    assert "demand 1.4 replicas, wanted 3, ready 2, first token p95 400 ms, attainment 97.0%" in lines[1]


def test_on_a_terminal_the_view_is_a_board() -> None:
    """Every number of the moment is on it."""
    console = Console(record=True, width=120, force_terminal=True)
    with LiveView(console, OBJECTIVE, "Baseload") as view:
        view.show(MOMENT)
    text = console.export_text()
    for part in ("1.4 replicas", "3 wanted, 2 ready", "400 ms", "97.0%", "9 free", "2 requests", "DemandRose"):
        assert part in text


def test_a_spark_line_fits_its_width() -> None:
    """Long histories are grouped; the highest value fills the block."""
    assert spark([], 10, 1.0) == ""
    assert spark([0.0, 1.0, 8.0], 10, 8.0) == " ▁█"
    assert len(spark([1.0] * 1000, 90, 8.0)) <= 90


def test_a_replica_keeps_its_objective_at_its_capacity_and_not_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bisection ends where the share of requests inside the objective crosses the target."""
    monkeypatch.setattr(replica_capacity, "cache_directory", lambda: tmp_path)
    profile = engine_profile("L40S", "meta-llama/Llama-3.1-8B-Instruct")
    lengths = [(600, 100), (1600, 300)]
    found = replica_capacity.capacity_rps(profile, lengths, OBJECTIVE, seed=1)
    assert 3.0 < found < 6.0
    monkeypatch.setattr(replica_capacity, "_search", lambda *_: pytest.fail("the cache was not used"))
    assert replica_capacity.capacity_rps(profile, lengths, OBJECTIVE, seed=1) == found


def test_an_objective_that_no_replica_keeps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to change."""
    monkeypatch.setattr(replica_capacity, "cache_directory", lambda: tmp_path)
    profile = engine_profile("L40S", "meta-llama/Llama-3.1-8B-Instruct")
    with pytest.raises(ConfigError, match="misses it even for a single request at a time"):
        replica_capacity.capacity_rps(profile, [(8000, 10)], Objective(0.05, 0.05, 0.95), seed=1)
