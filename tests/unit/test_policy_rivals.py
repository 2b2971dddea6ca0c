"""Rivals against numbers worked out by hand: what they ask for after a step, with the arithmetic beside it."""

from math import nan

import numpy as np
import pytest
from policy_steps import answers, sets, steps_case, view_of
from replays import case, pool

from baseload.sim.fluid import simulate
from baseload.sim.policies.dynamo import Dynamo, DynamoOptions
from baseload.sim.policies.hpa import Hpa
from baseload.sim.policies.hpa_hindsight import GRID, HpaHindsight, grid_costs
from baseload.sim.policies.kalman import LocalTrend
from baseload.sim.policies.keda import Keda, KedaOptions
from baseload.sim.policies.kpa import Kpa
from baseload.sim.policies.point import Point
from baseload.sim.policies.seasonal import Seasonal
from baseload.sim.policies.seen import Seen
from baseload.sim.policies.wva import Wva, desired_replicas
from baseload.sim.score import cost_by_step


def test_keda_counts_pods_of_the_spec() -> None:
    """Threshold 0.7 over all pods, ready or not, so pending ones are cancelled as soon as they are too many."""
    rows = [
        (14.0, 10, 0),  # 14 / (10 x 0.7) = 2: ceil(14 / 0.7)
        (14.0, 10, 10),  # 14 / (20 x 0.7) = 1
        (7.0, 10, 10),  # 0.5: ceil(7 / 0.7), where the Pods rule would leave the 20
        (nan, 10, 2),  # nothing scraped
    ]
    assert sets(Keda(), rows) == [20, 20, 10, 12]


def test_keda_to_zero_after_the_cooldown() -> None:
    """Active until 60 s: more than 300 s without load are over at 420 s; the first load brings one back."""
    rows = [(0.5, 1, 0)] + [(0.0, 1, 0)] * 6 + [(0.0, 0, 0), (0.5, 0, 0), (0.5, 0, 1)]
    assert sets(Keda(KedaOptions(min_replicas=0)), rows, step_seconds=60.0) == [1, 1, 1, 1, 1, 1, 0, 0, 1, 1]


def test_keda_polls_an_empty_fleet_every_30_s() -> None:
    """Load after 45 s is seen at the second poll, at 60 s."""
    rows = [(0.0, 0, 0), (0.0, 0, 0), (0.5, 0, 0), (0.5, 0, 0)]
    assert sets(Keda(KedaOptions(min_replicas=0)), rows, step_seconds=15.0) == [0, 0, 0, 1]


def test_kpa_in_steps_longer_than_its_windows() -> None:
    """Panic at twice the ready pods, over with the next step that needs less; a step holds enough ticks to halve."""
    rows = [
        (7.0, 10, 0),  # 7 / 0.7 = 10; the panic of the start ended long ago
        (13.3, 10, 0),  # 19 pods, 19 / 10 < 2: no panic, 19 all the same
        (13.4, 10, 9),  # ceil(19.14) = 20, 20 / 10 = 2: panic
        (7.0, 19, 1),  # 10; more than 60 s below: no panic, so down
        (2.0, 10, 0),  # ceil(2.857) = 3, less than half
        (nan, 3, 0),  # no data, no decision
    ]
    assert sets(Kpa(), rows) == [10, 19, 20, 10, 3, 3]


def test_kpa_leaves_panic_after_a_whole_stable_window() -> None:
    """Panic at 120 s: at 180 s not more than 60 s are over, at 240 s they are."""
    rows = [(0.6, 1, 0), (1.4, 1, 0), (0.6, 2, 0), (0.6, 2, 0)]  # 1 pod; 2 / 1 = 2; 1; 1
    assert sets(Kpa(), rows, step_seconds=60.0) == [1, 2, 2, 1]


def test_kpa_with_windows_of_several_steps() -> None:
    """Steps of 20 s: three make the stable window, the newest is the panic window."""
    rows = [
        (7.0, 10, 0),  # starts in panic with 7: max(7, 10)
        (7.0, 10, 0),
        (14.0, 10, 0),  # stable (7 + 7 + 14) / 3 / 0.7 = 13.3; panic 20, 20 / 10 = 2
        (7.0, 10, 10),  # stable 14, panic 10: never down in panic
    ]
    assert sets(Kpa(), rows, step_seconds=20.0) == [10, 10, 20, 20]


def test_kpa_halves_at_most_in_a_tick() -> None:
    """Steps of one tick: 40 -> 20 -> 10, and 5 -> floor(2.5)."""
    rows = [(0.7, 40, 0), (0.7, 20, 0), (0.7, 5, 0)]
    assert sets(Kpa(), rows, step_seconds=2.0) == [20, 10, 2]


