"""The state of all replicas of a replay: ready, ordered, held and billed, advanced step by step."""

from dataclasses import dataclass

import numpy as np

from baseload.sim.billing import Bills, open_bills
from baseload.sim.case import Case, IntArray, Wanted
from baseload.sim.faults import Faults, draw_faults, losses
from baseload.sim.leads import EDGE, draw_lead_steps, steps_of
from baseload.sim.sharing import share_room


@dataclass(slots=True, eq=False)
class World:
    """Replicas of every serving in every pool, shape (servings, pools), and the orders behind them.

    `placed`, `due`, `started` and `dropped` have the shape (steps, servings, pools) and are indexed by the step at
    whose end an order was placed: what of it is still pending, the step in which it serves, how many began to be
    billed, and how many of those were cancelled.
    """

    case: Case
    random: np.random.Generator
    due: IntArray
    faults: Faults
    ready: IntArray
    pending: IntArray
    placed: IntArray
    reach: int
    bills: Bills
    came: IntArray
    hold_steps: IntArray
    has_limits: bool

    def begin(self, step: int) -> None:
        """Start a step: orders that are due come, then replicas are taken away."""
        first = max(step - self.reach, 0)
        window = self.placed[first:step]
        coming = np.where(self.due[first:step] == step, window, 0)
        if coming.any():
            window -= coming
            total = coming.sum(axis=0)
            came = self._filled(coming, first)
            self.pending = self.pending - total
            self.ready = self.ready + came
            self.came[step] = came
            self.bills.came(step, came)
        lost = losses(self.faults, step, self.ready, self.random)
        if lost is not None:
            self.ready = self.ready - lost

    def _filled(self, coming: IntArray, first: int) -> IntArray:
        """How many of the orders that are due really come; a part of an order is at least one."""
        shares = np.array([pool.fill_share for pool in self.case.pools])
        filled = coming
        if (shares < 1.0).any():
            filled = np.ceil(coming * shares - EDGE).astype(np.int64)
            self.bills.never_came(first, coming - filled)
        came: IntArray = filled.sum(axis=0)
        return came

    def end(self, step: int, wanted: Wanted) -> None:
        """End a step: cancel what is pending beyond the order, give back what is beyond the keep level, order."""
        missing = wanted.order - self.ready - self.pending
        if (missing < 0).any():
            self._cancel(step, np.maximum(-missing, 0))
        self.ready = np.minimum(self.ready, np.maximum(wanted.keep, self._held(step)))
        if (missing > 0).any():
            self._order(step, np.maximum(missing, 0))

    def _cancel(self, step: int, excess: IntArray) -> None:
        """Cancel up to `excess` pending replicas, the newest order first."""
        first = max(step - self.reach, 0)
        newest_first = self.placed[first:step][::-1]
        if not newest_first.size:
            return
        before = np.cumsum(newest_first, axis=0) - newest_first
        cut = np.clip(excess - before, 0, newest_first)
        newest_first -= cut
        self.pending = self.pending - cut.sum(axis=0)
        self.bills.cancelled(first, cut[::-1])

    def _held(self, step: int) -> IntArray:
        """Ready replicas that came too recently to be given back."""
        most = int(self.hold_steps.max())
        if most <= 1:
            return np.zeros_like(self.ready)
        first = max(step - most + 2, 0)
        young = (np.arange(first, step + 1)[:, None] > step + 1 - self.hold_steps)[:, None, :]
        held: IntArray = np.where(young, self.came[first : step + 1], 0).sum(axis=0)
        return np.minimum(self.ready, held)

    def _order(self, step: int, missing: IntArray) -> None:
        """Place orders as far as the pools take them."""
        missing = np.where(self.faults.refused[step], 0, missing)
        if self.has_limits:
            held = (self.ready + self.pending).sum(axis=0)
            for index, pool in enumerate(self.case.pools):
                if pool.limit is not None:
                    missing[:, index] = share_room(missing[:, index], pool.limit - int(held[index]))
        self.placed[step] = missing
        self.pending = self.pending + missing
        self.bills.ordered(step, missing)

    def billed(self, step: int) -> IntArray:
        """Replicas paid for in a step, shape (servings, pools)."""
        return self.bills.billed(step, self.ready, self.pending)


def make_world(case: Case) -> World:
    """The world of a case before its first step: what the first demand needs is ready in the first pool."""
    servings, steps = case.world.shape
    shape = (steps, servings, len(case.pools))
    drawn, live = (np.random.default_rng([case.seed, part]) for part in (1, 2))
    lead_steps = draw_lead_steps(case, drawn)
    hold = np.array([steps_of(pool.hold_seconds, case.step_seconds) for pool in case.pools], dtype=np.int64)
    ready = np.zeros(shape[1:], dtype=np.int64)
    ready[:, 0] = np.ceil(case.world[:, 0] - EDGE)
    limit = case.pools[0].limit
    if limit is not None:
        ready[:, 0] = share_room(ready[:, 0], limit)
    return World(
        case=case,
        random=live,
        # An order of step t takes its lead from the end of t on, so it serves from step t + 1 + lead.
        due=np.arange(steps)[:, None, None] + 1 + lead_steps,
        faults=draw_faults(case, drawn),
        ready=ready,
        pending=np.zeros(shape[1:], dtype=np.int64),
        placed=np.zeros(shape, dtype=np.int64),
        reach=int(lead_steps.max()) + 1,
        bills=open_bills(case, shape),
        came=np.zeros(shape, dtype=np.int64),
        hold_steps=hold,
        has_limits=any(pool.limit is not None for pool in case.pools),
    )
