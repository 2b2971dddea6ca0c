"""Free accelerators while they are shared out: whether one more replica still fits, node by node.

Nodes that the same servings may use are one lot. A replica goes to the lot that fewest others can use and there to the
node that it fills best. When all its lots are full, replicas placed before are moved on to other lots that
they may use as well, if that makes a place (an augmenting path): for replicas of one size nothing is wasted.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence

from baseload.plan.snapshot import Reach


class _Lot:
    """Nodes that the same reaches contain: how many have how many free accelerators, and who was placed there."""

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.nodes: Counter[int] = Counter()
        self.placed: Counter[int] = Counter()

    def take(self, each: int) -> bool:
        """Take accelerators from the node with the fewest that suffice; False when none has enough."""
        best = min((free for free in self.nodes if free >= each), default=0)
        if not best:
            return False
        self.nodes[best] -= 1
        if not self.nodes[best]:
            del self.nodes[best]
        if best > each:
            self.nodes[best - each] += 1
        return True


class Room:
    """The free accelerators of all rows, for the reaches that ask; `place` takes one replica's."""

    def __init__(self, free: Sequence[int], reaches: Iterable[Reach]) -> None:
        self._bits = {reach: bit for bit, reach in enumerate(dict.fromkeys(reaches))}
        self._each = [reach.each for reach in self._bits]
        masks: dict[int, int] = defaultdict(int)
        for reach, bit in self._bits.items():
            for row in reach.rows:
                masks[row] |= 1 << bit
        lots: dict[int, _Lot] = {}
        for row, mask in masks.items():
            lot = lots.setdefault(mask, _Lot(mask))
            if free[row]:
                lot.nodes[free[row]] += 1
        self._lots = sorted(lots.values(), key=lambda lot: (lot.mask.bit_count(), lot.mask))
        self._lots_of = [
            [i for i, lot in enumerate(self._lots) if lot.mask >> bit & 1] for bit in range(len(self._each))
        ]
        self._open = [deque(lots_of) for lots_of in self._lots_of]
        self._full: set[int] = set()

    def place(self, reach: Reach) -> bool:
        """Whether one more replica fits; it is placed then. Once one did not, no later one does."""
        bit = self._bits[reach]
        if bit in self._full:
            return False
        each, open_lots = self._each[bit], self._open[bit]
        while open_lots:
            lot = self._lots[open_lots[0]]
            if lot.take(each):
                lot.placed[bit] += 1
                return True
            open_lots.popleft()
        if self._move_on(bit):
            return True
        self._full.add(bit)
        return False

    def overlap(self, one: Reach, other: Reach) -> bool:
        """Whether two reaches have a node in common."""
        bit = self._bits[other]
        return any(self._lots[lot].mask >> bit & 1 for lot in self._lots_of[self._bits[one]])

    def _move_on(self, bit: int) -> bool:
        """Search the lots breadth first for a chain of replicas of the same size that can each move one lot on."""
        each = self._each[bit]
        came: dict[int, tuple[int, int] | None] = dict.fromkeys(self._lots_of[bit])
        queue = deque(came)
        while queue:
            at = queue.popleft()
            movable = [other for other in self._lots[at].placed if self._each[other] == each]
            for other in movable:
                for target in self._lots_of[other]:
                    if target in came:
                        continue
                    came[target] = (at, other)
                    if self._lots[target].take(each):
                        self._shift(came, target, bit)
                        return True
                    queue.append(target)
        return False

    def _shift(self, came: dict[int, tuple[int, int] | None], target: int, bit: int) -> None:
        """Move along the chain found, back to the lot where the new replica goes."""
        step = came[target]
        while step is not None:
            at, other = step
            placed = self._lots[at].placed
            placed[other] -= 1
            if not placed[other]:
                del placed[other]
            self._lots[target].placed[other] += 1
            target, step = at, came[at]
        self._lots[target].placed[bit] += 1
