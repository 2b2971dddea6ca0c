"""Numbers over steps and scenarios: one column where it is decided now, one a scenario where it is recourse."""

from dataclasses import dataclass

import numpy as np

from baseload.plan.placement.problem import BoolArray, FloatArray, IntArray
from baseload.plan.placement.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """`now` (things, steps) is True where one number holds in all scenarios; `probability` is that of each scenario."""

    now: BoolArray
    probability: FloatArray

    @property
    def distinct(self) -> BoolArray:
        """(things, steps, scenarios): False where a column or a row only repeats that of the first scenario."""
        distinct: BoolArray = ~self.now[..., None] | (np.arange(self.probability.size) == 0)
        return distinct

    def columns(self, program: Program, cost: FloatArray, upper: FloatArray, *, integer: BoolArray) -> IntArray:
        """Columns from 0 to `upper` at an expected `cost`, all (things, steps), whole if `integer` and decided now."""
        index = np.empty((*self.now.shape, self.probability.size), dtype=np.int64)
        for whole in (False, True):
            here = self.now & (integer == whole)
            index[here] = program.columns(cost[here], 0.0, upper[here], integer=whole)[:, None]
        later = ~self.now
        index[later] = program.columns(cost[later][:, None] * self.probability, 0.0, upper[later][:, None])
        return index

    def rows(self, program: Program, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Rows (things, steps, scenarios) with bounds (things, steps), one for all scenarios where decided now."""
        index = np.empty((*self.now.shape, self.probability.size), dtype=np.int64)
        index[self.now] = program.rows(lower[self.now], upper[self.now])[:, None]
        later = ~self.now
        lowers = np.broadcast_to(lower[later][:, None], index[later].shape)
        index[later] = program.rows(lowers, upper[later][:, None])
        return index

    def entries(self, program: Program, rows: IntArray, columns: IntArray, values: FloatArray | float) -> None:
        """Entries (things, steps, scenarios), each only once."""
        kept = self.distinct
        program.entries(rows[kept], columns[kept], np.broadcast_to(values, kept.shape)[kept])


def link(
    program: Program, now: BoolArray, numbers: tuple[IntArray, IntArray], come: FloatArray, there: FloatArray
) -> IntArray:
    """Rows `number(t) - number(t-1) - more(t) <= come(t)`, with `there` before step 0, where it is decided now.

    `numbers` are the columns of number and more, (things, steps, scenarios). Returns the rows (things, steps), -1 where
    there is none: what recourse adds pays its price and no start, which is decided in its time.
    """
    number, more = (columns[..., 0] for columns in numbers)
    limit = come.copy()
    limit[:, 0] += there
    rows = np.full(now.shape, -1)
    rows[now] = program.rows(np.full(int(now.sum()), -np.inf), limit[now])
    program.entries(rows[now], number[now], 1.0)
    program.entries(rows[now], more[now], -1.0)
    later = now[:, 1:]
    program.entries(rows[:, 1:][later], number[:, :-1][later], -1.0)
    return rows
