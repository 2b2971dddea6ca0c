"""Free accelerators: what Ready nodes allocate minus what the pods bound to them hold, per pool and serving."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from baseload.observe.objects import Node
from baseload.observe.placement import Pairs, PodShape
from baseload.observe.pods import PodCensus
from baseload.plan.snapshot import PoolState

OLDEST_CENSUS_SECONDS = 120.0
"""A listing of the pods older than this says nothing about free accelerators."""


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
class FreeNode:
    """A usable node of a pool with its labels, and its free and its total accelerators."""

    node: Node
    labels: Mapping[str, str]
    free: int
    total: int


class AcceleratorBook:
    """The accelerators at one instant; answers are remembered, since many servings have pods of one shape."""

    def __init__(self, pools: Iterable[Pool], nodes: Iterable[Node], census: PodCensus, now: float) -> None:
        known = now - census.time <= OLDEST_CENSUS_SECONDS
        self._census = census if known else None
        usable = [(node, dict(node.labels)) for node in nodes if node.usable]
        self._pools = [(pool, _nodes_of(pool, usable, census.held)) for pool in pools]
        self._answers: dict[PodShape, tuple[PoolState, ...]] = {}

    def pools_for(self, shape: PodShape) -> tuple[PoolState, ...]:
        """Every pool whose accelerator the pods ask for and whose nodes accept them, cheapest first."""
        if shape not in self._answers:
            states = (self._state(pool, nodes, shape) for pool, nodes in self._pools)
            known = [state for state in states if state is not None]
            self._answers[shape] = tuple(sorted(known, key=lambda s: (s.cost_per_replica_hour or 0.0, s.name)))
        return self._answers[shape]

    def totals(self) -> dict[str, tuple[int, int, int]]:
        """Per pool: usable nodes, accelerators on them, and how many are free."""
        return {
            pool.name: (len(nodes), sum(n.total for n in nodes), sum(n.free for n in nodes))
            for pool, nodes in self._pools
        }

    def _state(self, pool: Pool, nodes: tuple[FreeNode, ...], shape: PodShape) -> PoolState | None:
        # A replica may be a group of pods; those of it that hold no accelerator find their place elsewhere.
        pods = [pod for pod in (shape, *shape.workers) if pod.request(pool.resource)]
        fitting = [n for n in nodes if pods and _accepts_all(n, pods)]
        if not pods or (nodes and not fitting):
            return None
        # Unequal pods all count as large as the largest, which promises too little rather than too much.
        each = max(pod.request(pool.resource) for pod in pods)
        free = None if self._census is None else sum(n.free // each for n in fitting) // len(pods)
        return PoolState(
            name=pool.name,
            accelerator=pool.product,
            nodes=len(fitting),
            total_accelerators=sum(n.total for n in fitting),
            free_replicas=free,
            cost_per_replica_hour=pool.replica_cost_per_hour(sum(pod.request(pool.resource) for pod in pods)),
        )


def _nodes_of(
    pool: Pool, nodes: Iterable[tuple[Node, Mapping[str, str]]], held: Mapping[str, Mapping[str, int]]
) -> tuple[FreeNode, ...]:
    """The nodes that carry the pool's labels."""
    rows = []
    for node, labels in nodes:
        if any(labels.get(key) != value for key, value in pool.node_selector):
            continue
        total = dict(node.allocatable).get(pool.resource, 0)
        taken = held.get(node.name, {}).get(pool.resource, 0)
        rows.append(FreeNode(node, labels, max(total - taken, 0), total))
    return tuple(rows)


def _accepts_all(row: FreeNode, pods: Iterable[PodShape]) -> bool:
    return all(pod.accepts(row.labels, row.node.taints) for pod in set(pods))
