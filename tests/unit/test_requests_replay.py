"""A policy over single requests: the protocol step by step, the history, and what is refused."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from baseload.errors import ConfigError
from baseload.sim.case import Case, Lead, SimPool, View, Wanted
from baseload.sim.requests.arrivals import SampledLengths, renewal_requests, stepped_rates
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.replay import Replay, replay

PROFILE = EngineProfile(10e-3, 50e-6, 100e-9, 20e-6, 1e-9, cache_tokens=100_000)
LOADS = np.array([[2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 1.0, 1.0]])
CASE = Case("hand", 60.0, LOADS, LOADS, (SimPool(lead=Lead(60.0, 60.0)),))
REPLICA_RPS = 5.0
GIVEN = Replay(CASE, 2, (PROFILE,), Objective(1.0, 0.05, 0.95), REPLICA_RPS)


@dataclass
class Scripted:
    """Answers the (order, keep) of its script, by step, and remembers what it saw."""

    script: list[tuple[int, int]]
    name: str = "scripted"
    views: list[View] = field(default_factory=list)

    def begin(self, case: Case) -> None:
        """Nothing to prepare."""

    def decide(self, view: View) -> Wanted:
        """The script's answer."""
        self.views.append(view)
        order, keep = self.script[view.step]
        return Wanted(np.array([[order]]), np.array([[keep]]))


def requests(seed: int = 1):  # noqa: ANN201 (an iterator of requests)
    """Arrivals worth the loads in the steps from the third on."""
    rates = [0.0 if step < 2 else REPLICA_RPS * load for step, load in enumerate(LOADS[0])]
    return renewal_requests(stepped_rates(rates, 60.0), SampledLengths(((100, 50),)), seed)


def test_orders_and_removals_follow_the_protocol() -> None:
    """An order at the end of step 1 serves from step 3 on (lead of one step) and is billed from step 2 on."""
    policy = Scripted([(2, 2), (4, 4), (4, 4), (4, 4), (4, 2), (2, 2), (2, 2), (2, 2)])
    outcome = replay(GIVEN, policy, requests())
    assert [int(v.ready[0, 0]) for v in policy.views] == [2, 2, 4, 4, 4, 2, 2, 2]
    assert [int(v.pending[0, 0]) for v in policy.views] == [0, 0, 0, 0, 0, 0, 0, 0]
    # From the start of step 2: 4 replicas for three steps, 2 for three, and the last answers of those removed.
    assert outcome.replica_seconds[0] == pytest.approx(60.0 * (4 * 3 + 2 * 3), abs=5.0)


def test_pending_beyond_the_order_is_cancelled_and_the_ready_stay() -> None:
    """Two of three orders are taken back in time; the third serves, and goes because `keep` is two."""
    given = replace(GIVEN, case=replace(CASE, pools=(SimPool(lead=Lead(120.0, 120.0)),)))
    policy = Scripted([(5, 5), (3, 2), (1, 2), (1, 2), (1, 1), (1, 1), (1, 1), (1, 1)])
    replay(given, policy, requests())
    assert [int(v.pending[0, 0]) for v in policy.views[:5]] == [0, 3, 0, 0, 0]
    assert [int(v.ready[0, 0]) for v in policy.views[:6]] == [2, 2, 3, 2, 2, 1]


def test_demand_is_counted_from_requests() -> None:
    """The policy sees the case's demand before the requests begin and then what arrives, in replicas' worth."""
    policy = Scripted([(3, 3)] * 8)
    outcome = replay(GIVEN, policy, requests())
    seen = policy.views[-1].demand[0]
    assert list(seen[:2]) == [2.0, 2.0]
    assert seen[2:] == pytest.approx(LOADS[0][2:], rel=0.25)
    assert outcome.requests == pytest.approx(REPLICA_RPS * 60.0 * LOADS[0][2:].sum(), rel=0.1)
    assert outcome.attainment > 0.95


def test_too_few_replicas_miss_the_objective_and_show_a_backlog() -> None:
    """Half of what is needed leaves requests waiting; they count, and the policy sees them."""
    small = replace(PROFILE, max_sequences=4)
    policy = Scripted([(1, 1)] * 8)
    outcome = replay(replace(GIVEN, profiles=(small,)), policy, requests())
    assert outcome.attainment < 0.5
    assert policy.views[5].backlog[0] > 0
    assert policy.views[5].unserved[0] > 0


def test_a_case_that_is_not_of_one_serving_is_refused() -> None:
    """Two servings, or a profile too many, are an error that names the case."""
    two = replace(CASE, demand=np.ones((2, 8)), world=np.ones((2, 8)))
    with pytest.raises(ConfigError, match="hand: 2 servings"):
        Replay(two, 2, (PROFILE,), GIVEN.objective, REPLICA_RPS)
    with pytest.raises(ConfigError, match="one for each pool"):
        Replay(CASE, 2, (PROFILE, PROFILE), GIVEN.objective, REPLICA_RPS)
