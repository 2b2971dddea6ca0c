"""The sizing policies that compete: a table of how much demand each would order up to and keep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.quantile_regression import TAUS

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

FITTED = slice(2, 5)
"""Which of `TAUS` experts size by: 0.7, 0.85 and 0.93."""
FAR_REACH = 1.5
"""The last candidate lies this many times as far from now as the highest fitted quantile, for dear shortages."""
SIZES = np.r_[TAUS[FITTED], 0.99]
"""What the candidates are quantiles of; of the far one this is about right."""
ORDER_SPANS = (0, 3)
"""An order covers demand at its arrival, or its highest in so many buckets after it."""
KEEP_SPAN = 8
"""A ready replica is kept for demand of the next bucket, of the lead time, or of this many buckets."""
RULE_LOADS = (0.7, 0.8, 0.9, 1.0, 1.1)
RULE_WINDOWS = (1, 3, 6, 12, 24, 36)
"""A rule sizes for the highest demand of a window at a fixed load: the horizontal pod autoscaler, however tuned."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Which candidate each expert orders by and which it keeps by: indices, shape (experts,).

    Candidates for an order are (span, size) of the forecast, then (window, load) of the rules; those for keeping
    likewise. `order_tau` and `keep_tau` are the quantiles an expert sizes by, NaN for a rule.
    """

    order: Integers
    keep: Integers
    order_tau: Array
    keep_tau: Array

    @property
    def size(self) -> int:
        """How many experts there are."""
        return len(self.order)

    @property
    def is_rule(self) -> NDArray[np.bool_]:
        """Which experts look at no forecast."""
        return np.isnan(self.order_tau)


def _table() -> Table:
    taus, rules = len(SIZES), len(RULE_LOADS) * len(RULE_WINDOWS)
    orders, keeps = len(ORDER_SPANS) * taus, 3 * taus
    order, keep = (part.ravel() for part in np.meshgrid(np.arange(orders), np.arange(keeps), indexing="ij"))
    return Table(
        order=np.r_[order, orders + np.arange(rules)],
        keep=np.r_[keep, keeps + np.arange(rules)],
        order_tau=np.r_[SIZES[order % taus], np.full(rules, np.nan)],
        keep_tau=np.r_[SIZES[keep % taus], np.full(rules, np.nan)],
    )


TABLE = _table()


def reach(leads: Integers) -> Integers:
    """Return how many buckets ahead the experts look when an order takes `leads` buckets."""
    return np.maximum(leads + 1 + max(ORDER_SPANS), KEEP_SPAN + 1)


def levels(quantiles: Array, recent: Array, lead: int) -> tuple[Array, Array]:
    """Return every expert's order and keep level, two arrays (servings, experts), for servings of one lead.

    `quantiles` has the shape (servings, horizons from 1, taus), `recent` (servings, the last RULE_WINDOWS[-1]
    buckets). A decision at the end of a bucket acts in the next one by removing, and `lead` buckets later by ordering.
    """
    now, highest = recent[:, -1, None], quantiles[:, :, -1]
    far = np.maximum(highest, now + FAR_REACH * (highest - now))
    sizes = np.concatenate([quantiles[:, :, FITTED], far[:, :, None]], axis=2)
    orders = [sizes[:, lead : lead + 1 + span].max(axis=1) for span in ORDER_SPANS]
    keeps = [sizes[:, : 1 + span].max(axis=1) for span in (0, lead, KEEP_SPAN)]
    peaks = np.stack([recent[:, -window:].max(axis=1) for window in RULE_WINDOWS], axis=1)
    rules = (peaks[:, :, None] / np.asarray(RULE_LOADS)).reshape(len(recent), -1)
    order = np.concatenate([*orders, rules], axis=1)
    keep = np.concatenate([*keeps, rules], axis=1)
    return order[:, TABLE.order], keep[:, TABLE.keep]
