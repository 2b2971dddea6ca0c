"""The ticker with a cluster made by hand: what it decides, and how it goes on when one object breaks."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from controller_world import World
from worlds import signals

from baseload.act.actuator import Outcome
from baseload.api.reasons import Reason
from baseload.control import controller as module
from baseload.control import deciding
from baseload.errors import NotLeaderError, UnavailableError
from baseload.plan.decision import Decision
from baseload.plan.planner import Proposal, propose
from baseload.plan.signals import Missing, ServingSignals
from baseload.plan.snapshot import ServingKey, ServingState, Snapshot


@pytest.fixture
def world() -> World:
    """A fresh world."""
    return World()


async def test_nothing_is_decided_before_the_first_picture(world: World) -> None:
    """Until everything was listed nothing is read and nothing written."""
    world.cluster.ready = False
    world.cluster.serve("chat", least=3)
    await world.controller.tick()
    assert (world.signals.reads, world.hands.orders) == (0, [])


async def test_a_tick_orders_the_minimum(world: World) -> None:
    """A serving below its minimum is ordered to it, with the intent in a status, once."""
    world.cluster.serve("chat", least=3)
    await world.controller.tick()
    await world.controller.tick()
    (order,) = world.hands.orders
    assert (order.replicas, order.expected) == (3, 1)
    assert order.status is not None
    assert order.status.status["variants"][0]["desired"] == 3
    assert [notice.action for notice in world.hands.notices] == ["Scale"]


async def test_a_failed_write_is_said_and_tried_again(world: World) -> None:
    """A scale that failed takes Ready away and is ordered again."""
    world.cluster.serve("chat", least=3)
    world.hands.error = UnavailableError("away")
    await world.controller.tick()
    await world.controller.tick()
    assert len(world.hands.orders) == 2
    status = world.hands.orders[1].status
    assert status is not None
    ready = next(c for c in status.status["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "WriteFailed"


async def test_a_write_that_was_not_sent_is_no_failure(world: World) -> None:
    """While the lease cannot be renewed nothing is sent; afterwards the order comes again and Ready never left."""
    world.cluster.serve("chat", least=3)
    world.hands.error = NotLeaderError("not sent")
    await world.controller.tick()
    await world.controller.tick()
    assert len(world.hands.orders) == 2
    status = world.hands.orders[1].status
    assert status is not None
    ready = next(c for c in status.status["conditions"] if c["type"] == "Ready")
    assert ready["reason"] != "WriteFailed"


async def test_one_broken_object_never_stops_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A decision that raises for one serving is said once; the others are decided."""

    def propose_with_a_bug(frame: Snapshot, state: ServingState) -> Proposal | Decision:
        if state.key.name == "broken":
            raise ZeroDivisionError
        return propose(frame, state)

    monkeypatch.setattr(deciding, "propose", propose_with_a_bug)
    for name in ("alpha", "broken", "omega"):
        world.cluster.serve(name, least=2)
    await world.controller.tick()
    await world.controller.tick()
    assert {order.key.name for order in world.hands.orders} == {"alpha", "omega"}
    assert [r.message for r in caplog.records].count("serving could not be decided on") == 1


async def test_a_hanging_write_delays_its_own_serving_only(world: World) -> None:
    """While a write hangs, ticks go on and leave that serving alone; when it ends the serving is decided on at once."""
    world.cluster.serve("stuck", least=3)
    key = ServingKey("team", "stuck")
    world.hands.hanging[key] = None
    await world.controller.tick()
    world.cluster.serve("other", least=2)
    await world.controller.tick()
    assert [order.key.name for order in world.hands.orders] == ["stuck", "other"]
    concluded = world.hands.hanging.pop(key)
    assert concluded is not None
    world.controller._dirty.clear()
    concluded(Outcome(intent_published=True, error=UnavailableError("timed out")))
    assert world.controller._dirty == {key}


async def test_missing_signals_hold(world: World) -> None:
    """With everything missing a serving above its minimum stays where it is."""
    missing = Missing(Reason.UNREACHABLE, "no answer")
    world.signals.answer = ServingSignals(offered_rps=missing, running=missing, waiting=missing)
    world.cluster.serve("chat", least=1, wanted=5)
    await world.controller.tick()
    assert world.hands.orders == []
    conditions = {c["type"]: c["reason"] for c in world.hands.statuses[0].status["conditions"]}
    assert conditions["MetricsAvailable"] == "Unreachable"


