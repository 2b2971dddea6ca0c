"""The order of writes, their retries, the budget of statuses, and events that are counted instead of repeated."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from baseload.act.actuator import Actuator, Outcome, ScaleOrder
from baseload.act.events import EventRecorder, Notice, Subject
from baseload.act.publisher import StatusOrder, StatusPublisher, Stored
from baseload.act.writer import TokenBucket
from baseload.errors import ApiError, ConflictError, ForbiddenError, NotFoundError, UnavailableError
from baseload.plan.snapshot import ServingKey

KEY = ServingKey("team", "chat")
STORED = Stored("uid", "10", 1, b"{}")


class FakeWriter:
    """Remembers what was written; `fail` holds errors to raise, by kind of write, one each time."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.events: list[str] = []
        self.fail: dict[str, list[ApiError]] = {}
        self.fresh_workload = ("21", 2)

    def _do(self, kind: str, what: str, version: str) -> None:
        self.calls.append((kind, what, version))
        if self.fail.get(kind):
            raise self.fail[kind].pop(0)

    async def status(self, namespace: str, name: str, status: Mapping[str, Any], version: str) -> str:
        """Write a status."""
        self._do("status", name, version)
        return str(int(version) + 1)

    async def scale(self, collection: str, namespace: str, name: str, replicas: int, version: str) -> str:
        """Write a scale."""
        self._do("scale", str(replicas), version)
        return str(int(version) + 1)

    async def workload(self, collection: str, namespace: str, name: str) -> tuple[str, int]:
        """Read a workload."""
        return self.fresh_workload

    async def serving_version(self, namespace: str, name: str) -> tuple[str, str, int]:
        """Read a ModelServing."""
        return "uid", "15", 1

    async def create_event(self, namespace: str, body: Mapping[str, Any]) -> str:
        """Post an event."""
        self.events.append(body["metadata"]["name"])
        self._do("create", body["reason"], "")
        return "30"

    async def patch_event(self, namespace: str, name: str, body: Mapping[str, Any], version: str) -> str:
        """Count an event."""
        self._do("patch", str(body["series"]["count"]), version)
        return str(int(version) + 1)


def order(status: StatusOrder | None = None, replicas: int = 5) -> ScaleOrder:
    """From 2 to `replicas`, decided at version 20."""
    return ScaleOrder(KEY, "/apis/apps/v1/deployments", "chat", replicas, 2, "20", status)


def status_order(essence: tuple[object, ...] = (1,)) -> StatusOrder:
    """A status that says something new."""
    return StatusOrder(KEY, STORED, {"observedGeneration": 1}, essence)


async def test_intent_is_written_before_the_scale() -> None:
    """The status that carries the intent goes immediately before its scale."""
    writer = FakeWriter()
    outcome = await Actuator(writer, StatusPublisher(writer)).carry_out(order(status_order()))  # type: ignore[arg-type]
    assert [c[0] for c in writer.calls] == ["status", "scale"]
    assert outcome.error is None
    assert outcome.version == "21"


async def test_scale_is_not_written_without_its_intent() -> None:
    """A status that cannot be written holds its scale back."""
    writer = FakeWriter()
    writer.fail["status"] = [ForbiddenError("no right", status=403)]
    outcome = await Actuator(writer, StatusPublisher(writer)).carry_out(order(status_order()))  # type: ignore[arg-type]
    assert [c[0] for c in writer.calls] == ["status"]
    assert isinstance(outcome.error, ForbiddenError)


async def test_stale_version_is_retried_only_from_the_same_number() -> None:
    """A newer version with the same replicas is fine; another number is left to the next decision."""
    writer = FakeWriter()
    actuator = Actuator(writer, StatusPublisher(writer))  # type: ignore[arg-type]
    writer.fail["scale"] = [ConflictError("stale", status=409)]
    assert (await actuator.carry_out(order())).error is None
    assert [c[2] for c in writer.calls] == ["20", "21"]
    writer.fail["scale"] = [ConflictError("stale", status=409)]
    writer.fresh_workload = ("22", 7)
    assert isinstance((await actuator.carry_out(order())).error, ConflictError)


async def test_own_write_counts_until_the_watch_shows_it() -> None:
    """What was written is published at once; a newer version in the watch takes its place."""
    writer = FakeWriter()
    publisher = StatusPublisher(writer)  # type: ignore[arg-type]
    assert publisher.published(KEY, STORED).essence != (1,)
    await publisher.now(status_order())
    assert publisher.published(KEY, STORED).essence == (1,)
    assert publisher.published(KEY, STORED).resource_version == "11"
    newer = Stored("uid", "12", 1, orjson.dumps({"observedGeneration": 4}))
    assert publisher.published(KEY, newer).essence[0] == 4


async def test_stale_status_is_read_again_once() -> None:
    """A stale version of the ModelServing is read again and the status written against it."""
    writer = FakeWriter()
    writer.fail["status"] = [ConflictError("stale", status=409)]
    await StatusPublisher(writer).now(status_order())  # type: ignore[arg-type]
    assert [c[2] for c in writer.calls] == ["10", "15"]


