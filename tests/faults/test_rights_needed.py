"""Every right in the manifest is one that the operator asks for, and it asks for no other: seen in the fault world."""

import asyncio

from fake_connection import Delivery
from fake_prometheus import Load
from fault_objects import NAMESPACE, deployment
from fault_scenarios import BUSY_RPS, QUIET_RPS, Scenario, begin, bounds_change, foreign_autoscaler, scale_up
from fault_world import DEPLOYMENTS, POOLS, World, run_world
from rights import Asked, rules, uncovered, unused

from baseload.control.elector import LeaseTimes
from baseload.control.operator import check_resources

STATEFUL_SETS = "/apis/apps/v1/statefulsets"


async def everyday_life(world: World) -> None:
    """A leader and a standby, scale writes, statuses, events and their repetition."""
    world.lease = LeaseTimes()
    await check_resources(world.connect("first contact"))
    await scale_up(world)
    world.start()
    await world.kill(world.lives[0])
    world.patch_serving({"replicas": {"min": 5}})
    await world.settle()


async def stale_versions(world: World) -> None:
    """A status and a scale are answered with 409, so that their objects are read again."""
    world.mishaps.first = {"patch modelservings/status chat": "conflict", "patch deployments/scale chat": "conflict"}
    await bounds_change(world)


async def lost_events(world: World) -> None:
    """What kopf does not tell is fetched one by one."""
    await begin(world)
    world.feed_loss = 1.0
    world.patch_serving({"replicas": {"min": 3}})
    world.api.change(POOLS, ("", "pool-a"), lambda raw: raw["spec"]["cost"].update(hourly="2.00"))
    await world.until(lambda: world.replicas() == 3, "the resync", 310.0)
    await asyncio.sleep(10.0)


async def old_server(world: World) -> None:
    """A server without watch-list is listed by pages."""
    world.api.has_watch_list = False
    world.delivery = Delivery(cut=0.2)
    await foreign_autoscaler(world)


async def stateful_set(world: World) -> None:
    """A StatefulSet of an old server is scaled, after a 409."""
    world.api.has_watch_list = False
    world.mishaps.first = {"patch statefulsets/scale chat": "conflict"}
    world.api.put(STATEFUL_SETS, deployment("chat", 1))
    world.metrics.loads[NAMESPACE, "StatefulSet/chat"] = Load()
    world.serve(least=3, targetRef={"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "chat"})
    world.start()

    def scaled() -> bool:
        found = world.api.get(STATEFUL_SETS, (NAMESPACE, "chat"))
        return found is not None and found["spec"]["replicas"] == 3

    await world.until(scaled, "three replicas")


async def step_down(world: World) -> None:
    """The replicas that go are marked where the Deployment tells how to find its pods."""
    selector = {"matchLabels": {"app": "chat"}}
    await begin(world, replicas=6, rps=BUSY_RPS)
    world.api.change(DEPLOYMENTS, (NAMESPACE, "chat"), lambda raw: raw["spec"].update(selector=selector))
    world.demand["chat"] = QUIET_RPS
    await world.settle()


STORIES = (everyday_life, stale_versions, lost_events, old_server, stateful_set, step_down)


def test_rights_are_those_needed_and_no_others() -> None:
    """Over all stories: each request is covered by a rule, and each single rule by a request."""
    asked: set[Asked] = set()

    for story in STORIES:

        async def told(world: World, story: Scenario = story) -> None:
            await story(world)
            asked.update(world.asked())

        run_world(told)
    single = [one for rule in rules() for one in rule.single()]
    assert [str(request) for request in uncovered(single, asked)] == []
    assert [str(rule) for rule in unused(single, asked)] == []
