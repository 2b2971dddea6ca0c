"""Free accelerators: what Ready nodes allocate minus what the pods bound to them hold, per pool and serving."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from baseload.observe.objects import Node, WorkloadKey
from baseload.observe.placement import PodShape
from baseload.observe.pods import PodCensus
from baseload.observe.pool import Pool
from baseload.observe.pool_rule import EVERY_POOL, PoolRule
from baseload.plan.snapshot import BarredPool, PoolState, Reach

OLDEST_CENSUS_SECONDS = 120.0
"""A listing of the pods older than this says nothing about free accelerators."""

COUNTED_KINDS = frozenset({("apps", "Deployment"), ("apps", "StatefulSet")})
"""Group and kind of the workloads whose replicas are pods that can be counted by their owner."""


@dataclass(frozen=True, slots=True)
class Row:
    """A node with its labels, and its free and its total accelerators of one kind; an unusable node has none."""

    node: Node
    labels: Mapping[str, str]
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The pools that pods fit into: those that may be used, and those that may not, each with the reason."""

    pools: tuple[PoolState, ...]
    barred: tuple[BarredPool, ...] = ()


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
        self._states: dict[PodShape, tuple[PoolState, ...]] = {}
        self._choices: dict[tuple[PodShape, PoolRule], Choice] = {}
        self._bars: dict[PoolRule, Mapping[str, BarredPool]] = {}
        self._reaches: dict[tuple[PodShape, PoolRule], Reach | None] = {}
        self._alike: dict[tuple[int, tuple[int, ...]], Reach] = {}

    def pools_for(self, shape: PodShape, rule: PoolRule = EVERY_POOL) -> Choice:
        """Every pool whose accelerator the pods ask for and whose nodes accept them, cheapest first."""
        known = self._choices.get((shape, rule))
        if known is None:
            states, barred = self._states_for(shape), self._barred(rule)
            known = Choice(
                tuple(state for state in states if state.name not in barred),
                tuple(barred[state.name] for state in states if state.name in barred),
            )
            self._choices[shape, rule] = known
        return known

    def reach_of(self, workload: WorkloadKey, shape: PodShape, rule: PoolRule = EVERY_POOL) -> Reach | None:
        """The usable nodes that accept the pods, in a pool or not, as rows of `free`; None when that is not known.

        It is known when the pods were listed and a pool describes at least one node for them, usable or not: a pool
        without nodes may be a slip in its labels, and missing is never zero. Of other kinds the pods are not counted.
        Nodes of a pool that the rule bars are left out, and with a selector so are nodes of no pool.
        """
        if shape.workers or (workload.group, workload.kind) not in COUNTED_KINDS:
            return None
        if (shape, rule) not in self._reaches:
            self._reaches[shape, rule] = self._reach(shape, rule)
        return self._reaches[shape, rule]

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

    def _states_for(self, shape: PodShape) -> tuple[PoolState, ...]:
        if shape not in self._states:
            states = (self._state(pool, rows, shape) for pool, rows in self._pools)
            known = [state for state in states if state is not None]
            self._states[shape] = tuple(sorted(known, key=lambda s: (s.cost_per_replica_hour or 0.0, s.name)))
        return self._states[shape]

    def _barred(self, rule: PoolRule) -> Mapping[str, BarredPool]:
        if rule not in self._bars:
            answers = (rule.bars(pool) for pool, _ in self._pools)
            self._bars[rule] = {barred.name: barred for barred in answers if barred is not None}
        return self._bars[rule]

    def _reach(self, shape: PodShape, rule: PoolRule) -> Reach | None:
        if not self._known:
            return None
        for pool, pool_rows in self._pools:
            each = shape.request(pool.resource)
            if not each or not any(shape.accepts(row.labels, row.node.taints) for row in pool_rows):
                continue
            first, rows = self._first[pool.resource], self._rows[pool.resource]
            allowed = self._allowed(pool.resource, rule)
            able = [
                i
                for i, r in enumerate(rows, first)
                if r.total and allowed(r.node.name) and shape.accepts(r.labels, r.node.taints)
            ]
            known = (each, tuple(able))
            return self._alike.setdefault(known, Reach(known[1], each))
        return None

    def _allowed(self, resource: str, rule: PoolRule) -> Callable[[str], bool]:
        """Whether the rule lets a node, by its name, be used for an accelerator."""
        barred = self._barred(rule)
        pools = [(pool, rows) for pool, rows in self._pools if pool.resource == resource]
        good = {row.node.name for pool, rows in pools if pool.name not in barred for row in rows}
        if rule.selects:
            return good.__contains__
        bad = {row.node.name for pool, rows in pools if pool.name in barred for row in rows} - good
        return lambda name: name not in bad

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
            offer=pool.offer,
        )


def _accepts_all(row: Row, pods: Iterable[PodShape]) -> bool:
    return all(pod.accepts(row.labels, row.node.taints) for pod in set(pods))
