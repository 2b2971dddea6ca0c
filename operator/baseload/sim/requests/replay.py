"""Any policy of a replay, over single requests: the last steps of a case in virtual time, the earlier ones as history.

The protocol is that of the fluid level (sim/case.py): a step is seen at its end; then ready replicas beyond `keep` go
at once, an order takes its pool's lead, and pending beyond `order` is cancelled, the newest first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from baseload.errors import ConfigError
from baseload.sim.case import Case, FloatArray, Policy, View, Wanted
from baseload.sim.requests.arrivals import TimedRequest
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.outcome import Outcome, outcome_of


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A case of one serving whose steps from `first_step` on are played by requests.

    `profiles` has one engine for each pool. `replica_rps` is the rate in requests/s that one replica's worth of
    demand stands for: what turns counted requests into demand.
    """

    case: Case
    first_step: int
    profiles: tuple[EngineProfile, ...]
    objective: Objective
    replica_rps: float

    def __post_init__(self) -> None:
        if self.case.demand.shape[0] != 1:
            raise ConfigError(f"case {self.case.name}: {self.case.demand.shape[0]} servings; requests are of one")
        if len(self.profiles) != len(self.case.pools):
            raise ConfigError(f"case {self.case.name}: {len(self.profiles)} profiles; give one for each pool")

    @property
    def start_seconds(self) -> float:
        """Time of the first request, in seconds after the case's first step."""
        return self.first_step * self.case.step_seconds

    @property
    def end_seconds(self) -> float:
        """End of the case."""
        return float(self.case.demand.shape[1] * self.case.step_seconds)


def replay(
    given: Replay, policy: Policy, requests: Iterable[TimedRequest], *, seed: int = 1, queue_limit: int | None = None
) -> Outcome:
    """Let a policy decide at the end of every step; return the outcome over the steps that have requests.

    `requests` count their seconds from the case's first step. In the steps before `first_step` the fleet has none, but
    its orders, leads and removals are the same, so the policy comes with the replicas that it would have had.
    """
    case, step_seconds = given.case, given.case.step_seconds
    pools = tuple(FleetPool(pool, profile) for pool, profile in zip(case.pools, given.profiles, strict=True))
    fleet = Fleet(pools, given.objective, requests, seed=seed, queue_limit=queue_limit)
    fleet.start(0, int(np.ceil(case.world[0, 0])))
    history = np.zeros((1, 0)) if case.history is None else case.history
    demand = np.concatenate([history, case.demand], axis=1)
    policy.begin(case)
    before = _Seen(0, 0.0)
    for step in range(case.demand.shape[1]):
        fleet.run((step + 1) * step_seconds)
        seen = _seen(fleet, given)
        if step >= given.first_step:
            demand[0, history.shape[1] + step] = (seen.requests - before.requests) / (given.replica_rps * step_seconds)
            unserved = max(seen.backlog - before.backlog, 0.0)
        else:
            unserved = max(float(case.world[0, step]) - len(fleet.serving), 0.0)
        before = seen
        _apply(fleet, policy.decide(_view(fleet, step, demand[:, : history.shape[1] + step + 1], unserved, seen)))
    fleet.finish()
    return outcome_of(fleet, given.end_seconds, since=given.start_seconds)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Requests that have arrived so far, and those that wait, in replica-steps."""

    requests: int
    backlog: float


def _seen(fleet: Fleet, given: Replay) -> _Seen:
    waiting = fleet.waiting_without_replica + sum(r.engine.waiting for r in (*fleet.serving, *fleet.draining))
    return _Seen(fleet.arrived, waiting / (given.replica_rps * given.case.step_seconds))


def _view(fleet: Fleet, step: int, demand: FloatArray, unserved: float, seen: _Seen) -> View:
    pools = range(len(fleet.pools))
    pending = [len(fleet.pending(pool)) for pool in pools]
    ready = [len(fleet.alive(pool)) - pending[pool] for pool in pools]
    return View(
        step=step,
        now_seconds=fleet.now,
        demand=demand,
        ready=np.array([ready], dtype=np.int64),
        pending=np.array([pending], dtype=np.int64),
        unserved=np.array([unserved]),
        backlog=np.array([seen.backlog]),
    )


def _apply(fleet: Fleet, wanted: Wanted) -> None:
    for pool in range(len(fleet.pools)):
        order, keep = int(wanted.order[0, pool]), int(wanted.keep[0, pool])
        pending = len(fleet.pending(pool))
        ready = len(fleet.alive(pool)) - pending
        fleet.cancel(pool, ready + pending - order)
        fleet.release(pool, ready - keep)
        fleet.order(pool, order - ready - pending)
