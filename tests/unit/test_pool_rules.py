"""Which pools a serving may use, what that does to its free accelerators, and how a pool's terms are read."""

from typing import Any

import orjson
import pytest
import worlds

from baseload.api.models import ModelServingSpec
from baseload.api.reasons import Reason
from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.catalog import Catalog
from baseload.observe.objects import Node, PoolObject, WorkloadKey, pool_object
from baseload.observe.placement import PodShape
from baseload.observe.pods import PodCensus
from baseload.observe.pool import Pool, pool_of
from baseload.observe.pool_rule import EVERY_POOL, OWN_POOLS, PoolRule, rule_of
from baseload.plan.decision import Decision
from baseload.plan.planner import plan
from baseload.plan.pool_offer import Billing, Committed, Economics, PoolOffer
from baseload.plan.snapshot import BarredPool, PoolState

GPU = "nvidia.com/gpu"
NOW = worlds.NOW
CHAT = WorkloadKey("Deployment", "team", "chat")
ONE = PodShape(requests=((GPU, 1),))


def pool(name: str, billing: Billing = Billing.OWNED, **labels: str) -> Pool:
    """A pool whose nodes carry its name."""
    offer = PoolOffer(billing=billing, accelerators_per_node=4, hourly=8.0)
    return Pool(name, (("pool", name),), GPU, "H100", offer, tuple(sorted(labels.items())))


def book(*pools: Pool, others: int = 0) -> AcceleratorBook:
    """One node with four free accelerators for each pool, and some nodes of no pool."""
    names = [p.name for p in pools] + [f"other-{i}" for i in range(others)]
    nodes = [Node(f"n-{n}", usable=True, labels=(("pool", n),), taints=(), allocatable=((GPU, 4),)) for n in names]
    return AcceleratorBook(pools, nodes, PodCensus(NOW), NOW)


def spec(**fields: Any) -> ModelServingSpec:
    """A spec with some fields set."""
    base = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
        "objective": {"timeToFirstToken": {"targetMilliseconds": 800}},
        "replicas": {"min": 1, "max": 9},
    }
    return ModelServingSpec.model_validate({**base, **fields})


def free(given: AcceleratorBook, rule: PoolRule) -> int:
    """Accelerators that a serving with this rule reaches."""
    reach = given.reach_of(CHAT, ONE, rule)
    assert reach is not None
    return sum(given.free[row] for row in reach.rows)


def test_by_default_only_what_is_owned_or_reserved_may_serve() -> None:
    """Burst is never, unless the spec says so; a pool that says nothing of its billing is owned."""
    assert rule_of(spec()) == OWN_POOLS
    rented = [pool("demand", Billing.ON_DEMAND), pool("spot", Billing.SPOT)]
    given = book(pool("owned"), pool("reserved", Billing.RESERVED), *rented)
    choice = given.pools_for(ONE, rule_of(spec()))
    assert [p.name for p in choice.pools] == ["owned", "reserved"]
    assert [(p.name, p.reason) for p in choice.barred] == [
        ("demand", Reason.BURST_NOT_ALLOWED),
        ("spot", Reason.BURST_NOT_ALLOWED),
    ]
    assert free(given, OWN_POOLS) == 8
    assert free(given, rule_of(spec(burst={"policy": "Auto"}))) == 16


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"matchLabels": {"region": "eu"}}, ["a"]),
        ({"matchExpressions": [{"key": "region", "operator": "In", "values": ["eu", "us"]}]}, ["a", "b"]),
        ({"matchExpressions": [{"key": "region", "operator": "NotIn", "values": ["eu"]}]}, ["b", "c"]),
        ({"matchExpressions": [{"key": "region", "operator": "Exists"}]}, ["a", "b"]),
        ({"matchExpressions": [{"key": "region", "operator": "DoesNotExist"}]}, ["c"]),
        ({"matchLabels": {"region": "mars"}}, []),
    ],
)
def test_a_selector_chooses_pools_by_their_labels(selector: dict[str, Any], expected: list[str]) -> None:
    """As label selectors do everywhere in Kubernetes; nodes of no pool are out then."""
    given = book(pool("a", region="eu"), pool("b", region="us"), pool("c"), others=1)
    rule = rule_of(spec(poolSelector=selector))
    assert [p.name for p in given.pools_for(ONE, rule).pools] == expected
    assert free(given, rule) == 4 * len(expected)
    assert free(given, EVERY_POOL) == 16


