"""Who gets the free accelerators: replicas wanted by many servings, cut to what really fits on the nodes.

Higher priority first; inside one priority `replicas.min` first, then the next replica goes to whoever has the
smallest share of what it needs. The order of all replicas is fixed before the first is placed, so more free
accelerators never give anybody less, and a serving of lower priority never changes what a higher one gets.
Nobody loses a replica here: what was ordered before and has no node yet holds its place first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from baseload.plan.ask import Ask
from baseload.plan.room import Room
from baseload.plan.snapshot import Reach, ServingKey


@dataclass(frozen=True, slots=True)
class Share:
    """What came of an ask, in replicas: claims that fit, growth that was granted; the rest is `missing`.

    `ahead` and `beside` are the accelerators that others of higher and of the same priority miss on the same nodes.
    """

    fitting: int
    granted: int
    missing: int
    ahead: int = 0
    beside: int = 0


def share(asks: Sequence[Ask], free: Sequence[int]) -> dict[ServingKey, Share]:
    """Share out the free accelerators, given by the row of each node; every ask is answered."""
    if not asks:
        return {}
    ranked = sorted(asks, key=lambda ask: (-ask.priority, str(ask.key)))
    room = Room(free, [ask.reach for ask in ranked])
    fitting = {ask.key: _claim(room, ask) for ask in ranked if not ask.stale}
    granted = _grow(room, ranked)
    fitting |= {ask.key: _claim(room, ask) for ask in ranked if ask.stale}
    missing = {ask.key: _missing(ask, fitting[ask.key], granted[ask.key]) for ask in ranked}
    others = _Others(room, ranked, missing)
    return {
        ask.key: Share(fitting[ask.key], granted[ask.key], missing[ask.key], *others.of(ask, missing[ask.key]))
        for ask in ranked
    }


def _claim(room: Room, ask: Ask) -> int:
    """How many of the replicas ordered before still find a place."""
    fitting = 0
    while fitting < ask.claimed and room.place(ask.reach):
        fitting += 1
    return fitting


def _grow(room: Room, ranked: Sequence[Ask]) -> dict[ServingKey, int]:
    """Place new replicas one by one, always the next in order; who finds no place once is out."""
    granted = {ask.key: 0 for ask in ranked}
    waiting = [(*_turn(ask, 0), index) for index, ask in enumerate(ranked) if ask.growth]
    heapify(waiting)
    while waiting:
        *_, index = heappop(waiting)
        ask = ranked[index]
        if not room.place(ask.reach):
            continue
        granted[ask.key] += 1
        if granted[ask.key] < ask.growth:
            heappush(waiting, (*_turn(ask, granted[ask.key]), index))
    return granted


def _turn(ask: Ask, granted: int) -> tuple[int, bool, float]:
    """When the next replica of a serving has its turn: by priority, below the minimum, by the share of its need.

    A share of the need, not a number of accelerators: so all are overloaded alike, and nobody gets more by cutting
    one serving into several.
    """
    have = ask.ordered + granted
    return -ask.priority, have >= ask.least, have / max(ask.wanted, 1)


def _missing(ask: Ask, fitting: int, granted: int) -> int:
    """Wanted replicas without a place; a pod beyond the wanted number, as in a rollout, is none of them."""
    return max(ask.wanted - min(ask.ordered, ask.placed + fitting) - granted, 0)


class _Others:
    """What other servings miss on the same nodes, by priority; remembered, since many ask from the same nodes."""

    def __init__(self, room: Room, ranked: Iterable[Ask], missing: Mapping[ServingKey, int]) -> None:
        self._room = room
        self._missing: dict[Reach, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for ask in ranked:
            if missing[ask.key]:
                self._missing[ask.reach][ask.priority] += missing[ask.key] * ask.reach.each
        self._known: dict[tuple[Reach, int], tuple[int, int]] = {}

    def of(self, ask: Ask, missing: int) -> tuple[int, int]:
        """Accelerators that others miss: of higher priority, and of the same."""
        if not missing:
            return 0, 0
        known = self._known.get((ask.reach, ask.priority))
        if known is None:
            known = self._add_up(ask)
            self._known[ask.reach, ask.priority] = known
        return known[0], known[1] - missing * ask.reach.each

    def _add_up(self, ask: Ask) -> tuple[int, int]:
        ahead = beside = 0
        for reach, by_priority in self._missing.items():
            if self._room.overlap(reach, ask.reach):
                ahead += sum(count for priority, count in by_priority.items() if priority > ask.priority)
                beside += by_priority.get(ask.priority, 0)
        return ahead, beside
