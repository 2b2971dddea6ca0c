"""The policy `baseload`: the operator's forecast and `plan()` over the steps of a case."""

from dataclasses import replace

import numpy as np
from replays import case, pool

from baseload.plan.forecast.demand_block import DemandBlock
from baseload.plan.forecast.foresight import Foresight, Levels, Terms, peek
from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case
from baseload.sim.fluid import simulate
from baseload.sim.policies.baseload import Baseload, outlooks_of
from baseload.sim.policies.hpa import Hpa
from baseload.sim.policies.operator_tick import REPLICA_TOKENS
from baseload.sim.score import score


def days(count: int, steps_per_day: int = 24, servings: int = 1) -> Case:
    """Days that repeat with a little noise, hourly steps, peaks of different hours."""
    hours = np.arange(count * steps_per_day)
    noise = np.random.default_rng(1).normal(0.0, 0.3, (servings, hours.size))
    phase = np.arange(servings)[:, None]
    demand = 20 + 8 * np.sin(2 * np.pi * (hours - phase) / steps_per_day) + noise
    made = case(*demand, pools=[pool(6.0)])
    return replace(made, step_seconds=3600.0, steps_per_day=steps_per_day)


def test_baseload_costs_less_than_the_usual_hpa_on_days_that_repeat() -> None:
    """A lead of one hour on a daily wave: the forecast is worth something."""
    one = days(6)
    bound = clairvoyant(one)
    ours, usual = (score(simulate(one, policy), bound) for policy in (Baseload(), Hpa()))
    assert ours.cost < 0.95 * usual.cost


def test_many_servings_at_once_are_as_each_alone() -> None:
    """A serving's numbers depend on what others are replayed with it by rounding and the time of a refit only."""
    together = days(3, servings=3)
    alone = replace(together, demand=together.demand[1:2], world=together.world[1:2])
    apart = simulate(together, Baseload()).ready[1] - simulate(alone, Baseload()).ready[0]
    assert np.abs(apart).max() <= 1
    assert np.abs(apart).mean() < 0.1


def test_a_replay_can_be_repeated_with_the_same_policy() -> None:
    """Begin forgets everything that a case before left behind."""
    one, policy = days(3), Baseload()
    assert (simulate(one, policy).ready == simulate(one, policy).ready).all()


def test_history_is_learned_from_before_the_first_step() -> None:
    """With days of history the first day is planned ahead and costs less than without."""
    long = days(6)
    cut = 3 * 24
    cold = replace(long, demand=long.demand[:, cut:], world=long.world[:, cut:])
    warm = replace(cold, history=long.demand[:, :cut])
    bound = clairvoyant(cold)
    assert score(simulate(warm, Baseload()), bound).cost < score(simulate(cold, Baseload()), bound).cost


def test_steps_shorter_than_a_bucket_are_planned_at_each_step() -> None:
    """Ten-minute buckets of two-minute steps: learned once per bucket, looked at every step."""
    looked: list[int] = []

    def look(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
        looked.append(block.end_index)
        return peek(foresight, block, terms)

    short = replace(case([3.0] * 12), step_seconds=120.0, steps_per_day=720)
    simulate(short, Baseload("watched", look))
    assert looked == [1] * 5 + [2] * 5 + [3] * 2


def test_levels_become_outlooks_in_tokens() -> None:
    """Levels of replicas times what one serves; unknown levels are no outlook, an unknown quantile is none."""
    known, unknown = np.array([2.0, np.nan]), np.array([np.nan, np.nan])
    levels = Levels(known, known, known, unknown, known, known, known, np.array([True, False]))
    first, second = outlooks_of(levels, 100.0, 1200.0)
    assert second is None
    assert first is not None
    assert (first.order, first.quantile, first.time) == (2.0 * REPLICA_TOKENS, None, 100.0)
