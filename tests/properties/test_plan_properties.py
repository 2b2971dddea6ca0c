"""What must hold for every input of `plan()`."""

from dataclasses import replace
from itertools import pairwise

import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.api.reasons import Reason
from baseload.plan.capacity import capacity_of, replicas_for_level
from baseload.plan.decision import Decision
from baseload.plan.memory import Wish
from baseload.plan.outlook import Answer, Outlook
from baseload.plan.planner import plan
from baseload.plan.signals import Missing, NoTraffic, ServingSignals, Signal, Value
from baseload.plan.snapshot import Mode, ServingState

GAPS = [Reason.STALE, Reason.UNREACHABLE, Reason.NOT_A_NUMBER, Reason.AMBIGUOUS, Reason.PARTIAL, Reason.NO_SERIES]


def values(high: float) -> st.SearchStrategy[Signal]:
    """A value up to `high`, no traffic, or missing for any reason."""
    return st.one_of(
        st.floats(0, high).map(lambda v: Value(v, worlds.NOW - 1)),
        st.just(NoTraffic(worlds.NOW - 1)),
        st.sampled_from(GAPS).map(lambda r: Missing(r, "gap")),
    )


any_signals = st.builds(
    ServingSignals,
    offered_rps=values(200.0),
    running=values(500.0),
    waiting=values(500.0),
    output_tokens_per_second=values(1e5),
    output_tokens_per_request=values(2000.0),
    time_to_first_token_attainment=values(1.0),
    inter_token_attainment=values(1.0),
    replicas=st.lists(st.builds(worlds.replica, st.floats(0, 200), st.none() | st.floats(1e-4, 1.0)), max_size=5).map(
        tuple
    ),
)


any_outlook = st.builds(
    Outlook,
    time=st.just(worlds.NOW - 30),
    seen_until=st.just(worlds.NOW - 60),
    order=st.floats(0, 1e5),
    keep=st.floats(0, 1e5),
    upper=st.floats(0, 1e5),
    horizon_seconds=st.floats(60, 36_000),
    quantile=st.none() | st.floats(0.5, 0.99),
    band=st.none(),
    answered_by=st.sampled_from(Answer),
    valid_until=st.floats(worlds.NOW - 60, worlds.NOW + 60),
)


@st.composite
def any_state(draw: st.DrawFn) -> ServingState:
    """Any serving: bounds, replicas, signals, wishes and mode."""
    low = draw(st.integers(1, 20))
    high = draw(st.integers(low, 40))
    wanted = draw(st.integers(1, 50))
    base = worlds.state(
        rps=draw(st.floats(0.1, 100)),
        wanted=wanted,
        ready=draw(st.integers(0, wanted)),
        spec=worlds.spec(min_replicas=low, max_replicas=high, mode=draw(st.sampled_from(Mode))),
    )
    wishes = tuple(Wish(worlds.NOW - draw(st.floats(1, 59)), draw(st.integers(1, 40))) for _ in range(2))
    memory = replace(base.memory, wishes=wishes if draw(st.booleans()) else ())
    outlook = draw(st.none() | any_outlook)
    return replace(base, memory=memory, signals=draw(st.just(base.signals) | any_signals), outlook=outlook)


def decide(state: ServingState) -> Decision:
    """Plan a snapshot of one serving."""
    return plan(worlds.snapshot(state))[0]


@given(any_state())
def test_the_number_is_always_inside_its_bounds(state: ServingState) -> None:
    """Whatever is seen, the number allowed is between `replicas.min` and `replicas.max`."""
    final = decide(state).final
    assert state.spec.min_replicas <= final <= state.spec.max_replicas


@given(any_state())
def test_every_change_of_the_number_has_a_reason_and_words(state: ServingState) -> None:
    """Each limiter that changed the number says from what to what, and the chain ends at the final number."""
    decision = decide(state)
    assert decision.message
    number = decision.raw
    for entry in decision.limited_by:
        if entry.reason is Reason.RECOMMEND_ONLY:
            continue
        assert (entry.before, bool(entry.message)) == (number, True)
        assert entry.after != entry.before
        number = entry.after
    assert number == decision.final


