"""The planner beside the tick: who gets an outlook and when, from which demand, lead and cost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds

from baseload.control.foreseeing import lead_seconds, penalty_of
from baseload.control.metrics import OperatorMetrics
from baseload.control.planning import GROUP, Planner, PlannerSettings
from baseload.control.servings import ServingRecord
from baseload.errors import MetricsError
from baseload.observe.fleet import SignalRequest
from baseload.observe.history import Past, Slice
from baseload.plan.forecast.demand_block import Grid
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Answer, Outlook
from baseload.plan.pool_offer import NO_SETTINGS, Economics, PoolOffer
from baseload.plan.signals import Missing, NoTraffic
from baseload.plan.snapshot import PoolState, ServingKey, ServingState

GRID = Grid(bucket_seconds=60.0, buckets_per_day=24)
"""A day of 24 minutes, so that days of history are few numbers."""

DAYS = 6
CHAT = ServingKey("default", "chat")


class Servings:
    """The records of some servings."""

    def __init__(self, *keys: ServingKey) -> None:
        self.records: dict[ServingKey, ServingRecord] = {}
        for key in keys:
            self.add(key)

    def add(self, key: ServingKey, **changes: Any) -> None:
        """One more serving, looked at and learned of."""
        state = worlds.state(**changes)
        record = ServingRecord(uid="u", memory=state.memory, looked=replace(state, key=key))
        self.records[key] = record

    def requests(self) -> list[SignalRequest]:
        """What to ask of each."""
        return [SignalRequest(key, "Deployment", key.name, "vllm") for key in self.records]

    def outlook(self, key: ServingKey = CHAT) -> Outlook | None:
        """What is foreseen for one."""
        return self.records[key].outlook


class Reader:
    """A past that is the same day after day: a wave with its top in the middle of the day, or nothing."""

    def __init__(self, days: int = DAYS) -> None:
        self.days = days
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.read_for: list[set[ServingKey]] = []

    async def read(self, requests: Sequence[SignalRequest], whole: Slice, patience: int) -> AsyncIterator[Past]:
        """The last days, in one slice."""
        self.read_for.append({request.key for request in requests})
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        part = Slice(whole.end - self.days * GRID.buckets_per_day, whole.end)
        day = 3000.0 - 2000.0 * np.cos(2 * np.pi * np.arange(part.first, part.end) / GRID.buckets_per_day)
        yield Past(part, {request.key: day for request in requests})


class World:
    """A planner with a clock of its own that leads from the start."""

    def __init__(self, *keys: ServingKey, reader: Reader | None = None, given: Past | None = None) -> None:
        self.now = 1_000_000 * GRID.buckets_per_day * GRID.bucket_seconds
        self.servings: Any = Servings(*(keys or (CHAT,)))
        self.reader: Any = reader or Reader()
        self.metrics = OperatorMetrics()
        leading = asyncio.Event()
        leading.set()
        self.planner = Planner(
            self.servings,
            self.reader,
            PlannerSettings(GRID, period_seconds=0.02, given=given),
            economics=NO_SETTINGS,
            lag_seconds=5.0,
            leading=leading,
            metrics=self.metrics.planner,
            clock=lambda: self.now,
        )

    def tick(self, seconds: float = 5.0, rps: float = 5.0, **changes: Any) -> None:
        """Some time passes, and the signals of all servings are read."""
        self.now += seconds
        self.planner.observe({key: worlds.signals(rps, **changes) for key in self.servings.records}, self.now)

    async def until(self, *keys: ServingKey) -> None:
        """Plan until servings have an outlook."""
        await self._run_until(lambda: all(self.servings.outlook(key) for key in keys or (CHAT,)))

    async def rounds(self, count: int = 3) -> None:
        """Let the planner do some rounds, each of which is counted."""
        end = self.done() + count
        await self._run_until(lambda: self.done() >= end)

    async def _run_until(self, is_over: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.planner.run())
        try:
            async with asyncio.timeout(60):
                while not is_over():  # noqa: ASYNC110 - what is waited for is made in a thread
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def done(self) -> float:
        """Rounds that ended."""
        return self.metrics.registry.get_sample_value("baseload_planner_seconds_count") or 0.0

    def gauge(self, name: str) -> float | None:
        """A metric of the planner."""
        return self.metrics.registry.get_sample_value(name)


async def test_a_known_day_gives_an_outlook() -> None:
    """With six equal days the rise that comes is in the levels before it is in the rate."""
    world = World()
    world.tick()
    world.tick()
    await world.until()
    found = world.servings.outlook()
    assert found.answered_by is Answer.MIXTURE
    assert found.seen_until <= world.now
    assert found.valid_until > found.time
    # It is the lowest point of the day, at 1,000 tokens a second, and one replica takes half a minute.
    assert 1000.0 < found.order < 2500.0
    assert found.horizon_seconds == 2 * GRID.bucket_seconds
    assert found.band.low <= found.band.median <= found.band.high
    assert (world.gauge("baseload_servings_planned"), world.gauge("baseload_servings_reactive")) == (1.0, 0.0)
    assert world.gauge("baseload_planner_last_round_time_seconds") == world.now


async def test_without_history_the_answer_is_reactive() -> None:
    """A new serving is told apart: what was seen for less than an hour is not followed."""
    world = World(reader=Reader(days=0))
    for _ in range(30):
        world.tick()
    await world.until()
    assert world.servings.outlook().answered_by is Answer.REACTIVE
    assert (world.gauge("baseload_servings_planned"), world.gauge("baseload_servings_reactive")) == (0.0, 1.0)


async def test_a_serving_without_a_known_capacity_is_not_planned() -> None:
    """Levels of demand are no replicas before one knows what a replica does."""
    world = World()
    world.servings.records[CHAT].memory = ServingMemory()
    world.tick()
    await world.rounds()
    assert world.servings.outlook() is None


async def test_a_serving_that_comes_later_is_read_and_planned() -> None:
    """Its past is asked for alone, and the others keep their outlooks meanwhile."""
    world, late = World(), ServingKey("default", "late")
    world.tick()
    await world.until()
    world.servings.add(late)
    world.tick()
    await world.until(CHAT, late)
    assert world.reader.read_for == [{CHAT}, {late}]


@pytest.mark.parametrize("failure", [MetricsError("refused"), ValueError("a bug of ours")])
async def test_a_prometheus_without_a_past_does_not_stop_the_planner(failure: Exception) -> None:
    """What cannot be read is tried again, and the serving goes on without."""
    world = World(reader=Reader())
    world.reader.failure = failure
    for _ in range(30):
        world.tick()
    await world.until()
    assert world.servings.outlook().answered_by is Answer.REACTIVE


async def test_a_file_is_enough_to_begin_with_and_the_rest_is_learned_when_it_comes() -> None:
    """With a slow Prometheus the first outlook comes from the file; what it tells later is learned anew."""
    now = int(World().now // GRID.bucket_seconds)
    world = World(given=Past(Slice(now - 24, now), {CHAT: np.full(24, 3000.0)}))
    world.reader.may_answer.clear()
    world.tick()
    world.tick()
    await world.until()
    assert world.servings.outlook().quantile is None
    world.reader.may_answer.set()
    await world._run_until(lambda: world.servings.outlook().quantile is not None)


async def test_demand_that_is_not_seen_any_more_gives_no_new_outlook() -> None:
    """After three buckets without a signal the last outlook stays and grows old."""
    world = World()
    world.tick()
    world.tick()
    await world.until()
    before = world.servings.outlook()
    gap = Missing(worlds.missing().reason, "gone")
    for _ in range(5):
        world.tick(60.0, offered_rps=gap)
    await world.rounds()
    assert world.servings.outlook() is before


async def test_silence_is_demand_of_nothing() -> None:
    """Proof that nobody asks is a bucket of zero, and no gap."""
    world = World()
    for _ in range(5):
        world.tick(60.0, offered_rps=NoTraffic(world.now))
    block = world.planner._past.book.block([CHAT], with_running=False)
    assert block.demand[0].tolist() == [0.0] * block.demand.shape[1]


async def test_groups_are_filled_and_left() -> None:
    """Many servings are planned in several groups; a group of which nobody is left goes."""
    keys = [ServingKey("default", f"s{number}") for number in range(GROUP + 3)]
    world = World(*keys, reader=Reader(days=2))
    world.tick()
    world.tick()
    await world.until(*keys)
    assert [len(group.keys) for group in world.planner._groups] == [GROUP, 3]
    for key in keys[1:]:
        del world.servings.records[key]
        world.planner.forget(key)
    await world.rounds()
    assert [len(group.keys) for group in world.planner._groups] == [GROUP]


def pool(free: int, lead_seconds: float | None = 1800.0, hourly: float | None = 16.0) -> PoolState:
    """A pool of nodes with eight accelerators."""
    offer = PoolOffer(accelerators_per_node=8, hourly=hourly, lead_p50_seconds=lead_seconds, lead_p95_seconds=3600.0)
    return PoolState("owned", "H100", 4, 32, free, 2.0, offer)


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ((), 24.0),
        ((pool(3),), 24.0),
        ((pool(0),), 1824.0),
        ((pool(0), pool(0, 300.0)), 324.0),
        ((pool(0, None),), 24.0),
    ],
)
def test_the_lead_is_the_pools_where_no_accelerator_is_free(pools: tuple[PoolState, ...], expected: float) -> None:
    """The start-up while there is room, and the lead time of the fastest pool beside them when there is none."""
    state: ServingState = worlds.state(pools=pools)
    assert lead_seconds(state) == expected


def test_a_shortage_costs_what_the_admin_says() -> None:
    """Per accelerator-hour, in prices of the cheapest pool: 50 over 2 is 25."""
    economics = Economics("EUR", 50.0, {"critical": 200.0})
    state = worlds.state(pools=(pool(1), pool(1, hourly=80.0)))
    assert penalty_of(state, economics) == pytest.approx(25.0)
    critical = replace(state, priority=replace(state.priority, name="critical"))
    assert penalty_of(critical, economics) == pytest.approx(100.0)
    assert penalty_of(worlds.state(), NO_SETTINGS) == 20.0
