"""CapacityPool: accelerators of one kind, price and lead time, as an admin describes them."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ApiModel, Count, ShortText, rule, rules
from baseload.api.pool_terms import Billing, Commitment, LeadTime, Ordering, PoolCost, PoolHold, Unit
from baseload.api.selector import LabelValue
from baseload.api.status import ObjectCondition


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


class CapacityPoolSpec(ApiModel):
    """Which nodes, with which accelerators, at which price."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.nodeSelector.size() > 0", "'`nodeSelector` is empty and would take every node: name a label'"),
            rule(
                "!has(self.limits) || !has(self.unit) || self.limits.maxNodes % self.unit.nodes == 0",
                "'`limits.maxNodes` is %d and must be a multiple of `unit.nodes`, which is %d; nodes come in that step'"
                ".format([self.limits.maxNodes, self.unit.nodes])",
            ),
            rule(
                "!has(self.limits) || !has(self.unit) || self.limits.minNodes % self.unit.nodes == 0",
                "'`limits.minNodes` is %d and must be a multiple of `unit.nodes`, which is %d; nodes come in that step'"
                ".format([self.limits.minNodes, self.unit.nodes])",
            ),
            rule(
                "!has(self.commitment) || self.billing == 'Reserved'",
                "'`commitment` is read only with `billing: Reserved`, and billing is %s; set it or remove the"
                " commitment'.format([self.billing])",
            ),
            rule(
                "!has(self.commitment) || !has(self.limits) || self.commitment.nodes <= self.limits.maxNodes",
                "'`commitment.nodes` is %d and must not exceed `limits.maxNodes`, which is %d; lower the one or raise"
                " the other'.format([self.commitment.nodes, self.limits.maxNodes])",
            ),
        )
    )

    provider: Provider
    """Where the nodes come from."""
    billing: Billing = Billing.OWNED
    """Owned (when not set) and Reserved nodes are paid for anyway; OnDemand and Spot ones are rented by use, and only a
    ModelServing with `burst.policy` Auto uses them."""
    ordering: Ordering = Ordering.IMMEDIATE
    """Immediate (when not set): an order comes after the lead time or is refused. Queued: it waits until it comes."""
    unit: Unit | None = None
    """The step in which nodes come and go; one node when not set."""
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
    hold: PoolHold | None = None
    """How long a node is held once it came; not at all when not set."""
    commitment: Commitment | None = None
    """A contract over nodes for a time; only with billing Reserved."""

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.node_selector:
            raise ValueError("`nodeSelector` is empty and would take every node: name a label")
        return self

    @model_validator(mode="after")
    def _limits_are_whole_units(self) -> Self:
        if self.limits is None or self.unit is None:
            return self
        for name, nodes in (("maxNodes", self.limits.max_nodes), ("minNodes", self.limits.min_nodes)):
            if nodes % self.unit.nodes:
                raise ValueError(
                    f"`limits.{name}` is {nodes} and must be a multiple of `unit.nodes`, which is {self.unit.nodes};"
                    " nodes come in that step"
                )
        return self

    @model_validator(mode="after")
    def _commitment_fits(self) -> Self:
        if self.commitment is None:
            return self
        if self.billing is not Billing.RESERVED:
            raise ValueError(
                f"`commitment` is read only with `billing: Reserved`, and billing is {self.billing}; set it or remove"
                " the commitment"
            )
        if self.limits is not None and self.commitment.nodes > self.limits.max_nodes:
            raise ValueError(
                f"`commitment.nodes` is {self.commitment.nodes} and must not exceed `limits.maxNodes`, which is"
                f" {self.limits.max_nodes}; lower the one or raise the other"
            )
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
