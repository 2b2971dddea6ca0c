"""The terms of a CapacityPool: who bills it and how, what it costs, how it is ordered and how long it is held."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ApiModel, Count, Money, Seconds, Time, rule, rules


class Billing(StrEnum):
    """How the pool is paid for."""

    OWNED = "Owned"
    RESERVED = "Reserved"
    ON_DEMAND = "OnDemand"
    SPOT = "Spot"


class Ordering(StrEnum):
    """What becomes of an order."""

    IMMEDIATE = "Immediate"
    QUEUED = "Queued"


class Unit(ApiModel):
    """The step in which nodes come and go."""

    nodes: Annotated[int, Field(ge=1, le=4096)]
    """Nodes of one step, for example the hosts of a TPU slice."""


class CostUnit(StrEnum):
    """What a price is for."""

    ACCELERATOR = "Accelerator"
    NODE = "Node"


class PoolCost(ApiModel):
    """The price of the pool, in the operator's one currency."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.avoidableHourly) || double(self.avoidableHourly) <= double(self.hourly)",
                "'`cost.avoidableHourly` is %s and must not exceed `cost.hourly`, which is %s; it is the part of it"
                " that is saved without the node'.format([self.avoidableHourly, self.hourly])",
            )
        )
    )

    hourly: Money
    """Price of an hour as a decimal text, for example "6.88"."""
    per: CostUnit = CostUnit.ACCELERATOR
    """Accelerator (when not set) or Node."""
    avoidable_hourly: Money | None = None
    """What of `hourly` is saved when the node is not used, for example the power of an owned one; all of it when not
    set."""
    min_billing_seconds: Seconds | None = None
    """Least time that a node is billed for once it came; none when not set."""
    egress_per_gib: Annotated[Money | None, Field(alias="egressPerGiB")] = None
    """Price of a GiB that leaves the pool; nothing when not set."""

    @model_validator(mode="after")
    def _is_a_part(self) -> Self:
        if self.avoidable_hourly is not None and float(self.avoidable_hourly) > float(self.hourly):
            raise ValueError(
                f"`cost.avoidableHourly` is {self.avoidable_hourly} and must not exceed `cost.hourly`, which is"
                f" {self.hourly}; it is the part of it that is saved without the node"
            )
        return self


class LeadTime(ApiModel):
    """Prior of the time from an order to an accelerator that pods can use."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.p95Seconds >= self.p50Seconds",
                "'`leadTime.p95Seconds` is %d and must not be less than `leadTime.p50Seconds`, which is %d;"
                " the two are likely swapped'.format([self.p95Seconds, self.p50Seconds])",
            )
        )
    )

    p50_seconds: Annotated[Seconds, Field(alias="p50Seconds")]
    """Half of the orders come within this time."""
    p95_seconds: Annotated[Seconds, Field(alias="p95Seconds")]
    """Nineteen of twenty orders come within this time."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p95_seconds < self.p50_seconds:
            raise ValueError(
                f"`leadTime.p95Seconds` is {self.p95_seconds} and must not be less than `leadTime.p50Seconds`,"
                f" which is {self.p50_seconds}; the two are likely swapped"
            )
        return self


class PoolHold(ApiModel):
    """How long a node is held."""

    minimum_seconds: Seconds
    """Least time that a node is kept once it came."""


class Commitment(ApiModel):
    """A contract over nodes for a time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.endTime > self.startTime",
                "'`commitment.endTime` is %s and must be after `commitment.startTime`, which is %s; the two are likely"
                " swapped'.format([string(self.endTime), string(self.startTime)])",
            )
        )
    )

    nodes: Annotated[Count, Field(ge=1)]
    """Nodes of the contract."""
    start_time: Time
    """When it begins."""
    end_time: Time
    """When it ends."""
    hourly: Money
    """Price of an hour, for what `cost.per` says."""
    take_or_pay_percent: Annotated[int, Field(ge=0, le=100)] = 100
    """Share of the contract that is paid whether it is used or not; 100 when not set."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if _moment(self.end_time, "endTime") <= _moment(self.start_time, "startTime"):
            raise ValueError(
                f"`commitment.endTime` is {self.end_time} and must be after `commitment.startTime`, which is"
                f" {self.start_time}; the two are likely swapped"
            )
        return self


def _moment(text: str, field: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"`commitment.{field}` is {text} and no time such as 2027-01-01T00:00:00Z")
    return found
