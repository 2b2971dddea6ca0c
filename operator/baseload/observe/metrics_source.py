"""Where metrics come from: anything that answers an instant PromQL query."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from baseload.errors import MetricsError


class Series(NamedTuple):
    """One row of an instant vector: labels, value, and the Unix time in seconds it was evaluated for.

    A named tuple and not a dataclass, because a large fleet makes 100,000 of them in a tick.
    """

    labels: Mapping[str, str]
    value: float
    time: float


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
