"""The one ticker: read signals, take a snapshot, decide, act. A changed intent is decided on without waiting.

Nothing is decided before the first complete picture and before this process leads; until then it stands by: the
picture is kept current, Prometheus is not asked. One broken object never stops the others.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import orjson

from baseload.act.actuator import Actuator, Outcome, ScaleOrder
from baseload.act.events import EventRecorder
from baseload.act.pool_status import PoolPublisher, PoolReport
from baseload.act.publisher import StatusPublisher
from baseload.control.carry import Carry
from baseload.control.clock_jumps import ClockJumps
from baseload.control.deciding import Decider
from baseload.control.health import Health
from baseload.control.metrics import OperatorMetrics
from baseload.control.servings import Looked, Servings
from baseload.errors import ApiError
from baseload.observe.cluster import Cluster
from baseload.observe.fleet import SignalRequest
from baseload.plan.decision import Decision
from baseload.plan.pool_offer import NO_SETTINGS, Economics
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import ServingKey, Snapshot

logger = logging.getLogger(__name__)

DIRTY_SPACING_SECONDS = 0.2
HURRY_SECONDS = 60.0
STANDBY_POLL_SECONDS = 0.1
CATCH_UP_RETRY_SECONDS = 1.0


class Signals(Protocol):
    """The reader of signals, as far as the ticker needs it."""

    async def read(self, now: float, wanted: Sequence[SignalRequest]) -> Mapping[ServingKey, ServingSignals]:
        """The signals of each request; never raises for a gap."""


class DemandWatch(Protocol):
    """Who is told of each tick's signals, as the planner is."""

    def observe(self, signals: Mapping[ServingKey, ServingSignals], now: float) -> None:
        """Take the signals that were read at a Unix time."""

    def forget(self, key: ServingKey) -> None:
        """Drop a serving that is gone."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Intervals in seconds that the decision must know of."""

    tick_seconds: float
    signal_lag_seconds: float
    learning_window_seconds: float


@dataclass(frozen=True, slots=True)
class Hands:
    """Everything that writes."""

    actuator: Actuator
    publisher: StatusPublisher
    pools: PoolPublisher
    events: EventRecorder


