"""What must hold of the rules beside the bounds for every input: schedules, losses, rollouts, orders, drains."""

from dataclasses import replace

import worlds
from hypothesis import given
from hypothesis import strategies as st

from baseload.api.reasons import Reason
from baseload.plan.decision import Decision
from baseload.plan.memory import Fall, Loss, Order, RolloutProgress, Wish
from baseload.plan.planner import plan
from baseload.plan.schedule import ScheduleWindow
from baseload.plan.signals import Missing, NoTraffic, ServingSignals, Signal, Value
from baseload.plan.snapshot import LossPolicy, Mode, OnLoss, ServingState, TargetState

GAPS = [Reason.STALE, Reason.UNREACHABLE, Reason.NOT_A_NUMBER, Reason.AMBIGUOUS, Reason.PARTIAL]
LOST = ServingSignals(offered_rps=worlds.missing(), running=worlds.missing(), waiting=worlds.missing())


def signal(high: float) -> st.SearchStrategy[Signal]:
    """A value up to `high`, no traffic, or a gap."""
    return st.one_of(
        st.floats(0, high).map(lambda v: Value(v, worlds.NOW - 1)),
        st.just(NoTraffic(worlds.NOW - 1)),
        st.sampled_from(GAPS).map(lambda r: Missing(r, "gap")),
    )


signals = st.builds(
    ServingSignals, offered_rps=signal(200.0), running=signal(500.0), waiting=signal(500.0)
) | st.floats(0.1, 100).map(lambda rps: worlds.signals(rps, running=rps * 6))

ago = st.floats(0.0, 4000.0).map(lambda seconds: worlds.NOW - seconds)


