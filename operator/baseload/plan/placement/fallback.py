"""Placement without the integer programme: cheapest usable capacity first, from nothing or from a rounded programme."""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from baseload.plan.outlook import Answer
from baseload.plan.placement.answer import finished
from baseload.plan.placement.grid import Pairs
from baseload.plan.placement.horizon import Horizon
from baseload.plan.placement.problem import BoolArray, FloatArray, IntArray, Placement, PlacementProblem

_SLACK = 1e-9


def greedy(problem: PlacementProblem) -> Placement:
    """Cover what demand is worth covering, by effective price; what serves now is not swapped for something cheaper."""
    lead = problem.lead_steps
    last = problem.scenarios.demand.shape[-1] - 1
    # Of the pools that a serving may use, the nearest and the furthest step at which an order counts.
    later = np.minimum(np.where(problem.fleet.usable, lead, 0).max(axis=1), last)
    targets = _worth_covering(problem, np.zeros_like(later)), _worth_covering(problem, later)
    nothing = np.zeros(problem.fleet.usable.shape, dtype=np.int64)
    return _fill(problem, nothing, targets, Answer.GREEDY, wished=nothing)


def rounded(problem: PlacementProblem, pairs: Pairs, horizon: Horizon) -> Placement:
    """The programme over the horizon rounded down, then filled up to the demand that it covers."""
    shape = problem.fleet.usable.shape
    at = (pairs.serving, pairs.pool)
    steps = np.arange(horizon.replicas.shape[1])
    decided = np.where(steps[None, :] <= pairs.lead[:, None], horizon.replicas[..., 0], 0.0)
    position, now = np.zeros(shape), np.zeros(shape)
    position[at], now[at] = decided.max(axis=1), decided[:, 0]
    targets = (problem.fleet.capacity * now).sum(axis=1), (problem.fleet.capacity * position).sum(axis=1)
    # What is there now is inside all limits together; what is ordered beside it is taken up while it fits.
    begin, wished = (np.floor(number + 1e-6).astype(np.int64) for number in (now, position))
    return _fill(problem, begin, targets, Answer.ROUNDED, wished)


def _worth_covering(problem: PlacementProblem, step: IntArray) -> FloatArray:
    """Demand at a step of each serving up to which a replica costs less than what it is expected to save."""
    usable, servings = problem.fleet.usable, problem.servings
    price = np.where(usable, _unit_price(problem), np.inf).min(axis=1)
    demand = problem.scenarios.demand[:, np.arange(step.size), step]
    order = np.argsort(demand, axis=0)
    exceeded = 1.0 - np.cumsum(problem.scenarios.probability[order], axis=0)
    worth = exceeded * servings.shortage_cost > price + _SLACK
    # The smallest demand that is exceeded too rarely; nothing where even certain demand is not worth its price.
    index = np.minimum(worth.sum(axis=0), demand.shape[0] - 1)
    covered = np.take_along_axis(demand, order, axis=0)[index, np.arange(step.size)]
    return np.where(servings.shortage_cost > price, covered, 0.0)


def _unit_price(problem: PlacementProblem) -> FloatArray:
    """Effective price per hour and unit of demand, (servings, pools): of what survives, and with its lead paid."""
    survival = problem.scenarios.probability @ problem.scenarios.survival
    with np.errstate(divide="ignore", invalid="ignore"):
        price = problem.pools.avoidable_hourly * problem.node_share / (problem.fleet.capacity * survival)
    return np.where(np.isfinite(price), price, np.inf)


