"""What is known of a run's demand beforehand, in virtual time: the least fixed number, and the HPA tuned in hindsight.

The arrivals are those that the lab will send, so the HPA's settings are the best that it could have had, which nobody
knows before the day is over. The rule is the real controller's, for a metric of type Pods.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

from baseload.lab.demand import Demand
from baseload.lab.demo_record import Objective as DemoObjective
from baseload.lab.scenario import SCRAPE_SECONDS
from baseload.sim.case import Lead, SimPool
from baseload.sim.policies.hpa_rule import TOLERANCE, UP_PODS
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.outcome import outcome_of

UTILISATIONS: Final = (0.8, 0.9, 1.0)
HOLDS_SECONDS: Final = (20, 40, 60)
SYNCS_SECONDS: Final = (2.0, 15.0)

_POLICY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a policy comes to: the share of requests inside the objective (0..1) and the replica-seconds paid."""

    attainment: float
    replica_seconds: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """Settings of an HPA, in seconds, shares of what one replica holds and requests per replica, and their result."""

    utilisation: float
    hold_seconds: int
    sync_seconds: float
    in_flight_per_replica: float
    result: Found


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A demand on emulated replicas that all start in the same time, in virtual time."""

    demand: Demand
    profile: EngineProfile
    objective: DemoObjective
    start_up_seconds: float
    most_replicas: int

    def fixed(self, replicas: int) -> Found:
        """Play a fixed number of replicas."""
        return self._found(self._fleet(replicas))

    def least_fixed(self) -> int:
        """Return the least number of replicas that keeps the objective, or the most there are."""
        counts = range(1, self.most_replicas)
        return next((n for n in counts if self.fixed(n).attainment >= self.objective.attainment), self.most_replicas)

    def tuned_hpa(self, first_replicas: int, held: float) -> Tuned:
        """Return the cheapest HPA that keeps the objective; the one that keeps most of it if none does.

        `held` is how many requests run or wait on one replica at its capacity.
        """
        tried = [
            Tuned(share, hold, sync, share * held, self.hpa(first_replicas, share * held, hold, sync))
            for share in UTILISATIONS
            for hold in HOLDS_SECONDS
            for sync in SYNCS_SECONDS
        ]
        keeping = [each for each in tried if each.result.attainment >= self.objective.attainment]
        if keeping:
            return min(keeping, key=lambda each: each.result.replica_seconds)
        return max(tried, key=lambda each: each.result.attainment)

    def hpa(self, first_replicas: int, target: float, hold_seconds: float, sync_seconds: float) -> Found:
        """Play an HPA on requests in flight, which Prometheus scrapes each two seconds."""
        fleet, rule = self._fleet(first_replicas), HpaRule(target, hold_seconds, self.most_replicas, first_replicas)
        seen: dict[str, int] = {}
        for second in range(1, int(self._end) + 1):
            fleet.run(float(second))
            if second % SCRAPE_SECONDS == 1:
                fleet.catch_up()
                seen = {r.name: r.engine.running + r.engine.waiting for r in fleet.serving}
            if second % sync_seconds == 0:
                alive = fleet.alive()
                loads = [seen[r.name] for r in alive if r.name in seen]
                wanted = rule.wanted(float(second), loads, len(alive))
                fleet.order(0, max(wanted - len(alive), 0))
                fleet.remove(0, max(len(alive) - wanted, 0))
        return self._found(fleet)

    @property
    def _end(self) -> float:
        return float(self.demand.lead_in_seconds + len(self.demand.loads))

    def _fleet(self, replicas: int) -> Fleet:
        lead = Lead(self.start_up_seconds, self.start_up_seconds)
        limits = self.objective.latencies
        between = limits.inter_token_seconds
        objective = Objective(limits.time_to_first_token_seconds, between or inf, self.objective.attainment)
        fleet = Fleet((FleetPool(SimPool(lead=lead), self.profile),), objective, self.demand.requests)
        fleet.start(0, replicas)
        return fleet

    def _found(self, fleet: Fleet) -> Found:
        fleet.run(self._end)
        fleet.finish()
        outcome = outcome_of(fleet, self._end, since=float(self.demand.lead_in_seconds))
        return Found(round(outcome.attainment, 5), round(outcome.replica_seconds[0], 1))


class HpaRule:
    """One HPA with its window and its rate limit, sync by sync."""

    def __init__(self, target: float, hold_seconds: float, most: int, first_replicas: int) -> None:
        self._target, self._hold, self._most = target, hold_seconds, most
        self._recommended = [(0.0, first_replicas)]
        self._added: list[tuple[float, int]] = []

    def wanted(self, now: float, loads: Iterable[int], current: int) -> int:
        """Return the replicas after a sync; `loads` are those of pods that have a metric, `current` counts all."""
        desired = min(max(self._desired(list(loads), current), 1), self._most)
        self._recommended = [each for each in self._recommended if each[0] >= now - self._hold] + [(now, desired)]
        if desired < current:
            return min(current, max(replicas for _, replicas in self._recommended))
        self._added = [each for each in self._added if each[0] > now - _POLICY_SECONDS]
        before = current - sum(count for _, count in self._added)
        allowed = max(min(desired, max(before + UP_PODS, 2 * before)), current)
        if allowed > current:
            self._added.append((now, allowed - current))
        return allowed

    def _desired(self, loads: list[int], current: int) -> int:
        """The rule for pods without a metric: full on the way down, idle on the way up, no change of direction."""
        if not loads:
            return current
        ratio, missing = sum(loads) / len(loads) / self._target, current - len(loads)
        filled = sum(loads) + (missing * self._target if ratio < 1 else 0.0)
        used = filled / current / self._target
        if abs(used - 1) <= TOLERANCE or (ratio - 1) * (used - 1) < 0:
            return current
        return ceil(used * current - 1e-9)
