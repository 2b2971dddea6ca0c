"""What the decision makes of an outlook: levels into replicas, live demand on top, and when it is too old."""

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest
import worlds

from baseload.api.reasons import Reason
from baseload.plan.capacity import capacity_of, replicas_for_level
from baseload.plan.decision import Decision
from baseload.plan.memory import Order, ReplicaModel, ServingMemory
from baseload.plan.outlook import Answer, Outlook
from baseload.plan.planner import plan
from baseload.plan.signals import Missing, NoTraffic, ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget, ServingSpec

TOKENS_PER_SECOND = 900.0
"""What about one replica of tests/support/worlds.py serves inside the objective."""


def outlook(order: float, keep: float = 0.0, upper: float = 1e9, **changes: object) -> Outlook:
    """An outlook at a lead of a quarter of an hour, levels in output tokens per second."""
    base = Outlook(
        time=worlds.NOW - 30,
        seen_until=worlds.NOW - 60,
        order=order,
        keep=keep,
        upper=upper,
        horizon_seconds=900.0,
        quantile=0.93,
        band=None,
        answered_by=Answer.MIXTURE,
        valid_until=worlds.NOW + 150,
    )
    return replace(base, **changes)


def decide(given: Outlook, rps: float = 4.0, wanted: int = 2, **changes: object) -> Decision:
    """Decide on one serving that has an outlook."""
    return plan(worlds.snapshot(worlds.state(rps=rps, wanted=wanted, outlook=given, **changes)))[0]


def linear_model() -> ReplicaModel:
    """One replica serves exactly one token per second, however many there are: half of its time grows with load."""
    latency_seconds = 0.8 / 0.35
    return ReplicaModel(
        weight=10.0,
        sum_running=10.0,
        sum_latency=10 * latency_seconds,
        sum_running_squared=10.0,
        sum_running_latency=10 * latency_seconds,
        sum_latency_squared=10 * latency_seconds**2,
        tokens_per_request=1.0,
    )


@pytest.mark.parametrize("level", [0.0, 0.2, 0.25, 0.3, 1.0, 1.25, 1.26, 3.2499, 3.25, 3.2501, 19.9, 60.0, 200.0])
def test_a_level_is_rounded_up_beyond_a_quarter(level: float) -> None:
    """With a capacity that does not depend on the number, a level of x replicas is ceil(x - 0.25), at most `most`."""
    spec = ServingSpec(LatencyTarget(1.0, 0.95), None, min_replicas=0, max_replicas=64)
    capacity = capacity_of(linear_model(), spec)
    assert capacity is not None
    assert capacity.tokens_at(7) == pytest.approx(1.0)
    assert replicas_for_level(capacity, level, 64) == min(ceil(level - 0.25), 64)


@pytest.mark.parametrize("level", [10.0, 900.0, 2500.0, 7000.0, 14_000.0, 1e6])
def test_staffing_counts_for_a_level_too(level: float) -> None:
    """Many replicas carry more each than few, and a level takes the least number that carries it, a quarter spared."""
    capacity = capacity_of(worlds.learned_model(), worlds.spec())
    assert capacity is not None
    found = replicas_for_level(capacity, level, 40)

    def carries(replicas: int) -> bool:
        return (replicas + 0.25) * capacity.tokens_at(replicas) >= level

    assert found == next((n for n in range(41) if carries(n)), 40)


def test_a_foreseen_rise_is_ordered_before_it_is_there() -> None:
    """Demand that two replicas serve stays as it is, yet four are ordered for what is foreseen; the words say it."""
    decision = decide(outlook(order=4 * TOKENS_PER_SECOND), rps=7.0, wanted=2)
    assert (decision.final, decision.reason) == (4, Reason.FORECAST_ROSE)
    assert "3600 tokens/s foreseen in 900 s (93% quantile), 1400 now" in decision.message
    assert decision.outlook is not None


def test_ready_replicas_are_kept_up_to_the_keep_level() -> None:
    """Order level two, keep level five: of six ready replicas five stay, and none is ordered anew."""
    levels = outlook(order=2 * TOKENS_PER_SECOND, keep=5 * TOKENS_PER_SECOND)
    assert decide(levels, wanted=6).raw == 5
    few_ready = worlds.state(wanted=6, ready=3, outlook=levels)
    assert plan(worlds.snapshot(few_ready))[0].raw == 3


def test_going_down_stops_at_what_demand_needs_now() -> None:
    """However little is foreseen, the live rate must agree before anything goes."""
    decision = decide(outlook(order=10.0), rps=18.0, wanted=8)
    assert decision.reason is Reason.DEMAND_HOLDS
    assert decision.raw == 4
    assert decide(outlook(order=10.0), rps=18.0, wanted=3).raw == 3


def test_demand_above_the_highest_expected_breaks_the_forecast() -> None:
    """Live demand above `upper` asks the reactive way as well; below it the forecast alone decides."""
    levels = outlook(order=2 * TOKENS_PER_SECOND, upper=3000.0)
    signals = worlds.signals(20.0, running=60.0)
    broken = decide(levels, rps=20.0, signals=signals)
    reactive = plan(worlds.snapshot(worlds.state(rps=20.0, signals=signals)))[0]
    assert (broken.raw, broken.reason) == (reactive.raw, Reason.FORECAST_BROKEN)
    assert "4000 tokens/s now, at most 3000 were expected" in broken.message
    assert decide(replace(levels, upper=4001.0), rps=20.0, signals=signals).raw == 2


