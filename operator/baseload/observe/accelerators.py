"""Free accelerators: what Ready nodes allocate minus what the pods bound to them hold, per pool and serving."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from baseload.observe.objects import Node, WorkloadKey
from baseload.observe.placement import Pairs, PodShape
from baseload.observe.pods import PodCensus
from baseload.plan.snapshot import PoolState, Reach

OLDEST_CENSUS_SECONDS = 120.0
"""A listing of the pods older than this says nothing about free accelerators."""

COUNTED_KINDS = frozenset({("apps", "Deployment"), ("apps", "StatefulSet")})
"""Group and kind of the workloads whose replicas are pods that can be counted by their owner."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A CapacityPool in plain values; `hourly` is the price of one accelerator or one node, see `per_node_price`."""

    name: str
    node_selector: Pairs
    resource: str
    product: str
    accelerators_per_node: int
    hourly: float | None
    per_node_price: bool

    def replica_cost_per_hour(self, accelerators: int) -> float | None:
        """What one replica with this many accelerators costs an hour."""
        if self.hourly is None:
            return None
        share = 1.0 / self.accelerators_per_node if self.per_node_price else 1.0
        return self.hourly * accelerators * share


@dataclass(frozen=True, slots=True)
class Row:
    """A node with its labels, and its free and its total accelerators of one kind; an unusable node has none."""

    node: Node
    labels: Mapping[str, str]
    free: int
    total: int


class AcceleratorBook:
    """The accelerators at one instant; answers are remembered, since many servings have pods of one shape."""

    def __init__(self, pools: Iterable[Pool], nodes: Iterable[Node], census: PodCensus, now: float) -> None:
        self.census = census
        self._known = now - census.time <= OLDEST_CENSUS_SECONDS
        self._nodes = [(node, dict(node.labels)) for node in nodes]
        self._rows: dict[str, list[Row]] = {}
        self._first: dict[str, int] = {}
        self._free: list[int] = []
        self._pools = [(pool, self._rows_of_pool(pool)) for pool in pools]
        self._answers: dict[PodShape, tuple[PoolState, ...]] = {}
        self._reaches: dict[PodShape, Reach | None] = {}
        self._alike: dict[tuple[int, tuple[int, ...]], Reach] = {}

    def pools_for(self, shape: PodShape) -> tuple[PoolState, ...]:
        """Every pool whose accelerator the pods ask for and whose nodes accept them, cheapest first."""
        if shape not in self._answers:
            states = (self._state(pool, rows, shape) for pool, rows in self._pools)
            known = [state for state in states if state is not None]
            self._answers[shape] = tuple(sorted(known, key=lambda s: (s.cost_per_replica_hour or 0.0, s.name)))
        return self._answers[shape]

    def reach_of(self, workload: WorkloadKey, shape: PodShape) -> Reach | None:
        """The usable nodes that accept the pods, in a pool or not, as rows of `free`; None when that is not known.

        It is known when the pods were listed and a pool describes at least one node for them, usable or not: a pool
        without nodes may be a slip in its labels, and missing is never zero. Of other kinds the pods are not counted.
        """
        if shape.workers or (workload.group, workload.kind) not in COUNTED_KINDS:
            return None
        if shape not in self._reaches:
            self._reaches[shape] = self._reach(shape)
        return self._reaches[shape]

    @property
    def free(self) -> tuple[int, ...]:
        """The free accelerators of every row."""
        return tuple(self._free)

    def totals(self) -> dict[str, tuple[int, int, int]]:
        """Per pool: usable nodes, accelerators on them, and how many are free."""
        usable = ((pool, [row for row in rows if row.node.usable]) for pool, rows in self._pools)
        return {pool.name: (len(rows), sum(r.total for r in rows), sum(r.free for r in rows)) for pool, rows in usable}

    def _rows_of(self, resource: str) -> list[Row]:
        """All nodes with their accelerators of one kind; their free ones take the next places in `free`."""
        if resource not in self._rows:
            rows = [self._row(node, labels, resource) for node, labels in self._nodes]
            self._rows[resource], self._first[resource] = rows, len(self._free)
            self._free += [row.free for row in rows]
        return self._rows[resource]

    def _row(self, node: Node, labels: Mapping[str, str], resource: str) -> Row:
        if not node.usable:
            return Row(node, labels, 0, 0)
        total = dict(node.allocatable).get(resource, 0)
        taken = self.census.held.get(node.name, {}).get(resource, 0)
        return Row(node, labels, max(total - taken, 0), total)

    def _rows_of_pool(self, pool: Pool) -> tuple[Row, ...]:
        rows = self._rows_of(pool.resource)
        return tuple(r for r in rows if all(r.labels.get(key) == value for key, value in pool.node_selector))

    def _reach(self, shape: PodShape) -> Reach | None:
        if not self._known:
            return None
        for pool, pool_rows in self._pools:
            each = shape.request(pool.resource)
            if not each or not any(shape.accepts(row.labels, row.node.taints) for row in pool_rows):
                continue
            first, rows = self._first[pool.resource], self._rows[pool.resource]
            able = [i for i, r in enumerate(rows, first) if r.total and shape.accepts(r.labels, r.node.taints)]
            known = (each, tuple(able))
            return self._alike.setdefault(known, Reach(known[1], each))
        return None

    def _state(self, pool: Pool, rows: tuple[Row, ...], shape: PodShape) -> PoolState | None:
        # A replica may be a group of pods; those of it that hold no accelerator find their place elsewhere.
        pods = [pod for pod in (shape, *shape.workers) if pod.request(pool.resource)]
        usable = [row for row in rows if row.node.usable]
        fitting = [row for row in usable if pods and _accepts_all(row, pods)]
        if not pods or (usable and not fitting):
            return None
        # Unequal pods all count as large as the largest, which promises too little rather than too much.
        each = max(pod.request(pool.resource) for pod in pods)
        free = sum(row.free // each for row in fitting) // len(pods) if self._known else None
        return PoolState(
            name=pool.name,
            accelerator=pool.product,
            nodes=len(fitting),
            total_accelerators=sum(row.total for row in fitting),
            free_replicas=free,
            cost_per_replica_hour=pool.replica_cost_per_hour(sum(pod.request(pool.resource) for pod in pods)),
        )


def _accepts_all(row: Row, pods: Iterable[PodShape]) -> bool:
    return all(pod.accepts(row.labels, row.node.taints) for pod in set(pods))
