"""A small cluster in virtual time around the real operator: its wiring, watches, decision and writers.

Workloads get pods a while after they are asked for, engines answer the load they get by a simple law, kopf's feed is
played by a task that calls the operator's own handlers. Only the API server and Prometheus are fakes.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import fault_objects as objects
import virtual_time
from fake_api import FakeApi, Raw, merge_patch
from fake_connection import Delivery, FakeConnection, Mishaps
from fake_prometheus import FakePrometheus, Load
from fault_objects import ITL_TARGET_MILLISECONDS, NAMESPACE, START_UP_SECONDS
from rights import Asked
from virtual_time import Clock

from baseload.control import handlers
from baseload.control.elector import LeaseTimes
from baseload.control.operator import Operator, Readers
from baseload.control.planning import PlannerSettings
from baseload.control.settings import Settings
from baseload.errors import MetricsError
from baseload.observe.history import HistoryReader
from baseload.observe.metrics_source import PartialAnswerError, RangeSeries, Series
from baseload.observe.profile_book import ProfileBook
from baseload.observe.profiles import load_profiles
from baseload.observe.signals import SignalReader

T = TypeVar("T")
SERVINGS = "/apis/baseload.dev/v1alpha1/modelservings"
POOLS = "/apis/baseload.dev/v1alpha1/capacitypools"
DEPLOYMENTS = "/apis/apps/v1/deployments"
PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
AUTOSCALERS = "/apis/autoscaling/v2/horizontalpodautoscalers"
TICK_SECONDS = 5.0
QUIET_SECONDS = 65.0
"""Longer than a scale-down window and the time after which another kind of reason is published."""
ALPHA_SECONDS, SLOPE_SECONDS, TOKENS = 0.1, 0.005, 100.0
"""The engines' law: time between tokens without load, what each sequence adds to it, and tokens of a request."""
METRIC_FAULTS = ("error", "slow", "empty", "nan", "infinite", "stale", "partial", "huge")


@cache
def profiles() -> Any:
    """Read once: a world is made some hundred times."""
    return load_profiles()


class FakeMetrics(FakePrometheus):
    """The fake Prometheus without its server: a MetricsSource that fails in each way there is."""

    clock_offset_seconds = 0.0

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock, profiles()["vllm"].templates())
        self._loop.close()

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        """Nothing is kept."""
        return ()

    async def query(self, promql: str, time: float) -> tuple[Series, ...]:
        """Answer, or fail as `mode` says."""
        self.queries += 1
        match self.mode:
            case "error" | "huge":
                raise MetricsError(f"Prometheus is {self.mode}")
            case "partial":
                raise PartialAnswerError("some stores did not answer")
            case "slow":
                await asyncio.sleep(60.0)
            case "empty":
                return ()
        rows = self._rows(" ".join(promql.split()))
        series = [Series(row["metric"], float(row["value"][1]), row["value"][0]) for row in rows]  # type: ignore[arg-type, index]
        if self.mode == "infinite":
            return tuple(Series(s.labels, float("inf") if s.value < 1e9 else s.value, s.time) for s in series)
        return tuple(series)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Life:
    """One operator process."""

    name: str
    connection: FakeConnection
    operator: Operator
    feeds: list["asyncio.Task[None]"] = field(default_factory=list)

    def lose(self, _why: str) -> None:
        """Stands for the end of the process when another leads."""
        self.connection.dead = True

    @property
    def failure(self) -> BaseException | None:
        """What ended it by itself."""
        return self.operator._failure


