"""A full pool: who gets what is free, what is cut, and how the shortage is said."""

from dataclasses import replace
from typing import Any

import worlds

from baseload.api.reasons import Reason
from baseload.plan.ask import CLAIM_SECONDS, Ask
from baseload.plan.decision import Condition, Decision, Status
from baseload.plan.fleet import share
from baseload.plan.memory import Waiting
from baseload.plan.planner import plan
from baseload.plan.snapshot import Mode, Pause, PoolState, Priority, Reach, ServingKey, ServingState

NODES = Reach((0,), 1)
POOL = PoolState("owned", "L40S", 1, 6, 0, 1.0)


def state(name: str = "chat", rps: float = 20.0, wanted: int = 2, priority: int = 0, **changes: Any) -> ServingState:
    """A serving whose replicas all have a node and whose demand needs more of them."""
    changes = {"placed_replicas": wanted, "reach": NODES, "pools": (POOL,), **changes}
    changes["priority"] = Priority(priority, f"class-{priority}") if priority else Priority()
    return worlds.state(rps=rps, wanted=wanted, key=ServingKey("team", name), **changes)


def decide(*states: ServingState, free: tuple[int, ...] = (0,)) -> dict[str, Decision]:
    """Plan the servings of one instant; the decisions by name."""
    return {d.key.name: d for d in plan(worlds.snapshot(*states, free=free))}


def capacity(decision: Decision) -> Condition:
    """The condition CapacityAvailable."""
    return next(c for c in decision.conditions if c.type == "CapacityAvailable")


def ask(name: str, wanted: int, **changes: Any) -> Ask:
    """A serving without replicas that wants some."""
    base = Ask(ServingKey("team", name), 0, NODES, placed=0, unplaced=0, ordered=0, wanted=wanted, least=0)
    return replace(base, **changes)


def granted(*asks: Ask, free: int) -> list[int]:
    """The new replicas of each, in the order of the asks."""
    shares = share(asks, (free,))
    return [shares[each.key].granted for each in asks]


def test_what_does_not_fit_is_cut_with_its_numbers() -> None:
    """Demand for more than fits is cut to what fits, and the cut stands with before and after among the limits."""
    decision = decide(state(), free=(2,))["chat"]
    assert (decision.final, decision.write) == (4, True)
    (limit,) = decision.limited_by
    assert (limit.reason, limit.before, limit.after) == (Reason.CAPACITY_SHORT, decision.raw, 4)
    assert f"{decision.raw - 4} of {decision.raw} wanted replicas have no place on 1 node" in limit.message


def test_the_shortage_tells_replicas_and_requests() -> None:
    """Published is how many replicas are missing and how many requests per second the others cannot serve."""
    decision = decide(state())["chat"]
    assert decision.shortage is not None
    assert decision.shortage.replicas == decision.raw - 2
    served = 2 * (decision.capacity_rps_per_replica or 0.0)
    assert decision.shortage.requests_per_second == 20.0 - served
    assert (decision.reason, decision.write) == (Reason.CAPACITY_SHORT, False)


def test_a_shortage_is_no_failure_of_ours() -> None:
    """Ready stays True and nothing is stalled or reconciling while accelerators are short: installations go on."""
    decision = decide(state())["chat"]
    found = {c.type: c.status for c in decision.conditions}
    assert (found["CapacityAvailable"], found["Ready"], found["Stalled"]) == (Status.FALSE, Status.TRUE, Status.FALSE)
    assert "Reconciling" not in found


def test_the_shortage_ends_with_room() -> None:
    """With enough free the number is not cut, no shortage is told and the condition is True."""
    decision = decide(state(), free=(9,))["chat"]
    assert (decision.final, decision.shortage, decision.limited_by) == (decision.raw, None, ())
    assert capacity(decision).status is Status.TRUE


def test_higher_priority_first_and_equals_share() -> None:
    """The high one gets all it needs; two low ones, alike, share what is left; each is told who else waits."""
    high, one, two = state("high", priority=1000), state("one"), state("two")
    need = decide(high, free=(9,))["high"].raw - 2
    found = decide(high, one, two, free=(need + 2,))
    assert found["high"].shortage is None
    assert [found[name].final for name in ("one", "two")] == [3, 3]
    missing = need - 1
    assert f"others of the same {missing}" in capacity(found["one"]).message
    assert "priority 0," in capacity(found["one"]).message


def test_a_short_serving_is_told_what_higher_ones_miss() -> None:
    """The accelerators that servings of higher priority still miss stand in the message."""
    found = decide(state("high", priority=1000), state("low"))
    high = found["high"].shortage
    assert high is not None
    assert f"others of higher priority miss {high.replicas} accelerators" in capacity(found["low"]).message
    assert "priority 1000 (class-1000)" in capacity(found["high"]).message


def test_nothing_is_taken_from_who_has_it() -> None:
    """A higher priority without room takes no replica from a lower one."""
    found = decide(state("high", priority=1000), state("low", rps=7.0))
    assert (found["low"].final, found["low"].write) == (2, False)
    assert found["low"].shortage is None


