"""How far the two levels of replay agree: the same case and policy in fluid steps and request by request."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, Policy
from baseload.sim.fluid import simulate
from baseload.sim.requests.arrivals import Lengths, renewal_requests, stepped_rates
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.replay import Replay, replay
from baseload.sim.score import score


@dataclass(frozen=True, slots=True)
class Served:
    """How a replica serves: its engine, the lengths of requests, the objective, and requests/s that are 1 of demand."""

    profile: EngineProfile
    lengths: Lengths
    objective: Objective
    replica_rps: float


@dataclass(frozen=True, slots=True)
class Levels:
    """One policy on one case at both levels.

    Fluid: replica-hours, cost with the penalty, the share of work in steps without shortage, and the share that no
    replica took. By requests: replica-hours and the share of requests inside the objective.
    """

    fluid_replica_hours: float
    fluid_cost: float
    fluid_attainment: float
    unserved_share: float
    requests: int
    request_replica_hours: float
    request_attainment: float

    @property
    def replica_hours_difference(self) -> float:
        """Relative difference of replica-hours, requests against fluid."""
        return self.request_replica_hours / self.fluid_replica_hours - 1.0

    @property
    def attainment_difference(self) -> float:
        """Difference of the attainments, requests less fluid."""
        return self.request_attainment - self.fluid_attainment


def both_levels(case: Case, policy: Callable[[], Policy], served: Served, seed: int = 1) -> Levels:
    """Play a case of one serving and one pool with its demand held for each step, at both levels."""
    fluid = score(simulate(case, policy()), clairvoyant(case))
    rates = stepped_rates((served.replica_rps * np.asarray(case.world[0])).tolist(), case.step_seconds)
    given = Replay(case, 0, (served.profile,), served.objective, served.replica_rps)
    played = replay(given, policy(), renewal_requests(rates, served.lengths, seed), seed=seed)
    return Levels(
        fluid_replica_hours=fluid.replica_hours,
        fluid_cost=fluid.cost,
        fluid_attainment=fluid.attainment,
        unserved_share=fluid.unserved_share,
        requests=played.requests,
        request_replica_hours=sum(played.replica_seconds) / 3600.0,
        request_attainment=played.attainment,
    )
