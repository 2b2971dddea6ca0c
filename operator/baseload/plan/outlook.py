"""What the slow planner knows of a serving's demand: made once a minute, read at every tick."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf


class Answer(StrEnum):
    """Which way of planning answered, the best first."""

    MIXTURE = "Mixture"
    """Sizing policies mixed by the money they would have cost."""
    LINEAR_PROGRAM = "LinearProgram"
    """The programme over the horizon with its first step in whole units."""
    ROUNDED = "Rounded"
    """The programme over the horizon, rounded: the integer step did not end in time."""
    GREEDY = "Greedy"
    """Cheapest usable capacity first: the programme did not end in time."""
    REACTIVE = "Reactive"
    """No history yet: the rate now and its trend."""


@dataclass(frozen=True, slots=True)
class Band:
    """Demand expected `horizon_seconds` ahead: `low` and `high` hold 95 of 100 outcomes between them, by experience.

    In the unit of the demand history.
    """

    horizon_seconds: float
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """Demand levels to order up to and to keep, and the forecast behind them, in the unit of the demand history.

    `order` is the demand that ready and ordered replicas together should carry, `keep` the demand below which ready
    ones are not given back (`keep` may be above `order`). `upper` is the highest demand expected before the next
    outlook: live demand above it means that the forecast is broken. `quantile` is the share of outcomes that `order`
    covers, None when a rule without a forecast leads. `seen_until` is the end of the newest bucket that was looked at.
    It is used until `valid_until`; later the decision is reactive. `near` is what demand may reach before an order in a
    fast pool serves, None without one (plan/placement/near.py).
    """

    time: float
    seen_until: float
    order: float
    keep: float
    upper: float
    horizon_seconds: float
    quantile: float | None
    band: Band | None
    answered_by: Answer
    valid_until: float = inf
    near: float | None = None
