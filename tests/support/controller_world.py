"""A controller with a cluster made by hand, and hands and signals that remember what they were told."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from worlds import signals

from baseload.act.actuator import Outcome, ScaleOrder
from baseload.act.events import Notice
from baseload.act.pool_status import PoolReport
from baseload.act.publisher import Published, StatusOrder, Stored
from baseload.act.status import essence_of
from baseload.control.controller import Controller, Hands, Rhythm
from baseload.control.health import Health
from baseload.control.metrics import OperatorMetrics
from baseload.control.servings import Servings
from baseload.errors import ApiError
from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.catalog import Catalog
from baseload.observe.objects import Node, PoolObject, Workload, WorkloadKey, serving_object
from baseload.observe.placement import PodShape
from baseload.observe.pods import PodCensus, StartUpTimes
from baseload.observe.priorities import Priorities
from baseload.observe.profile_book import ProfileBook
from baseload.observe.profiles import load_profiles
from baseload.observe.target_kinds import KindRef
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import ServingKey

GPU = "nvidia.com/gpu"


class FakeCluster:
    """A cluster that is complete from the start and changes only by the test's hand."""

    def __init__(self) -> None:
        self.dirty: list[ServingKey] = []
        self.catalog = Catalog(self.dirty.append)
        self.census = PodCensus(time.time())
        self.start_up = StartUpTimes()
        self.workloads: dict[WorkloadKey, Workload] = {}
        self.nodes: list[Node] = []
        self.priorities = Priorities()
        self.ready = True
        self.ghosts = self.relists = 0

    world_time = property(lambda _: time.time())

    def is_known(self, kind: KindRef) -> bool:
        """Every kind was listed."""
        return True

    def kind_refusal(self, kind: KindRef) -> None:
        """No kind is refused."""

    def seen_time(self, kind: KindRef) -> float:
        """Every kind is current."""
        return time.time()

    def workload(self, key: WorkloadKey) -> Workload | None:
        """A workload by hand."""
        return self.workloads.get(key)

    def autoscalers_of(self, key: WorkloadKey) -> list[str]:
        """Nobody else scales."""
        return []

    def accelerators(self) -> AcceleratorBook:
        """No pools, unless the test has some."""
        return AcceleratorBook(self.catalog.usable_pools(), self.nodes, self.census, time.time())

    def hurry(self, seconds: float) -> None:
        """Nothing to hurry."""

    def own(self, accelerators: int) -> None:
        """A pool with one node."""
        spec = {
            "provider": {"static": {}},
            "nodeSelector": {"pool": "owned"},
            "accelerator": {"resource": GPU, "product": "L40S", "perNode": 8},
        }
        self.catalog.put_pool(PoolObject("owned", "u", "1", 1, orjson.dumps(spec), b"{}"))
        labels = (("pool", "owned"),)
        self.nodes = [Node("a", usable=True, labels=labels, taints=(), allocatable=((GPU, accelerators),))]

    def list_pods(self) -> None:
        """Every wanted pod has a node by now, and the pods are listed."""
        placed = {key: workload.wanted for key, workload in self.workloads.items()}
        self.census = PodCensus(time.time(), {"a": {GPU: sum(placed.values())}}, placed)

    def follow(self, order: ScaleOrder) -> None:
        """The watch shows an order's number; its pods are on no node yet."""
        key = WorkloadKey("Deployment", "team", order.name)
        self.workloads[key] = replace(self.workloads[key], wanted=order.replicas, resource_version="2")

    def serve(
        self,
        name: str,
        least: int,
        wanted: int = 1,
        *,
        generation: int = 1,
        status: dict[str, Any] | None = None,
        priority: str = "",
    ) -> None:
        """A serving and its Deployment."""
        key = WorkloadKey("Deployment", "team", name)
        shape = PodShape(requests=((GPU, 1),))
        self.workloads[key] = Workload(key, f"u-{name}", "1", wanted, wanted, rolling_out=False, shape=shape)
        metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": "1", "generation": generation}
        spec = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 800}},
            "replicas": {"min": least, "max": 9},
            **({"priorityClassName": priority} if priority else {}),
        }
        self.catalog.put_serving(serving_object({"metadata": metadata, "spec": spec, "status": status or {}}))


class FakeHands:
    """Everything that writes, remembering what it was told."""

    def __init__(self) -> None:
        self.orders: list[ScaleOrder] = []
        self.statuses: list[StatusOrder] = []
        self.notices: list[Notice] = []
        self.error: ApiError | None = None
        self.hanging: dict[ServingKey, Callable[[Outcome], None] | None] = {}

    def submit(self, order: ScaleOrder, concluded: Callable[[Outcome], None]) -> None:
        """Carry out an order at once, or leave it under way while the serving hangs."""
        self.orders.append(order)
        if order.key not in self.hanging:
            version = str(int(order.resource_version) + 1)
            concluded(Outcome(intent_published=True, version=version, error=self.error))
        else:
            self.hanging[order.key] = concluded

    def withdraw(self, key: ServingKey) -> None:
        """Nothing waits."""

    def is_under_way(self, key: ServingKey) -> bool:
        """Whether an order hangs."""
        return self.hanging.get(key) is not None

    async def finish(self) -> None:
        """Nothing to wait for."""

    def published(self, key: ServingKey, stored: Stored) -> Published:
        """Nothing is published yet."""
        return Published(stored.resource_version, essence_of({}), None, b"{}")

    def later(self, order: StatusOrder) -> None:
        """Order a status."""
        self.statuses.append(order)

    def forget(self, key: ServingKey) -> None:
        """Forget a serving."""

    async def publish(self, report: PoolReport, now: float) -> None:
        """Publish a pool."""

    def record(self, notice: Notice) -> None:
        """Record an event."""
        self.notices.append(notice)


class FakeSignals:
    """The same signals for everybody, and how often they were asked for."""

    def __init__(self) -> None:
        self.reads = 0
        self.answer: ServingSignals = signals()

    async def read(self, now: float, wanted: Sequence[Any]) -> dict[ServingKey, ServingSignals]:
        """One reading."""
        self.reads += 1
        return {request.key: self.answer for request in wanted}


class FakeDemandWatch:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.ticks = 0
        self.forgotten: list[ServingKey] = []

    def observe(self, signals: Mapping[ServingKey, ServingSignals], now: float) -> None:
        """One tick more."""
        self.ticks += 1

    def forget(self, key: ServingKey) -> None:
        """One serving less."""
        self.forgotten.append(key)


class World:
    """A controller with all its fakes."""

    def __init__(self) -> None:
        self.cluster, self.hands, self.signals = FakeCluster(), FakeHands(), FakeSignals()
        self.demand = FakeDemandWatch()
        self.metrics = OperatorMetrics()
        hands: Any = self.hands
        cluster: Any = self.cluster
        self.servings = Servings(cluster, ProfileBook(load_profiles()))
        self.leading = asyncio.Event()
        self.health = Health(1.0)
        self.controller = Controller(
            cluster,
            servings=self.servings,
            signals=self.signals,
            demand=self.demand,
            hands=Hands(hands, hands, hands, hands),
            metrics=self.metrics,
            health=self.health,
            rhythm=Rhythm(1.0, 5.0, 15.0),
            leading=self.leading,
        )
