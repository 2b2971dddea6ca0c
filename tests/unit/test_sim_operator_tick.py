"""One tick of the operator in a replay: `plan()` sees replicas' worth of demand and answers in replicas."""

from dataclasses import replace

import numpy as np
import pytest
from replays import case

from baseload.api.reasons import Reason
from baseload.plan.outlook import Answer, Outlook
from baseload.sim.policies.buckets import cut_of, earlier_buckets, mean_seen
from baseload.sim.policies.operator_tick import REPLICA_TOKENS, OperatorTick, wanted_of

NOW_SECONDS = 600.0


def outlook(order: float, keep: float, upper: float = 1000.0) -> Outlook:
    """An outlook in replicas."""
    return Outlook(
        time=0.0,
        seen_until=0.0,
        order=order * REPLICA_TOKENS,
        keep=keep * REPLICA_TOKENS,
        upper=upper * REPLICA_TOKENS,
        horizon_seconds=1200.0,
        quantile=0.9,
        band=None,
        answered_by=Answer.MIXTURE,
    )


def wanted(demand: float, ready: int, pending: int, ahead: Outlook | None) -> int:
    """What one serving is scaled to."""
    tick = OperatorTick(1, 600.0)
    arrays = np.array([demand]), np.array([ready]), np.array([pending])
    return int(wanted_of(tick.decide(NOW_SECONDS, *arrays, [ahead]))[0])


@pytest.mark.parametrize(("level", "replicas"), [(0.2, 0), (1.2, 1), (1.3, 2), (7.25, 7), (7.26, 8), (200.0, 200)])
def test_a_level_becomes_whole_replicas_with_a_quarter_spared(level: float, replicas: int) -> None:
    """`ceil(x - 0.25)`, whatever the number: the replica of a replay serves exactly one unit."""
    assert wanted(0.0, 0, 0, outlook(level, 0.0)) == replicas


def test_ready_replicas_are_kept_and_pending_ones_are_not() -> None:
    """Order 3, keep 6: of 8 ready 6 stay; of 2 ready and 4 pending the order alone counts."""
    assert wanted(1.0, 8, 0, outlook(3.0, 6.0)) == 6
    assert wanted(1.0, 2, 4, outlook(3.0, 6.0)) == 3


def test_going_down_stops_at_what_demand_needs_now() -> None:
    """Nothing is foreseen, but five replicas' worth of work arrives."""
    assert wanted(5.0, 8, 0, outlook(1.0, 1.0)) == 5


def test_demand_above_the_highest_expected_counts_at_once() -> None:
    """A forecast that is broken by live demand is not waited for."""
    assert wanted(9.0, 4, 0, outlook(4.0, 4.0, upper=6.0)) == 9


def test_a_gap_holds_what_is_there_and_lets_orders_through() -> None:
    """Missing is never zero: nothing goes down on a gap, what is foreseen may come."""
    assert wanted(np.nan, 8, 0, outlook(3.0, 3.0)) == 8
    assert wanted(np.nan, 2, 0, outlook(3.0, 3.0)) == 3


def test_without_an_outlook_the_rate_now_counts() -> None:
    """A serving without history starts reactive."""
    assert wanted(4.2, 1, 0, None) == 5


def test_work_that_nobody_took_is_no_backlog() -> None:
    """A fluid replay loses it at the end of the step, so the guard and the backlog rule stay silent."""
    tick = OperatorTick(1, 600.0)
    arrays = np.array([9.0]), np.array([4]), np.array([0])
    decision = tick.decide(NOW_SECONDS, *arrays, [outlook(9.0, 9.0)])[0]
    assert (decision.final, decision.reason) == (9, Reason.FORECAST_ROSE)


def test_a_replica_carries_one_unit_for_ever() -> None:
    """After a day of ticks without a lesson the same level is still the same number."""
    tick = OperatorTick(1, 600.0)
    arrays = np.array([7.0]), np.array([7]), np.array([0])
    for step in range(144):
        decision = tick.decide(600.0 * (step + 1), *arrays, [outlook(7.25, 7.25)])[0]
    assert decision.final == 7


def test_steps_make_buckets_of_which_a_day_has_144() -> None:
    """Two-minute steps: five a bucket; hourly steps are buckets themselves; a gap counts by what was seen of it."""
    short = replace(case([1.0, 2.0, np.nan, 4.0, 5.0, 9.0]), step_seconds=120.0, steps_per_day=720)
    cut = cut_of(short)
    assert (cut.steps, cut.grid.bucket_seconds, cut.grid.buckets_per_day) == (5, 600.0, 144)
    assert cut.completed(5)
    assert not cut.completed(6)
    assert cut.mean(short.demand[:, :5]).tolist() == [3.0]
    assert cut.running_mean(short.demand, 6).tolist() == [9.0]
    hourly = cut_of(replace(short, step_seconds=3600.0, steps_per_day=24))
    assert (hourly.steps, hourly.grid.bucket_seconds, hourly.grid.buckets_per_day) == (1, 3600.0, 24)


def test_history_is_cut_from_its_end() -> None:
    """Whole buckets that end where the case begins; what is left over at the front is dropped."""
    history = np.array([[9.0, 1.0, 2.0, 3.0, 4.0, 5.0, *[6.0] * 5]])
    past = replace(case([1.0]), step_seconds=120.0, steps_per_day=720, history=history)
    block = earlier_buckets(past, cut_of(past))
    assert (block.demand.tolist(), block.end_index) == ([[3.0, 6.0]], 2)
    assert earlier_buckets(case([1.0]), cut_of(case([1.0]))).demand.shape == (1, 0)


def test_a_mean_of_nothing_is_a_gap() -> None:
    """Missing is never zero."""
    assert np.isnan(mean_seen(np.array([[np.nan, np.nan]]))).all()
