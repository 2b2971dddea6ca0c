"""Two operators and a Lease: whatever the leader was doing when it ended, the other arrives at the same end."""

import asyncio
from functools import cache
from typing import Any

import pytest
from fault_scenarios import SCENARIOS, bounds_change, target_recreated
from fault_world import World, fixpoint, run_world

from baseload.control.elector import LeaseTimes

BY_NAME = {scenario.__name__: scenario for scenario in SCENARIOS}


def end_of(name: str, mishaps: dict[int, str]) -> tuple[dict[str, Any], int]:
    """Where the world rests with a leader and a standby, and how many writes were sent."""

    async def story(world: World) -> tuple[dict[str, Any], int]:
        world.lease = LeaseTimes(4.5, 3.0, 0.6)
        world.mishaps.at.update(mishaps)
        standby = asyncio.create_task(stand_by(world))
        await BY_NAME[name](world)
        standby.cancel()
        return fixpoint(world), len(world.mishaps.sent)

    async def stand_by(world: World) -> None:
        while not world.lives:  # noqa: ASYNC110 - the scenario starts the first
            await asyncio.sleep(0.5)
        await asyncio.sleep(3.0)
        world.start()

    return run_world(story)


@cache
def undisturbed(name: str) -> tuple[dict[str, Any], int]:
    """The same, with a leader that lives."""
    return end_of(name, {})


@pytest.mark.parametrize("name", [s.__name__ for s in (bounds_change, target_recreated)])
def test_leader_lost_after_each_write(name: str) -> None:
    """The leader dies right after write k: the standby finishes what it had begun."""
    expected, count = undisturbed(name)
    for k in range(1, count + 1):
        found, _ = end_of(name, {k: "crash"})
        assert found == expected, f"after write {k} of {count}"


def test_standby_writes_nothing() -> None:
    """While a leader lives the other process sends nothing but looks at the Lease."""

    async def story(world: World) -> None:
        world.lease = LeaseTimes(4.5, 3.0, 0.6)
        world.deploy()
        world.serve(least=3)
        world.start()
        await world.until(lambda: world.replicas() == 3, "three replicas")
        world.start()
        world.patch_serving({"replicas": {"min": 5}})
        await world.settle()
        assert {request.actor for request in world.mishaps.sent} == {"operator-1"}

    run_world(story)


def test_leader_that_cannot_renew_writes_nothing_more() -> None:
    """Cut off from the Lease only, the old leader stops writing before the new one begins."""

    async def story(world: World) -> None:
        world.lease = LeaseTimes(4.5, 3.0, 0.6)
        world.deploy()
        world.serve(least=2)
        first = world.start()
        await world.until(lambda: world.replicas() == 2, "two replicas")
        second = world.start()
        first.connection.lease_lost = True
        await asyncio.sleep(3.2)
        before = len([r for r in world.mishaps.sent if r.actor == first.name])
        world.patch_serving({"replicas": {"min": 4}})
        await world.settle()
        assert world.replicas() == 4
        assert len([r for r in world.mishaps.sent if r.actor == first.name]) == before
        assert {r.actor for r in world.api.accepted if r.subresource == "scale"} == {first.name, second.name}

    run_world(story)
