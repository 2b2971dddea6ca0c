"""What a pool offers: how it is billed, ordered and held, and what a node of it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Billing(StrEnum):
    """How a pool is paid for."""

    OWNED = "Owned"
    RESERVED = "Reserved"
    ON_DEMAND = "OnDemand"
    SPOT = "Spot"

    @property
    def is_rented(self) -> bool:
        """Whether nodes are paid for by use: to use such a pool is burst."""
        return self in (Billing.ON_DEMAND, Billing.SPOT)


@dataclass(frozen=True, slots=True)
class Committed:
    """A contract over `nodes` from `start` to `end` (Unix seconds): `hourly` a node, `paid_share` of it in any case."""

    nodes: int
    start: float
    end: float
    hourly: float
    paid_share: float


@dataclass(frozen=True, slots=True)
class PoolOffer:
    """The terms of one pool; money is in the operator's one currency.

    `hourly` is the price of a node-hour, None when the pool is not priced, `avoidable_hourly` the part of it that is
    saved without the node. Nodes come in steps of `unit_nodes`; `max_nodes` None is without a limit. `lead_p50_seconds`
    and `lead_p95_seconds` are None when no order can be placed or nothing is known of it. Times are seconds.
    """

    billing: Billing = Billing.OWNED
    is_queued: bool = False
    unit_nodes: int = 1
    accelerators_per_node: int = 1
    hourly: float | None = None
    avoidable_hourly: float | None = None
    min_billing_seconds: float = 0.0
    hold_seconds: float = 0.0
    egress_per_gib: float = 0.0
    min_nodes: int = 0
    max_nodes: int | None = None
    lead_p50_seconds: float | None = None
    lead_p95_seconds: float | None = None
    commitment: Committed | None = None


@dataclass(frozen=True, slots=True)
class Economics:
    """The admin's money settings: the currency of all prices, and what an accelerator-hour that is missing costs.

    `shortage_hourly` is for PriorityClasses that `shortage_by_class` does not name; None is `SHORTAGE_PRICES` times
    the price of the capacity itself.
    """

    currency: str = ""
    shortage_hourly: float | None = None
    shortage_by_class: Mapping[str, float] = field(default_factory=dict)

    def shortage_of(self, priority_class: str) -> float | None:
        """Cost of a missing accelerator-hour of a PriorityClass; None when the admin has set none."""
        return self.shortage_by_class.get(priority_class, self.shortage_hourly)

    def penalty(self, priority_class: str, accelerator_hourly: float | None) -> float:
        """The same in prices of an accelerator-hour, `accelerator_hourly`."""
        cost = self.shortage_of(priority_class)
        return SHORTAGE_PRICES if cost is None or not accelerator_hourly else cost / accelerator_hourly

    def in_words(self, amount: float) -> str:
        """An amount with its currency."""
        return f"{amount:.4g} {self.currency}".rstrip()


SHORTAGE_PRICES = 20.0
"""What a missing hour costs where nothing is set, in prices of an hour: as the planner was measured."""

UNPRICED = PoolOffer()
NO_SETTINGS = Economics()