class World:
    """The cluster and the operators in it; made inside the virtual loop."""

    def __init__(self, clock: Clock) -> None:
        random.seed(0)
        self.clock = clock
        self.api = FakeApi(clock.time)
        self.metrics = FakeMetrics(clock.time)
        self.mishaps = Mishaps()
        self.delivery = Delivery()
        self.feed_loss = 0.0
        self.lease: LeaseTimes | None = None
        self.demand: dict[str, float] = {}
        self.lives: list[Life] = []
        self._changed: dict[str, tuple[int, float]] = {}
        self._tasks = [asyncio.create_task(self._live()), asyncio.create_task(self._bury())]
        self.api.put(NODES, objects.node("node-1"))
        self.api.put(POOLS, objects.pool())

    # The cluster.

    def deploy(self, name: str = "chat", replicas: int = 1) -> None:
        """A workload, its first replicas ready."""
        self.api.put(DEPLOYMENTS, objects.deployment(name, replicas))
        self._changed[name] = (replicas, self.clock.monotonic() - START_UP_SECONDS)
        self._settle_pods(name)

    def serve(self, name: str = "chat", least: int = 1, most: int = 8, **spec: Any) -> None:
        """A ModelServing of the workload of the same name (or of `target`)."""
        self.api.put(SERVINGS, objects.serving(name, least, most, spec))

    def patch_serving(self, spec: Raw, name: str = "chat") -> None:
        """Merge patch of the spec by its owner."""
        self.api.change(SERVINGS, (NAMESPACE, name), lambda raw: merge_patch(raw["spec"], spec) and None)

    def annotate(self, annotations: dict[str, str | None], name: str = "chat") -> None:
        """Set or remove annotations."""

        def edit(raw: Raw) -> None:
            merge_patch(raw["metadata"].setdefault("annotations", {}), annotations)

        self.api.change(SERVINGS, (NAMESPACE, name), edit)

    def scale(self, replicas: int, name: str = "chat") -> None:
        """Somebody else writes the replicas."""
        self.api.change(DEPLOYMENTS, (NAMESPACE, name), lambda raw: raw["spec"].update(replicas=replicas))

    def remove(self, collection: str, name: str = "chat") -> None:
        """Delete an object."""
        self.api.delete(collection, (NAMESPACE, name))
        if collection == DEPLOYMENTS:
            for key in [k for k in self.api.objects.get(PODS, {}) if k[1].startswith(f"{name}-")]:
                self.api.delete(PODS, key)

    def replicas(self, name: str = "chat") -> int:
        """spec.replicas of a workload."""
        found = self.api.get(DEPLOYMENTS, (NAMESPACE, name))
        assert found is not None
        return int(found["spec"]["replicas"])

    def status(self, name: str = "chat") -> Raw:
        """Status of a ModelServing."""
        found = self.api.get(SERVINGS, (NAMESPACE, name))
        return {} if found is None else dict(found.get("status") or {})

    def condition(self, kind: str, name: str = "chat") -> tuple[str, str]:
        """Status and reason of a condition, empty when there is none."""
        rows = {c["type"]: (c["status"], c["reason"]) for c in self.status(name).get("conditions", ())}
        return rows.get(kind, ("", ""))

    # The operator.

    def start(self) -> Life:
        """Start an operator process; without `lease` it leads alone."""
        name = f"operator-{len(self.lives) + 1}"
        connection = self.connect(name)
        settings = Settings("http://metrics", tick_seconds=TICK_SECONDS, scrape_seconds=5.0, lease_times=self.lease)
        reader = SignalReader(self.metrics, profiles(), scrape_seconds=settings.scrape_seconds)
        past = HistoryReader(self.metrics, profiles(), scrape_seconds=5.0, bucket_seconds=settings.bucket_seconds)
        readers = Readers(reader, past, ProfileBook(profiles()))
        operator = Operator(settings, connection, readers, PlannerSettings())
        life = Life(name, connection, operator)
        if operator._elector is not None:
            operator._elector._lost = life.lose
        self.lives.append(life)
        life.feeds = [
            asyncio.create_task(operator._start()),
            asyncio.create_task(self._feed(life, SERVINGS, handlers.take_serving)),
            asyncio.create_task(self._feed(life, POOLS, handlers.take_pool)),
        ]
        return life

    def connect(self, name: str) -> FakeConnection:
        """A connection of a process of that name."""
        return FakeConnection(self.api, name, self.mishaps, self.delivery)

    def asked(self) -> set[Asked]:
        """What all processes asked of the API server so far, as its authorizer sees it."""
        verbs = {"PATCH": "patch", "POST": "create", "PUT": "update", "DELETE": "delete", "WATCH": "watch"}
        found = set()
        for request, _ in self.api.served:
            group, plural = (
                (request.collection.split("/")[2::2])
                if request.collection.startswith("/apis/")
                else ("", request.collection.rsplit("/", 1)[-1])
            )
            if not plural:
                continue
            verb = verbs.get(request.method) or ("get" if request.key[1] else "list")
            resource = f"{plural}/{request.subresource}" if request.subresource else plural
            found.add(Asked(verb, group, resource, request.key[1]))
        return found

    async def kill(self, life: Life | None = None) -> None:
        """End a process as SIGKILL does: nothing it still does has an effect."""
        life = life or self.lives[-1]
        life.connection.dead = True
        operator = life.operator
        tasks = [*life.feeds, *operator._tasks, *(t for t in (operator._ticker, operator._election) if t)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def restart(self, life: Life | None = None) -> None:
        """Kill it and start another."""
        await self.kill(life)
        await asyncio.sleep(1.0)
        self.start()

    # Waiting.

    async def until(self, look: Callable[[], object], what: str, seconds: float = 300.0) -> None:
        """Let time pass until a look says yes."""
        end = self.clock.monotonic() + seconds
        while not look():
            assert self.clock.monotonic() < end, f"not within {seconds:g} s: {what}; {self.story()}"
            await asyncio.sleep(0.5)

    async def settle(self, seconds: float = 900.0) -> None:
        """Let time pass until the operator has written nothing for a while: with a constant world it must come."""
        count, since, end = -1, 0.0, self.clock.monotonic() + seconds
        while count < 0 or self.clock.monotonic() - since < QUIET_SECONDS:
            await asyncio.sleep(TICK_SECONDS)
            assert self.clock.monotonic() < end, f"never quiet: {self.story()}"
            if len(self.mishaps.sent) != count:
                count, since = len(self.mishaps.sent), self.clock.monotonic()
        assert self.lives[-1].failure is None, repr(self.lives[-1].failure)

    def story(self) -> str:
        """The last writes and the conditions, for a failed assertion."""
        last = [request.what for request in self.mishaps.sent[-12:]]
        conditions = {c["type"]: c["reason"] for c in self.status().get("conditions", ())}
        return f"{len(self.mishaps.sent)} writes, last {last}; {conditions}"

    # What the cluster does by itself.

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for key in list(self.api.objects.get(DEPLOYMENTS, {})):
                self._settle_pods(key[1])
            self._measure()

    def _settle_pods(self, name: str) -> None:
        """Take pods away at once and make them ready when their start-up is over."""
        raw = self.api.objects[DEPLOYMENTS][NAMESPACE, name]
        wanted, now = int(raw["spec"]["replicas"]), self.clock.monotonic()
        before, since = self._changed.get(name, (0, now))
        if before != wanted:
            since = now
            self._changed[name] = (wanted, since)
        ready = int((raw.get("status") or {}).get("readyReplicas", 0))
        if ready > wanted or now - since >= START_UP_SECONDS:
            ready = wanted
        status = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}
        if raw.get("status") != status:
            self.api.change(DEPLOYMENTS, (NAMESPACE, name), lambda r: r.update(status=status))
        pods = {k for k in self.api.objects.get(PODS, {}) if k[1].startswith(f"{name}-")}
        wanted_pods = {(NAMESPACE, f"{name}-{index}") for index in range(wanted)}
        for key in sorted(wanted_pods - pods):
            self.api.put(PODS, objects.pod(name, key[1], self.clock.time()))
        for key in pods - wanted_pods:
            self.api.delete(PODS, key)

    def _measure(self) -> None:
        """What the engines would show under the demand: `B = r T (alpha + slope B)` on each of the ready replicas."""
        for name, rps in self.demand.items():
            raw = self.api.get(DEPLOYMENTS, (NAMESPACE, name))
            ready = int(((raw or {}).get("status") or {}).get("readyReplicas", 0))
            at = (NAMESPACE, f"Deployment/{name}")
            if not ready:
                self.metrics.loads.pop(at, None)
                continue
            share = min(rps / ready * TOKENS * SLOPE_SECONDS, 0.95)
            running = rps / ready * TOKENS * ALPHA_SECONDS / (1 - share)
            between = ALPHA_SECONDS + SLOPE_SECONDS * running
            self.metrics.loads[at] = Load(
                rps=rps,
                running=running * ready,
                running_by_pod={f"{name}-{index}": running for index in range(ready)},
                attainment=1.0 if between <= ITL_TARGET_MILLISECONDS / 1000 else 0.3,
                tokens_per_request=TOKENS,
                inter_token_seconds=between,
                replicas=ready,
            )

    async def _bury(self) -> None:
        """A process that a mishap killed is cleared away, and another comes up after a second."""
        while True:
            await self.mishaps.crashed.wait()
            self.mishaps.crashed.clear()
            await self.restart()

    async def _feed(self, life: Life, collection: str, take: Callable[..., None]) -> None:
        """Play kopf: a listing without types, then events; what a relist no longer shows is never told."""
        cluster, since = life.operator._cluster, None
        while True:
            await asyncio.sleep(0.01)
            events = self.delivery.through(self.api.watch(collection, since, 290.0))
            listing = since is None
            try:
                async for event in events:
                    life.connection.check_alive()
                    if self.api.outage:
                        break
                    if event["type"] == "ERROR":
                        since = None
                        break
                    if event["type"] == "BOOKMARK":
                        listing, since = False, int(event["object"]["metadata"]["resourceVersion"])
                        continue
                    if self.delivery.random.random() < self.feed_loss:
                        continue
                    told = {"type": None if listing else event["type"], "object": event["object"]}
                    take(cluster.catalog, told, cluster.relisted.set)
                    if not listing:
                        since = int(event["object"]["metadata"]["resourceVersion"])
            except Exception as error:  # a cut stream; kopf goes on from where it was
                logging.getLogger(__name__).debug("feed cut: %s", error)
            await asyncio.sleep(0.5)


