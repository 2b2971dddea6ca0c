"""What is paid for in a replay beside the replicas that are ready: orders on their way, and the rest of a minimum."""

from dataclasses import dataclass

import numpy as np

from baseload.sim.case import Case, IntArray
from baseload.sim.leads import steps_of


@dataclass(slots=True, eq=False)
class Bills:
    """What is paid beside the replicas that are ready: orders on their way, and the rest of a minimum.

    `started` counts, by the step at whose end billing began, replicas whose minimum may still run; `dropped` those
    that were cancelled before they came. The oldest replicas are given back first, so of the rest at most as many are
    paid for without being held as began within the minimum and exceed what is held.
    """

    pending_billed: IntArray
    least_steps: IntArray
    started: IntArray | None
    dropped: IntArray | None

    def ordered(self, step: int, count: IntArray) -> None:
        """Billing of `count` replicas begins, where it begins with the order."""
        if self.started is not None:
            self.started[step] += count * self.pending_billed

    def came(self, step: int, count: IntArray) -> None:
        """Billing of `count` replicas begins with this step, where it begins when they come."""
        if self.started is not None and step > 0:
            self.started[step - 1] += count * (1 - self.pending_billed)

    def never_came(self, first: int, count: IntArray) -> None:
        """Parts of orders, by the step they were placed in from `first` on, did not come: their minimum ends."""
        if self.started is not None:
            self.started[first : first + len(count)] -= count * self.pending_billed

    def cancelled(self, first: int, count: IntArray) -> None:
        """Orders, by the step they were placed in from `first` on, are cancelled: paid for to the minimum."""
        if self.started is not None and self.dropped is not None:
            billed = count * self.pending_billed
            self.started[first : first + len(count)] -= billed
            self.dropped[first : first + len(count)] += billed

    def billed(self, step: int, ready: IntArray, pending: IntArray) -> IntArray:
        """Replicas paid for in a step, shape (servings, pools)."""
        held: IntArray = ready + pending * self.pending_billed
        if self.started is None or self.dropped is None:
            return held
        first = max(step - int(self.least_steps.max()), 0)
        running = (np.arange(first, step)[:, None] >= step - self.least_steps)[:, None, :]
        started = np.where(running, self.started[first:step], 0).sum(axis=0)
        dropped = np.where(running, self.dropped[first:step], 0).sum(axis=0)
        billed: IntArray = np.maximum(held, started) + dropped
        return billed


def open_bills(case: Case, shape: tuple[int, int, int]) -> Bills:
    """The bills of a case before its first order; arrays of `shape` (steps, servings, pools)."""
    least = np.array([steps_of(p.min_billing_seconds, case.step_seconds) for p in case.pools], dtype=np.int64)
    has_minimum = bool((least > 1).any())
    return Bills(
        pending_billed=np.array([int(pool.pending_billed) for pool in case.pools], dtype=np.int64),
        least_steps=least,
        started=np.zeros(shape, dtype=np.int64) if has_minimum else None,
        dropped=np.zeros(shape, dtype=np.int64) if has_minimum else None,
    )