async def test_gone_servings_are_forgotten(world: World) -> None:
    """Records and series of a deleted serving go away."""
    world.cluster.serve("chat", least=2)
    await world.controller.tick()
    world.cluster.catalog.remove_serving(ServingKey("team", "chat"), "chat")
    await world.controller.tick()
    assert world.servings.records == {}
    assert (
        world.metrics.registry.get_sample_value(
            "baseload_serving_replicas_final", {"namespace": "team", "name": "chat"}
        )
        is None
    )


class Standby(World):
    """A world whose controller runs, with a server that may be away when it is asked for the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.caught_up = 0
        self.away = 0
        cluster: Any = self.cluster
        cluster.catch_up = self._catch_up

    async def _catch_up(self) -> None:
        self.caught_up += 1
        if self.away:
            self.away -= 1
            raise UnavailableError("away")


async def until(look: Callable[[], object]) -> None:
    """Wait until a look says yes."""
    async with asyncio.timeout(10.0):
        while not look():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.01)


async def test_standby_reads_and_writes_nothing_and_is_alive() -> None:
    """With a full picture and without the lease nothing is read, nothing decided, and progress goes on."""
    world = Standby()
    world.cluster.serve("chat", least=3)
    steps: list[int] = []
    world.health.progress = lambda: steps.append(1)  # type: ignore[method-assign]
    running = asyncio.create_task(world.controller.run())
    world.controller.mark_dirty(ServingKey("team", "chat"))
    await until(lambda: len(steps) >= 3)
    assert (world.signals.reads, world.hands.orders, world.caught_up) == (0, [], 0)
    world.controller.stop()
    await asyncio.wait_for(running, 5.0)
    assert world.signals.reads == 0


async def test_takeover_decides_from_a_picture_taken_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the lease it catches up first, however often that fails, decides at once, and the window begins anew."""
    monkeypatch.setattr(module, "CATCH_UP_RETRY_SECONDS", 0.01)
    world = Standby()
    world.cluster.serve("chat", least=3)
    world.cluster.serve("idle", least=1, wanted=5)
    world.signals.answer = signals(rps=0.0, running=0.0)
    world.away = 2
    running = asyncio.create_task(world.controller.run())
    await asyncio.sleep(0.05)
    took_over = time.time()
    world.leading.set()
    await until(lambda: world.hands.orders)
    assert world.caught_up == 3
    assert world.controller._warm_since >= took_over
    # The idle one is kept at five: what the leader before wanted for it is not known.
    assert [(order.key.name, order.replicas) for order in world.hands.orders] == [("chat", 3)]
    world.controller.stop()
    await asyncio.wait_for(running, 5.0)


def conflicted(reason: str, generation: int = 1) -> dict[str, Any]:
    """A status of somebody's conflict ten minutes ago, where four replicas were meant."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))
    common = {"status": "True", "lastTransitionTime": since, "observedGeneration": generation, "message": "why"}
    conditions = [{"type": name, "reason": reason, **common} for name in ("Conflict", "Stalled")]
    return {"conditions": conditions, "variants": [{"name": "home", "desired": 4, "ready": 7, "pending": 0}]}


@pytest.mark.parametrize(("generation", "orders"), [(1, []), (2, [3])])
async def test_a_conflict_survives_a_restart(world: World, generation: int, orders: list[int]) -> None:
    """A new process leaves a contested target alone, unless the spec was changed since the conflict."""
    world.cluster.serve("chat", least=3, wanted=2, generation=generation, status=conflicted("ForeignWriter"))
    await world.controller.tick()
    assert [order.replicas for order in world.hands.orders] == orders
    if not orders:
        status = world.hands.statuses[-1].status
        held = {c["type"]: c["reason"] for c in status["conditions"] if c["status"] == "True"}
        assert held["Conflict"] == "ForeignWriter"
        assert status["variants"][0]["desired"] == 4


async def test_a_conflict_of_another_kind_is_judged_anew(world: World) -> None:
    """Whether an autoscaler is still there is seen, so nothing of it is remembered."""
    world.cluster.serve("chat", least=3, wanted=2, status=conflicted("ForeignAutoscaler"))
    await world.controller.tick()
    assert [order.replicas for order in world.hands.orders] == [3]
