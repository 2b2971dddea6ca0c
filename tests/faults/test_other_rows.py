"""Rows of the fault table (docs/explanation/faults.md) that no other test tells: churn, flapping, asked pauses."""

import asyncio
from typing import Any

from fake_api import Raw
from fault_objects import NAMESPACE, node
from fault_scenarios import BUSY_RPS, QUIET_RPS, begin, scale_up
from fault_world import DEPLOYMENTS, NODES, POOLS, SERVINGS, World, run_world


def test_pool_that_is_deleted_makes_capacity_unknown() -> None:
    """Without its pool a serving goes on; CapacityAvailable is Unknown and not short."""

    async def story(world: World) -> None:
        await begin(world, replicas=2, least=2)
        assert world.condition("CapacityAvailable") == ("True", "CapacityAvailable")
        world.api.delete(POOLS, ("", "pool-a"))
        await world.until(lambda: world.condition("CapacityAvailable") == ("Unknown", "CapacityUnknown"), "unknown")
        world.patch_serving({"replicas": {"min": 3}})
        await world.settle()
        assert world.replicas() == 3
        assert world.condition("Ready") == ("True", "Scaling")

    run_world(story)


def pool_status(world: World) -> Raw:
    """Status of the pool."""
    found = world.api.get(POOLS, ("", "pool-a"))
    return dict((found or {}).get("status") or {})


def test_nodes_that_never_become_ready_are_no_capacity() -> None:
    """A crowd of new nodes that come tainted or never Ready adds nothing, and is written down once."""

    async def story(world: World) -> None:
        await begin(world)
        writes = len(world.mishaps.sent)
        for step in range(60):
            raw = node(f"churn-{step % 7}")
            raw["status"]["conditions"][0]["status"] = "False" if step % 2 else "Unknown"
            raw["spec"] = {"taints": [{"key": "hostile", "effect": "NoSchedule", "value": str(step)}]}
            world.api.put(NODES, raw)
            await asyncio.sleep(5.0)
        assert (pool_status(world)["nodes"], pool_status(world)["accelerators"]) == (1, 16)
        assert len(world.mishaps.sent) == writes
        assert world.condition("CapacityAvailable") == ("True", "CapacityAvailable")

    run_world(story)


def test_flapping_load_does_not_make_flapping_replicas() -> None:
    """Load that doubles and halves each few seconds holds a number: no fall within the scale-down window of a rise."""

    async def story(world: World) -> None:
        await begin(world, replicas=4, rps=BUSY_RPS)
        await asyncio.sleep(120.0)
        scales = len([r for r in world.mishaps.sent if r.subresource == "scale"])
        for step in range(60):
            world.demand["chat"] = BUSY_RPS if step % 2 else QUIET_RPS
            await asyncio.sleep(10.0)
        assert len([r for r in world.mishaps.sent if r.subresource == "scale"]) - scales <= 3
        assert world.replicas() >= 2

    run_world(story)


def test_long_names_and_words_fit_the_api() -> None:
    """The longest names there can be: every status and event stays inside the API's limits."""

    async def story(world: World) -> None:
        await begin(world)
        name = "n" * 253
        world.serve(name, target="t" * 253)
        world.api.put(NODES, node("x" * 63))
        await world.until(lambda: world.condition("Accepted", name)[0] == "False", "a refusal")
        await world.settle()
        notes = [r.body for r in world.api.accepted if r.collection.endswith("/events") and r.method == "POST"]
        assert notes
        assert all(len(body["note"]) <= 1024 and len(body["metadata"]["name"]) <= 253 for body in notes)
        assert all(len(c["message"]) <= 1024 for c in world.status(name)["conditions"])

    run_world(story)


def test_nothing_of_ours_holds_a_deletion_up() -> None:
    """No finalizer and no owner is ever written, so a namespace or the whole operator can go at any moment."""

    async def story(world: World) -> None:
        await scale_up(world)
        for request in world.mishaps.sent:
            assert not {"finalizers", "ownerReferences"} & set((request.body or {}).get("metadata") or {})
        writes = len(world.mishaps.sent)
        world.remove(SERVINGS)
        world.remove(DEPLOYMENTS)
        await world.settle()
        assert [r.what for r in world.mishaps.sent[writes:] if r.collection != POOLS] == []

    run_world(story)


def test_pause_that_the_server_asks_for_is_kept() -> None:
    """After a 429 with Retry-After nothing is sent for that long, and the process counts as alive meanwhile."""

    async def story(world: World) -> None:
        await begin(world)
        world.mishaps.retry_after_seconds = 20
        world.mishaps.at[len(world.mishaps.sent) + 1] = "throttled"
        world.patch_serving({"replicas": {"min": 3}})
        await world.until(lambda: (NAMESPACE, "chat") and world.mishaps.at.keys() <= {len(world.mishaps.sent)}, "429")
        sent, since = len(world.mishaps.sent), world.clock.monotonic()
        while world.clock.monotonic() - since < 19.0:
            await asyncio.sleep(1.0)
            assert len(world.mishaps.sent) == sent
            assert world.lives[-1].operator._health.illness() is None
        await world.settle()
        assert world.replicas() == 3
        assert world.condition("Ready") == ("True", "Scaling")

    run_world(story)


def test_an_object_that_nobody_understands_stops_no_other() -> None:
    """A workload and a serving with a shape that no server would give are left out; the others are served."""

    async def story(world: World) -> None:
        names = {"namespace": NAMESPACE, "name": "odd", "uid": "odd", "resourceVersion": "1", "generation": 1}
        bad: dict[str, Any] = {"metadata": {**names, "creationTimestamp": ""}, "spec": {"replicas": 1}}
        await begin(world)
        world.api.objects[DEPLOYMENTS][NAMESPACE, "odd"] = bad
        world.api.put(SERVINGS, {"metadata": {"namespace": NAMESPACE, "name": "odd"}, "spec": {"targetRef": 5}})
        await world.restart()
        world.patch_serving({"replicas": {"min": 3}})
        await world.until(lambda: world.replicas() == 3, "three replicas")
        await world.until(lambda: world.condition("Accepted", "odd") == ("False", "InvalidSpec"), "refused", 60.0)

    run_world(story)
