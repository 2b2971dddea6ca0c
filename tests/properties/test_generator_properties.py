"""Demand that is made: the same for the same seed, with the mean, bursts and accidents that were asked for."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.sim.case import Span
from baseload.sim.traces.generator import Launch, LevelShift, Shape, generate, generate_many

HOUR = 3600.0
shapes = st.builds(
    Shape,
    days=st.floats(1.0, 15.0),
    step_seconds=st.sampled_from([60.0, 300.0, 600.0]),
    mean_rps=st.floats(0.1, 1e4),
    day_swing=st.floats(0.0, 0.9),
    peak_hour=st.floats(0.0, 24.0),
    weekend_factor=st.floats(0.1, 1.5),
    growth_per_week=st.floats(-0.2, 0.5),
)


@given(shapes, st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_seed_gives_one_trace(shape: Shape, seed: int) -> None:
    """The same seed gives the same trace to the last bit, another seed another one."""
    first, again, other = (generate(shape, number).rate_rps for number in (seed, seed, seed + 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first >= 0).all()


@given(shapes, st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_mean_is_what_was_asked_for(shape: Shape, seed: int) -> None:
    """Exactly without chance, and within five standard errors with bursts."""
    calm = generate(replace(shape, wander=0.0, dispersion=0.0), seed).rate_rps
    np.testing.assert_allclose(calm.mean(), shape.mean_rps, rtol=1e-9)
    bursts = generate(replace(shape, wander=0.0), seed).rate_rps
    error = np.sqrt(shape.dispersion * shape.mean_rps / (len(bursts) * shape.step_seconds))
    assert abs(bursts.mean() - shape.mean_rps) <= 5 * error + 1e-9


def test_bursts_have_the_dispersion() -> None:
    """The variance of the counts of a step is `dispersion` times their mean."""
    shape = Shape(days=140, day_swing=0.0, weekend_factor=1.0, growth_per_week=0.0, wander=0.0, dispersion=30.0)
    counts = generate(shape, 1).rate_rps * shape.step_seconds
    np.testing.assert_allclose(counts.var() / counts.mean(), 30.0, rtol=0.05)


def test_the_defaults_resemble_a_public_week() -> None:
    """Highest step, likeness of neighbouring steps and usual change are near the Azure conversation week's."""
    for seed in range(5):
        rate = generate(Shape(), seed).rate_rps
        change = rate[1:] / rate[:-1]
        assert 1.5 <= rate.max() / rate.mean() <= 2.2
        assert np.corrcoef(rate[1:], rate[:-1])[0, 1] >= 0.97
        assert np.quantile(np.maximum(change, 1 / change), 0.9) <= 1.12
        weekdays, weekend = rate[: 5 * 144].mean(), rate[5 * 144 :].mean()
        assert weekend < weekdays


def test_accidents_come_where_they_were_put() -> None:
    """A launch, a shift, a gap and a silence change their steps and leave the others as they were."""
    calm = Shape(days=2.0, wander=0.0, dispersion=0.0)
    plain = generate(calm, 1).rate_rps
    eventful = replace(
        calm,
        launches=(Launch(6 * HOUR, factor=3.0, half_life_hours=2.0),),
        shifts=(LevelShift(30 * HOUR, factor=1.5),),
        gaps=(Span(1 * HOUR, 2 * HOUR),),
        silences=(Span(3 * HOUR, 4 * HOUR),),
    )
    factor = generate(eventful, 1).rate_rps / plain
    assert np.isnan(factor[6:12]).all()
    assert (factor[18:24] == 0).all()
    np.testing.assert_allclose(factor[[*range(6), *range(12, 18), *range(24, 36)]], 1.0)
    np.testing.assert_allclose(factor[36], 3.0, rtol=0.03)
    np.testing.assert_allclose(factor[48], 2.0, rtol=0.03)
    np.testing.assert_allclose(factor[-1], 1.5, rtol=0.01)


def test_servings_differ_and_more_of_them_leave_the_first_as_they_were() -> None:
    """Many servings at once, each with a size and a peak of its own."""
    few, many = generate_many(Shape(days=1.0), 3, seed=5), generate_many(Shape(days=1.0), 6, seed=5)
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.rate_rps, other.rate_rps)
    assert len({trace.name for trace in many}) == 6
    assert len({float(trace.rate_rps.mean()) for trace in many}) == 6
