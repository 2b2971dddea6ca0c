"""Lead times of a replay: what an order truly takes, drawn once for a case, and what a policy is told of it."""

from math import ceil, log

import numpy as np

from baseload.sim.case import Case, IntArray, SimPool

Z_95 = 1.6448536269514722
"""Standard normal quantile of 0.95."""

EDGE = 1e-9
"""Shares of a step this small are rounding errors of times that fit."""


def steps_of(seconds: float, step_seconds: float) -> int:
    """Whole steps that cover a time span."""
    return ceil(seconds / step_seconds - EDGE)


def median_lead_steps(case: Case, pool: SimPool) -> int:
    """Steps that an order of a pool is pending by the median of its lead; it serves from the step after them."""
    return steps_of(pool.lead.p50_seconds, case.step_seconds)


def told_lead_seconds(case: Case, pool: SimPool) -> float:
    """The median lead as policies believe it."""
    return pool.lead.p50_seconds * case.lead_told_factor


def draw_lead_steps(case: Case, random: np.random.Generator) -> IntArray:
    """Lead of the order that each serving may place in each pool at the end of each step, (steps, servings, pools).

    Drawn for all orders whether placed or not, so that every policy meets the same world. Log-normal with
    `sigma = ln(p95 / p50) / 1.645`.
    """
    servings, steps = case.world.shape
    columns = [_draw(case, pool, (steps, servings), random) for pool in case.pools]
    return np.stack(columns, axis=-1)


def _draw(case: Case, pool: SimPool, shape: tuple[int, int], random: np.random.Generator) -> IntArray:
    p50, p95 = pool.lead.p50_seconds, pool.lead.p95_seconds
    if p95 <= p50 or p50 <= 0:
        return np.full(shape, median_lead_steps(case, pool), dtype=np.int64)
    sigma = log(p95 / p50) / Z_95
    # Beyond the 99.9th percentile an order is not late but lost; no pool waits for ever.
    noise = np.minimum(random.standard_normal(shape), 3.1)
    seconds = p50 * np.exp(sigma * noise)
    return np.ceil(seconds / case.step_seconds - EDGE).astype(np.int64)
