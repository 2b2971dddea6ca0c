"""The rules beside the bounds: lost metrics, rollouts, start-up, draining, warming up, and whose words stand."""

from dataclasses import replace
from itertools import pairwise

import pytest
import worlds

from baseload.api.reasons import Reason
from baseload.plan.decision import Decision
from baseload.plan.memory import Fall, Order, ServingMemory, Watched, Wish
from baseload.plan.planner import plan
from baseload.plan.signals import NoTraffic, ServingSignals, Value
from baseload.plan.snapshot import LossPolicy, Mode, OnLoss, Refusal, ServingState, TargetState

GONE = ServingSignals(offered_rps=worlds.missing(), running=worlds.missing(), waiting=worlds.missing())
IDLE = ServingSignals(offered_rps=NoTraffic(worlds.NOW), running=Value(0.0, worlds.NOW), waiting=Value(0.0, worlds.NOW))
UP = OnLoss(LossPolicy.SCALE_UP)


def decide(state: ServingState, **changes: object) -> Decision:
    """Plan a snapshot of one serving."""
    return plan(worlds.snapshot(state, **changes))[0]


def reasons(decision: Decision) -> list[Reason]:
    """The reasons of the limiters that spoke, in order."""
    return [entry.reason for entry in decision.limited_by]


def remembering(state: ServingState, **changes: object) -> ServingState:
    """A state with another memory."""
    return replace(state, memory=replace(state.memory, **changes))


def target(**changes: object) -> TargetState:
    """Four replicas, all ready."""
    return replace(TargetState("Deployment", "chat", "uid", 4, 4), **changes)


def lost(policy: OnLoss, seconds: float, wanted: int = 4, signals: ServingSignals = GONE) -> Decision:
    """The decision after metrics have been gone for so long, each step carried out on the way."""
    state = worlds.state(wanted=wanted, spec=worlds.spec(on_loss=policy), signals=signals)
    now = worlds.NOW
    while True:
        decision = decide(state, now=now, world_time=now)
        if now >= worlds.NOW + seconds:
            return decision
        assert state.target is not None
        there = replace(state.target, wanted=decision.final, ready=decision.final)
        state = replace(state, target=there, memory=decision.memory)
        now += 30.0


@pytest.mark.parametrize(
    ("policy", "seconds", "final"),
    [
        (OnLoss(), 3600.0, 4),
        (UP, 150.0, 4),
        (UP, 180.0, 5),
        (UP, 360.0, 6),
        (UP, 720.0, 8),
        (UP, 36_000.0, 16),
        (OnLoss(LossPolicy.FALLBACK, 9), 150.0, 4),
        (OnLoss(LossPolicy.FALLBACK, 9), 180.0, 9),
        (OnLoss(LossPolicy.FALLBACK, 9), 3600.0, 9),
        (OnLoss(LossPolicy.FALLBACK, 2), 3600.0, 4),
        (OnLoss(LossPolicy.FALLBACK, 99), 3600.0, 16),
    ],
)
def test_policies_for_lost_metrics(policy: OnLoss, seconds: float, final: int) -> None:
    """Hold holds; ScaleUp adds a quarter each three minutes up to the bound; Fallback goes up and never down."""
    assert lost(policy, seconds).final == final


def test_scale_up_waits_for_replicas_that_start_slowly() -> None:
    """With a start-up time of ten minutes a step comes each ten minutes."""
    state = worlds.state(wanted=4, spec=worlds.spec(on_loss=UP), signals=GONE, start_up_seconds=600.0)
    loss = decide(state).memory
    for seconds, final in ((590.0, 4), (600.0, 5), (1190.0, 5), (1200.0, 6)):
        later = worlds.NOW + seconds
        assert decide(replace(state, memory=loss), now=later, world_time=later).final == final


def test_the_policy_is_named_as_the_reason() -> None:
    """The reason and the words of a number without measurement say that it is one."""
    decision = lost(UP, 180.0)
    assert decision.reason is Reason.LOSS_SCALE_UP
    assert "nothing could be measured for 180 s" in decision.message
    fallback = lost(OnLoss(LossPolicy.FALLBACK, 9), 180.0)
    assert fallback.reason is Reason.LOSS_FALLBACK


def test_a_loss_ends_with_the_first_measurement() -> None:
    """One reading in between and the three minutes begin anew."""
    lost_for_long = lost(UP, 150.0).memory
    state = worlds.state(wanted=4, spec=worlds.spec(on_loss=UP), memory=lost_for_long)
    seen = decide(state, now=worlds.NOW + 160, world_time=worlds.NOW + 160)
    assert seen.memory.loss is None
    gone = replace(state, signals=GONE, memory=seen.memory)
    assert decide(gone, now=worlds.NOW + 185, world_time=worlds.NOW + 185).final == 4


def test_one_live_signal_is_no_loss() -> None:
    """While sequences are counted demand decides, even if the offered rate is stale for hours."""
    stale = worlds.signals(4.0, running=20.0, offered_rps=worlds.missing(Reason.STALE))
    assert lost(UP, 7200.0, wanted=2, signals=stale).memory.loss is None


