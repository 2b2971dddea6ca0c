"""The decision for one serving: sizes, guard, limiters and words, on hand-made numbers."""

from dataclasses import replace

import pytest
import worlds

from baseload.api.reasons import Reason
from baseload.plan.decision import Decision, Status
from baseload.plan.memory import ServingMemory, Wish
from baseload.plan.planner import plan
from baseload.plan.signals import Missing, NoTraffic, ServingSignals, Value
from baseload.plan.snapshot import Mode, Pause, PoolState, Reach, Refusal, ServingState


def decide(state: ServingState, **changes: object) -> Decision:
    """Plan a snapshot of one serving."""
    return plan(worlds.snapshot(state, **changes))[0]


def reasons(decision: Decision) -> list[Reason]:
    """The reasons of the limiters that spoke, in order."""
    return [entry.reason for entry in decision.limited_by]


def condition(decision: Decision, name: str) -> tuple[Status, Reason]:
    """Status and reason of one condition."""
    (found,) = [c for c in decision.conditions if c.type == name]
    return found.status, found.reason


def test_capacity_of_a_replica_is_what_the_line_and_the_objective_say() -> None:
    """One replica serves what keeps the mean of running sequences a safe distance below the limit of the line."""
    decision = decide(worlds.state(rps=4.0, wanted=2))
    # ITL reaches 50 ms at 56 running sequences; at load rho a request costs 0.5 ms * 200 tokens = 0.1 s.
    assert decision.capacity_rps_per_replica is not None
    assert 3.5 < decision.capacity_rps_per_replica < 5.6


def test_steady_demand_inside_capacity_changes_nothing() -> None:
    """Two replicas for demand that needs two stay two, and nothing is written."""
    decision = decide(worlds.state(rps=7.0, wanted=2))
    assert (decision.raw, decision.final, decision.write) == (2, 2, False)
    assert decision.reason is Reason.DEMAND_COVERED


def test_more_demand_scales_up_at_once() -> None:
    """Demand for five replicas is asked for in one step."""
    decision = decide(worlds.state(rps=20.0, wanted=2))
    assert decision.final >= 5
    assert decision.write
    assert decision.reason is Reason.DEMAND_ROSE
    assert "requests/s now" in decision.message


def test_a_rising_rate_is_answered_one_start_up_ahead() -> None:
    """With the same rate now, a rising one wants more than a steady one."""
    rising = tuple(replace(r, rps=8.0 - 0.1 * (worlds.NOW - r.time)) for r in worlds.steady(8.0))
    memory = replace(worlds.state().memory, rates=rising)
    grows = decide(worlds.state(rps=8.0, wanted=3, memory=memory))
    stays = decide(worlds.state(rps=8.0, wanted=3))
    assert grows.raw > stays.raw


def test_a_falling_rate_is_not_extrapolated() -> None:
    """A falling rate never wants less than the rate now needs."""
    falling = tuple(replace(r, rps=8.0 + 0.2 * (worlds.NOW - r.time)) for r in worlds.steady(8.0))
    memory = replace(worlds.state().memory, rates=falling)
    assert decide(worlds.state(rps=8.0, wanted=4, memory=memory)).raw >= 2


def test_backlog_alone_does_not_ask_for_its_full_concurrency() -> None:
    """A queue that built up while replicas start is worked off, not mistaken for demand."""
    queued = worlds.state(rps=8.0, wanted=3, ready=1)
    queued = replace(queued, signals=worlds.signals(8.0, running=60.0, waiting=60.0))
    calm = decide(worlds.state(rps=8.0, wanted=3, ready=3))
    assert decide(queued).raw <= calm.raw + 2


def test_no_traffic_wants_the_least_allowed() -> None:
    """Proven idleness goes to `replicas.min` once the scale-down window has passed."""
    idle = ServingSignals(
        offered_rps=NoTraffic(worlds.NOW), running=Value(0.0, worlds.NOW), waiting=Value(0.0, worlds.NOW)
    )
    decision = decide(worlds.state(wanted=2, signals=idle))
    assert (decision.raw, decision.reason) == (1, Reason.NO_TRAFFIC)


def test_without_a_model_a_queue_adds_one_replica() -> None:
    """Before anything is learned, waiting requests add one replica at a time."""
    fresh = ServingMemory(ready=2, ready_since=worlds.NOW - 600)
    state = worlds.state(wanted=2, memory=fresh, signals=worlds.signals(4.0, running=20.0, waiting=5.0))
    decision = decide(state)
    assert (decision.final, decision.reason) == (3, Reason.MODEL_UNKNOWN)


