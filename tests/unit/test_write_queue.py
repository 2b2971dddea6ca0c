"""Writes under load: scale before status, and servings whose writes hang or fail hold up nobody else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from baseload.act import publisher as publisher_module
from baseload.act.actuator import WORKERS as SCALE_WORKERS
from baseload.act.actuator import Actuator, Outcome, ScaleOrder
from baseload.act.publisher import StatusOrder, StatusPublisher, Stored
from baseload.act.write_queue import SLOW_LANES, WriteQueue
from baseload.errors import ApiError, UnavailableError
from baseload.plan.snapshot import ServingKey


class FakeWriter:
    """Takes every write, except for servings that hang or fail; `log` says what was written in which order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.hanging: set[str] = set()
        self.failing: set[str] = set()
        self.under_way: Counter[str] = Counter()
        self.most_slow = 0
        self.release = asyncio.Event()

    async def status(self, namespace: str, name: str, status: Any, version: str) -> str:
        """Write a status."""
        await self._write("status", name)
        return str(int(version) + 1)

    async def scale(self, kind: str, namespace: str, name: str, replicas: int, version: str) -> None:
        """Write a scale."""
        await self._write("scale", name)

    async def _write(self, kind: str, name: str) -> None:
        self.under_way[name] += 1
        slow = self.hanging | self.failing
        self.most_slow = max(self.most_slow, sum(self.under_way[n] for n in slow))
        try:
            await asyncio.sleep(0)
            if name in self.hanging:
                await self.release.wait()
                raise UnavailableError("timed out")
            if name in self.failing:
                raise UnavailableError("500", status=500)
        finally:
            self.under_way[name] -= 1
        self.log.append((kind, name))


def key(name: str) -> ServingKey:
    """A serving."""
    return ServingKey("team", name)


def scale_order(name: str, *, intent: bool = False) -> ScaleOrder:
    """A scale of one serving."""
    return ScaleOrder(key(name), "Deployment", name, 5, 2, "20", status_order(name) if intent else None)


def status_order(name: str) -> StatusOrder:
    """A status of one serving."""
    return StatusOrder(key(name), Stored(name, "10", 1, b"{}"), {"observedGeneration": 1}, (name,))


@asynccontextmanager
async def at_work(*parts: Any) -> AsyncIterator[None]:
    """Run the workers of some parts meanwhile."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(look: Callable[[], bool]) -> None:
    """Let the workers work until a look says yes."""
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - what is waited for happens in other tasks
            await asyncio.sleep(0.001)


async def test_scale_writes_go_before_statuses() -> None:
    """With hundreds of statuses waiting, every scale write and its intent comes before the next of them."""
    writer: Any = FakeWriter()
    publisher = StatusPublisher(writer)
    actuator = Actuator(writer, publisher)
    for number in range(300):
        publisher.later(status_order(f"calm-{number}"))
    async with at_work(publisher, actuator):
        await until(lambda: len(writer.log) >= 20)
        before = len(writer.log)
        done: list[Outcome] = []
        for number in range(60):
            actuator.submit(scale_order(f"busy-{number}", intent=True), done.append)
        await until(lambda: len(done) == 60)
    newer = writer.log[before:]
    scales = [index for index, (kind, _) in enumerate(newer) if kind == "scale"]
    # While the last ones are being written none waits any more, and statuses may go on.
    none_waits = scales[len(scales) - SCALE_WORKERS - 1]
    calm = [name for _, name in newer[:none_waits] if name.startswith("calm")]
    # Those whose worker had passed the gate already, and no others.
    assert len(calm) <= publisher_module.WORKERS
    assert all(outcome.error is None for outcome in done)


async def test_hanging_and_failing_servings_hold_up_nobody() -> None:
    """Many servings whose scale writes hang share few workers; the others are written and the order of each kept."""
    writer: Any = FakeWriter()
    writer.hanging = {f"stuck-{number}" for number in range(40)}
    actuator = Actuator(writer, StatusPublisher(writer))
    async with at_work(actuator):
        # Known to fail since their first, quick failure.
        writer.release.set()
        failed: list[Outcome] = []
        for name in sorted(writer.hanging):
            actuator.submit(scale_order(name), failed.append)
        await until(lambda: len(failed) == 40)
        writer.release.clear()
        writer.most_slow = 0
        for name in sorted(writer.hanging):
            actuator.submit(scale_order(name), failed.append)
        done: list[Outcome] = []
        for number in range(100):
            actuator.submit(scale_order(f"fine-{number}"), done.append)
        await until(lambda: len(done) == 100)
        assert writer.most_slow <= SLOW_LANES
        assert len(failed) == 40


async def test_statuses_that_always_fail_hold_up_no_other() -> None:
    """Servings whose status write fails each time are tried again beside the others, not before them."""
    writer: Any = FakeWriter()
    writer.failing = {f"broken-{number}" for number in range(30)}
    publisher = StatusPublisher(writer)
    async with at_work(publisher):
        for name in sorted(writer.failing):
            publisher.later(status_order(name))
        for number in range(30):
            publisher.later(status_order(f"fine-{number}"))
        await until(lambda: len(writer.log) == 30)
    assert {name for _, name in writer.log} == {f"fine-{number}" for number in range(30)}


async def test_a_newer_order_takes_the_place_of_a_waiting_one() -> None:
    """Of two orders of one serving only the newer is carried out, in the older one's place; a withdrawn one is not."""
    queue: WriteQueue[str] = WriteQueue()
    for name, order in (("a", "old"), ("b", "b"), ("c", "c"), ("a", "new")):
        queue.put(key(name), order)
    queue.drop(key("b"))
    assert not queue.caught_up.is_set()
    assert queue.pick() == (key("a"), "new")
    queue.put(key("a"), "ignored while under way")
    assert queue.pick() == (key("c"), "c")
    assert queue.pick() is None
    assert queue.caught_up.is_set()
    queue.done(key("a"), failed=False)
    assert not queue.is_under_way(key("a"))


async def test_a_stop_lets_writes_in_progress_end() -> None:
    """At the end what waits is dropped and what is under way is waited for."""
    writer: Any = FakeWriter()
    writer.hanging = {"slow"}
    actuator = Actuator(writer, StatusPublisher(writer))
    outcomes: list[Outcome] = []
    async with at_work(actuator):
        actuator.submit(scale_order("slow"), outcomes.append)
        await until(lambda: actuator.is_under_way(key("slow")))
        ending = asyncio.create_task(actuator.finish())
        await asyncio.sleep(0.05)
        assert not ending.done()
        writer.release.set()
        await asyncio.wait_for(ending, 10)
    assert [isinstance(outcome.error, ApiError) for outcome in outcomes] == [True]