def test_before_the_first_replica_is_ready_nothing_is_lost() -> None:
    """An engine that does not run yet has no metrics; starting more of them would not help."""
    none_yet = worlds.missing(Reason.NO_SERIES)
    state = worlds.state(wanted=2, ready=0, signals=ServingSignals(none_yet, none_yet, none_yet))
    assert decide(state).memory.loss is None


def test_a_rollout_holds_down_and_lets_up() -> None:
    """While revisions are mixed nothing goes down, whatever is idle, and more is still possible."""
    rolling = target(rolling_out=True, updated=1)
    down = decide(worlds.state(rps=0.5, target=rolling))
    assert (down.final, down.reason) == (4, Reason.ROLLOUT_IN_PROGRESS)
    assert "rollout of Deployment 'chat'" in down.message
    assert decide(worlds.state(rps=40.0, target=rolling)).final > 4


def test_a_rollout_teaches_nothing() -> None:
    """The learned line, and the trust in it, stay as they were before the rollout."""
    state = worlds.state(rps=4.0, target=target(rolling_out=True))
    slow = tuple(worlds.replica(20.0, 0.4, f"pod-{n}") for n in range(4))
    late = worlds.signals(4.0, running=8.0, inter_token_attainment=Value(0.2, worlds.NOW - 1), replicas=slow)
    state = remembering(
        replace(state, signals=late), model=worlds.learned_model(load_factor_time=worlds.NOW - 100, queued_since=1.0)
    )
    before, after = state.memory.model, decide(state).memory.model
    assert after == replace(before, updated_time=worlds.NOW, queued_since=None)
    settled = decide(replace(state, target=target()))
    assert settled.memory.model.sum_latency > before.sum_latency
    trusted = decide(replace(state, target=target(), signals=replace(late, replicas=())))
    assert trusted.memory.model.load_factor < before.load_factor


def test_a_rollout_that_hangs_does_not_hold_for_ever() -> None:
    """Ten minutes without one replica more of the new revision, or its controller giving up, end the hold."""
    rolling = worlds.state(rps=0.5, target=target(rolling_out=True, updated=1))
    first = decide(rolling)
    for seconds, final in ((590.0, 4), (601.0, 2)):
        now = worlds.NOW + seconds
        again = replace(rolling, memory=first.memory)
        assert decide(again, now=now, world_time=now).final == final
    moved = replace(rolling, memory=first.memory, target=target(rolling_out=True, updated=2))
    later = decide(moved, now=worlds.NOW + 601, world_time=worlds.NOW + 601)
    assert later.final == 4
    given_up = worlds.state(rps=0.5, target=target(rolling_out=True, updated=1, rollout_failed=True))
    assert decide(given_up).final == 2


def test_a_rollout_of_a_slow_model_may_take_its_time() -> None:
    """With a start-up time of ten minutes half an hour without progress is none."""
    rolling = worlds.state(rps=0.5, target=target(rolling_out=True, updated=1), start_up_seconds=600.0)
    first = decide(rolling)
    for seconds, final in ((1790.0, 4), (1801.0, 2)):
        now = worlds.NOW + seconds
        assert decide(replace(rolling, memory=first.memory), now=now, world_time=now).final == final


def ordered(rps: float, **changes: object) -> ServingState:
    """Two ready and six ordered ten seconds ago because demand asked for them; no window holds anything."""
    state = worlds.state(rps=rps, wanted=6, ready=2, spec=worlds.spec(stabilization_seconds=0.0))
    return replace(remembering(state, orders=(Order(worlds.NOW - 10, 6),)), **changes)


def test_what_demand_ordered_is_not_cancelled_before_it_could_start() -> None:
    """Demand falls while replicas start: they stay until they are ready, or late by half a start-up time of 24 s."""
    decision = decide(ordered(rps=0.5))
    assert (decision.final, decision.reason) == (6, Reason.STARTING_UP)
    assert "4 replicas that demand asked for are still starting" in decision.message
    late = worlds.NOW - 10 + 1.5 * 24.0
    assert decide(ordered(rps=0.5), now=late, world_time=late).final == 3


def test_what_is_ready_is_no_longer_protected() -> None:
    """Once it has come, the window and the steps decide as always."""
    state = ordered(rps=0.5)
    assert state.target is not None
    assert decide(replace(state, target=replace(state.target, ready=6))).final == 3


def test_orders_follow_demand_and_not_a_mistaken_minimum() -> None:
    """A minimum that was raised and lowered again was never needed: what it ordered is cancelled at once."""
    high = decide(worlds.state(rps=7.0, wanted=2, spec=worlds.spec(min_replicas=9)))
    assert (high.final, high.memory.orders) == (9, ())
    low = worlds.state(rps=7.0, wanted=9, ready=2, memory=high.memory, spec=worlds.spec(stabilization_seconds=0.0))
    assert decide(low).final < 9
    grown = decide(worlds.state(rps=20.0, wanted=2))
    assert grown.memory.orders == (Order(worlds.NOW, grown.final),)