def test_the_minimum_is_written_in_any_case() -> None:
    """`replicas.min` is a floor also where nothing fits: its pods wait for the next free accelerator."""
    decision = decide(state(rps=1.0, spec=worlds.spec(min_replicas=4)))["chat"]
    assert (decision.final, decision.write) == (4, True)
    assert capacity(decision).reason is Reason.CAPACITY_SHORT
    assert decision.shortage is not None
    assert (decision.shortage.replicas, decision.shortage.requests_per_second) == (2, 0.0)


def test_a_pinned_number_is_written_in_any_case() -> None:
    """Who pins a number by annotation has it written, whether it fits or not."""
    assert decide(state(pause=Pause(replicas=5, why="pinned")))["chat"].final == 5


def test_unknown_capacity_cuts_nothing() -> None:
    """Where no pool describes the nodes the number is not cut, and the condition says so."""
    decision = decide(state(reach=None, pools=()))["chat"]
    assert (decision.final, decision.shortage) == (decision.raw, None)
    assert (capacity(decision).status, capacity(decision).reason) == (Status.UNKNOWN, Reason.CAPACITY_UNKNOWN)


def test_a_recommendation_takes_nothing() -> None:
    """A serving that only recommends is told that its number would not fit, and takes nothing from the others."""
    watched = state("watched", priority=1000, spec=worlds.spec(mode=Mode.RECOMMEND))
    found = decide(watched, state("chat"), free=(1,))
    assert found["chat"].final == 3
    assert found["watched"].final == found["watched"].raw
    assert "recommended replicas would have no place" in capacity(found["watched"]).message


def test_orders_in_flight_hold_their_place() -> None:
    """What was ordered a moment ago and is on no node yet is not given to another, whatever his priority."""
    ordered = state("ordered", rps=20.0, wanted=4, placed_replicas=2)
    found = decide(ordered, state("high", priority=1000), free=(2,))
    assert (found["high"].final, found["ordered"].final) == (2, 4)


def test_a_claim_that_no_node_takes_comes_last() -> None:
    """Pods that no node took for a minute though one could hold no accelerator back from others; it is said why."""
    stuck = state("stuck", rps=14.0, wanted=4, placed_replicas=2, unplaced_replicas=2)
    first = decide(stuck, state("other"), free=(2,))
    assert first["other"].final == 2
    assert first["stuck"].memory.waiting == Waiting(4, 2, worlds.NOW)
    waiting = replace(first["stuck"].memory, waiting=Waiting(4, 2, worlds.NOW - CLAIM_SECONDS - 1))
    later = decide(replace(stuck, memory=waiting), state("other"), free=(2,))
    assert later["other"].final == 4
    alone = decide(replace(stuck, memory=waiting), free=(2,))
    assert capacity(alone["stuck"]).reason is Reason.PODS_UNPLACED


def test_pods_that_are_made_one_by_one_keep_their_claim_longer() -> None:
    """A StatefulSet makes its next pod when the one before is ready: its claim waits for two start-ups more."""
    slow = state("slow", rps=14.0, wanted=4, placed_replicas=2)
    memory = replace(slow.memory, waiting=Waiting(4, 2, worlds.NOW - CLAIM_SECONDS - 1))
    assert decide(replace(slow, memory=memory), state("other"), free=(2,))["other"].final == 2


def test_a_pod_of_a_rollout_that_finds_no_place_is_said() -> None:
    """A surge pod without a node is a short capacity in words, and no missing replica."""
    decision = decide(state(rps=7.0, unplaced_replicas=1))["chat"]
    assert decision.shortage is None
    assert "1 pods beyond the wanted number wait" in capacity(decision).message


def test_a_long_shortage_is_no_slow_reaction() -> None:
    """The time from a breach to the write does not count the time in which nothing was free."""
    decision = decide(state())["chat"]
    assert decision.memory.breach_since is None


def test_the_larger_need_gets_the_larger_part() -> None:
    """Equals share by the need: who needs twice as much gets twice as much, so all are overloaded alike."""
    assert granted(ask("large", 8), ask("small", 4), free=6) == [4, 2]


def test_splitting_a_serving_in_two_gains_nothing() -> None:
    """Two halves together get what the whole would get."""
    assert granted(ask("half-a", 4), ask("half-b", 4), ask("whole", 8), free=8) == [2, 2, 4]


def test_below_the_minimum_comes_first_among_equals() -> None:
    """Inside one priority the replicas up to `replicas.min` have their turn before any other."""
    assert granted(ask("plain", 4), ask("floor", 4, least=3), free=3) == [0, 3]


def test_pods_need_one_node_each() -> None:
    """Accelerators left over on several nodes do not add up to a place for a larger pod."""
    large = ask("large", 2, reach=Reach((0, 1), 4))
    shares = share([large], (3, 5))
    assert (shares[large.key].granted, shares[large.key].missing) == (1, 1)


def test_who_can_go_elsewhere_leaves_the_narrow_place() -> None:
    """A serving that may use both nodes does not take the only one that another may use."""
    anywhere, here = ask("anywhere", 2, reach=Reach((0, 1), 1), priority=10), ask("here", 1, reach=Reach((0,), 1))
    shares = share([anywhere, here], (1, 2))
    assert [shares[a.key].granted for a in (anywhere, here)] == [2, 1]
