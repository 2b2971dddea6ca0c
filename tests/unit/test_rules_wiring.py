"""From the cluster to the rules: surge pods, pods that leave, and how to choose who goes."""

import time
from dataclasses import replace
from typing import Any

import worlds
from controller_world import World

from baseload.act.victims import Choice
from baseload.observe.pods import PodCensus


async def test_surge_pods_are_neither_capacity_nor_asked_for() -> None:
    """A rollout's extra pod that finds no accelerator is no replica that waits for one."""
    world = World()
    world.cluster.serve("chat", least=3, wanted=3)
    (key,) = world.cluster.workloads
    world.cluster.workloads[key] = replace(world.cluster.workloads[key], rolling_out=True, pods=4, updated=1)
    world.cluster.census = PodCensus(time.time(), unplaced={key: 1}, leaving={key: (time.time() + 60.0,)})
    await world.controller.tick()
    (entry,) = world.cluster.catalog.entries.values()
    look: Any = world.servings.look(entry, world.cluster.accelerators(), time.time())
    assert (look.state.unplaced_replicas, look.state.draining_replicas) == (0, 1)
    assert (look.state.target.rolling_out, look.state.target.updated) == (True, 1)


async def test_a_step_down_brings_what_is_known_of_each_replica() -> None:
    """The order of a step down of a Deployment says how to find its pods and what runs on each."""
    world = World()
    replicas = (worlds.replica(7.0, 0.03, "busy"), worlds.replica(1.0, 0.03, "calm"))
    world.signals.answer = worlds.signals(replicas=replicas)
    world.cluster.serve("chat", least=2, wanted=12)
    (key,) = world.cluster.workloads
    world.cluster.workloads[key] = replace(world.cluster.workloads[key], selector="app=chat")
    await world.controller.tick()
    (order,) = world.hands.orders
    assert (order.replicas, order.expected) == (9, 12)
    assert order.choice == Choice("app=chat", {"busy": 7.0, "calm": 1.0})