def test_recommended_numbers_order_nothing() -> None:
    """In Recommend mode nothing starts, so nothing is protected and nothing has left."""
    only = worlds.spec(mode=Mode.RECOMMEND)
    assert decide(worlds.state(rps=20.0, wanted=2, spec=only)).memory.orders == ()
    assert decide(worlds.state(rps=0.5, wanted=8, spec=only)).memory.fall is None


@pytest.mark.parametrize(
    ("wanted", "draining", "final"),
    [
        pytest.param(8, 0, 4, id="none"),
        pytest.param(8, 8, 8, id="as-many-as-a-step"),
        pytest.param(8, 7, 7, id="one-has-gone"),
        pytest.param(8, 2, 5, id="few"),
        pytest.param(3, 3, 3, id="odd"),
    ],
)
def test_at_most_one_step_leaves_at_one_time(wanted: int, draining: int, final: int) -> None:
    """With steps of half, at most half of all that run, draining ones included, are leaving."""
    decision = decide(worlds.state(rps=0.5, wanted=wanted, draining_replicas=draining))
    assert decision.final == final
    assert (Reason.DRAINING in reasons(decision)) is (draining > 0)


def test_a_step_counts_as_draining_until_the_pods_were_listed() -> None:
    """Right after a step no listing has shown its pods terminating, which is no proof that they are gone."""
    state = remembering(worlds.state(rps=0.5, wanted=8), fall=Fall(worlds.NOW - 2, 8))
    unseen = decide(replace(state, pods_time=worlds.NOW - 1))
    assert (unseen.final, unseen.reason) == (8, Reason.DRAINING)
    late = worlds.NOW + 10
    assert decide(replace(state, pods_time=worlds.NOW + 4), now=late, world_time=late).final == 4


def test_a_step_down_is_remembered() -> None:
    """What was told to go stands in the memory of the decision that told it."""
    decision = decide(worlds.state(rps=0.5, wanted=8))
    assert decision.memory.fall == Fall(worlds.NOW, 4)


def test_a_long_way_down_never_leaves_more_than_a_step_draining() -> None:
    """From sixteen to one with a drain of a minute: at each moment at most half of what runs is leaving."""
    state = worlds.state(wanted=16, signals=IDLE, spec=worlds.spec(stabilization_seconds=0.0))
    numbers, drains, now = [16], [], worlds.NOW
    while numbers[-1] > 1 and now < worlds.NOW + 3600:
        draining = sum(count for end, count in drains if end > now)
        assert state.target is not None
        state = replace(state, draining_replicas=draining, pods_time=now)
        decision = decide(state, now=now, world_time=now)
        leaving = draining + state.target.wanted - decision.final
        assert leaving <= -(-(decision.final + leaving) // 2)
        if decision.final < state.target.wanted:
            drains.append((now + 60.0, state.target.wanted - decision.final))
        there = replace(state.target, wanted=decision.final, ready=decision.final)
        state = replace(state, target=there, memory=decision.memory)
        numbers.append(decision.final)
        now += 10.0
    assert numbers[-1] == 1
    assert all(b <= a for a, b in pairwise(numbers))


def test_a_target_new_to_the_operator_is_watched_for_a_window_first() -> None:
    """A serving created later than the operator, and one that was refused meanwhile, start their own window."""
    fresh = ServingMemory(model=worlds.learned_model(), rates=worlds.steady(0.5))
    first = decide(worlds.state(rps=0.5, wanted=5, memory=fresh))
    assert (first.final, first.reason) == (5, Reason.WARMING_UP)
    refused = worlds.state(rps=0.5, wanted=5, refusal=Refusal(Reason.FOREIGN_AUTOSCALER, "an autoscaler; delete it"))
    assert decide(refused).memory.watched is None
    later = worlds.NOW + 61
    known = remembering(worlds.state(rps=0.5, wanted=5), watched=first.memory.watched)
    assert decide(known, now=later, world_time=later).final < 5


def test_a_target_that_was_made_anew_is_a_new_one() -> None:
    """Deleted and created again under its name: wishes, orders and rates of the old one do not count."""
    old = remembering(worlds.state(rps=0.5, wanted=5), watched=Watched("old", worlds.NOW - 3600))
    old = remembering(old, wishes=(Wish(worlds.NOW - 5, 9),), orders=(Order(worlds.NOW - 5, 9),))
    decision = decide(old)
    assert decision.memory.watched == Watched("uid", worlds.NOW)
    assert [wish.replicas for wish in decision.memory.wishes] == [decision.raw]
    assert (decision.memory.orders, decision.reason) == ((), Reason.WARMING_UP)


def test_the_words_are_those_of_the_limiter_when_it_turned_the_number() -> None:
    """Demand says down and a bound says up: the reason is the bound, and its sentence comes first."""
    decision = decide(worlds.state(rps=0.5, wanted=2, spec=worlds.spec(min_replicas=6)))
    assert (decision.final, decision.reason) == (6, Reason.MIN_REPLICAS)
    assert decision.message.startswith("replicas.min is 6; ")
    plain = decide(worlds.state(rps=0.5, wanted=9))
    assert plain.reason is Reason.DEMAND_FELL
    assert "maxStep" not in plain.message
