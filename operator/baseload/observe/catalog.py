"""Our own objects as last seen: ModelServings with who claims which workload, and CapacityPools."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from baseload.api.reasons import Reason
from baseload.errors import ConfigError
from baseload.observe.objects import PoolObject, ServingObject, WorkloadKey
from baseload.observe.pause import pause_of
from baseload.observe.pool import Pool, pool_of
from baseload.observe.target_kinds import KindRef
from baseload.observe.translate import Accepted, accept
from baseload.plan.snapshot import Pause, Refusal, ServingKey

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One ModelServing: as stored, as understood (or why not), and its pause annotations."""

    key: ServingKey
    stored: ServingObject
    accepted: Accepted | Refusal
    pause: Pause

    @property
    def target(self) -> WorkloadKey | None:
        """The workload it names, None when the spec could not be read."""
        return self.accepted.target if isinstance(self.accepted, Accepted) else None


class Catalog:
    """All ModelServings and CapacityPools; `on_dirty(key)` is told of each serving whose intent may have changed.

    `on_kind(ref, named)` is told when a first serving names a kind, and when no serving names it any more.
    """

    def __init__(
        self,
        on_dirty: Callable[[ServingKey], None],
        on_kind: Callable[[KindRef, bool], None] = lambda _ref, _named: None,
    ) -> None:
        self.entries: dict[ServingKey, Entry] = {}
        self.pools: dict[str, tuple[PoolObject, Pool | None]] = {}
        self.refused_pools: dict[str, str] = {}
        self._claims: dict[WorkloadKey, set[ServingKey]] = defaultdict(set)
        self._kinds: Counter[KindRef] = Counter()
        self._on_dirty = on_dirty
        self._on_kind = on_kind

    def put_serving(self, stored: ServingObject) -> None:
        """Take a ModelServing as seen; only a changed spec, annotation or identity makes it dirty."""
        key = ServingKey(stored.namespace, stored.name)
        old = self.entries.get(key)
        same = old is not None and _intent(old.stored) == _intent(stored)
        if old is not None and same:
            self.entries[key] = Entry(key, stored, old.accepted, old.pause)
            return
        entry = Entry(key, stored, accept(stored), pause_of(dict(stored.annotations)))
        # The new kind first: a kind that both name must not be dropped in between.
        self._name_kind(entry, +1)
        if old is not None:
            self._drop_claim(old)
        self.entries[key] = entry
        if entry.target is not None:
            self._claims[entry.target].add(key)
            self._tell_claimants(entry.target)
        self._on_dirty(key)

    def remove_serving(self, key: ServingKey, uid: str) -> None:
        """Forget a ModelServing that is gone, unless another of the same name took its place."""
        entry = self.entries.get(key)
        if entry is None or entry.stored.uid != uid:
            return
        del self.entries[key]
        self._drop_claim(entry)
        self._on_dirty(key)

    def put_pool(self, stored: PoolObject) -> None:
        """Take a CapacityPool as seen; one that cannot be read is no capacity, and said once."""
        old = self.pools.get(stored.name)
        if old is not None and _meaning(old[0]) == _meaning(stored):
            self.pools[stored.name] = (stored, old[1])
            return
        pool: Pool | None = None
        try:
            pool = pool_of(stored)
            self.refused_pools.pop(stored.name, None)
        except ConfigError as error:
            self.refused_pools[stored.name] = str(error)
            logger.error("pool refused", extra={"pool": stored.name, "error": str(error)})  # noqa: TRY400
        self.pools[stored.name] = (stored, pool)

    def remove_pool(self, name: str, uid: str) -> None:
        """Forget a CapacityPool that is gone."""
        if name in self.pools and self.pools[name][0].uid == uid:
            del self.pools[name]
            self.refused_pools.pop(name, None)

    def usable_pools(self) -> list[Pool]:
        """The pools that could be read."""
        return [pool for _, pool in self.pools.values() if pool is not None]

    def claimants(self, target: WorkloadKey) -> frozenset[ServingKey]:
        """The servings that name a workload."""
        return frozenset(self._claims.get(target, ()))

    def conflict(self, entry: Entry) -> Refusal | None:
        """Refuse all but the oldest serving of one target; equal age goes by name."""
        if entry.target is None or len(self._claims.get(entry.target, ())) < 2:
            return None
        oldest = min(self._claims[entry.target], key=lambda k: (self.entries[k].stored.created, k.namespace, k.name))
        if oldest == entry.key:
            return None
        message = f"ModelServing '{oldest.name}' is older and scales {entry.target.kind} '{entry.target.name}' already"
        return Refusal(Reason.TARGET_CONFLICT, f"{message}; delete one of the two or change `spec.targetRef`")

    def _drop_claim(self, entry: Entry) -> None:
        if entry.target is None:
            return
        self._name_kind(entry, -1)
        claims = self._claims[entry.target]
        claims.discard(entry.key)
        self._tell_claimants(entry.target)
        if not claims:
            del self._claims[entry.target]

    def _name_kind(self, entry: Entry, change: int) -> None:
        if not isinstance(entry.accepted, Accepted):
            return
        ref = entry.accepted.kind
        before = self._kinds[ref]
        self._kinds[ref] += change
        if not before or not self._kinds[ref]:
            self._on_kind(ref, bool(self._kinds[ref]))
        if not self._kinds[ref]:
            del self._kinds[ref]

    def _tell_claimants(self, target: WorkloadKey) -> None:
        for key in self._claims[target]:
            self._on_dirty(key)


def _meaning(stored: PoolObject) -> tuple[object, ...]:
    """What of a pool can change a decision; its labels have no generation."""
    return stored.uid, stored.generation, stored.labels


def _intent(stored: ServingObject) -> tuple[object, ...]:
    """What of an object can change a decision: never its status."""
    return stored.uid, stored.generation, stored.annotations
