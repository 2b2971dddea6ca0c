"""A CapacityPool in plain values, and how one is read."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from pydantic import ValidationError

from baseload.api.models import CapacityPoolSpec
from baseload.api.pool_terms import Commitment, CostUnit, Ordering
from baseload.errors import ConfigError
from baseload.observe.objects import PoolObject
from baseload.observe.placement import Pairs
from baseload.observe.wrong_field import in_words
from baseload.plan.pool_offer import Billing, Committed, PoolOffer


@dataclass(frozen=True, slots=True)
class Pool:
    """A CapacityPool: which nodes, which accelerators on them, and its terms."""

    name: str
    node_selector: Pairs
    resource: str
    product: str
    offer: PoolOffer
    labels: Pairs = ()

    def replica_cost_per_hour(self, accelerators: int) -> float | None:
        """What one replica with this many accelerators costs an hour."""
        hourly = self.offer.hourly
        return None if hourly is None else hourly * accelerators / self.offer.accelerators_per_node


def pool_of(stored: PoolObject) -> Pool:
    """Read a CapacityPool; raises ConfigError in words when it cannot be used."""
    try:
        given = CapacityPoolSpec.model_validate(orjson.loads(stored.spec))
    except ValidationError as error:
        raise ConfigError(f"CapacityPool '{stored.name}': {in_words(error)}") from error
    return Pool(
        name=stored.name,
        node_selector=tuple(sorted(given.node_selector.items())),
        resource=given.accelerator.resource,
        product=given.accelerator.product,
        offer=_offer(given),
        labels=stored.labels,
    )


def _offer(given: CapacityPoolSpec) -> PoolOffer:
    cost, limits, lead = given.cost, given.limits, given.lead_time
    per_node = given.accelerator.per_node
    # A price of an accelerator is one of so many on each node.
    each = 1 if cost is not None and cost.per is CostUnit.NODE else per_node
    hourly = None if cost is None else each * float(cost.hourly)
    avoidable = hourly if cost is None or cost.avoidable_hourly is None else each * float(cost.avoidable_hourly)
    return PoolOffer(
        billing=Billing(given.billing),
        is_queued=given.ordering is Ordering.QUEUED,
        unit_nodes=1 if given.unit is None else given.unit.nodes,
        accelerators_per_node=per_node,
        hourly=hourly,
        avoidable_hourly=avoidable,
        min_billing_seconds=0.0 if cost is None else float(cost.min_billing_seconds or 0),
        hold_seconds=0.0 if given.hold is None else float(given.hold.minimum_seconds),
        egress_per_gib=0.0 if cost is None else float(cost.egress_per_gib or 0),
        min_nodes=0 if limits is None else limits.min_nodes,
        max_nodes=None if limits is None else limits.max_nodes,
        lead_p50_seconds=None if lead is None else float(lead.p50_seconds),
        lead_p95_seconds=None if lead is None else float(lead.p95_seconds),
        commitment=None if given.commitment is None else _committed(given.commitment, each),
    )


def _committed(given: Commitment, each: int) -> Committed:
    return Committed(
        nodes=given.nodes,
        start=datetime.fromisoformat(given.start_time).timestamp(),
        end=datetime.fromisoformat(given.end_time).timestamp(),
        hourly=each * float(given.hourly),
        paid_share=given.take_or_pay_percent / 100.0,
    )