class Controller:
    """Decides for all servings each tick, and for dirty ones at once, while `leading` is set and until `stop()`."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        servings: Servings,
        signals: Signals,
        demand: DemandWatch,
        hands: Hands,
        metrics: OperatorMetrics,
        health: Health,
        rhythm: Rhythm,
        leading: asyncio.Event,
        economics: Economics = NO_SETTINGS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._servings = servings
        self._signals = signals
        self._demand = demand
        self._hands = hands
        self._metrics = metrics
        self._health = health
        self._rhythm = rhythm
        self._economics = economics
        self._leading = leading
        self._clock = clock
        self._warm_since = clock()
        self._clock_jumps = ClockJumps(clock)
        self._dirty: set[ServingKey] = set()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._carry = Carry(hands.publisher, hands.events, metrics)
        self._decider = Decider(cluster, servings, metrics, clock, act=self._act, is_busy=hands.actuator.is_under_way)

    def mark_dirty(self, key: ServingKey) -> None:
        """Decide on a serving soon; many marks of one serving are one decision."""
        self._dirty.add(key)
        self._wake.set()

    def stop(self) -> None:
        """End `run()` after the writes in progress."""
        self._stopped.set()
        self._wake.set()

    async def run(self) -> None:
        """Stand by until this process leads, then tick until stopped."""
        await self._stand_by()
        next_tick = time.monotonic()
        while not self._stopped.is_set():
            wait_seconds = next_tick - time.monotonic()
            if wait_seconds > 0:
                await self._wait(wait_seconds)
                if self._dirty and not self._stopped.is_set():
                    await self._guarded(self._decide_dirty)
                    await asyncio.sleep(DIRTY_SPACING_SECONDS)
                continue
            next_tick = max(next_tick + self._rhythm.tick_seconds, time.monotonic())
            await self._guarded(self.tick)
        await self._hands.actuator.finish()

    async def _stand_by(self) -> None:
        """Wait for the first complete picture and the lease, then for a picture taken after the lease was."""
        while not self._stopped.is_set():
            self._health.progress()
            if not self._cluster.ready or not self._leading.is_set():
                await asyncio.sleep(STANDBY_POLL_SECONDS)
            elif await self._caught_up():
                # What the leader before us wanted is not known: nothing goes down for a full window from now.
                self._warm_since = self._clock()
                return
            else:
                await asyncio.sleep(CATCH_UP_RETRY_SECONDS)

    async def _caught_up(self) -> bool:
        """See every intent that the leader before us wrote: an older one would be taken for a write still due."""
        catching_up = asyncio.ensure_future(self._cluster.catch_up())
        try:
            while not catching_up.done() and not self._stopped.is_set():
                # A slow API server is not our illness; each request in there has its own end.
                self._health.progress()
                await asyncio.wait((catching_up,), timeout=1.0)
            if not catching_up.done():
                return False
            catching_up.result()
        except ApiError as error:
            logger.warning("not caught up with the cluster", extra={"status": error.status, "error": str(error)})
            return False
        finally:
            catching_up.cancel()
        return True

    async def tick(self) -> None:
        """One tick over everything."""
        if not self._cluster.ready:
            return
        began = time.perf_counter()
        signals = await self._read_unless_stopped()
        if signals is None:
            return
        self._servings.take_signals(signals)
        self._demand.observe(signals, self._clock())
        self._dirty.clear()
        await self._decide(self._cluster.catalog.entries.keys())
        await self._publish_pools()
        for key in self._servings.forget_gone():
            self._hands.publisher.forget(key)
            self._hands.actuator.forget(key)
            self._decider.postponed.discard(key)
            self._metrics.replicas.forget(key)
            self._demand.forget(key)
        self._metrics.tick.observe(time.perf_counter() - began)
        self._metrics.servings.set(len(self._cluster.catalog.entries))
        self._metrics.ghosts.set(self._cluster.ghosts)
        self._metrics.relists.set(self._cluster.relists)
        self._health.progress()

    async def _read_unless_stopped(self) -> Mapping[ServingKey, ServingSignals] | None:
        """The signals of all servings; None when a stop came first: nobody waits for a slow Prometheus then."""
        reading = asyncio.ensure_future(self._signals.read(self._clock(), self._servings.requests()))
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return None

    async def _publish_pools(self) -> None:
        catalog, totals = self._cluster.catalog, self._cluster.accelerators().totals()
        for name, (stored, _) in list(catalog.pools.items()):
            nodes, accelerators, _ = totals.get(name, (0, 0, 0))
            report = PoolReport(
                name=name,
                uid=stored.uid,
                resource_version=stored.resource_version,
                generation=stored.generation,
                status=orjson.loads(stored.status),
                nodes=nodes,
                accelerators=accelerators,
                refusal=catalog.refused_pools.get(name),
            )
            await self._hands.pools.publish(report, self._clock())

    async def _wait(self, seconds: float) -> None:
        self._wake.clear()
        if self._dirty or self._stopped.is_set():
            return
        # Not `wait_for`: in Python 3.11 it forgets a cancellation that comes together with the result.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A bug in one round must not end the process: it is logged and the next round comes."""
        try:
            await work()
        except Exception:
            logger.exception("round failed")

    async def _decide_dirty(self) -> None:
        if not self._cluster.ready:
            self._dirty.clear()
            return
        keys, self._dirty = self._dirty, set()
        if all(self._servings.is_read(key) for key in keys):
            await self._decide(keys)
        else:
            await self.tick()

    async def _decide(self, keys: Iterable[ServingKey]) -> None:
        """Look, plan and act for some servings."""
        self._notice_clock_jump()
        await self._decider.decide(list(keys), self._frame)

    def _notice_clock_jump(self) -> None:
        """Go on as after a start when the clock was set: nothing goes down for a full window of the new time."""
        jump = self._clock_jumps.seconds()
        if jump:
            logger.warning("the clock was set", extra={"seconds": round(jump, 1)})
            self._warm_since = self._clock()
            self._servings.forget_times(self._warm_since)

    def _act(self, look: Looked, decision: Decision) -> None:
        """Have a decision carried out, or withdraw what waits to be when nothing is to be done."""
        order = self._carry.take(look, decision)
        if order is None:
            self._hands.actuator.withdraw(decision.key)
        else:
            self._cluster.hurry(HURRY_SECONDS)
            self._hands.actuator.submit(order, partial(self._conclude, order, look, decision))

    def _conclude(self, order: ScaleOrder, look: Looked, decision: Decision, outcome: Outcome) -> None:
        """Called when a write has ended; what happened to the serving meanwhile is decided on now."""
        self._carry.conclude(order, look, decision, outcome, self._clock())
        if order.key in self._decider.postponed:
            self._decider.postponed.discard(order.key)
            self.mark_dirty(order.key)

    def _frame(self, now: float) -> Snapshot:
        """A snapshot without servings: what is the same for all."""
        return Snapshot(
            now=now,
            warm_since=self._warm_since,
            world_time=self._cluster.world_time,
            tick_seconds=self._rhythm.tick_seconds,
            signal_lag_seconds=self._rhythm.signal_lag_seconds,
            learning_window_seconds=self._rhythm.learning_window_seconds,
            economics=self._economics,
        )