def test_a_node_of_two_pools_may_be_used_through_either() -> None:
    """A node is out only where no pool that may be used has it."""
    node = Node("n", usable=True, labels=(("pool", "owned"),), taints=(), allocatable=((GPU, 4),))
    twin = Pool("twin", (("pool", "owned"),), GPU, "H100", PoolOffer(billing=Billing.SPOT))
    assert free(AcceleratorBook([pool("owned"), twin], [node], PodCensus(NOW), NOW), OWN_POOLS) == 4
    assert free(AcceleratorBook([twin], [node], PodCensus(NOW), NOW), OWN_POOLS) == 0


def test_a_changed_label_of_a_pool_counts_at_once() -> None:
    """Labels have no generation, and are looked at all the same."""
    catalog = Catalog(lambda _key: None)
    raw = {
        "provider": {"static": {}},
        "nodeSelector": {"pool": "a"},
        "accelerator": {"resource": GPU, "product": "H100", "perNode": 8},
    }
    for version, labels in (("1", {"region": "eu"}), ("2", {"region": "us"})):
        metadata = {"name": "a", "uid": "u", "resourceVersion": version, "generation": 1, "labels": labels}
        catalog.put_pool(pool_object({"metadata": metadata, "spec": raw}))
    assert catalog.usable_pools()[0].labels == (("region", "us"),)


def test_the_terms_of_a_pool_are_read_per_node() -> None:
    """Prices of an accelerator become prices of a node, percents become shares, times become seconds."""
    given = {
        "provider": {"static": {}},
        "billing": "Reserved",
        "ordering": "Queued",
        "unit": {"nodes": 2},
        "nodeSelector": {"pool": "a"},
        "accelerator": {"resource": GPU, "product": "H100", "perNode": 8},
        "limits": {"minNodes": 2, "maxNodes": 6},
        "cost": {"hourly": "2.5", "avoidableHourly": "0.25", "minBillingSeconds": 3600, "egressPerGiB": "0.08"},
        "leadTime": {"p50Seconds": 420, "p95Seconds": 900},
        "hold": {"minimumSeconds": 300},
        "commitment": {
            "nodes": 4,
            "startTime": "1970-01-01T00:00:10Z",
            "endTime": "1970-01-01T01:00:20+01:00",
            "hourly": "2",
            "takeOrPayPercent": 80,
        },
    }
    offer = pool_of(PoolObject("a", "u", "1", 1, orjson.dumps(given), b"{}")).offer
    assert offer == PoolOffer(
        billing=Billing.RESERVED,
        is_queued=True,
        unit_nodes=2,
        accelerators_per_node=8,
        hourly=20.0,
        avoidable_hourly=2.0,
        min_billing_seconds=3600.0,
        hold_seconds=300.0,
        egress_per_gib=0.08,
        min_nodes=2,
        max_nodes=6,
        lead_p50_seconds=420.0,
        lead_p95_seconds=900.0,
        commitment=Committed(4, 10.0, 20.0, 16.0, 0.8),
    )


def decide(economics: Economics, *pools: PoolState, barred: tuple[BarredPool, ...] = ()) -> Decision:
    """A decision beside some pools."""
    state = worlds.state(pools=pools, barred_pools=barred)
    return plan(worlds.snapshot(state, economics=economics))[0]


def test_the_decision_says_what_a_replica_costs_and_why_a_pool_is_out() -> None:
    """Billing, price and currency of each pool that may be used; the reason of each that may not."""
    spot = PoolOffer(billing=Billing.SPOT)
    barred = (BarredPool("demand", Reason.BURST_NOT_ALLOWED, "its billing is OnDemand"),)
    pools = (PoolState("owned", "H100", 3, 12, 2, 1.5), PoolState("spot", "H100", 1, 4, None, None, spot))
    rows = decide(Economics("EUR"), *pools, barred=barred).considered
    assert rows[0].message == "2 fit (12 x H100), Owned 1.5 EUR/h"
    assert "Spot, not priced" in rows[1].message
    assert (rows[2].pool, rows[2].reason, rows[2].chosen) == ("demand", Reason.BURST_NOT_ALLOWED, False)


def test_at_most_eight_pools_are_shown_those_that_may_be_used_first() -> None:
    """The status has room for eight."""
    pools = tuple(PoolState(f"p{i}", "H100", 1, 8, 1, 1.0) for i in range(6))
    barred = tuple(BarredPool(f"b{i}", Reason.POOL_NOT_SELECTED, "") for i in range(6))
    assert [c.pool for c in decide(Economics(), *pools, barred=barred).considered] == [
        *(p.name for p in pools),
        "b0",
        "b1",
    ]
