"""The price of a shortage, raised while the objective is missed."""

from math import e

import pytest
import worlds

from baseload.api.reasons import Reason
from baseload.plan.placement.penalty import MOST, excess_misses, multiplier_after
from baseload.plan.planner import plan
from baseload.plan.signals import Value


def _attained(first: float, between: float = 1.0):  # noqa: ANN202 (signals of one serving)
    return worlds.signals(
        time_to_first_token_attainment=Value(first, worlds.NOW), inter_token_attainment=Value(between, worlds.NOW)
    )


def test_twice_the_misses_allowed_raise_it_e_fold_in_an_hour() -> None:
    """5 % are allowed and 10 % missed: one excess; more misses do not raise it faster."""
    assert excess_misses(worlds.spec(), _attained(0.9)) == pytest.approx(1.0)
    assert multiplier_after(1.5, 1.0, 1.0) == pytest.approx(1.5 * e)
    assert multiplier_after(1.5, 7.0, 1.0) == pytest.approx(1.5 * e)


def test_it_falls_again_but_never_below_the_price_that_was_set() -> None:
    """Without any miss it shrinks as fast as it grew, down to 1, and it never grows beyond its bound."""
    assert excess_misses(worlds.spec(), _attained(1.0)) == pytest.approx(-1.0)
    assert multiplier_after(4.0, -1.0, 1.0) == pytest.approx(4.0 / e)
    assert multiplier_after(1.2, -1.0, 1.0) == 1.0
    assert multiplier_after(7.0, 1.0, 5.0) == MOST


def test_the_worse_latency_counts_and_what_is_missing_changes_nothing() -> None:
    """Time between tokens is missed while the first token is not; without attainment nothing moves."""
    assert excess_misses(worlds.spec(), _attained(1.0, 0.93)) == pytest.approx(0.4)
    gap = worlds.missing(Reason.STALE)
    silent = worlds.signals(time_to_first_token_attainment=gap, inter_token_attainment=gap)
    assert excess_misses(worlds.spec(), silent) is None
    assert multiplier_after(3.0, None, 1.0) == 3.0


def test_the_decision_remembers_it() -> None:
    """A tick with twice the misses allowed leaves a multiplier above one in the memory."""
    state = worlds.state(signals=_attained(0.9))
    assert plan(worlds.snapshot(state))[0].memory.shortage_multiplier > 1.0