def test_without_an_offered_rate_running_sequences_size_the_serving() -> None:
    """llama.cpp has no request counter: processing and deferred requests over what one replica holds."""
    gone = Missing(Reason.NO_SERIES, "no such series")
    signals = worlds.signals(0.0, running=80.0, waiting=40.0, offered_rps=gone)
    decision = decide(worlds.state(wanted=2, signals=signals))
    assert decision.final in (3, 4)
    assert "sequences run or wait" in decision.message
    assert condition(decision, "MetricsAvailable")[0] is Status.TRUE


def test_a_seen_breach_adds_a_replica_when_nothing_is_coming() -> None:
    """Missing the objective with all replicas ready opens one more at once and names the share."""
    state = worlds.state(rps=7.0, wanted=2)
    late = worlds.signals(7.0, running=50.0, time_to_first_token_attainment=Value(0.7, worlds.NOW - 1))
    decision = decide(replace(state, signals=late))
    assert (decision.final, decision.reason) == (3, Reason.OBJECTIVE_MISSED)
    assert "70.0%" in decision.message


def test_a_breach_is_answered_by_the_first_decision_after_a_start() -> None:
    """An operator that has just started does not wait for a settling time it has not seen begin."""
    state = worlds.state(rps=7.0, wanted=2, memory=ServingMemory(model=worlds.learned_model()))
    late = worlds.signals(7.0, running=50.0, time_to_first_token_attainment=Value(0.7, worlds.NOW - 1))
    assert decide(replace(state, signals=late)).final == 3


def test_a_breach_waits_for_replicas_that_are_already_coming() -> None:
    """While a wanted replica is starting, a miss is no reason for yet another one."""
    state = worlds.state(rps=7.0, wanted=3, ready=2)
    late = worlds.signals(7.0, running=50.0, time_to_first_token_attainment=Value(0.7, worlds.NOW - 1))
    assert decide(replace(state, signals=late)).final == 3


def test_a_breach_inside_the_trusted_load_cuts_the_capacity() -> None:
    """A miss although the load was inside what the model allowed takes a tenth off the model's capacity."""
    model = worlds.learned_model(load_factor_time=worlds.NOW - 100)
    memory = replace(worlds.state().memory, model=model)
    state = worlds.state(rps=4.0, wanted=2, memory=memory)
    late = worlds.signals(4.0, running=30.0, inter_token_attainment=Value(0.8, worlds.NOW - 1))
    decision = decide(replace(state, signals=late))
    assert decision.memory.model.load_factor == pytest.approx(0.9)


def test_min_and_max_bound_the_number() -> None:
    """`replicas.min` and `replicas.max` bound every number and say so."""
    low = decide(worlds.state(rps=0.5, wanted=3, spec=worlds.spec(min_replicas=3)))
    high = decide(worlds.state(rps=40.0, wanted=4, spec=worlds.spec(max_replicas=4)))
    assert (low.final, high.final) == (3, 4)
    assert Reason.MIN_REPLICAS in reasons(low)
    assert Reason.MAX_REPLICAS in reasons(high)


def test_missing_metrics_hold_and_say_why() -> None:
    """With Prometheus gone nothing goes down and the condition carries the reason."""
    gone = ServingSignals(offered_rps=worlds.missing(), running=worlds.missing(), waiting=worlds.missing())
    decision = decide(worlds.state(wanted=5, signals=gone))
    assert (decision.final, decision.write) == (5, False)
    assert condition(decision, "MetricsAvailable") == (Status.FALSE, Reason.UNREACHABLE)
    assert condition(decision, "Ready")[0] is Status.FALSE


def test_a_stale_rate_holds_although_running_is_fresh() -> None:
    """One missing signal of those exposed is enough to forbid going down."""
    signals = worlds.signals(1.0, running=2.0, offered_rps=worlds.missing(Reason.STALE))
    decision = decide(worlds.state(wanted=5, signals=signals))
    assert decision.final == 5
    assert Reason.METRICS_MISSING in reasons(decision)


def test_scale_down_waits_for_the_window() -> None:
    """A higher wish inside the window holds; after it the number falls."""
    memory = replace(worlds.state(rps=1.0).memory, wishes=(Wish(worlds.NOW - 30, 4),))
    held = decide(worlds.state(rps=1.0, wanted=4, memory=memory))
    past = replace(memory, wishes=(Wish(worlds.NOW - 90, 4),))
    assert held.final == 4
    assert Reason.STABILIZATION in reasons(held)
    assert decide(worlds.state(rps=1.0, wanted=4, memory=past)).final < 4


