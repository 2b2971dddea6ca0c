"""`hpa-hindsight`: the best HPA there could have been, found afterwards on the very case by its cost.

Every combination of target, stabilisation window (0 to 6 h) and tolerance is replayed as an HPA of its own, all of
them at once as servings of one replay; each serving then gets the cheapest. No admin can do this, so what comes near it
without hindsight is good. Where pools fail at random each trial meets failures of its own; limits are not shared
between trials.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from baseload.sim.case import Case, FloatArray, View, Wanted
from baseload.sim.fluid import simulate
from baseload.sim.policies.hpa import Hpa, HpaOptions
from baseload.sim.score import cost_by_step

TARGETS = tuple(round(0.5 + 0.02 * index, 2) for index in range(41))
"""0.5 to 1.3 of a replica's worth; more than 1 pays where a little waiting is cheaper than a replica."""

WINDOW_MINUTES = (0, 10, 20, 30, 40, 60, 90, 120, 180, 240, 360)
"""Stabilisation windows for the way down."""

TOLERANCES = (0.0, 0.02, 0.05, 0.1)
"""Up to the controller's default."""

GRID = tuple(
    HpaOptions(target, tolerance, 60.0 * minutes)
    for target, minutes, tolerance in product(TARGETS, WINDOW_MINUTES, TOLERANCES)
)
"""Every combination."""

MOST_CELLS = 4_000_000
"""Trials times steps replayed at once; more servings are tried in parts."""


class HpaHindsight:
    """An HPA per serving with the options that would have been cheapest."""

    name = "hpa-hindsight"
    _best: Hpa
    options: tuple[HpaOptions, ...] = ()
    """What was chosen for each serving."""

    def begin(self, case: Case) -> None:
        """Try the whole grid."""
        part = max(MOST_CELLS // (len(GRID) * case.world.shape[1]), 1)
        chosen: list[int] = []
        for first in range(0, len(case.world), part):
            cost = grid_costs(_part(case, slice(first, first + part)))
            chosen.extend(int(index) for index in cost.argmin(axis=1))
        self.options = tuple(GRID[index] for index in chosen)
        self._best = Hpa(self.options)
        self._best.begin(case)

    def decide(self, view: View) -> Wanted:
        """As the best HPA does."""
        return self._best.decide(view)


def grid_costs(case: Case) -> FloatArray:
    """Cost of each serving with each options of the grid, shape (servings, options), in replica-steps."""
    servings = len(case.world)
    trials = replace(
        case,
        demand=np.repeat(case.demand, len(GRID), axis=0),
        world=np.repeat(case.world, len(GRID), axis=0),
        history=None,
        pools=tuple(replace(pool, limit=None) for pool in case.pools),
    )
    done = simulate(trials, Hpa(GRID * servings))
    return np.asarray(cost_by_step(done).sum(axis=1).reshape(servings, len(GRID)))


def _part(case: Case, rows: slice) -> Case:
    history = None if case.history is None else case.history[rows]
    return replace(case, demand=case.demand[rows], world=case.world[rows], history=history)