@given(st.floats(0.5, 60), st.floats(1.0, 3.0), st.integers(1, 16))
def test_more_demand_never_means_less_capacity(rps: float, factor: float, wanted: int) -> None:
    """For the same serving a higher steady rate never wants fewer replicas."""
    less = decide(worlds.state(rps=rps, wanted=wanted))
    more = decide(worlds.state(rps=rps * factor, wanted=wanted))
    assert more.raw >= less.raw


@given(any_outlook, st.floats(0, 1e4), st.floats(1, 60), st.integers(1, 16))
def test_more_that_is_foreseen_never_means_fewer(outlook: Outlook, more: float, rps: float, wanted: int) -> None:
    """A higher level to order up to, or to keep, never wants fewer replicas."""
    state = worlds.state(rps=rps, wanted=wanted, outlook=replace(outlook, answered_by=Answer.MIXTURE))
    assert state.outlook is not None
    base = decide(state).raw
    for level in ("order", "keep"):
        higher = replace(state.outlook, **{level: getattr(state.outlook, level) + more})
        assert decide(replace(state, outlook=higher)).raw >= base


@given(any_outlook, st.floats(1, 60), st.integers(1, 16))
def test_whatever_is_foreseen_what_demand_needs_now_stays(outlook: Outlook, rps: float, wanted: int) -> None:
    """Replicas that demand needs now are never taken away, and a broken forecast never asks for less than the rate."""
    state = worlds.state(rps=rps, wanted=wanted, outlook=replace(outlook, answered_by=Answer.MIXTURE))
    following, reactive = decide(state), decide(replace(state, outlook=None))
    capacity = capacity_of(state.memory.model, state.spec)
    assert capacity is not None
    needed = replicas_for_level(capacity, rps * worlds.TOKENS, state.spec.max_replicas)
    assert following.raw >= min(needed, wanted)
    if following.outlook is not None and rps * worlds.TOKENS > outlook.upper:
        assert following.raw >= reactive.raw


@given(any_state())
def test_planning_twice_is_planning_once(state: ServingState) -> None:
    """Applying a plan and planning the same instant again changes nothing."""
    first = decide(replace(state, spec=replace(state.spec, mode=Mode.ENFORCE)))
    target = state.target
    assert target is not None
    if first.final != first.current and first.final > first.current:
        applied = replace(target, wanted=first.final)
        state = replace(state, target=applied, memory=first.memory, spec=replace(state.spec, mode=Mode.ENFORCE))
        assert decide(state).final <= first.final


@given(any_state(), st.sampled_from([r for r in GAPS if r is not Reason.NO_SERIES]))
def test_nothing_goes_down_while_a_signal_is_missing(state: ServingState, gap: Reason) -> None:
    """With any signal missing the number never falls, except into its bounds."""
    target = state.target
    assert target is not None
    signals = replace(state.signals, running=Missing(gap, "gap"))
    final = decide(replace(state, signals=signals)).final
    assert final >= min(target.wanted, state.spec.max_replicas)


@settings(max_examples=40)
@given(st.floats(0.5, 50.0), st.lists(st.floats(0.97, 1.03), min_size=40, max_size=40))
def test_demand_inside_the_band_does_not_flap(rps: float, noise: list[float]) -> None:
    """Three percent of noise on a steady rate moves the number at most twice, and never down and up again."""
    state = worlds.state(rps=rps, wanted=decide(worlds.state(rps=rps, wanted=1)).final)
    numbers = []
    for step, factor in enumerate(noise):
        now = worlds.NOW + 2 * step
        target = state.target
        assert target is not None
        signals = worlds.signals(rps, running=rps * 6)
        signals = replace(signals, offered_rps=Value(rps * factor, now - 1), running=Value(rps * 6, now - 1))
        (decision,) = plan(worlds.snapshot(replace(state, signals=signals), now=now, world_time=now))
        numbers.append(decision.final)
        state = replace(
            state,
            memory=decision.memory,
            target=replace(target, wanted=decision.final, ready=decision.final),
        )
    falls = sum(b < a for a, b in pairwise(numbers))
    rises = sum(b > a for a, b in pairwise(numbers))
    assert falls + rises <= 2
    assert not (falls and rises)


@given(any_state())
def test_the_decision_depends_on_nothing_but_its_input(state: ServingState) -> None:
    """The same snapshot gives an equal decision."""
    assert decide(state) == decide(state)
