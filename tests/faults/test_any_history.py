"""Any history of demand, people, other writers, faults and restarts: what must hold at each write, and at the end.

A state machine tells a fault world what happens. Every accepted write is judged when it is accepted; at the end the
world is healed, and the operator must come to rest at a number that a fresh operator would leave alone.
"""

import asyncio
import os

from fake_api import Raw, Request
from fake_connection import MISHAPS, Delivery
from fault_objects import NAMESPACE
from fault_scenarios import BUSY_RPS, QUIET_RPS
from fault_world import DEPLOYMENTS, METRIC_FAULTS, SERVINGS, TICK_SECONDS, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from virtual_time import Session

BLIND_SECONDS = 3 * TICK_SECONDS
"""After this long without metrics every decision knows of the gap."""

REMEMBERED_SECONDS = 330.0
"""An older spec is known to nobody: events that are lost are found by the resync within five minutes."""

PAUSED = "baseload.dev/paused"


class AnyHistory(RuleBasedStateMachine):
    """One serving, one workload, one operator at a time, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()
        self.world: World = self.session.do(self._begin())
        self.bounds = [(0.0, 1, 8)]
        self.blind_since: float | None = None
        self.foreign = False
        self.replaced = -REMEMBERED_SECONDS
        self.faults: list[str] = []

    async def _begin(self) -> World:
        world = World(self.session.clock)
        world.deploy()
        world.serve()
        world.demand["chat"] = QUIET_RPS
        world.api.on_accepted = self._judge
        world.start()
        await asyncio.sleep(30.0)
        return world

    # What must hold for each write.

    def _judge(self, request: Request, before: Raw | None, _after: Raw) -> None:
        if request.subresource != "scale" or before is None:
            return
        number, was = int(request.body["spec"]["replicas"]), int(before["spec"]["replicas"])
        now = self.session.clock.monotonic()
        home = next(iter(self.world.status().get("variants") or ()), {})
        unseen = now - self.replaced < REMEMBERED_SECONDS
        if home.get("desired") != number and not unseen:
            self.faults.append(f"{number} written while the status says {home.get('desired')}")
        recent = [b for i, b in enumerate(self.bounds) if i + 1 == len(self.bounds) or self._young(i + 1, now)]
        if not any(least <= number <= most for _, least, most in recent):
            self.faults.append(f"{number} is outside every recent bound {recent}")
        blind = self.blind_since is not None and now - self.blind_since > BLIND_SECONDS
        forced = any(was > most for _, _, most in recent)
        if number < was and blind and not self.foreign and not forced:
            self.faults.append(f"{was} -> {number} although metrics are missing")
        if number == was:
            self.faults.append(f"{number} written where it stood already")
        self.foreign = False

    def _young(self, index: int, now: float) -> bool:
        return now - self.bounds[index][0] < REMEMBERED_SECONDS

    @invariant()
    def every_write_was_right(self) -> None:
        """What was judged at the time of writing."""
        assert not self.faults, self.faults
        for life in self.world.lives:
            assert life.failure is None, repr(life.failure)

    # What happens.

    @initialize(rps=st.sampled_from([0.0, QUIET_RPS, BUSY_RPS]))
    def first_demand(self, rps: float) -> None:
        """Some demand to begin with."""
        self.world.demand["chat"] = rps

    @rule(seconds=st.sampled_from([1.0, 7.0, 40.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        """Let the world go on."""
        self.session.do(asyncio.sleep(seconds))

    @rule(rps=st.sampled_from([0.0, QUIET_RPS, 1.2, BUSY_RPS]))
    def demand_changes(self, rps: float) -> None:
        """Clients come and go."""
        self.world.demand["chat"] = rps

    @rule(least=st.integers(1, 6), more=st.integers(0, 4))
    def owner_changes_bounds(self, least: int, more: int) -> None:
        """The owner edits the serving."""
        self.bounds.append((self.session.clock.monotonic(), least, least + more))
        self.world.patch_serving({"replicas": {"min": least, "max": least + more}})

    @rule(mode=st.sampled_from(["Enforce", "Recommend"]))
    def owner_changes_mode(self, mode: str) -> None:
        """Only recommend, or do it."""
        self.world.patch_serving({"mode": mode})

    @rule(value=st.sampled_from(["true", None, "perhaps"]))
    def owner_pauses(self, value: str | None) -> None:
        """A pause comes or goes."""
        self.world.annotate({PAUSED: value})

    @rule(replicas=st.integers(0, 9))
    def somebody_scales(self, replicas: int) -> None:
        """Another writer."""
        if self.world.api.get(DEPLOYMENTS, (NAMESPACE, "chat")) is not None:
            self.foreign = True
            self.world.scale(replicas)

    @rule(replicas=st.integers(0, 5))
    def target_is_replaced(self, replicas: int) -> None:
        """The workload is deleted, and created again after a while."""
        if self.world.api.get(DEPLOYMENTS, (NAMESPACE, "chat")) is not None:
            self.world.remove(DEPLOYMENTS)
            self.session.do(asyncio.sleep(8.0))
        self.foreign = True
        self.world.deploy(replicas=replicas)

    @rule()
    def serving_is_replaced(self) -> None:
        """The serving is deleted and created again."""
        self.world.remove(SERVINGS)
        self.session.do(asyncio.sleep(3.0))
        self.foreign = True
        # Until its deletion is known, the old one may be served.
        self.replaced = self.session.clock.monotonic()
        self.bounds.append((self.session.clock.monotonic(), 1, 8))
        self.world.serve()

    @rule(fault=st.sampled_from(["ok", *METRIC_FAULTS]))
    def metrics_change(self, fault: str) -> None:
        """Prometheus fails in some way, or recovers."""
        self.world.metrics.mode = fault
        if fault == "ok":
            self.blind_since = None
        elif self.blind_since is None:
            self.blind_since = self.session.clock.monotonic()

    @rule()
    def operator_restarts(self) -> None:
        """SIGKILL, and a new process."""
        self.session.do(self.world.restart())

    @rule(kind=st.sampled_from(MISHAPS), after=st.integers(1, 4))
    def write_will_fail(self, kind: str, after: int) -> None:
        """Something happens to one of the next writes."""
        self.world.mishaps.at[len(self.world.mishaps.sent) + after] = kind

    @precondition(lambda self: not self.world.api.outage)
    @rule(seconds=st.sampled_from([2.0, 90.0]))
    def api_server_goes(self, seconds: float) -> None:
        """An outage, with or without a lost history."""
        self.world.api.outage = True
        self.session.do(asyncio.sleep(seconds))
        self.world.api.compact()
        self.world.api.outage = False

    @rule(loss=st.sampled_from([0.0, 0.5, 1.0]))
    def feed_is_lossy(self, loss: float) -> None:
        """Kopf tells only a part."""
        self.world.feed_loss = loss

    @rule(twice=st.sampled_from([0.0, 0.5]), late=st.sampled_from([0.0, 0.4]), cut=st.sampled_from([0.0, 0.2]))
    def delivery_changes(self, twice: float, late: float, cut: float) -> None:
        """Events come twice, late, or not before a new connection."""
        delivery = self.world.delivery
        delivery.twice, delivery.late, delivery.cut = twice, late, cut

    @rule(seconds=st.sampled_from([-3600.0, -10.0, 10.0, 3600.0]))
    def clock_is_set(self, seconds: float) -> None:
        """The wall clock jumps."""
        self.session.clock.jump_seconds += seconds

    # The end.

    def teardown(self) -> None:
        """Heal everything: the operator comes to rest, and a fresh one leaves all as it is."""
        try:
            self.every_write_was_right()
            self.session.do(self._healed())
            self.every_write_was_right()
        finally:
            self.session.close()

    async def _healed(self) -> None:
        world = self.world
        world.metrics.mode, world.feed_loss, world.mishaps.at = "ok", 0.0, {}
        self.blind_since = None
        delivery = Delivery()
        world.delivery.twice, world.delivery.late, world.delivery.cut = delivery.twice, delivery.late, delivery.cut
        if world.api.get(DEPLOYMENTS, (NAMESPACE, "chat")) is None:
            world.deploy()
        world.patch_serving({"mode": "Enforce"})
        # A person who looks ends a contest, too.
        world.annotate({PAUSED: None, "baseload.dev/note": "looked"})
        await asyncio.sleep(REMEMBERED_SECONDS)
        await world.settle(1800.0)
        least, most = self.bounds[-1][1:]
        assert least <= world.replicas() <= most, world.story()
        assert world.condition("Ready")[0] == "True", world.story()
        assert world.condition("Conflict") == ("False", "NoConflict"), world.story()
        before, writes = world.replicas(), len(world.mishaps.sent)
        await world.restart()
        await world.settle()
        assert world.replicas() == before, f"a fresh operator went from {before} to {world.replicas()}: {world.story()}"
        assert not [r for r in world.mishaps.sent[writes:] if r.subresource == "scale"]


LONG = os.environ.get("HYPOTHESIS_PROFILE") is not None
TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    # The suite always tells the same histories; a longer profile hunts for new ones.
    derandomize=not LONG,
    max_examples=settings().max_examples if LONG else 25,
    stateful_step_count=30 if LONG else 15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
