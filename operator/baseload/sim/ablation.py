"""The forecast's levels with one of their parts switched off: what each part is worth shows in the difference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast import experts, mixture
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Foresight, Levels, Terms, advance, begin, peek, see
from baseload.plan.forecast.replay import replicas_for
from baseload.sim.case import Case, IntArray, View, Wanted
from baseload.sim.leads import steps_of, told_lead_seconds

Look = Callable[[Foresight, DemandBlock, Terms], Levels]
"""How levels come from what was learned; `peek` is the whole planner."""

Mask = NDArray[np.bool_]

_FIXED_TAU = 0.93
"""The fitted quantile next to 1 - 1 / 20, what a newsvendor would choose at a shortage cost of 20."""


class LevelsAlone:
    """A policy of one pool that follows the levels as they are, a bucket a step; no `plan()` and no limits after it."""

    _terms: Terms
    _grid: Grid

    def __init__(self, name: str, look: Look, learned: Sequence[Foresight]) -> None:
        self.name = name
        self._look = look
        self._learned = learned

    def begin(self, case: Case) -> None:
        """Take the terms of the case."""
        self._grid, self._terms = grid_and_terms(case)

    def decide(self, view: View) -> Wanted:
        """Order up to one level and keep the other."""
        block = DemandBlock(view.demand, self._grid, view.demand.shape[1])
        levels = self._look(self._learned[view.step], block, self._terms)
        return Wanted(order=_whole(levels.order), keep=_whole(levels.keep))


def learn(case: Case) -> list[Foresight]:
    """Return what was learned at the end of each step: the same whatever part is switched off afterwards."""
    grid, terms = grid_and_terms(case)
    states = [begin(len(case.demand), grid)]
    for end in range(1, case.demand.shape[1] + 1):
        states.append(advance(states[-1], DemandBlock(case.demand[:, :end], grid, end), terms))
    return states[1:]


def grid_and_terms(case: Case) -> tuple[Grid, Terms]:
    """Return how a case cuts time and on what terms its first pool serves; demand is in replicas already."""
    servings = len(case.demand)
    lead = steps_of(told_lead_seconds(case, case.pools[0]), case.step_seconds)
    terms = Terms(np.full(servings, lead), np.ones(servings), np.full(servings, case.penalty))
    return Grid(case.step_seconds, case.steps_per_day), terms


def _whole(level: NDArray[np.float64]) -> IntArray:
    return replicas_for(np.nan_to_num(level), np.ones(len(level))).astype(np.int64)[:, None]


def forecasts_only(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Mix the experts that look at a quantile regression; before there is one, as the whole planner."""
    return _mixed(foresight, block, terms, ~experts.TABLE.is_rule)


def rules_only(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Mix the rules of the horizontal pod autoscaler: what learning its settings by money is worth."""
    return _mixed(foresight, block, terms, experts.TABLE.is_rule)


def no_keep_rule(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Keep what would be ordered now, no more."""
    levels = peek(foresight, block, terms)
    return replace(levels, keep=levels.order)


def no_mixture(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Always the one expert that theory would choose: the 0.93 quantile, ordered and kept over the longer spans."""
    table = experts.TABLE
    is_size = (table.order_tau == _FIXED_TAU) & (table.keep_tau == _FIXED_TAU)
    is_longest = (table.order == table.order[is_size].max()) & (table.keep == table.keep[is_size].max())
    return _mixed(foresight, block, terms, is_size & is_longest)


def band_only(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Order up to and keep the upper edge of the published band: an ensemble with a conformal quantile."""
    levels = peek(foresight, block, terms)
    return replace(levels, order=levels.high, keep=levels.high)


ABLATIONS: Mapping[str, Look] = {
    "whole": peek,
    "forecasts only": forecasts_only,
    "rules only": rules_only,
    "no keep rule": no_keep_rule,
    "no mixture": no_mixture,
    "band only": band_only,
}
"""The whole planner first, then one part after the other switched off."""


def _mixed(foresight: Foresight, block: DemandBlock, terms: Terms, only: Mask) -> Levels:
    """Blend the levels of some experts by their weights; where none of them can speak yet, of all."""
    sight = see(foresight, block, terms)
    live = sight.is_live & only
    live = np.where(live.any(axis=1, keepdims=True), live, sight.is_live)
    return replace(
        peek(foresight, block, terms),
        order=mixture.blend(foresight.mixture, sight.order, live),
        keep=mixture.blend(foresight.mixture, sight.keep, live),
    )
