"""The wall clock is set forth or back, as by a time server after a bad start: nothing goes down, and life goes on."""

import asyncio

import pytest
from fault_scenarios import BUSY_RPS, QUIET_RPS, begin
from fault_world import PODS, World, run_world

JUMPS = [3600.0, -86_400.0, -20.0]


@pytest.mark.parametrize("seconds", JUMPS)
def test_jump_takes_nothing_down(seconds: float) -> None:
    """A jump under load changes no number downwards."""

    async def story(world: World) -> None:
        await begin(world, replicas=4, rps=BUSY_RPS)
        before = world.replicas()
        world.clock.jump_seconds = seconds
        lowest = before
        for _ in range(60):
            await asyncio.sleep(5.0)
            lowest = min(lowest, world.replicas())
        assert lowest >= before

    run_world(story)


@pytest.mark.parametrize("seconds", JUMPS)
def test_jump_blinds_nobody_for_long(seconds: float) -> None:
    """After a jump rising demand is answered within minutes, and falling demand after a window, as before."""

    async def story(world: World) -> None:
        await begin(world)
        world.clock.jump_seconds = seconds
        await asyncio.sleep(30.0)
        world.demand["chat"] = BUSY_RPS
        await world.until(lambda: world.replicas() >= 3, "more replicas", 120.0)
        await world.settle()
        world.demand["chat"] = QUIET_RPS
        await world.until(lambda: world.replicas() <= 2, "fewer replicas", 300.0)
        await world.settle()

    run_world(story)


def test_clock_that_keeps_jumping_takes_nothing_down() -> None:
    """Jumps to and fro each half minute: the number of a steady load stays, and nothing is written for ever."""

    async def story(world: World) -> None:
        await begin(world, replicas=4, rps=BUSY_RPS)
        before = world.replicas()
        for step in range(12):
            world.clock.jump_seconds = 900.0 * (-1) ** step
            await asyncio.sleep(30.0)
            assert world.replicas() >= before
        await world.settle()

    run_world(story)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_pods_are_listed_after_a_jump(seconds: float) -> None:
    """What holds accelerators is looked at again within half a minute, whatever the clock says."""

    async def story(world: World) -> None:
        await begin(world)
        world.clock.jump_seconds = seconds
        before = [request.collection for request, _ in world.api.served].count(PODS)
        await asyncio.sleep(45.0)
        assert [request.collection for request, _ in world.api.served].count(PODS) > before

    run_world(story)
