"""The HPA rule against numbers worked out by hand and against cases of the controller's own tests."""

from math import nan

import numpy as np
import pytest
from policy_steps import sets

from baseload.sim.policies.hpa import Hpa, HpaOptions
from baseload.sim.policies.hpa_rule import replicas_by_pods, replicas_by_total, up_limit
from baseload.sim.policies.seen import Seen


def seen(load: float, ready: int, pending: int = 0) -> Seen:
    """One serving."""
    waiting = np.array([max(load - ready, 0.0)])
    return Seen(np.array([load]) - waiting, waiting, np.array([ready]), np.array([pending]))


@pytest.mark.parametrize(
    ("load", "ready", "pending", "replicas"),
    [
        (7.0, 10, 0, 10),  # 7 / (10 x 0.7) = 1.0: on target
        (7.7, 10, 0, 10),  # 1.1: at the upper edge of the tolerance
        (7.71, 10, 0, 12),  # 1.1014: ceil(11.014)
        (6.3, 10, 0, 10),  # 0.9: at the lower edge
        (6.29, 10, 0, 9),  # 0.8986: ceil(8.986)
        (14.0, 10, 0, 20),  # 2.0, all of them busy and 4 replicas' worth waiting
        (14.0, 10, 10, 20),  # with 10 pending as idle ones 14 / (20 x 0.7) = 1.0: they are enough
        (14.0, 10, 6, 20),  # 14 / (16 x 0.7) = 1.25: ceil(1.25 x 16)
        (14.0, 10, 12, 22),  # 14 / (22 x 0.7) = 0.909: within the tolerance, nothing is cancelled
        (14.0, 10, 15, 25),  # 0.8: it would turn the direction, so nothing happens
        (5.0, 10, 4, 8),  # on the way down pending ones are left out: 5 / (10 x 0.7) = 0.714, ceil(7.14)
        (7.0, 10, 4, 14),  # 1.0 over the ready ones: the spec stays, pending ones too
        (0.0, 10, 0, 0),  # 0: bounds come later
        (3.0, 0, 4, 4),  # no ready pod, no metric
    ],
)
def test_pods_metric(load: float, ready: int, pending: int, replicas: int) -> None:
    """Target 0.7, tolerance 0.1."""
    assert replicas_by_pods(seen(load, ready, pending), 0.7, 0.1).tolist() == [replicas]


@pytest.mark.parametrize(
    ("total", "current", "replicas"),
    [
        (7.7, 10, 10),  # 7.7 / (0.7 x 10) = 1.1
        (7.71, 10, 12),  # ceil(7.71 / 0.7) = ceil(11.014)
        (6.29, 10, 9),  # ceil(8.986)
        (14.0, 22, 22),  # 0.909
        (14.0, 25, 20),  # 0.8: pending ones are cancelled, the direction does not matter
    ],
)
def test_external_metric(total: float, current: int, replicas: int) -> None:
    """AverageValue 0.7 over all pods of the spec, tolerance 0.1."""
    assert replicas_by_total(np.array([total]), np.array([current]), 0.7, 0.1).tolist() == [replicas]


@pytest.mark.parametrize(
    ("loads", "target", "tolerance", "replicas"),
    [
        ((20, 10, 30), 15.0, 0.1, 4),  # "scale up": 60 / 15
        ((50, 10, 30), 15.0, 0.1, 6),  # "unready hot-CPU pod scales less": readiness matters to CPU only
        ((50, 15, 30), 15.0, 0.1, 7),  # "unready hot-CPU pods avoid scale-down": ceil(95 / 15) = ceil(6.33)
        ((12, 12, 12, 12, 12), 20.0, 0.1, 3),  # "scale down"
        ((20, 21, 21), 20.0, 0.1, 3),  # "within default tolerance": 1.0333
        ((20, 21, 21), 20.0, 0.01, 4),  # "outside configurable 1% tolerance"
    ],
)
def test_cases_of_the_controllers_pod_metric(
    loads: tuple[float, ...], target: float, tolerance: float, replicas: int
) -> None:
    """TestReplicaCalcPodMetric of kubernetes v1.37, all pods ready; values in whole units instead of thousandths."""
    n = len(loads)
    all_running = Seen(np.array([float(sum(loads))]), np.zeros(1), np.array([n]), np.zeros(1, dtype=np.int64))
    assert replicas_by_pods(all_running, target, tolerance).tolist() == [replicas]


