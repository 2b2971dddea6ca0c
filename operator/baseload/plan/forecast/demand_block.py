"""The demand of many servings, bucket by bucket, on one grid of time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """How time is cut: a bucket's length and how many make a day; production has 144 of 600 s.

    A day is a number of buckets, not 86,400 s, so that a compressed day in the lab is planned in the same way.
    """

    bucket_seconds: float = 600.0
    buckets_per_day: int = 144


@dataclass(frozen=True, slots=True, eq=False)
class DemandBlock:
    """Mean demand of each serving in each past bucket, shape (servings, buckets), the newest last.

    The unit is the caller's, the same for all buckets of a serving: output tokens per second in the operator,
    replicas in a replay. NaN is a gap (no metrics, an outage): it is never learned from and never read as zero.
    `end_index` is the number of buckets since the grid's zero at the end of the newest one (Unix time over the
    length of a bucket in the operator), from which the time of day and the weekday follow.
    """

    demand: NDArray[np.float64]
    grid: Grid
    end_index: int
