"""Watch events that come twice, late, after others or not at all, and an API server that goes: the same end each time.

The events of one object stay in order, as the API guarantees; everything else may happen to them.
"""

import asyncio
from functools import cache
from random import Random
from typing import Any

import pytest
from fake_connection import Delivery
from fault_objects import NAMESPACE
from fault_scenarios import SCENARIOS, begin, bounds_change, scale_up, serving_recreated, target_recreated
from fault_world import DEPLOYMENTS, SERVINGS, World, fixpoint, run_world

from baseload.control.handlers import take_serving
from baseload.plan.snapshot import ServingKey

BY_NAME = {scenario.__name__: scenario for scenario in SCENARIOS}
KINDS = {
    "twice": {"twice": 0.7},
    "late": {"late": 0.5},
    "swapped": {"swapped": 0.6},
    "cut": {"cut": 0.3},
    "all": {"twice": 0.3, "late": 0.2, "swapped": 0.3, "cut": 0.15},
}


def end_of(name: str, delivery: Delivery) -> dict[str, Any]:
    """Where the world rests after a scenario whose events travel like this."""

    async def story(world: World) -> dict[str, Any]:
        world.delivery = delivery
        await BY_NAME[name](world)
        return fixpoint(world)

    return run_world(story)


@cache
def undisturbed(name: str) -> dict[str, Any]:
    """The same with events that come once and at once."""
    return end_of(name, Delivery())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [s.__name__ for s in (scale_up, bounds_change, target_recreated, serving_recreated)])
def test_odd_delivery_changes_nothing(name: str, kind: str) -> None:
    """Duplicated, delayed, reordered events and broken streams: the fixpoint is that of orderly delivery."""
    for seed in range(2):
        assert end_of(name, Delivery(Random(seed), **KINDS[kind])) == undisturbed(name), f"seed {seed}"


def test_lost_events_of_our_own_kinds_are_found_by_the_resync() -> None:
    """What kopf never told of is found within the resync interval: a new serving, a changed one, a deleted one."""

    async def story(world: World) -> None:
        await begin(world)
        world.deploy("other")
        world.feed_loss = 1.0
        world.patch_serving({"replicas": {"min": 3}})
        world.serve("other", least=2)
        await world.until(lambda: world.replicas() == 3 and world.replicas("other") == 2, "the resync", 310.0)
        world.remove(SERVINGS, "other")
        cluster = world.lives[-1].operator._cluster
        gone = ServingKey(NAMESPACE, "other")
        await world.until(lambda: gone not in cluster.catalog.entries, "the ghost is forgotten", 310.0)
        assert cluster.ghosts >= 3

    run_world(story)


def test_serving_that_is_replaced_at_once_is_served() -> None:
    """The only serving of a kind is deleted and made anew in one breath: its workload is watched on."""

    async def story(world: World) -> None:
        await begin(world)
        world.feed_loss = 1.0
        key = (NAMESPACE, "chat")
        old = world.api.get(SERVINGS, key)
        world.remove(SERVINGS)
        world.serve(least=3)
        cluster = world.lives[-1].operator._cluster
        for kind, raw in (("DELETED", old), ("ADDED", world.api.get(SERVINGS, key))):
            take_serving(cluster.catalog, {"type": kind, "object": raw}, cluster.relisted.set)  # type: ignore[arg-type, typeddict-item]
        await world.until(lambda: world.replicas() == 3, "three replicas", 60.0)
        await world.until(lambda: world.condition("Ready")[0] == "True", "Ready", 60.0)

    run_world(story)


def test_expired_versions_with_deletions_leave_no_ghost() -> None:
    """Deletions while every watch was away and its version expired (410): nothing of them is believed afterwards."""

    async def story(world: World) -> None:
        await begin(world, replicas=2, least=2)
        world.deploy("ghost", replicas=2)
        world.serve("ghost", least=2)
        await world.settle()
        world.api.outage = True
        await asyncio.sleep(3.0)
        world.remove(SERVINGS, "ghost")
        world.remove(DEPLOYMENTS)
        world.api.compact()
        await asyncio.sleep(30.0)
        world.api.outage = False
        await world.until(lambda: world.condition("Accepted") == ("False", "TargetNotFound"), "target missed", 60.0)
        world.scale(1, "ghost")
        world.deploy(replicas=1)
        await world.settle()
        assert (world.replicas("ghost"), world.replicas()) == (1, 2)

    run_world(story)


@pytest.mark.parametrize("seconds", [5.0, 100.0, 400.0])
def test_outage_of_the_api_server_is_waited_for(seconds: float) -> None:
    """However long the API server is away, the operator goes on afterwards and arrives at the number of then."""

    async def story(world: World) -> None:
        await begin(world)
        world.api.outage = True
        world.patch_serving({"replicas": {"min": 4}})
        await asyncio.sleep(seconds)
        world.api.outage = False
        await world.settle()
        assert world.replicas() == 4
        assert len(world.lives) == 1

    run_world(story)


@pytest.mark.parametrize("kind", ["throttled", "broken", "refused", "conflict", "unreached"])
def test_time_of_failing_writes_is_survived(kind: str) -> None:
    """For a minute no write succeeds (429, 500, 401, 409, no connection): then the number and Ready come."""

    async def story(world: World) -> None:
        await begin(world)
        world.mishaps.always = kind
        before = len(world.mishaps.sent)
        world.patch_serving({"replicas": {"min": 4}})
        await asyncio.sleep(60.0)
        assert world.replicas() == 1
        # Each tick tries a status, its repetition after a 409 and an event, never more.
        assert len(world.mishaps.sent) - before <= 4 * 13
        world.mishaps.always = None
        await world.settle()
        assert world.replicas() == 4
        assert world.condition("Ready") == ("True", "Scaling")
        assert (world.lives[-1].connection.reloads > 0) == (kind == "refused")

    run_world(story)