def test_a_step_down_is_limited_and_rounded_up() -> None:
    """Half of five, rounded up, may go in one step."""
    decision = decide(worlds.state(rps=0.5, wanted=5))
    assert decision.final == 2
    assert Reason.STEP_LIMITED in reasons(decision)


def test_nothing_goes_down_while_the_operator_warms_up() -> None:
    """After a start nothing goes down for one full window, but more is still possible."""
    cold = {"warm_since": worlds.NOW - 10}
    assert decide(worlds.state(rps=0.5, wanted=5), **cold).final == 5
    assert decide(worlds.state(rps=30.0, wanted=2), **cold).final > 2


def test_a_stale_view_of_the_cluster_holds_both_ways() -> None:
    """A cluster that was not seen for long is not scaled in either direction."""
    old = {"world_time": worlds.NOW - 500}
    assert decide(worlds.state(rps=30.0, wanted=2), **old).final == 2
    assert decide(worlds.state(rps=0.5, wanted=5), **old).final == 5


@pytest.mark.parametrize(
    ("pause", "rps", "final"),
    [
        pytest.param(Pause(scale_in=True, why="w"), 0.5, 4, id="in-holds-down"),
        pytest.param(Pause(scale_in=True, why="w"), 90.0, 16, id="in-lets-up"),
        pytest.param(Pause(scale_out=True, why="w"), 40.0, 4, id="out-holds-up"),
        pytest.param(Pause(scale_in=True, scale_out=True, why="w"), 40.0, 4, id="both"),
        pytest.param(Pause(replicas=7, why="w"), 0.5, 7, id="pinned"),
    ],
)
def test_pause_annotations_hold_their_direction(pause: Pause, rps: float, final: int) -> None:
    """Each pause annotation holds exactly its direction and sets the condition."""
    decision = decide(worlds.state(rps=rps, wanted=4, pause=pause))
    assert decision.final == final
    assert condition(decision, "Paused")[0] is Status.TRUE


def test_recommend_mode_decides_but_does_not_write() -> None:
    """In Recommend mode the number stands in the decision and nothing is written."""
    decision = decide(worlds.state(rps=20.0, wanted=2, spec=worlds.spec(mode=Mode.RECOMMEND)))
    assert decision.final >= 5
    assert not decision.write
    assert reasons(decision)[-1] is Reason.RECOMMEND_ONLY


def test_a_refused_serving_is_never_written() -> None:
    """A refusal leaves the number alone and stands in Ready, Conflict and Stalled."""
    refusal = Refusal(Reason.FOREIGN_AUTOSCALER, "HorizontalPodAutoscaler 'x' scales the target; delete one of both")
    decision = decide(worlds.state(rps=40.0, wanted=2, refusal=refusal))
    assert (decision.final, decision.write) == (2, False)
    assert condition(decision, "Conflict") == (Status.TRUE, Reason.FOREIGN_AUTOSCALER)
    assert condition(decision, "Accepted")[0] is Status.TRUE


def test_a_missing_target_is_not_zero_replicas() -> None:
    """Without its target a serving is refused, not scaled."""
    decision = decide(worlds.state(target=None))
    assert decision.reason is Reason.TARGET_NOT_FOUND
    assert not decision.write


def test_too_few_accelerators_stand_in_the_capacity_condition() -> None:
    """Replicas that no node takes are a shortage of capacity, not a failure to reconcile."""
    pool = PoolState("owned", "L40S", 3, 12, 0, 1.0)
    state = worlds.state(rps=20.0, wanted=6, ready=4, pools=(pool,), placed_replicas=4, unplaced_replicas=2)
    decision = decide(replace(state, reach=Reach((0, 1, 2), 1)), free=(0, 0, 0))
    assert condition(decision, "CapacityAvailable") == (Status.FALSE, Reason.CAPACITY_SHORT)
    assert condition(decision, "Ready")[0] is Status.TRUE


def test_breach_time_is_the_sample_that_first_called_for_more() -> None:
    """The time of the first sample that called for more replicas is kept until they are wanted."""
    first = decide(worlds.state(rps=20.0, wanted=2))
    again = decide(worlds.state(rps=20.0, wanted=2, memory=first.memory), now=worlds.NOW + 2)
    assert first.breach_since == worlds.NOW - 1
    assert again.breach_since == worlds.NOW - 1
