"""Every way in which metrics can be missing: nothing goes down, the condition says why, and it ends by itself."""

import asyncio

import pytest
from fault_scenarios import BUSY_RPS, QUIET_RPS, begin
from fault_world import METRIC_FAULTS, World, run_world

REASONS = {
    "error": "Unreachable",
    "slow": "Unreachable",
    "huge": "Unreachable",
    "empty": "NoSeries",
    "nan": "NotANumber",
    "infinite": "NotANumber",
    "stale": "Stale",
    "partial": "Partial",
}


@pytest.mark.parametrize("fault", METRIC_FAULTS)
def test_gap_holds_says_why_and_ends(fault: str) -> None:
    """Demand falls and the minimum too while metrics are missing: the number stays until they are back."""

    async def story(world: World) -> None:
        await begin(world, replicas=5, rps=BUSY_RPS, least=4)
        before = world.replicas()
        world.metrics.mode = fault
        world.demand["chat"] = QUIET_RPS
        world.patch_serving({"replicas": {"min": 1}})
        await world.until(lambda: world.condition("MetricsAvailable") == ("False", REASONS[fault]), fault, 60.0)
        await asyncio.sleep(300.0)
        assert world.replicas() >= before
        assert world.condition("Ready") == ("False", REASONS[fault])
        assert len({r.what for r in world.mishaps.sent[-3:]}) >= 1
        world.metrics.mode = "ok"
        await world.until(lambda: world.condition("MetricsAvailable")[0] == "True", "metrics are back", 60.0)
        await world.settle()
        assert world.replicas() < before

    run_world(story)


def test_gap_that_comes_and_goes_writes_little() -> None:
    """Metrics that fail each other tick do not make a stream of writes of what has not changed."""

    async def story(world: World) -> None:
        await begin(world, replicas=3, rps=BUSY_RPS, least=3)
        before = len(world.mishaps.sent)
        for step in range(40):
            world.metrics.mode = "ok" if step % 2 else "error"
            await asyncio.sleep(5.0)
        # One status for each change and an event counted into the one before each ten seconds: no more.
        assert len(world.mishaps.sent) - before <= 2 * 40
        assert world.replicas() >= 3

    run_world(story)


def test_metrics_lost_during_a_rise_do_not_undo_it() -> None:
    """Prometheus goes right after replicas were asked for: they come and stay."""

    async def story(world: World) -> None:
        await begin(world)
        world.demand["chat"] = BUSY_RPS
        await world.until(lambda: world.replicas() >= 3, "more replicas", 120.0)
        world.metrics.mode = "error"
        risen = world.replicas()
        await world.settle()
        assert world.replicas() >= risen

    run_world(story)
