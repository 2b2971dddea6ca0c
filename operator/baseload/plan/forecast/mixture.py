"""Experts mixed by the money they would have cost: exponential weights with a share that never leaves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast.experts import TABLE

Array = NDArray[np.float32]

LEARNING_RATE = 0.05
_WORST = 20.0
"""A regret counts at most this many usual ones: one bad bucket ends no expert."""
_SHARE = 0.001
"""What returns to the prior at each bucket, so that an expert that was bad may come back."""
_FORECAST_PRIOR = 0.7
_USUAL_GAIN = 0.01
_LEAST_USUAL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Weights (servings, experts), and the usual regret of an expert in a bucket, (servings,); NaN before the first."""

    weights: Array
    usual: Array


def prior(penalty: NDArray[np.floating]) -> Array:
    """Return what each expert weighs before anything was seen, (servings, experts): 0.7 on forecasts, 0.3 on rules.

    A newsvendor with a shortage cost of `penalty` would size by the quantile at which (1 - tau) penalty is 1, so an
    expert weighs less by as many times as it is off that, in its order and in what it keeps.
    """
    rules = TABLE.is_rule
    share = np.ones((len(penalty), TABLE.size))
    for tau in (TABLE.order_tau[~rules], TABLE.keep_tau[~rules]):
        off = (1.0 - tau) * penalty[:, None]
        share[:, ~rules] *= np.minimum(off, 1.0 / off)
    share[:, ~rules] *= _FORECAST_PRIOR / share[:, ~rules].sum(axis=1, keepdims=True)
    share[:, rules] = (1.0 - _FORECAST_PRIOR) / rules.sum()
    return np.asarray(share, dtype=np.float32)


def begin(servings: int) -> Mixture:
    """Return the mixture of servings that were never judged: their weights are NaN, which is the prior."""
    return Mixture(np.full((servings, TABLE.size), np.nan, np.float32), np.full(servings, np.nan, np.float32))


def started(mixture: Mixture, before: Array) -> Mixture:
    """Return the mixture with the prior `before` in the place of weights that were never judged."""
    return Mixture(np.where(np.isnan(mixture.weights), before, mixture.weights), mixture.usual)


def judge(
    mixture: Mixture, cost: Array, before: Array, is_live: NDArray[np.bool_], is_known: NDArray[np.bool_]
) -> Mixture:
    """Return the weights after a bucket that cost each expert `cost`, shape (servings, experts).

    `w <- w exp(-0.05 min(g / s, 20))`, then `w <- 0.999 w + 0.001 before`, with g the cost above the least and s its
    running mean over experts and buckets; `before` is the prior. Only experts of `is_live` (servings, experts) are
    judged, and only servings of `is_known` (servings,), those whose demand in the bucket was measured.
    """
    regret = cost - np.where(is_live, cost, np.inf).min(axis=1, keepdims=True)
    mean = np.where(is_live, regret, 0.0).sum(axis=1) / np.maximum(is_live.sum(axis=1), 1)
    usual = np.where(np.isnan(mixture.usual), mean, mixture.usual + _USUAL_GAIN * (mean - mixture.usual))
    usual = np.where(is_known, usual, mixture.usual).astype(np.float32)
    relative = regret / np.maximum(usual, _LEAST_USUAL)[:, None]
    factor = np.where(is_live, np.exp(-LEARNING_RATE * np.minimum(relative, _WORST)), 1.0)
    weights = mixture.weights * factor
    weights = (1.0 - _SHARE) * weights / weights.sum(axis=1, keepdims=True) + _SHARE * before
    return Mixture(np.where(is_known[:, None], weights, mixture.weights).astype(np.float32), usual)


def blend(mixture: Mixture, levels: NDArray[np.floating], is_live: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weighted mean of the live experts' levels, shape (servings,)."""
    weights = np.where(is_live, mixture.weights, 0.0)
    total = (weights * np.where(is_live, levels, 0.0)).sum(axis=1)
    return np.asarray(total / weights.sum(axis=1), dtype=np.float64)
