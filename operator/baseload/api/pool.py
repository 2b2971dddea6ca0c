"""CapacityPool: accelerators of one kind, price and lead time, as an admin describes them."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ApiModel, Count, Seconds, ShortText, rule, rules
from baseload.api.status import ObjectCondition

LabelValue = Annotated[str, Field(max_length=63, pattern="^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]


class StaticProvider(ApiModel):
    """Nodes that are there and that nobody orders or gives back."""


class Provider(ApiModel):
    """Where the nodes come from; exactly one member is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.static)", "'`provider` is empty: set `static: {}`'"))
    )

    static: StaticProvider | None = None
    """Nodes that are there: those that `nodeSelector` finds."""

    @model_validator(mode="after")
    def _has_one_member(self) -> Self:
        if self.static is None:
            raise ValueError("`provider` is empty: set `static: {}`")
        return self


class Accelerator(ApiModel):
    """The accelerators of the pool's nodes."""

    resource: Annotated[str, Field(min_length=1, max_length=253, pattern="^[a-z0-9.-]+/[A-Za-z0-9._-]+$")]
    """Extended resource that pods ask for, for example nvidia.com/gpu."""
    product: ShortText
    """Product name for people and prices, for example H100."""
    per_node: Annotated[int, Field(ge=1, le=1024)]
    """Accelerators on each node."""


class PoolLimits(ApiModel):
    """Bounds of the pool's nodes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.maxNodes >= self.minNodes",
                "'`limits.maxNodes` is %d and must not be less than `limits.minNodes`, which is %d;"
                " raise one or lower the other'.format([self.maxNodes, self.minNodes])",
            )
        )
    )

    min_nodes: Count
    """Least nodes."""
    max_nodes: Count
    """Most nodes."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_nodes < self.min_nodes:
            raise ValueError(
                f"`limits.maxNodes` is {self.max_nodes} and must not be less than `limits.minNodes`,"
                f" which is {self.min_nodes}; raise one or lower the other"
            )
        return self


class CostUnit(StrEnum):
    """What a price is for."""

    ACCELERATOR = "Accelerator"
    NODE = "Node"


class PoolCost(ApiModel):
    """The price of the pool, in the operator's one currency."""

    hourly: Annotated[str, Field(max_length=16, pattern="^[0-9]{1,9}([.][0-9]{1,6})?$")]
    """Price of an hour as a decimal text, for example "6.88"."""
    per: CostUnit = CostUnit.ACCELERATOR
    """Accelerator (when not set) or Node."""


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


class CapacityPoolSpec(ApiModel):
    """Which nodes, with which accelerators, at which price."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.nodeSelector.size() > 0", "'`nodeSelector` is empty and would take every node: name a label'")
        )
    )

    provider: Provider
    """Where the nodes come from."""
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)]
    """Labels that the pool's nodes carry, all of them."""
    accelerator: Accelerator
    """The accelerators of the pool's nodes."""
    limits: PoolLimits | None = None
    """Bounds of the pool's nodes; without them the nodes are as many as there are."""
    cost: PoolCost | None = None
    """The price; without it the pool's use is not priced."""
    lead_time: LeadTime | None = None
    """Prior of the time from an order to an accelerator that pods can use."""

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.node_selector:
            raise ValueError("`nodeSelector` is empty and would take every node: name a label")
        return self


class CapacityPoolStatus(ApiModel):
    """What Baseload saw of the pool."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[
        list[ObjectCondition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            default_factory=list,
        ),
    ]
    """Aspects of the state: Ready."""
    nodes: Count | None = None
    """Ready nodes of the pool."""
    accelerators: Count | None = None
    """Accelerators that pods can use on those nodes."""


class CapacityPool(ApiModel):
    """Accelerators of one kind, price and lead time."""

    spec: CapacityPoolSpec
    """Which nodes, with which accelerators, at which price."""
    status: CapacityPoolStatus | None = None
    """What Baseload saw of the pool."""