async def test_background_writes_only_the_newest_status() -> None:
    """A newer status of the same serving replaces the waiting one; a refused one is not sent again and again."""
    writer = FakeWriter()
    publisher = StatusPublisher(writer)  # type: ignore[arg-type]
    writer.fail["status"] = [ApiError("invalid", status=422)]
    publisher.later(status_order((1,)))
    publisher.later(status_order((2,)))
    task = asyncio.create_task(publisher.run())
    await asyncio.sleep(0.05)
    assert len(writer.calls) == 1
    publisher.later(status_order((2,)))
    publisher.later(status_order((2,)))
    await asyncio.sleep(0.05)
    assert len(writer.calls) == 1
    publisher.later(status_order((3,)))
    await asyncio.sleep(0.05)
    assert len(writer.calls) == 2
    task.cancel()


async def test_token_bucket_keeps_its_rate() -> None:
    """After the burst the rate is the rate."""
    bucket = TokenBucket(50.0)
    began = asyncio.get_running_loop().time()
    for _ in range(60):
        await bucket.take()
    assert asyncio.get_running_loop().time() - began >= 0.15


async def record_at(recorder: EventRecorder, now: list[float], *seconds: float) -> None:
    """Record the same notice at some times after 1,000 s."""
    task = asyncio.create_task(recorder.run())
    for step in seconds:
        now[0] = 1000.0 + step
        recorder.record(Notice(Subject("team", "chat", "uid"), "DemandRose", "Scale", "1 -> 2"))
        await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()


async def test_repeated_events_are_counted() -> None:
    """The same reason for the same object within ten minutes is one event with a count, sent seldom."""
    writer, now = FakeWriter(), [1000.0]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 0.0, 1.0, 30.0, 31.0, 50.0, 2000.0)
    assert writer.calls == [
        ("create", "DemandRose", ""),
        ("patch", "3", "30"),
        ("patch", "5", "31"),
        ("create", "DemandRose", ""),
    ]


async def test_vanished_event_is_posted_again() -> None:
    """Events expire on the server, which costs nothing but a new one."""
    writer, now = FakeWriter(), [1000.0]
    writer.fail["patch"] = [NotFoundError("gone", status=404)]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 0.0, 20.0)
    assert [c[0] for c in writer.calls] == ["create", "patch", "create"]


async def test_event_that_was_not_posted_is_posted_later() -> None:
    """An API that is away costs an event and nothing else."""
    writer, now = FakeWriter(), [1000.0]
    writer.fail["create"] = [UnavailableError("away")]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 0.0, 20.0, 40.0)
    assert [c[0] for c in writer.calls] == ["create", "create", "patch"]


async def test_two_leaders_post_one_event() -> None:
    """The name follows from what is said and when, so the second is refused, and what another wrote is left alone."""
    writer, now = FakeWriter(), [1000.0]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 0.0)
    writer.fail["create"] = [ConflictError("exists", status=409)]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 5.0, 30.0)
    assert writer.events[0] == writer.events[1]
    assert [c[0] for c in writer.calls] == ["create", "create"]


async def test_event_that_somebody_changed_is_left_alone() -> None:
    """A repetition carries the version of our last write; a conflict ends the counting."""
    writer, now = FakeWriter(), [1000.0]
    writer.fail["patch"] = [ConflictError("stale", status=409)]
    await record_at(EventRecorder(writer, lambda: now[0]), now, 0.0, 20.0, 40.0)
    assert [c[0] for c in writer.calls] == ["create", "patch"]


@pytest.mark.parametrize("status", [409, 500])
async def test_one_failure_stops_no_other(status: int) -> None:
    """Orders are independent of each other."""
    writer = FakeWriter()
    writer.fail["scale"] = [ApiError("broken", status=status)]
    actuator = Actuator(writer, StatusPublisher(writer))  # type: ignore[arg-type]
    outcomes: list[Outcome] = []
    actuator.submit(order(), outcomes.append)
    actuator.submit(ScaleOrder(ServingKey("team", "other"), "Deployment", "other", 3, 1, "30", None), outcomes.append)
    async with asyncio.timeout(10):
        task = asyncio.create_task(actuator.run())
        while len(outcomes) < 2:  # noqa: ASYNC110 - another task appends
            await asyncio.sleep(0.001)
    task.cancel()
    assert [outcome.error is None for outcome in outcomes] == [False, True]


async def test_a_flood_of_events_is_dropped_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit into the queue is dropped, and one line says so."""
    recorder = EventRecorder(FakeWriter(), lambda: 1000.0)
    for number in range(3000):
        recorder.record(Notice(Subject("team", f"chat-{number}", "uid"), "DemandRose", "Scale", "1 -> 2"))
    assert [record.message for record in caplog.records] == ["events dropped"]