@pytest.mark.parametrize(
    ("current", "target", "tolerance", "replicas"),
    [
        (3, 2150, 0.1, 4),  # "scale up": 1.3333
        (5, 2867, 0.1, 3),  # "scale down": ceil(2.9997)
        (3, 2900, 0.1, 3),  # "within default tolerance": 0.9885
        (3, 2800, 0.01, 4),  # "outside configurable 1% tolerance": ceil(3.07)
    ],
)
def test_cases_of_the_controllers_external_metric(current: int, target: float, tolerance: float, replicas: int) -> None:
    """TestReplicaCalcExternalPerPodMetric of kubernetes v1.37, a total of 8600."""
    assert replicas_by_total(np.array([8600.0]), np.array([current]), target, tolerance).tolist() == [replicas]


@pytest.mark.parametrize(
    ("current", "desired", "syncs", "allowed"),
    [
        (10, 50, 1, 20),  # "scaleUp with default behavior" of TestScalingWithRules: doubled
        (1, 50, 1, 5),  # 4 pods are more than double
        (3, 50, 1, 7),  # 3 + 4
        (4, 50, 1, 8),  # both
        (1, 50, 3, 20),  # 5, 10, 20
        (1, 50, 40, 50),  # enough syncs for anything
        (10, 12, 1, 12),  # no limit reached
    ],
)
def test_rate_limit(current: int, desired: int, syncs: int, allowed: int) -> None:
    """100 % or 4 pods a period, the larger, compounded over the syncs of a step."""
    assert up_limit(np.array([current]), np.array([desired]), syncs).tolist() == [allowed]


def test_down_by_the_highest_of_the_window() -> None:
    """A step of 60 s, a window of 300 s: a recommendation counts for five steps, the one that it started with too."""
    rows = [
        (7.0, 10, 0),  # 10 = on target
        (10.5, 10, 0),  # 15
        (7.0, 15, 0),  # 10, but 15 was a minute ago
        (7.0, 15, 0),
        (7.0, 15, 0),
        (7.0, 15, 0),  # 15 is four minutes old
        (7.0, 15, 0),  # 15 is five minutes old and out; those since said 10
    ]
    assert sets(Hpa(), rows, step_seconds=60.0) == [10, 15, 15, 15, 15, 15, 10]


def test_the_first_recommendation_is_what_runs() -> None:
    """Ten run at the start and 10 / 1.25 = 8 are enough: at the end of step 4 the ten are 300 s old and out."""
    assert sets(Hpa([HpaOptions(target=1.25)]), [(10.0, 10, 0)] * 6, step_seconds=60.0) == [10, 10, 10, 10, 8, 8]


def test_a_step_longer_than_the_window_forgets_all() -> None:
    """At steps of 600 s a window of 300 s holds the newest recommendation only."""
    assert sets(Hpa(), [(14.0, 14, 0), (7.0, 20, 0), (3.5, 10, 0)]) == [20, 10, 5]


def test_a_window_of_an_hour_at_ten_minutes() -> None:
    """Six steps count."""
    hour = Hpa([HpaOptions(stabilization_seconds=3600.0)])
    rows = [(14.0, 14, 0)] + [(7.0, 20, 0)] * 6
    assert sets(hour, rows) == [20, 20, 20, 20, 20, 20, 10]


def test_syncs_between_short_steps() -> None:
    """At steps of 5 s every third ends a sync; between them nothing changes. 4 -> 8 -> 16 by doubling."""
    rows = [(14.0, 4, 0)] * 3 + [(14.0, 8, 0)] * 3
    assert sets(Hpa(), rows, step_seconds=5.0) == [4, 4, 8, 8, 8, 16]


def test_missing_metrics_change_nothing() -> None:
    """A gap is not an idle hour: the spec stays, and afterwards the window has grown older."""
    assert sets(Hpa(), [(7.0, 10, 0), (nan, 10, 3), (3.5, 10, 0)]) == [10, 13, 5]


def test_bounds() -> None:
    """Never below one replica, never above the pool's limit."""
    assert sets(Hpa(), [(0.0, 10, 0), (14.0, 10, 0)], limit=12) == [1, 12]


def test_one_set_of_options_for_each_serving() -> None:
    """Options broadcast over servings, as the search for the best ones in hindsight needs it."""
    both = Seen(np.full(2, 8.0), np.zeros(2), np.full(2, 10), np.zeros(2, dtype=np.int64))
    assert replicas_by_pods(both, np.array([0.7, 0.5]), np.array([0.1, 0.1])).tolist() == [12, 16]