@dataclass(slots=True, eq=False)
class _Filling:
    """What has been given, (servings, pools), and the nodes and budgets that it takes; changed replica by replica."""

    problem: PlacementProblem
    given: IntArray
    share: FloatArray
    price: FloatArray
    burst: FloatArray
    used: FloatArray
    most: FloatArray

    def cheapest(self, serving: int, *, now: bool) -> int | None:
        """The pool that gives the next replica at the least price, None when none can."""
        fleet, pools = self.problem.fleet, self.problem.pools
        after = self.used + self.share[serving]
        there = self.given[serving] < fleet.ready[serving]
        possible = self._possible(serving)
        if now:
            possible &= (fleet.start_up_steps[serving] == 0) | there
            possible &= after <= np.where(pools.lead_steps == 0, self.most, pools.nodes) + _SLACK
        if not possible.any():
            return None
        free = after <= pools.paid_nodes[:, 0] + _SLACK
        price = np.where(free, 0.0, self.price[serving]) * np.where(there, 1.0, 1.0 + self.problem.move_hours)
        order = np.lexsort((~there, price))
        return int(order[np.argmax(possible[order])])

    def _possible(self, serving: int) -> BoolArray:
        """Where one more replica is inside bounds, nodes and budgets."""
        problem, given = self.problem, self.given[serving]
        fits = self.used + self.share[serving] <= self.most + _SLACK
        spent = self.burst[serving] @ given + self.burst[serving]
        affordable = (spent <= problem.servings.hourly_budget[serving] * (1 + _SLACK)) | ~problem.pools.is_burst
        priced = problem.fleet.usable[serving] & np.isfinite(self.price[serving])
        possible: BoolArray = priced & fits & affordable & (given.sum() < problem.servings.most[serving])
        return possible

    def wish(self, wished: IntArray) -> None:
        """Give what is wished for while it fits."""
        for serving, pool in np.argwhere(wished > self.given):
            while self.given[serving, pool] < wished[serving, pool] and self._possible(serving)[pool]:
                self.give(serving, pool)

    def give(self, serving: int, pool: int) -> None:
        """One more replica of a serving in a pool."""
        self.given[serving, pool] += 1
        self.used[pool] += self.share[serving, pool]


def _fill(
    problem: PlacementProblem,
    given: IntArray,
    targets: tuple[FloatArray, FloatArray],
    answered_by: Answer,
    wished: IntArray,
) -> Placement:
    """Add replicas until the demand of now and of later is covered, or nothing fits; those `wished` for first."""
    pools, share = problem.pools, problem.node_share
    unit, (least, most) = pools.unit_nodes, problem.node_bounds
    burst = np.where(pools.is_burst, pools.hourly, 0.0) * share
    limit = (most // unit * unit).astype(float)
    filling = _Filling(problem, given, share, _unit_price(problem), burst, (share * given).sum(axis=0), limit)
    keep = np.zeros_like(given)
    for target, now in zip(targets, (True, False), strict=True):
        _cover(filling, target, now=now)
        if now:
            startable = (problem.fleet.start_up_steps == 0) & (pools.lead_steps == 0)
            keep = np.where(startable, filling.given, np.minimum(problem.fleet.ready, filling.given))
            filling.wish(wished)
    nodes = np.maximum(np.ceil(filling.used / unit - 1e-6).astype(np.int64), -(-least // unit)) * unit
    return finished(problem, keep, filling.given, np.minimum(nodes, limit.astype(np.int64)), answered_by)


def _cover(filling: _Filling, target: FloatArray, *, now: bool) -> None:
    """Replica by replica: the dearest shortage first, below the least first, then the smallest share served."""
    servings, capacity = filling.problem.servings, filling.problem.fleet.capacity

    def turn(serving: int) -> tuple[float, bool, float]:
        served = float(capacity[serving] @ filling.given[serving])
        below = bool(filling.given[serving].sum() < servings.least[serving])
        return -float(servings.shortage_cost[serving]), not below, served / max(float(target[serving]), _SLACK)

    def is_covered(serving: int) -> bool:
        served = float(capacity[serving] @ filling.given[serving])
        below = filling.given[serving].sum() < servings.least[serving]
        return not below and served >= target[serving] * (1 - _SLACK)

    waiting = [(*turn(serving), serving) for serving in range(target.size)]
    heapify(waiting)
    while waiting:
        *_, serving = heappop(waiting)
        if is_covered(serving):
            continue
        pool = filling.cheapest(serving, now=now)
        if pool is not None:
            filling.give(serving, pool)
            heappush(waiting, (*turn(serving), serving))
