"""The ticker with a full pool: who gets what is free, in a tick over all and in a round for one."""

import pytest
from controller_world import World
from worlds import signals

from baseload.observe.priorities import Priorities, PriorityClass
from baseload.plan.snapshot import ServingKey


@pytest.fixture
def world() -> World:
    """A fresh world."""
    return World()


def busy(world: World) -> None:
    """Everybody has a queue and no known capacity: each serving wants one replica more than it has."""
    world.signals.answer = signals(4.0, running=20.0, waiting=20.0)


def final(world: World) -> dict[str, int]:
    """The last number ordered, by serving."""
    return {order.key.name: order.replicas for order in world.hands.orders}


async def test_one_free_accelerator_goes_to_the_higher_priority(world: World) -> None:
    """In one tick over all, whatever their order, the higher priority gets what is free and the other is told."""
    world.cluster.priorities = Priorities([PriorityClass("gold", 1000, is_default=False)])
    world.cluster.own(3)
    world.cluster.serve("a-plain", least=1)
    world.cluster.serve("z-gold", least=1, priority="gold")
    world.cluster.list_pods()
    busy(world)
    await world.controller.tick()
    assert final(world) == {"z-gold": 2}
    (status,) = [order.status for order in world.hands.statuses if order.key.name == "a-plain"]
    assert status["shortage"] == {"replicas": 1}
    conditions = {c["type"]: c["reason"] for c in status["conditions"]}
    assert conditions["CapacityAvailable"] == "CapacityShort"


async def test_an_accelerator_is_never_granted_twice(world: World) -> None:
    """Until the pods are listed again, a serving decided on alone does not get what another got before."""
    world.cluster.own(3)
    world.cluster.serve("first", least=1)
    world.cluster.serve("second", least=1)
    world.cluster.list_pods()
    await world.controller.tick()
    busy(world)
    world.servings.take_signals(dict.fromkeys(world.cluster.catalog.entries, world.signals.answer))
    await world.controller._decide([ServingKey("team", "second")])
    await world.controller._decide([ServingKey("team", "first")])
    world.cluster.follow(world.hands.orders[0])
    await world.controller._decide([ServingKey("team", "first")])
    assert final(world) == {"second": 2}


async def test_who_waits_in_higher_rank_is_not_passed_by_a_dirty_one(world: World) -> None:
    """A serving decided on alone gets nothing that a waiting one of higher priority would get in the next tick."""
    world.cluster.priorities = Priorities([PriorityClass("gold", 1000, is_default=False)])
    world.cluster.own(2)
    world.cluster.serve("plain", least=1)
    world.cluster.serve("gold", least=1, priority="gold")
    world.cluster.list_pods()
    busy(world)
    await world.controller.tick()
    assert world.hands.orders == []
    world.cluster.own(3)
    await world.controller._decide([ServingKey("team", "plain")])
    assert world.hands.orders == []
    await world.controller.tick()
    assert final(world) == {"gold": 2}
