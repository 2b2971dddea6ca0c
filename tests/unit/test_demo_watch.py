"""What the demo makes of the events of kubectl's watches: lives of pods, wanted replicas, decisions in words."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from baseload.lab import demo_watch
from baseload.lab.demo_watch import Cluster

START = 1_800_000_000.0


class FakeProcess:
    """A watch process that runs until a test ends it."""

    ended: int | None = None

    def poll(self) -> int | None:
        """Exit code, None while it runs."""
        return self.ended


class FakeLab:
    """Gives watches log files to read and processes that do nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, FakeProcess] = {}
        self.stopped: list[str] = []

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self.directory / name

    def popen(self, arguments: list[str], *, name: str) -> FakeProcess:
        """Pretend to start a process."""
        assert arguments[:2] == ["kubectl", "get"]
        self.processes[name] = FakeProcess()
        return self.processes[name]

    def stop(self, name: str) -> None:
        """Remember that it was stopped."""
        self.stopped.append(name)

    def say(self, name: str, kind: str, entry: dict[str, Any]) -> None:
        """Let a watch print one event as kubectl does, over several lines."""
        with self.log(name).open("a") as file:
            file.write(json.dumps({"type": kind, "object": entry}, indent=4) + "\n")


class Clock:
    """The time that the module under test reads."""

    now = START

    def time(self) -> float:
        """Unix seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only the test moves."""
    clock = Clock()
    monkeypatch.setattr(demo_watch, "time", clock)
    return clock


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    """A lab without a cluster."""
    return FakeLab(tmp_path)


def stamp(second: float) -> str:
    """A Kubernetes timestamp, cut to whole seconds."""
    return datetime.fromtimestamp(START + second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, created: float, *, ready: bool = False, ending: bool = False) -> dict[str, Any]:
    """A pod as far as the demo reads it."""
    metadata = {"name": name, "creationTimestamp": stamp(created)}
    metadata |= {"deletionTimestamp": stamp(created + 60)} if ending else {}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "spec": {"nodeName": "gpu-1"}, "status": {"conditions": conditions}}


def poll_at(cluster: Cluster, clock: Clock, second: float) -> None:
    """Poll at a second of the run."""
    clock.now = START + second
    cluster.poll()


def test_a_pod_is_followed_from_creation_until_it_is_gone(lab: FakeLab, clock: Clock) -> None:
    """It serves from ready until it is told to end, and is paid until it is gone."""
    cluster = Cluster(lab, with_serving=False)  # type: ignore[arg-type]
    poll_at(cluster, clock, 4.8)
    lab.say("demo-pods", "ADDED", pod("a", 5.2))
    poll_at(cluster, clock, 5.3)
    assert (cluster.bound, cluster.ready) == (1, 0)
    lab.say("demo-pods", "MODIFIED", pod("a", 5.2, ready=True))
    poll_at(cluster, clock, 29.0)
    assert cluster.ready == 1
    lab.say("demo-pods", "MODIFIED", pod("a", 5.2, ready=True, ending=True))
    poll_at(cluster, clock, 60.0)
    assert (cluster.bound, cluster.ready) == (1, 0)
    lab.say("demo-pods", "DELETED", pod("a", 5.2, ready=True, ending=True))
    poll_at(cluster, clock, 70.0)
    (life,) = cluster.pods()
    # The timestamp says second 5, and at the poll of 4.8 it was not there.
    assert life.created_seconds == pytest.approx(5.0)
    assert (life.ready_seconds, life.ending_seconds, life.gone_seconds) == (29.0, 60.0, 70.0)
    assert cluster.bound == 0
    cluster.stop()
    assert lab.stopped == ["demo-pods", "demo-deployment"]


def test_half_an_event_waits_for_its_end(lab: FakeLab, clock: Clock) -> None:
    """The output of kubectl may be cut anywhere."""
    cluster = Cluster(lab, with_serving=False)  # type: ignore[arg-type]
    text = json.dumps({"type": "ADDED", "object": {"spec": {"replicas": 3}}}, indent=4) + "\n"
    lab.log("demo-deployment").write_text(text[:40])
    cluster.poll()
    assert cluster.wanted == 0
    with lab.log("demo-deployment").open("a") as file:
        file.write(text[40:])
    cluster.poll()
    assert cluster.wanted == 3


def test_wanted_replicas_are_steps_within_the_run(lab: FakeLab, clock: Clock) -> None:
    """What held before second 0 is the first step; what came after the end is left out."""
    cluster = Cluster(lab, with_serving=False)  # type: ignore[arg-type]
    for second, replicas in ((0, 1), (1, 1), (10, 2), (40, 5), (200, 1)):
        lab.say("demo-deployment", "MODIFIED", {"spec": {"replicas": replicas}})
        poll_at(cluster, clock, second)
    cluster.started = START + 5
    steps = [(step.time_seconds, step.replicas) for step in cluster.steps(until=100)]
    assert steps == [(0.0, 1), (5.0, 2), (35.0, 5)]


def test_decisions_carry_the_words_of_the_operator(lab: FakeLab, clock: Clock) -> None:
    """Each entry of the history is one decision, with the message that stood beside it when it was new."""
    cluster = Cluster(lab, with_serving=True)  # type: ignore[arg-type]
    first = {"time": stamp(3), "from": 1, "to": 2, "reason": "DemandRose"}
    second = {"time": stamp(9), "from": 2, "to": 4, "reason": "ObjectiveAtRisk"}
    for history, final, message in (([first], 2, "needs 2"), ([second, first], 4, "needs 4")):
        decision = {"reason": history[0]["reason"], "message": message, "replicas": {"final": final}}
        serving = {"status": {"history": history, "lastDecision": decision}}
        lab.say("demo-modelserving", "MODIFIED", serving)
        cluster.poll()
    records = cluster.decisions(until=100)
    assert [(r.time_seconds, r.replicas_to, r.message) for r in records] == [(3.0, 2, "needs 2"), (9.0, 4, "needs 4")]
    assert cluster.last_decision["message"] == "needs 4"


def test_pods_deleted_while_a_watch_was_broken_are_gone(lab: FakeLab, clock: Clock) -> None:
    """A watch that starts again lists what there is; what it does not list is not there."""
    cluster = Cluster(lab, with_serving=False)  # type: ignore[arg-type]
    lab.say("demo-pods", "ADDED", pod("stays", 0))
    lab.say("demo-pods", "ADDED", pod("leaves", 0))
    poll_at(cluster, clock, 1)
    lab.processes["demo-pods"].ended = 1
    poll_at(cluster, clock, 2)
    lab.say("demo-pods", "ADDED", pod("stays", 0))
    poll_at(cluster, clock, 3)
    poll_at(cluster, clock, 6)
    assert {life.name: life.gone_seconds for life in cluster.pods()} == {"stays": None, "leaves": 6.0}
