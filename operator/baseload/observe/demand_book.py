"""The demand of every serving in past buckets, and in the one that runs: what the planner learns from.

A bucket of the past is a number or a gap. What was seen as it passed stays, what is read later fills gaps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from baseload.observe.history import Past
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.snapshot import ServingKey

KEPT_DAYS = 21
"""Regressions forget by half in a week; what is older than three would hardly count."""

SEEN_SHARE = 0.5
"""Share of a bucket that must have been seen for its mean to be believed."""


@dataclass(slots=True)
class _Running:
    """What was seen of the running bucket: a sum of demand times seconds, and the seconds."""

    index: int = 0
    total: float = 0.0
    seconds: float = 0.0


LOG_STEP = 22.0 / 65534
"""A bucket is kept as steps of log(1 + demand), up to 3.6e9: two bytes that are exact to 0.02 %; 0 is a gap."""


class DemandBook:
    """Rows of demand by serving on one grid; a ring in time: 6 kB for three weeks of a serving.

    `end` is the index after the newest complete bucket, 0 before anything was recorded.
    """

    def __init__(self, grid: Grid, kept_days: int = KEPT_DAYS) -> None:
        self.grid = grid
        self.end = 0
        self._width = grid.buckets_per_day * kept_days
        self._rows: dict[ServingKey, NDArray[np.uint16]] = {}
        self._running: dict[ServingKey, _Running] = {}

    @property
    def oldest(self) -> int:
        """The index of the oldest bucket that is kept."""
        return self.end - self._width

    def move_on(self, time: float) -> bool:
        """Begin the bucket of a time (Unix seconds); whether others were completed by that."""
        end = floor(time / self.grid.bucket_seconds)
        if not self.end:
            self.end = end
        if end <= self.end:
            return False
        columns = np.arange(max(self.end, end - self._width), end) % self._width
        for row in self._rows.values():
            row[columns] = 0
        for key, running in self._running.items():
            if self.end <= running.index < end and running.seconds >= SEEN_SHARE * self.grid.bucket_seconds:
                mean = np.array(running.total / running.seconds)
                self._row(key)[running.index % self._width] = _codes(mean)
        self.end = end
        return True

    def record(self, key: ServingKey, time: float, demand: float, seconds: float) -> None:
        """Add demand that was seen for some seconds around a time of the running bucket."""
        index = floor(time / self.grid.bucket_seconds)
        running = self._running.get(key)
        if running is None or running.index != index:
            self._running[key] = _Running(index, demand * seconds, seconds)
            return
        running.total += demand * seconds
        running.seconds += seconds

    def fill(self, past: Past) -> int:
        """Put what is known of the past into the gaps; how many buckets that were."""
        first, end = max(past.part.first, self.oldest), min(past.part.end, self.end)
        if first >= end:
            return 0
        filled = 0
        columns = np.arange(first, end) % self._width
        for key, values in past.demand.items():
            new = values[first - past.part.first : end - past.part.first]
            row = self._row(key)
            takes = np.isfinite(new) & (row[columns] == 0)
            row[columns[takes]] = _codes(new[takes])
            filled += int(takes.sum())
        return filled

    def block(self, keys: Sequence[ServingKey], *, with_running: bool) -> DemandBlock:
        """Demand of some servings up to the newest complete bucket, or up to the running one as far as it was seen.

        It begins with the oldest bucket of which anything is known, and has one bucket at least.
        """
        past = np.full((len(keys), self._width), np.nan)
        columns = np.arange(self.oldest, self.end) % self._width
        for at, key in enumerate(keys):
            row = self._rows.get(key)
            if row is not None:
                past[at] = _demand(row[columns])
        known = np.isfinite(past).any(axis=0)
        past = past[:, known.argmax() if known.any() else self._width - 1 :]
        if with_running:
            running = np.array([[self._so_far(key)] for key in keys])
            past = np.concatenate((past, running), axis=1)
        return DemandBlock(past, self.grid, self.end + with_running)

    def known_days(self, keys: Iterable[ServingKey]) -> float:
        """How many days ago the oldest known bucket of any of the servings was."""
        columns = np.arange(self.oldest, self.end) % self._width
        known = np.zeros(self._width, bool)
        for key in keys:
            if key in self._rows:
                known |= self._rows[key][columns] > 0
        return float(self._width - known.argmax()) / self.grid.buckets_per_day if known.any() else 0.0

    def forget(self, key: ServingKey) -> None:
        """Drop a serving that is gone."""
        self._running.pop(key, None)
        self._rows.pop(key, None)

    def _so_far(self, key: ServingKey) -> float:
        running = self._running.get(key)
        if running is None or running.index != self.end:
            return float("nan")
        return running.total / running.seconds

    def _row(self, key: ServingKey) -> NDArray[np.uint16]:
        """The ring of a serving: bucket `index` is at `index % width`."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = np.zeros(self._width, np.uint16)
        return row


def _codes(demand: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.asarray(np.minimum(np.rint(np.log1p(demand) / LOG_STEP), 65534) + 1, np.uint16)


def _demand(codes: NDArray[np.uint16]) -> NDArray[np.float64]:
    return np.where(codes == 0, np.nan, np.expm1((codes.astype(np.float64) - 1) * LOG_STEP))
