"""The operator's decision in a loop with emulated replicas, in virtual time: seconds of CPU for minutes of service.

Arrivals come from a seed, each goes to the replica with the fewest outstanding requests, engines run the same
continuous batching as the lab's servers, and at every tick `plan()` sees what Prometheus would have shown. No
process, socket or clock is involved, so a run is exactly repeatable.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from baseload.plan.decision import Decision
from baseload.plan.memory import ServingMemory
from baseload.plan.planner import plan
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import ServingKey, ServingSpec, ServingState, Snapshot, TargetState
from baseload.sim.case import Lead, SimPool
from baseload.sim.requests.arrivals import TimedRequest
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import objective_of
from baseload.sim.requests.outcome import Outcome, outcome_of
from baseload.sim.requests.scrapes import Scrapes, Windows


@dataclass(frozen=True, slots=True)
class LoopRun:
    """What a run came to, the replicas wanted at each tick, and every decision (none with a fixed number)."""

    outcome: Outcome
    wanted: tuple[tuple[float, int], ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A serving with one pool, decided on every `tick_seconds`; a replica serves `start_up_seconds` after its order."""

    profile: EngineProfile
    spec: ServingSpec
    start_up_seconds: float
    tick_seconds: float = 2.0
    windows: Windows = field(default_factory=Windows)

    def run(
        self,
        requests: Iterable[TimedRequest],
        seconds: float,
        *,
        fixed_replicas: int | None = None,
        start_replicas: int = 1,
        seed: int = 1,
    ) -> LoopRun:
        """Decide for `seconds`, then play until every request is answered; `fixed_replicas` decides nothing."""
        lead = Lead(self.start_up_seconds, self.start_up_seconds)
        fleet = Fleet((FleetPool(SimPool(lead=lead), self.profile),), objective_of(self.spec), requests, seed=seed)
        fleet.start(0, fixed_replicas or max(self.spec.min_replicas, start_replicas))
        scrapes = Scrapes(fleet, self.spec, self.windows)
        wanted: list[tuple[float, int]] = []
        decisions: list[Decision] = []
        memory = ServingMemory()
        for tick in range(1, int(seconds / self.tick_seconds) + 1):
            fleet.run(tick * self.tick_seconds - self.windows.lag_seconds)
            signals = scrapes.read()
            fleet.run(tick * self.tick_seconds)
            wanted.append((fleet.now, len(fleet.alive())))
            if fixed_replicas is None:
                decision = self._decide(fleet, signals, memory)
                memory = decision.memory
                decisions.append(decision)
        fleet.run(seconds)
        fleet.finish()
        return LoopRun(outcome_of(fleet, seconds), tuple(wanted), tuple(decisions))

    def _decide(self, fleet: Fleet, signals: ServingSignals, memory: ServingMemory) -> Decision:
        wanted = len(fleet.alive())
        state = ServingState(
            key=ServingKey("sim", "serving"),
            generation=1,
            spec=self.spec,
            target=TargetState("Deployment", "serving", "uid", wanted, len(fleet.serving)),
            signals=signals,
            memory=memory,
            start_up_seconds=self.start_up_seconds,
        )
        snapshot = Snapshot(
            now=fleet.now,
            warm_since=-1e9,
            world_time=fleet.now,
            tick_seconds=self.tick_seconds,
            signal_lag_seconds=self.windows.signal_lag_seconds,
            learning_window_seconds=self.windows.learning_seconds,
            servings=(state,),
        )
        (decision,) = plan(snapshot)
        if decision.write and decision.final > wanted:
            fleet.order(0, decision.final - wanted)
        elif decision.write:
            fleet.remove(0, wanted - decision.final)
        return decision