def test_a_broken_forecast_still_counts_where_it_asks_for_more() -> None:
    """What reacts to the rate never takes away what is foreseen."""
    assert decide(outlook(order=12 * TOKENS_PER_SECOND, upper=3000.0), rps=20.0).raw >= 11


def test_a_backlog_is_worked_off_although_the_forecast_was_right() -> None:
    """Requests that piled up while replicas were missing are no forecast's business, and are worked off."""
    jammed = worlds.state(rps=7.0, wanted=2, ready=1, outlook=outlook(order=2 * TOKENS_PER_SECOND))
    jammed = replace(jammed, signals=worlds.signals(7.0, running=60.0, waiting=600.0))
    decision = plan(worlds.snapshot(jammed))[0]
    assert decision.reason is Reason.BACKLOG
    assert decision.raw > 2


def test_a_ramp_after_a_silent_night_is_prepared() -> None:
    """While nobody asks, what is foreseen decides, not the silence."""
    idle = ServingSignals(
        offered_rps=NoTraffic(worlds.NOW), running=Value(0.0, worlds.NOW), waiting=Value(0.0, worlds.NOW)
    )
    assert decide(outlook(order=3 * TOKENS_PER_SECOND), wanted=1, signals=idle).final == 3
    assert decide(outlook(order=0.0), wanted=2, signals=idle).raw == 0


def test_a_gap_in_the_metrics_does_not_undo_what_is_foreseen() -> None:
    """Without a live rate the outlook may order, and nothing goes down."""
    gap = Missing(Reason.UNREACHABLE, "Prometheus did not answer")
    blind = ServingSignals(offered_rps=gap, running=gap, waiting=gap)
    assert decide(outlook(order=4 * TOKENS_PER_SECOND), signals=blind).final == 4
    assert decide(outlook(order=0.0), wanted=3, signals=blind).final == 3


def test_an_outlook_that_is_too_old_is_not_followed_and_that_is_said() -> None:
    """After `valid_until` the decision is reactive."""
    old = outlook(order=9 * TOKENS_PER_SECOND, valid_until=worlds.NOW - 1)
    decision = decide(old, rps=7.0)
    assert (decision.final, decision.reason, decision.outlook) == (2, Reason.DEMAND_COVERED, None)
    assert decision.message.endswith("the outlook of 30 s ago is too old to follow")


@pytest.mark.parametrize("changes", [{"answered_by": Answer.REACTIVE}, {}])
def test_without_history_or_without_a_model_the_decision_is_reactive(changes: dict[str, object]) -> None:
    """Levels that only repeat the rate now are not followed, nor are any before the capacity of a replica is known."""
    memory = worlds.state().memory if changes else ServingMemory()
    decision = decide(outlook(order=9 * TOKENS_PER_SECOND, **changes), rps=7.0, memory=memory)
    assert decision.outlook is None
    assert decision.raw == 2


def test_pending_replicas_that_were_only_foreseen_may_be_cancelled() -> None:
    """A smaller order level takes pending replicas back at once; those that demand asked for start in peace."""
    levels = outlook(order=2 * TOKENS_PER_SECOND)
    state = worlds.state(wanted=5, ready=2, outlook=levels)
    assert plan(worlds.snapshot(state))[0].raw == 2
    rising = plan(worlds.snapshot(worlds.state(wanted=2, outlook=outlook(order=5 * TOKENS_PER_SECOND))))[0]
    assert rising.write
    assert rising.memory.orders == ()
    called_for = replace(state.memory, orders=(Order(worlds.NOW - 5, 5),))
    held = plan(worlds.snapshot(replace(state, memory=called_for)))[0]
    assert (held.final, held.limited_by[-1].reason) == (5, Reason.STARTING_UP)


PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "decision.md"
PER_REPLICA = 900.0


def linear_replicas(ready: int, wanted: int, now: float, levels: tuple[float, float, float]) -> Decision:
    """Decide with replicas that carry 900 tokens a second each; levels are order, keep and upper."""
    order, keep, upper = (level / PER_REPLICA for level in levels)
    spec = replace(worlds.spec(), inter_token_latency=None, max_replicas=20)
    signals = worlds.signals(now / PER_REPLICA, running=1.0, output_tokens_per_request=Value(1.0, worlds.NOW - 1))
    memory = replace(worlds.state().memory, model=linear_model(), rates=worlds.steady(now / PER_REPLICA))
    outlooked = outlook(order, keep, upper)
    state = worlds.state(wanted=wanted, ready=ready, spec=spec, memory=memory, signals=signals, outlook=outlooked)
    return plan(worlds.snapshot(state))[0]


def test_the_example_of_the_page_is_what_the_decision_says() -> None:
    """docs/explanation/decision.md: one replica taken back, two that go, six that stay, eight that are ordered."""
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    noon = linear_replicas(6, 8, 4100, (5700, 4950, 6500))
    assert (noon.raw, noon.reason) == (7, Reason.FORECAST_FELL)
    assert "`max(7, min(6, 6))` is 7" in text
    three = linear_replicas(7, 7, 4100, (3900, 4300, 6500))
    assert (three.raw, three.reason) == (5, Reason.FORECAST_FELL)
    assert "`max(5, min(7, 5))` is 5" in text
    held = linear_replicas(7, 7, 5300, (3900, 4300, 6500))
    assert (held.raw, held.reason) == (6, Reason.DEMAND_HOLDS)
    broken = linear_replicas(7, 7, 6700, (3900, 4300, 6500))
    assert (broken.raw, broken.reason) == (8, Reason.FORECAST_BROKEN)
    assert "`ceil(6,700 / 900)` = 8" in text
