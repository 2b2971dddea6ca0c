"""A Kalman filter for a level and its trend, as Dynamo's planner uses it (`KalmanPredictor`), vectorised.

State (level, trend), each step level += trend; variances of the steps q_level 1 and q_trend 0.1, of the observation 10,
of the first guess 1000. The forecast is the level one step ahead.
"""

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import FloatArray

Q_LEVEL = 1.0
"""kalman_q_level: variance of a step of the level."""

Q_TREND = 0.1
"""kalman_q_trend: variance of a step of the trend."""

R = 10.0
"""kalman_r: variance of an observation."""

FIRST_VARIANCE = 1000.0
"""Of level and trend before anything was observed."""


class LocalTrend:
    """One filter per serving; NaN is not observed, and leading zeros are an idle period that is skipped."""

    def __init__(self, servings: int) -> None:
        self._level = np.full(servings, np.nan)
        self._trend = np.zeros(servings)
        self._level_variance = np.full(servings, FIRST_VARIANCE)
        self._trend_variance = np.full(servings, FIRST_VARIANCE)
        self._covariance = np.zeros(servings)

    def forecast_after(self, values: FloatArray) -> FloatArray:
        """Take in one value per serving and return the level a step later; 0 where nothing was observed yet."""
        begins = np.isnan(self._level) & (values > 0)
        updates = ~np.isnan(self._level) & ~np.isnan(values)
        innovation = np.where(updates, values - self._level, 0.0)
        gain_level = np.where(updates, self._level_variance / (self._level_variance + R), 0.0)
        gain_trend = np.where(updates, self._covariance / (self._level_variance + R), 0.0)
        self._level = np.where(begins, values, self._level + gain_level * innovation)
        self._trend = self._trend + gain_trend * innovation
        self._trend_variance = self._trend_variance - gain_trend * self._covariance
        self._covariance = (1.0 - gain_level) * self._covariance
        self._level_variance = (1.0 - gain_level) * self._level_variance
        self._advance(begins | updates)
        return np.asarray(np.nan_to_num(self._level))

    def _advance(self, moves: NDArray[np.bool_]) -> None:
        """One step of those filters that took in a value."""
        self._level = self._level + np.where(moves, self._trend, 0.0)
        grown = 2.0 * self._covariance + self._trend_variance + Q_LEVEL
        self._level_variance = self._level_variance + np.where(moves, grown, 0.0)
        self._covariance = self._covariance + np.where(moves, self._trend_variance, 0.0)
        self._trend_variance = self._trend_variance + np.where(moves, Q_TREND, 0.0)