@pytest.mark.parametrize(
    ("load", "ready", "pending", "desired"),
    [
        (8.5, 10, 0, 10),  # 8.5 / 0.85 = 10: nothing required; 10 - 12.1: nothing spare
        (8.6, 10, 0, 11),  # 10.12 - 10 = 0.12: ceil
        (12.75, 10, 0, 15),  # 15 - 10
        (12.75, 10, 3, 15),  # 15 - 13: pending counts as supply
        (12.75, 10, 5, 15),
        (7.0, 10, 0, 10),  # 10 - 7 / 0.7 = 0
        (6.4, 10, 0, 10),  # 10 - 9.14 = 0.86: floor
        (6.3, 10, 0, 9),  # 10 - 9 = 1
        (3.5, 10, 2, 7),  # 10 - 5 = 5 of the ready ones: 12 - 5
        (0.0, 3, 0, 1),  # the last one is kept
    ],
)
def test_wva_gauge(load: float, ready: int, pending: int, desired: int) -> None:
    """Required at 0.85 of supply with pending, spare at 0.70 of ready supply."""
    waiting = np.array([max(load - ready, 0.0)])
    of = Seen(np.array([load]) - waiting, waiting, np.array([ready]), np.array([pending]))
    assert desired_replicas(of).tolist() == [desired]


def test_wva_behind_its_hpa() -> None:
    """The HPA's tolerance swallows steps of a tenth: 11 of 10 and 9 of 10 do nothing, 12 and 8 do."""
    assert sets(Wva(), [(8.6, 10, 0), (9.4, 10, 0)]) == [10, 12]  # 9.4 / 0.85 - 10 = 1.06: 12
    assert sets(Wva(), [(6.3, 10, 0), (5.6, 10, 0)]) == [10, 8]  # 10 - 5.6 / 0.7 = 2: 8


def test_kalman_local_trend() -> None:
    """Three values by hand: gains 0.99503 and 0.49727, then 0.98126 and 0.95143."""
    trend = LocalTrend(1)
    assert trend.forecast_after(np.array([0.0])).tolist() == [0.0]  # leading zeros are skipped
    assert trend.forecast_after(np.array([10.0])).tolist() == [10.0]
    # P = (2001, 1000, 1000.1); S = 2011; level 10 + 2 x 0.99503, trend 2 x 0.49727
    assert trend.forecast_after(np.array([12.0])) == pytest.approx([12.98458], abs=1e-4)
    # P = (523.731, 507.808, 502.935); S = 533.731; level 12.99971, trend 1.00920
    assert trend.forecast_after(np.array([13.0])) == pytest.approx([14.00890], abs=1e-4)
    # Nothing seen: nothing moves.
    assert trend.forecast_after(np.array([nan])) == pytest.approx([14.00890], abs=1e-4)


def test_dynamo_throughput_loop_alone() -> None:
    """Replicas for the rate one interval ahead; a gap keeps them."""
    alone = DynamoOptions(load_loop=False)
    rows = [(10.0, 10, 0), (12.0, 10, 0), (nan, 13, 0), (13.0, 13, 0)]
    assert sets(Dynamo(alone), rows) == [10, 13, 13, 15]  # 10, 12.98, -, 14.01
    constant = DynamoOptions(predictor="constant", load_loop=False)
    assert sets(Dynamo(constant), rows) == [10, 12, 13, 13]


def test_dynamo_both_loops() -> None:
    """Steps of 60 s, three an interval, twelve ticks of the load loop a step."""
    rows = [
        (5.0, 10, 0),  # floor 1; down while 5 / (N - 1) < 0.8: 7 (5 / 7 = 0.71, 5 / 6 = 0.83)
        (7.0, 7, 0),  # 7 / 7 is not above the objective; 7 / 6 is
        (7.2, 7, 0),  # mean of the interval 6.4: floor 7; 7.2 / 7 > 1: one up
        (9.5, 7, 1),  # a change is in progress
        (9.5, 8, 0),  # one up, although 10 are needed
        (9.5, 8, 1),  # floor 10, but a change is in progress
        (9.5, 9, 0),  # the larger of one up and the floor
    ]
    assert sets(Dynamo(DynamoOptions(predictor="constant")), rows, step_seconds=60.0) == [7, 7, 8, 8, 9, 9, 10]


def test_dynamo_goes_down_one_a_tick() -> None:
    """Steps of 5 s hold one tick."""
    assert sets(Dynamo(), [(1.0, 10, 0), (1.0, 9, 0)], step_seconds=5.0) == [9, 8]


def test_seasonal_looks_one_lead_ahead_of_yesterday() -> None:
    """Days of four steps, a lead of one: the two steps that follow, a day ago, and the load now, the larger."""
    rows = [
        (7.0, 10, 0),  # yesterday 7 and 14 follow: 14 / 0.7
        (7.0, 20, 0),  # 14 and 7
        (7.0, 20, 0),  # 7, and 7 of the day's first step: 10
        (8.4, 10, 0),  # 7 and 7: the load now is larger, 12
    ]
    assert sets(Seasonal(), rows, history=[7.0, 7.0, 14.0, 7.0], steps_per_day=4) == [20, 20, 10, 12]


