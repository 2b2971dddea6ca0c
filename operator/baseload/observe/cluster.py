"""The cluster as seen now: watches of workloads, nodes and autoscalers, the pod listings, the resync."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from baseload.errors import ApiError
from baseload.observe import objects
from baseload.observe.accelerators import OLDEST_CENSUS_SECONDS, AcceleratorBook
from baseload.observe.catalog import Catalog
from baseload.observe.connection import KubeConnection
from baseload.observe.objects import Autoscaler, Node, Workload, WorkloadKey
from baseload.observe.optional_watch import OptionalWatch
from baseload.observe.pods import PodCensus, StartUpTimes, list_pods
from baseload.observe.priorities import PRIORITIES_PATH, Priorities, PriorityClass, priority_class
from baseload.observe.resync import POOLS_PATH, SERVINGS_PATH, metadata_of, resync
from baseload.observe.scaled_objects import find_scaled_objects
from baseload.observe.target_kinds import KindRef
from baseload.observe.targets import Targets
from baseload.observe.watch import Key, Watch
from baseload.plan.snapshot import Refusal, ServingKey

logger = logging.getLogger(__name__)

POD_LISTING_SECONDS = 30.0
HURRIED_POD_LISTING_SECONDS = 5.0
RESYNC_SECONDS = 300.0
KEDA_RETRY_SECONDS = 30.0
FIRST_LIST_PATIENCE_SECONDS = 10.0


class Cluster:
    """Keeps the picture of the cluster current while `run()` runs; everything else only reads it.

    `on_dirty(key)` is told of each serving whose target, or another writer of it, changed.
    """

    def __init__(
        self,
        connection: KubeConnection,
        on_dirty: Callable[[ServingKey], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.catalog = Catalog(on_dirty, self._name_kind)
        self.census = PodCensus()
        self.start_up = StartUpTimes()
        self.relisted = asyncio.Event()
        self.resynced_time = 0.0
        self.ghosts = 0
        self._connection = connection
        self._on_dirty = on_dirty
        self._clock = clock
        self._hurry_until = 0.0
        self._was_complete = False
        self._book: tuple[tuple[object, ...], AcceleratorBook] | None = None
        self._targets = Targets(connection, self._workload_changed, clock=clock)
        nodes_path, scalers_path = "/api/v1/nodes", "/apis/autoscaling/v2/horizontalpodautoscalers"
        self._nodes: Watch[Node] = Watch(connection, nodes_path, objects.node, _ignore, clock=clock)
        self._autoscalers: Watch[Autoscaler] = Watch(
            connection, scalers_path, objects.autoscaler, self._autoscaler_changed, clock=clock
        )
        self._priorities: Watch[PriorityClass] = Watch(
            connection, PRIORITIES_PATH, priority_class, self._priority_changed, clock=clock
        )
        self.priorities = Priorities()
        find = partial(find_scaled_objects, connection)
        self._scaled_objects: OptionalWatch[Autoscaler] = OptionalWatch(
            connection, "ScaledObject", find, self._autoscaler_changed, clock=clock, retry_seconds=KEDA_RETRY_SECONDS
        )
        self._always: tuple[Watch[Any], ...] = (self._nodes, self._autoscalers, self._priorities)
        self._scaled_by: dict[WorkloadKey, set[str]] = defaultdict(set)

    async def run(self) -> None:
        """Observe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._nodes.run())
            tasks.create_task(self._autoscalers.run())
            tasks.create_task(self._priorities.run())
            tasks.create_task(self._keep_pods())
            tasks.create_task(self._keep_synced())
            tasks.create_task(self._targets.run())
            tasks.create_task(self._scaled_objects.run())

    @property
    def ready(self) -> bool:
        """Whether the first complete picture was there; before it nothing may be decided.

        A kind that is named for the first time later holds only its own servings back (`is_known`).
        """
        if not self._was_complete:
            listed = self.resynced_time > 0 and self.census.time > 0
            everywhere = all(watch.synced.is_set() for watch in self._started())
            settled = self._scaled_objects.settled and not self._targets.pending
            self._was_complete = listed and everywhere and settled
        return self._was_complete

    @property
    def world_time(self) -> float:
        """Unix time since when no watch has been silent."""
        return min((w.last_contact for w in self._started() if w.synced.is_set()), default=0.0)

    def seen_time(self, kind: KindRef) -> float:
        """Unix time since when the workloads of a kind have been watched without a silence."""
        return self._targets.seen_time(kind)

    @property
    def relists(self) -> int:
        """How often a watch started from a complete picture."""
        return sum(watch.relists for watch in (*self._always, *self._targets.watches()))

    def is_known(self, kind: KindRef) -> bool:
        """Whether the workloads of a kind have been listed, or refused, so that one not found does not exist."""
        return self._targets.is_known(kind)

    def kind_refusal(self, kind: KindRef) -> Refusal | None:
        """Why no workload of a kind can be scaled now, None when they can."""
        return self._targets.refusal(kind)

    def workload(self, key: WorkloadKey) -> Workload | None:
        """A workload as last seen."""
        return self._targets.workload(key)

    def autoscalers_of(self, key: WorkloadKey) -> list[str]:
        """The HorizontalPodAutoscalers and ScaledObjects that scale a workload, as Kind 'name'."""
        return sorted(self._scaled_by.get(key, ()))

    def accelerators(self) -> AcceleratorBook:
        """The accelerators of all pools now; made anew only when something under it changed, for it takes long."""
        now, pools = self._clock(), self.catalog.usable_pools()
        fresh = now - self.census.time <= OLDEST_CENSUS_SECONDS
        origin = (self._nodes.changes, self.census.time, fresh, *pools)
        if self._book is None or self._book[0] != origin:
            self._book = origin, AcceleratorBook(pools, self._nodes.objects.values(), self.census, now)
        return self._book[1]

    def hurry(self, seconds: float) -> None:
        """List the pods often for a while: replicas are on their way."""
        self._hurry_until = max(self._hurry_until, self._clock() + seconds)

    async def catch_up(self) -> None:
        """Compare our own kinds with the server now, however late the watches are; raises ApiError."""
        found = await resync(self._connection, self.catalog)
        self.resynced_time = self._clock()
        if found:
            logger.info("caught up with the cluster", extra={"differences": found})

    def _started(self) -> list[Watch[Any]]:
        """The watches without which nothing at all is decided."""
        return [*self._always, *self._targets.watches(everywhere=True)]

    def _name_kind(self, kind: KindRef, named: bool) -> None:
        self._targets.name(kind, named=named)

    def _workload_changed(self, _key: Key, old: Workload | None, new: Workload | None) -> None:
        seen = new or old
        if seen is None or (old is not None and new is not None and _numbers(old) == _numbers(new)):
            return
        if new is not None and new.ready != new.wanted:
            self.hurry(POD_LISTING_SECONDS)
        for serving in self.catalog.claimants(seen.key):
            self._on_dirty(serving)

    def _autoscaler_changed(self, _key: Key, old: Autoscaler | None, new: Autoscaler | None) -> None:
        for scaler, add in ((old, False), (new, True)):
            if scaler is None:
                continue
            names = self._scaled_by[scaler.target]
            (names.add if add else names.discard)(scaler.name)
            if not names:
                del self._scaled_by[scaler.target]
            for serving in self.catalog.claimants(scaler.target):
                self._on_dirty(serving)

    def _priority_changed(self, _key: Key, _old: object, _new: object) -> None:
        """There are few classes and they hardly ever change, so all are read anew; the next tick sees it."""
        self.priorities = Priorities(self._priorities.objects.values())

    async def _keep_pods(self) -> None:
        """List the pods each half minute, and each five seconds while replicas are on their way.

        However many pods there are, no more than a fifth of the time is spent on listing them.
        """
        loop, took_seconds = asyncio.get_running_loop(), 0.0
        while True:
            now, began = self._clock(), loop.time()
            hurried = now < self._hurry_until or self._any_unready()
            spacing = max(HURRIED_POD_LISTING_SECONDS, 5.0 * took_seconds) if hurried else POD_LISTING_SECONDS
            # A census from the future is one from before the clock was set back.
            if not 0.0 <= now - self.census.time < spacing - 0.5:
                try:
                    self.census = await list_pods(self._connection, now, self.start_up)
                    took_seconds = loop.time() - began
                except ApiError as error:
                    logger.warning("pods not listed", extra={"status": error.status, "error": str(error)})
            await asyncio.sleep(HURRIED_POD_LISTING_SECONDS if self.census.time else 1.0)

    def _any_unready(self) -> bool:
        for entry in self.catalog.entries.values():
            workload = self.workload(entry.target) if entry.target else None
            if workload is not None and workload.ready < workload.wanted:
                return True
        return False

    async def _keep_synced(self) -> None:
        """Compare with the server at the start, after every relist of our own kinds, and each five minutes."""
        while True:
            try:
                if not self.resynced_time:
                    await self._wait_for_first_list()
                self.relisted.clear()
                found = await resync(self._connection, self.catalog)
                if not self.resynced_time:
                    logger.info("complete picture", extra={"path": SERVINGS_PATH, "objects": len(self.catalog.entries)})
                self.resynced_time = self._clock()
                if found:
                    self.ghosts += found
                    logger.warning("resync found differences", extra={"differences": found})
            except ApiError as error:
                logger.warning("resync failed", extra={"status": error.status, "error": str(error)})
                await asyncio.sleep(2.0)
                continue
            try:
                # Not wait_for: it can lose a cancellation that comes at the same moment.
                async with asyncio.timeout(RESYNC_SECONDS):
                    await self.relisted.wait()
                # Let the relist hand over its objects before they are compared.
                await asyncio.sleep(1.0)
            except TimeoutError:
                pass

    async def _wait_for_first_list(self) -> None:
        """Let kopf deliver what exists, while it delivers: what it leaves out the resync fetches one by one."""
        servings = {ServingKey(*key) for key in await metadata_of(self._connection, SERVINGS_PATH)}
        pools = {name for _, name in await metadata_of(self._connection, POOLS_PATH)}
        count, deadline = 0, self._clock() + FIRST_LIST_PATIENCE_SECONDS
        while self._clock() < deadline:
            known = self.catalog.entries
            if len(known) >= len(servings) and servings <= known.keys() and pools <= self.catalog.pools.keys():
                return
            if len(known) > count:
                count, deadline = len(known), self._clock() + FIRST_LIST_PATIENCE_SECONDS
            await asyncio.sleep(0.1)


def _numbers(workload: Workload) -> tuple[object, ...]:
    """What of a workload can change a decision or what is shown of it."""
    rollout = workload.rolling_out, workload.updated, workload.rollout_failed
    return workload.uid, workload.wanted, workload.ready, workload.pods, rollout, workload.shape


def _ignore(_key: Key, _old: object, _new: object) -> None:
    """Nodes are read at each tick; their changes wake nobody."""
