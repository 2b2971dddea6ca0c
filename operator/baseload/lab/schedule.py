"""The clairvoyant schedule: the least replica-seconds anyone could pay who knew the demand beforehand.

Replicas are alike, so the schedule falls apart into levels: level k is needed while the load exceeds k - 1. A level
that is needed again soon is kept if that costs no more than starting it anew. Each gap is a choice of its own, so
the cheapest choice for each gap of each level is the cheapest schedule; the tests prove it against brute force.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

# Loads are quotients of floats: five replicas' worth must not become six by rounding.
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Schedule:
    """Replicas second by second: `needed` cover the load, `paid` exist (start-up time is paid as well)."""

    needed: tuple[int, ...]
    paid: tuple[int, ...]

    @property
    def replica_seconds(self) -> int:
        """Replica-seconds from pod creation to pod gone, inside the span of the load."""
        return sum(self.paid)

    @property
    def static_peak_replica_seconds(self) -> int:
        """Replica-seconds of the fixed number of replicas that covers every second."""
        return max(self.needed, default=0) * len(self.needed)


def clairvoyant(loads: Sequence[float], start_up_seconds: float) -> Schedule:
    """Return the cheapest schedule that covers `loads` (replicas' worth of work in each second).

    A replica serves `start_up_seconds` (rounded up to whole seconds) after it is ordered and is paid from the order
    until it is let go. Those needed in the first second have been there before. What is paid before the first
    second lies outside the span, for this schedule as for every measured run.
    """
    needed = tuple(ceil(load - _TOLERANCE) for load in loads)
    lead = ceil(start_up_seconds)
    paid = [0] * len(needed)
    for level in range(1, max(needed, default=0) + 1):
        for start, end in _held([count >= level for count in needed], lead):
            for second in range(start, end):
                paid[second] += 1
    return Schedule(needed, tuple(paid))


def _held(needed: Sequence[bool], lead: int) -> list[tuple[int, int]]:
    """Return the half-open spans in which one level is paid: from each order to each release, gaps bridged."""
    spans: list[tuple[int, int]] = []
    for second, wanted in enumerate(needed):
        if not wanted:
            continue
        start = max(second - lead, 0)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], second + 1)
        else:
            spans.append((start, second + 1))
    return spans
