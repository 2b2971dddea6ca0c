"""What happens to a serving in everyday life, told to a fault world; each ends where the world comes to rest."""

import asyncio
from collections.abc import Awaitable, Callable

from fault_objects import NAMESPACE
from fault_world import AUTOSCALERS, DEPLOYMENTS, SERVINGS, World

Scenario = Callable[[World], Awaitable[None]]
QUIET_RPS, BUSY_RPS = 0.5, 2.0


async def begin(world: World, replicas: int = 1, rps: float = QUIET_RPS, **spec: object) -> None:
    """A serving under a demand, and an operator that has come to rest."""
    world.deploy(replicas=replicas)
    world.serve(**spec)  # type: ignore[arg-type]
    world.demand["chat"] = rps
    world.start()
    await world.settle()


async def scale_up(world: World) -> None:
    """Demand rises fourfold."""
    await begin(world)
    world.demand["chat"] = BUSY_RPS
    await world.settle()
    assert world.replicas() > 2


async def scale_down(world: World) -> None:
    """Demand falls to a quarter."""
    await begin(world, replicas=6, rps=BUSY_RPS)
    world.demand["chat"] = QUIET_RPS
    await world.settle()
    assert world.replicas() < 3


async def bounds_change(world: World) -> None:
    """The owner raises the minimum and lowers it again."""
    await begin(world)
    world.patch_serving({"replicas": {"min": 5}})
    await world.until(lambda: world.replicas() == 5, "five replicas")
    world.patch_serving({"replicas": {"min": 1}})
    await world.settle()


async def metrics_loss(world: World) -> None:
    """Prometheus goes while the minimum falls, and comes back."""
    await begin(world, replicas=4, least=4)
    world.metrics.mode = "error"
    await world.until(lambda: world.condition("MetricsAvailable")[0] == "False", "metrics missed")
    world.patch_serving({"replicas": {"min": 1}})
    await world.settle()
    assert world.replicas() == 4
    world.metrics.mode = "ok"
    await world.settle()


async def target_recreated(world: World) -> None:
    """The workload is deleted and created again with another number."""
    await begin(world, replicas=3, least=3)
    world.remove(DEPLOYMENTS)
    await world.until(lambda: world.condition("Accepted") == ("False", "TargetNotFound"), "target missed")
    world.deploy(replicas=1)
    await world.settle()
    assert world.replicas() == 3


async def pause(world: World) -> None:
    """A pause is set, the minimum raised meanwhile, and the pause removed."""
    await begin(world)
    world.annotate({"baseload.dev/paused": "true"})
    world.patch_serving({"replicas": {"min": 4}})
    await world.settle()
    assert world.replicas() == 1
    world.annotate({"baseload.dev/paused": None})
    await world.settle()
    assert world.replicas() == 4


async def recommend_to_enforce(world: World) -> None:
    """A recommendation is published first and then carried out."""
    await begin(world, least=3, mode="Recommend")
    assert world.replicas() == 1
    world.patch_serving({"mode": "Enforce"})
    await world.settle()
    assert world.replicas() == 3


async def foreign_autoscaler(world: World) -> None:
    """Another autoscaler takes the target and lets it go."""
    await begin(world, replicas=2, least=2)
    reference = {"kind": "Deployment", "name": "chat", "apiVersion": "apps/v1"}
    metadata = {"namespace": NAMESPACE, "name": "other"}
    world.api.put(AUTOSCALERS, {"metadata": metadata, "spec": {"scaleTargetRef": reference}})
    await world.until(lambda: world.condition("Conflict") == ("True", "ForeignAutoscaler"), "a conflict")
    world.scale(1)
    await world.settle()
    assert world.replicas() == 1
    world.remove(AUTOSCALERS, "other")
    await world.settle()
    assert world.replicas() == 2


async def foreign_write(world: World) -> None:
    """Somebody writes another number once; it is put back."""
    await begin(world, replicas=2, least=2, most=4)
    world.scale(7)
    await world.settle()
    assert world.replicas() == 2


async def foreign_contest(world: World) -> None:
    """Somebody writes another number each half minute until the operator leaves it; a restart begins to count anew."""
    await begin(world, replicas=2, least=2, most=4)
    for _ in range(9):
        if world.condition("Conflict") == ("True", "ForeignWriter"):
            break
        world.scale(7)
        await asyncio.sleep(30.0)
    await world.settle()
    assert world.replicas() == 7


async def serving_recreated(world: World) -> None:
    """The serving is deleted, and created again with other bounds."""
    await begin(world, replicas=2, least=2)
    world.remove(SERVINGS)
    await world.settle()
    world.serve(least=4)
    await world.settle()
    assert world.replicas() == 4


SCENARIOS: tuple[Scenario, ...] = (
    scale_up,
    scale_down,
    bounds_change,
    metrics_loss,
    target_recreated,
    pause,
    recommend_to_enforce,
    foreign_autoscaler,
    foreign_write,
    foreign_contest,
    serving_recreated,
)