@st.composite
def windows(draw: st.DrawFn) -> tuple[ScheduleWindow, ...]:
    """Up to three windows around now with any bounds."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        start = worlds.NOW + draw(st.floats(-100, 100))
        least, most = draw(st.none() | st.integers(1, 50)), draw(st.none() | st.integers(1, 50))
        found.append(ScheduleWindow(start, start + draw(st.floats(0.1, 200)), least, most, "words"))
    return tuple(found)


@st.composite
def states(draw: st.DrawFn) -> ServingState:
    """Any serving in any of the situations that the rules are about."""
    low, wanted = draw(st.integers(1, 20)), draw(st.integers(1, 50))
    target = TargetState(
        "Deployment",
        "chat",
        "uid",
        wanted,
        draw(st.integers(0, wanted + 3)),
        rolling_out=draw(st.booleans()),
        updated=draw(st.integers(0, 5)),
        rollout_failed=draw(st.booleans()),
    )
    spec = worlds.spec(
        min_replicas=low,
        max_replicas=draw(st.integers(low, 40)),
        stabilization_seconds=draw(st.sampled_from([0.0, 60.0])),
        max_step_percent=draw(st.integers(1, 100)),
        on_loss=OnLoss(draw(st.sampled_from(LossPolicy)), draw(st.integers(1, 50))),
    )
    base = worlds.state(rps=draw(st.floats(0.1, 100)), target=target, spec=spec, windows=draw(windows()))
    memory = replace(
        base.memory,
        wishes=draw(st.just(()) | st.integers(1, 40).map(lambda n: (Wish(worlds.NOW - 30, n),))),
        orders=tuple(draw(st.lists(st.builds(Order, ago, st.integers(1, 50)), max_size=2))),
        fall=draw(st.none() | st.builds(Fall, ago, st.integers(1, 20))),
        loss=draw(st.none() | st.builds(Loss, ago, st.integers(1, 50))),
        rollout=draw(st.none() | st.builds(RolloutProgress, st.integers(0, 5), ago)),
    )
    return replace(
        base,
        memory=memory,
        signals=draw(signals),
        draining_replicas=draw(st.integers(0, 10)),
        pods_time=draw(ago),
    )


def decide(state: ServingState) -> Decision:
    """Plan a snapshot of one serving."""
    return plan(worlds.snapshot(state))[0]


def bounds(state: ServingState) -> tuple[int, int]:
    """The bounds in force, worked out in another way than the rules do; at a contradiction the minimum counts."""
    spec, lead = state.spec, state.start_up_seconds + 2.0
    floors = [w.least for w in state.windows if w.least and w.start <= worlds.NOW + lead and w.end > worlds.NOW]
    caps = [w.most for w in state.windows if w.most and w.start <= worlds.NOW < w.end]
    least = max([spec.min_replicas, *(min(f, spec.max_replicas) for f in floors)])
    most = min([spec.max_replicas, *(max(c, spec.min_replicas) for c in caps)])
    return least, max(least, most)


def _unseen(state: ServingState, fall: Fall) -> int:
    return fall.replicas if state.pods_time < fall.time + 5.0 else 0


@given(states())
def test_the_number_is_inside_the_bounds_and_the_schedules(state: ServingState) -> None:
    """Whatever else is going on, the number is inside `replicas` and the schedules in force."""
    least, most = bounds(state)
    assert least <= decide(state).final <= most


@given(states())
def test_nothing_goes_down_while_everything_is_missing(state: ServingState) -> None:
    """Without a measurement no policy, Fallback included, takes a replica away that the bounds allow."""
    target = state.target
    assert target is not None
    assert decide(replace(state, signals=LOST)).final >= min(target.wanted, bounds(state)[1])


@given(states())
def test_only_a_long_loss_raises_a_number_without_a_measurement(state: ServingState) -> None:
    """With everything missing the number rises only into the bounds, or by the policy after three minutes."""
    target = state.target
    assert target is not None
    decision = decide(replace(state, signals=LOST))
    if decision.final > min(max(target.wanted, bounds(state)[0]), bounds(state)[1]):
        assert state.spec.on_loss.policy is not LossPolicy.HOLD
        assert state.memory.loss is not None
        assert worlds.NOW - state.memory.loss.since >= 180.0


@given(states())
def test_a_rollout_that_makes_progress_takes_nothing_away(state: ServingState) -> None:
    """Two revisions at once never lead to fewer replicas, except into the bounds."""
    target = state.target
    assert target is not None
    rolling = replace(target, rolling_out=True, rollout_failed=False)
    decision = decide(replace(state, target=rolling, memory=replace(state.memory, rollout=None)))
    assert decision.final >= min(target.wanted, bounds(state)[1])


@given(states())
def test_what_leaves_at_one_time_is_at_most_a_step(state: ServingState) -> None:
    """A step down never makes more leave, with those that still drain, than a step of all that run."""
    target = state.target
    assert target is not None
    final, there = decide(state).final, min(max(target.wanted, bounds(state)[0]), bounds(state)[1])
    leaving = state.draining_replicas
    step = -(-(there + leaving) * state.spec.max_step_percent // 100)
    assert there - final <= max(step - leaving, 0)


@given(states())
def test_deciding_again_on_what_was_done_changes_nothing(state: ServingState) -> None:
    """At the same instant, with the first number carried out, the second is not higher, nor a further step down."""
    target = state.target
    assert target is not None
    state = replace(state, spec=replace(state.spec, mode=Mode.ENFORCE))
    first = decide(state)
    done = replace(target, wanted=first.final)
    again = decide(replace(state, target=done, memory=first.memory))
    if again.final < first.final < target.wanted:
        # Only the rest of the same step may follow, since what was just taken away drains.
        leaving = state.draining_replicas + (0 if state.memory.fall is None else _unseen(state, state.memory.fall))
        step = -(-(target.wanted + leaving) * state.spec.max_step_percent // 100)
        assert target.wanted - again.final + leaving <= step
    assert again.final <= max(first.final, bounds(state)[0])


@given(states())
def test_memory_of_what_lasts_stays_small(state: ServingState) -> None:
    """Orders end: none is remembered that has come, or is late."""
    decision = decide(state)
    target = state.target
    assert target is not None
    for order in decision.memory.orders:
        assert order.replicas > target.ready
        assert worlds.NOW - order.time < 1.5 * state.start_up_seconds