def run_world(story: Callable[[World], Coroutine[Any, Any, T]]) -> T:
    """Tell a story in a fresh world, in virtual time."""

    async def main(clock: Clock) -> T:
        world = World(clock)
        result = await story(world)
        for life in world.lives:
            await world.kill(life)
        return result

    return virtual_time.run(main)


def fixpoint(world: World) -> dict[str, Any]:
    """Where a world came to rest: replicas, and the statuses without times, learned numbers and words.

    The words are those of the last decision that was published, and which one that was depends on the way.
    """
    servings = world.api.objects.get(SERVINGS, {})
    workloads = world.api.objects.get(DEPLOYMENTS, {})
    return {
        "replicas": {name: raw["spec"]["replicas"] for (_, name), raw in workloads.items()},
        "status": {name: _timeless(raw.get("status") or {}) for (_, name), raw in servings.items()},
    }


def _timeless(status: Raw) -> Raw:
    decision = status.get("lastDecision") or {}
    return {
        "observedGeneration": status.get("observedGeneration"),
        "conditions": {c["type"]: (c["status"], c["reason"], c["observedGeneration"]) for c in status["conditions"]},
        "final": decision.get("replicas", {}).get("final"),
        "variants": [{k: v for k, v in row.items() if k != "startUpSeconds"} for row in status["variants"]],
        "recommendation": (status.get("recommendation") or {}).get("replicas"),
        "display": {k: v for k, v in (status.get("display") or {}).items() if k != "reason"},
        "learned": "replicaModel" in status,
    }
