"""Where metrics come from: anything that answers PromQL queries, of an instant or over a range."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from baseload.errors import MetricsError


class Series(NamedTuple):
    """One row of an instant vector: labels, value, and the Unix time in seconds it was evaluated for.

    A named tuple and not a dataclass, because a large fleet makes 100,000 of them in a tick.
    """

    labels: Mapping[str, str]
    value: float
    time: float


class RangeSeries(NamedTuple):
    """One row of a range: labels, Unix times in seconds, the older first, and the values at them, both (points,)."""

    labels: Mapping[str, str]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


class PartialAnswerError(MetricsError):
    """The answer says itself that data is missing from it, so a sum over it would be too low."""


class MetricsSource(Protocol):
    """Answers instant queries; one object for the life of the process."""

    @property
    def clock_offset_seconds(self) -> float:
        """How far the clock that stamps the samples is ahead of ours, 0 while that is not known."""
        ...

    async def query(self, promql: str, time: float) -> tuple[Series, ...]:
        """Evaluate `promql` at the Unix time `time` in seconds; raises MetricsError, never returns zeros instead."""
        ...


class RangeSource(Protocol):
    """Answers range queries; for the past, and therefore apart from what a tick waits for."""

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        """Evaluate `promql` from `start` to `end`, both included; raises MetricsError."""
        ...
