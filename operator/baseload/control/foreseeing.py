"""From demand to outlooks for a group of servings: plain arithmetic on what it is given, so it can run in a thread."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from baseload.plan.capacity import capacity_of
from baseload.plan.forecast import foresight
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.foresight import Foresight, Levels, Terms
from baseload.plan.memory import ReplicaModel
from baseload.plan.outlook import Answer, Band, Outlook
from baseload.plan.pool_offer import Economics
from baseload.plan.snapshot import ServingKey, ServingState

STALE_BUCKETS = 3
"""Without any demand seen in so many buckets there is no new outlook."""


Subject = tuple[ServingState, ReplicaModel]
"""A serving to plan for, as last looked at, and what was learned of a replica."""


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of `Terms`."""

    lead_buckets: int
    unit: float
    penalty: float


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a group is planned from: servings in a fixed order with their terms, and their demand.

    `complete` ends with the newest complete bucket; `newest` may have one more, which still runs. Both times are Unix
    seconds; `replayed_days` is how much a foresight that begins replays.
    """

    keys: tuple[ServingKey, ...]
    terms: Sequence[Term]
    known: Foresight | None
    complete: DemandBlock
    newest: DemandBlock
    replayed_days: int
    now: float
    valid_until: float


def terms_of(
    subjects: Mapping[ServingKey, Subject], grid: Grid, lag_seconds: float, economics: Economics
) -> dict[ServingKey, Term]:
    """The terms of servings whose capacity is known: output tokens per second of a replica inside the objective."""
    found = {}
    for key, (state, model) in subjects.items():
        capacity = capacity_of(model, state.spec)
        if capacity is not None and state.target is not None:
            lead = ceil((lead_seconds(state) + lag_seconds) / grid.bucket_seconds)
            found[key] = Term(lead, capacity.tokens_at(max(state.target.wanted, 1)), penalty_of(state, economics))
    return found


def lead_seconds(state: ServingState) -> float:
    """From an order to a replica that serves: the start-up, and the pool's lead where no accelerator is free."""
    leads = [p.offer.lead_p50_seconds for p in state.pools if p.offer.lead_p50_seconds is not None]
    has_room = not state.pools or any(p.free_replicas is None or p.free_replicas for p in state.pools)
    return state.start_up_seconds + (0.0 if has_room else min(leads, default=0.0))


def penalty_of(state: ServingState, economics: Economics) -> float:
    """Cost of a missing replica-hour, in prices of one in the cheapest pool that may serve; more while it is missed."""
    offers = [p.offer for p in state.pools if p.offer.hourly is not None]
    prices = [(offer.hourly or 0.0) / offer.accelerators_per_node for offer in offers]
    set_price = economics.penalty(state.priority.name, min(prices, default=None))
    return set_price * state.memory.shortage_multiplier


def foresee(given: Question) -> tuple[Foresight, dict[ServingKey, Outlook]]:
    """Learn from the buckets that ended and look ahead; no outlook where no demand was seen lately."""
    terms = _arrays(given.terms)
    learned = _learned(given, terms)
    levels = foresight.peek(learned, given.newest, terms)
    is_current = np.isfinite(given.newest.demand[:, -STALE_BUCKETS:]).any(axis=1) & np.isfinite(levels.order)
    return learned, {given.keys[row]: _outlook(given, levels, row) for row in np.flatnonzero(is_current).tolist()}


def _arrays(terms: Iterable[Term]) -> Terms:
    rows = [(term.lead_buckets, term.unit, term.penalty) for term in terms]
    lead, unit, penalty = np.array(rows, np.float64).T
    return Terms(lead.astype(np.int64), unit, penalty)


def _learned(given: Question, terms: Terms) -> Foresight:
    """The foresight after all complete buckets; one that begins replays some days, so that its experts are judged."""
    if given.known is not None:
        return foresight.advance(given.known, given.complete, terms)
    if given.replayed_days:
        return foresight.warm(given.complete, terms, given.replayed_days)
    return foresight.advance(foresight.begin(len(given.keys), given.complete.grid), given.complete, terms)


def _outlook(given: Question, levels: Levels, row: int) -> Outlook:
    bucket_seconds = given.complete.grid.bucket_seconds
    horizon_seconds = (given.terms[row].lead_buckets + 1) * bucket_seconds
    low, median, high = (float(each[row]) for each in (levels.low, levels.median, levels.high))
    quantile = float(levels.quantile[row])
    return Outlook(
        time=given.now,
        seen_until=given.complete.end_index * bucket_seconds,
        order=float(levels.order[row]),
        keep=float(levels.keep[row]),
        upper=float(levels.upper[row]),
        horizon_seconds=horizon_seconds,
        quantile=quantile if isfinite(quantile) else None,
        band=Band(horizon_seconds, low, median, high) if isfinite(low + median + high) else None,
        answered_by=Answer.REACTIVE if levels.is_reactive[row] else Answer.MIXTURE,
        valid_until=given.valid_until,
    )
