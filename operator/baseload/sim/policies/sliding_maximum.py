"""The highest of the newest values, for many series at once and windows of different length.

Van Herk (1992), Gil and Werman (1993): values are cut into blocks of a window's length; the maximum over a window is
the larger of what the block before still contributes and of what the block that runs had so far, so that a value costs
the same whatever the window.
"""

from dataclasses import dataclass

import numpy as np

from baseload.sim.case import IntArray


@dataclass(slots=True, eq=False)
class _Windows:
    """Series that share a window: `before[i]` is the maximum of the block before from its place i on, `block` runs."""

    rows: IntArray
    before: IntArray
    block: IntArray
    highest: IntArray
    place: int = 0

    def push(self, values: IntArray) -> IntArray:
        """Take in a value of each series; return the highest of each window. Values are not negative."""
        length = len(self.block)
        self.block[self.place] = values
        self.highest = values if self.place == 0 else np.maximum(self.highest, values)
        self.place += 1
        if self.place < length:
            return np.asarray(np.maximum(self.highest, self.before[self.place]))
        self.before = np.maximum.accumulate(self.block[::-1], axis=0)[::-1]
        self.place = 0
        return self.highest


class SlidingMaximum:
    """`lengths` are windows in values, one for each series or one for all; nothing before the first value counts."""

    def __init__(self, lengths: IntArray, series: int) -> None:
        every = np.broadcast_to(lengths, series)
        self._groups = [self._group(np.flatnonzero(every == length), int(length)) for length in np.unique(every)]

    def push(self, values: IntArray) -> IntArray:
        """Take in a value of each series, shape (series,), and return the highest of each window."""
        if len(self._groups) == 1:
            return self._groups[0].push(values)
        highest = np.empty_like(values)
        for group in self._groups:
            highest[group.rows] = group.push(values[group.rows])
        return highest

    @staticmethod
    def _group(rows: IntArray, length: int) -> _Windows:
        empty = np.zeros((length, len(rows)), dtype=np.int64)
        return _Windows(rows, empty, empty.copy(), empty[0])