def test_seasonal_prefers_last_week() -> None:
    """Days of one step: seven steps ago comes before yesterday; in between nothing counts."""
    rows = [(1.0, 2, 0), (1.0, 2, 0)]
    # After step 0 the week ago is followed by 9 and 1: ceil(12.86); after step 1 by 1 and 1: ceil(1.43).
    assert sets(Seasonal(), rows, history=[1.0, 9.0, 1.0, 1.0, 5.0, 5.0, 5.0], steps_per_day=1) == [13, 2]


def test_seasonal_without_history_is_the_load_now() -> None:
    """Nothing of a day ago was seen."""
    assert sets(Seasonal(), [(7.0, 10, 0), (14.0, 10, 0)]) == [10, 20]


def test_point_without_a_day_is_the_last_value() -> None:
    """Silent until the first day is over."""
    assert sets(Point(), [(3.2, 4, 0), (5.0, 4, 0), (nan, 5, 1)]) == [4, 5, 5]


def test_point_from_profile_and_level() -> None:
    """Days of ten steps, yesterday in log10(1 + demand) 1 for five steps, then 0.5; a lead of one step."""
    rows = [(10**1.4 - 1, 20, 0), (9.0, 20, 0), (9.0, 20, 0), (9.0, 20, 0)]
    of = steps_case(rows, history=[9.0] * 5 + [10**0.5 - 1] * 5, steps_per_day=10)
    policy = Point()
    policy.begin(of)
    # A step is 14.4 times ten minutes: 0.97^14.4 = 0.645 stays of the deviation after one, 0.416 after two.
    # Now 1.4 where 1 was: 10^(1 + 0.258) - 1 = 17.1, then 10^(1 + 0.166) - 1 = 13.7.
    assert _asked(policy.decide(view_of(of, 0, 20))) == (14, 18)
    # As yesterday: 9, until the two steps ahead are in the lower half: 9, then 10^0.5 - 1 = 2.2.
    assert _asked(policy.decide(view_of(of, 1, 20))) == (9, 9)
    assert _asked(policy.decide(view_of(of, 2, 20))) == (9, 9)
    assert _asked(policy.decide(view_of(of, 3, 20))) == (3, 9)


def test_point_smooths_its_profile_and_its_level() -> None:
    """Days of 144 steps: a spike of log10 = 4 is 0.8 for two steps on each side; three steps make the level."""
    history = [0.0] * 144
    history[3] = 9999.0
    of = steps_case([(0.0, 6, 0), (10**0.6 - 1, 6, 0)], history=history, steps_per_day=144)
    policy = Point()
    policy.begin(of)
    # Steps 1 and 2 are within two of step 3: 10^0.8 - 1 = 5.3. Level: steps 142, 143 and 0 are as yesterday.
    assert _asked(policy.decide(view_of(of, 0, 6))) == (6, 6)
    # Step 1: 0.6 - 0.8 = -0.2, level -0.0667: 10^(0.8 - 0.0647) - 1 = 4.44, 10^(0.8 - 0.0627) - 1 = 4.46.
    assert _asked(policy.decide(view_of(of, 1, 6))) == (5, 5)


def test_point_weighs_newer_days_more() -> None:
    """Two days of one level each, log10 1 and 0: (0.8 x 1 + 0) / 1.8 = 0.444, and the level now is on it."""
    rows = [(10 ** (0.8 / 1.8) - 1, 3, 0)]
    assert sets(Point(), rows, history=[9.0] * 4 + [0.0] * 4, steps_per_day=4) == [2]  # 1.78


def _asked(wanted: object) -> tuple[int, int]:
    return int(wanted.order[0, 0]), int(wanted.keep[0, 0])  # type: ignore[attr-defined]


def test_hindsight_is_the_cheapest_of_the_grid() -> None:
    """What was chosen costs what the trial said, and the trials are replays of ordinary HPAs."""
    random = np.random.default_rng(7)
    rows = np.cumsum(random.normal(0.0, 1.0, (2, 60)), axis=1) + 12.0
    of = case(*np.maximum(rows, 0.0).tolist(), pools=[pool(3)])
    costs = grid_costs(of)
    policy = HpaHindsight()
    chosen = cost_by_step(simulate(of, policy)).sum(axis=1)
    assert chosen == pytest.approx(costs.min(axis=1))
    for index in (0, len(GRID) // 2, len(GRID) - 1):
        plain = cost_by_step(simulate(of, Hpa([GRID[index]]))).sum(axis=1)
        assert plain == pytest.approx(costs[:, index])


def test_rivals_order_in_the_first_pool_only() -> None:
    """None of them knows of pools."""
    done = simulate(case([3, 9, 9, 9, 9], pools=[pool(1), pool(0)]), Hpa())
    assert (done.ready[:, :, 1] == 0).all()
    assert done.ready[0, -1, 0] == 13


def test_answers_begin_anew() -> None:
    """The helper of these tests gives each table a fresh start."""
    rows = [(14.0, 10, 0)]
    policy = Hpa()
    assert answers(policy, steps_case(rows), rows) == answers(policy, steps_case(rows), rows) == [20]
