"""A policy that is told another capacity or penalty, and the curve of cost and attainment that comes of it."""

import numpy as np
import pytest
from policy_steps import sets
from replays import case, pool

from baseload.sim.bound import clairvoyant
from baseload.sim.curves import CARRIES, PENALTY_FACTORS, CurvePoint, curve, hours_within
from baseload.sim.fluid import simulate
from baseload.sim.policies.hpa import Hpa, HpaOptions
from baseload.sim.policies.hpa_hindsight import HpaHindsight
from baseload.sim.policies.keda import Keda
from baseload.sim.policies.told import Told


def wandering(steps: int = 80) -> list[float]:
    """A random walk of demand."""
    return list(np.maximum(np.cumsum(np.random.default_rng(3).normal(0.0, 1.0, steps)) + 15.0, 0.0))


def point(unserved_share: float, replica_hours: float) -> CurvePoint:
    """A point of a curve."""
    return CurvePoint("hpa", "carries", 1.0, 1.0, 1.0, unserved_share, replica_hours)


def test_half_the_capacity_is_half_the_target() -> None:
    """An HPA at 0.7 that believes half a replica decides as one at 0.35 that knows the truth."""
    rows = [(7.0, 10, 0), (9.0, 20, 3), (4.0, 25, 0)]
    assert sets(Told(Hpa(), carries=0.5), rows) == sets(Hpa([HpaOptions(target=0.35)]), rows)


def test_the_truth_changes_nothing() -> None:
    """Told what is true a policy does what it does."""
    of = case(wandering())
    assert np.array_equal(simulate(of, Told(Keda())).ready, simulate(of, Keda()).ready)


def test_a_dearer_shortage_is_served_more() -> None:
    """The search in hindsight by five times the penalty leaves less unserved."""
    of = case(wandering(), pools=[pool(3)])
    cheap, dear = (simulate(of, Told(HpaHindsight(), penalty_factor=factor)) for factor in (0.25, 5.0))
    assert dear.unserved.sum() < cheap.unserved.sum()


@pytest.mark.parametrize(
    ("make", "knob", "values"), [(Hpa, "carries", CARRIES), (HpaHindsight, "penalty", PENALTY_FACTORS)]
)
def test_a_curve_has_a_point_for_each_setting(make: type, knob: str, values: tuple[float, ...]) -> None:
    """Generous settings serve more and cost more replica-hours."""
    of = case(wandering())
    points = curve(of, make, clairvoyant(of))
    assert [(p.knob, p.value) for p in points] == [(knob, value) for value in values]
    assert points[0].unserved_share > points[-1].unserved_share
    assert points[0].replica_hours < points[-1].replica_hours


def test_hours_at_equal_service() -> None:
    """Between 0.5 % at 100 h and 1.5 % at 80 h, 1 % takes 90 h."""
    points = [point(0.0, 150.0), point(0.005, 100.0), point(0.015, 80.0)]
    assert hours_within(points, 0.01) == pytest.approx(90.0)
    assert hours_within(points, 0.02) == 80.0
    assert hours_within(points[1:], 0.001) is None


def test_hours_begin_at_the_thriftiest_of_equals() -> None:
    """Two settings leave nothing unserved, one at 150 h and one at 100 h: half way to 80 h at 1 % are 90 h."""
    assert hours_within([point(0.0, 100.0), point(0.01, 80.0), point(0.0, 150.0)], 0.005) == pytest.approx(90.0)
