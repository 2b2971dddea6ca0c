"""A linear or integer programme as plain arrays, handed to HiGHS as they are: no object for a variable or a row."""

from dataclasses import dataclass, field

import highspy
import numpy as np
from highspy._core import _Highs
from numpy.typing import ArrayLike, NDArray

from baseload.plan.placement.solver import make_solver

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the solver found: a value for each column, the price of each row (nothing for integers), the objective."""

    values: FloatArray
    prices: FloatArray
    objective: float


@dataclass(slots=True, eq=False)
class Program:
    """Minimise a linear cost; columns, rows and entries are added in blocks of any shape and found by their indices."""

    _costs: list[FloatArray] = field(default_factory=list)
    _lowers: list[FloatArray] = field(default_factory=list)
    _uppers: list[FloatArray] = field(default_factory=list)
    _integers: list[IntArray] = field(default_factory=list)
    _row_lowers: list[FloatArray] = field(default_factory=list)
    _row_uppers: list[FloatArray] = field(default_factory=list)
    _entries: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    _columns: int = 0
    _rows: int = 0

    def columns(self, cost: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, integer: bool = False) -> IntArray:
        """Add columns and return their indices; the three arrays are broadcast to one shape, which is the result's."""
        costs, lowers, uppers = np.broadcast_arrays(
            np.asarray(cost, float), np.asarray(lower, float), np.asarray(upper, float)
        )
        self._costs.append(costs.ravel())
        self._lowers.append(lowers.ravel())
        self._uppers.append(uppers.ravel())
        self._integers.append(np.full(costs.size, int(integer)))
        index = np.arange(self._columns, self._columns + costs.size).reshape(costs.shape)
        self._columns += costs.size
        return index

    def rows(self, lower: ArrayLike, upper: ArrayLike) -> IntArray:
        """Add rows `lower <= sum <= upper` and return their indices, in the shape of the two arrays broadcast."""
        lowers, uppers = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        self._row_lowers.append(lowers.ravel())
        self._row_uppers.append(uppers.ravel())
        index = np.arange(self._rows, self._rows + lowers.size).reshape(lowers.shape)
        self._rows += lowers.size
        return index

    def entries(self, rows: IntArray, columns: IntArray, values: ArrayLike) -> None:
        """Add `value` x column to a row, for three arrays that are broadcast to one shape; zeros are left out."""
        row, column, value = np.broadcast_arrays(rows, columns, np.asarray(values, float))
        kept = value != 0
        self._entries.append((row[kept], column[kept], value[kept]))

    def solve(self, time_limit_seconds: float, gap: float = 0.0, start: FloatArray | None = None) -> Outcome | None:
        """Solve to a relative `gap` from `start`; None when no solution within the gap was proven in the time."""
        solver = make_solver(time_limit_seconds, gap)
        integers = np.concatenate(self._integers)
        self._load(solver, integers)
        if start is not None:
            solver.setSolution(start.size, np.arange(start.size, dtype=np.int32), start)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        solution = solver.getSolution()
        values = np.array(solution.col_value)
        values[integers > 0] = np.round(values[integers > 0])
        return Outcome(values, np.array(solution.row_dual), solver.getObjectiveValue())

    def _load(self, solver: _Highs, integers: IntArray) -> None:
        """Hand the arrays over column by column; entries of one place add up."""
        rows, columns, parts = (np.concatenate(blocks) for blocks in zip(*self._entries, strict=True))
        place, first = np.unique(columns * self._rows + rows, return_inverse=True)
        values = np.asarray(np.bincount(first, parts, place.size), dtype=np.float64)
        starts = np.searchsorted(place, np.arange(self._columns) * self._rows)
        solver.passModel(
            self._columns,
            self._rows,
            place.size,
            int(highspy.MatrixFormat.kColwise),
            int(highspy.ObjSense.kMinimize),
            0.0,
            np.concatenate(self._costs),
            np.concatenate(self._lowers),
            np.concatenate(self._uppers),
            np.concatenate(self._row_lowers),
            np.concatenate(self._row_uppers),
            starts.astype(np.int32),
            (place % self._rows).astype(np.int32),
            values,
            integers.astype(np.int32),
        )
