"""From demand buckets to levels: forecasts and sizing policies of many servings, advanced bucket by bucket."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What an outlook depends on beside demand; each array has one entry per serving.

    `lead_buckets`: whole buckets from an order to a replica that serves, rounded up, at least 0.
    `unit`: demand that one replica serves inside the objective. `penalty`: cost of a replica-hour that is missing,
    in prices of a replica-hour.
    """

    lead_buckets: NDArray[np.int64]
    unit: NDArray[np.float64]
    penalty: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The answer for many servings, arrays of shape (servings,), in the unit of the demand block."""

    order: NDArray[np.float64]
    keep: NDArray[np.float64]
    upper: NDArray[np.float64]
    quantile: NDArray[np.float64]
    low: NDArray[np.float64]
    median: NDArray[np.float64]
    high: NDArray[np.float64]
    is_reactive: NDArray[np.bool_]
