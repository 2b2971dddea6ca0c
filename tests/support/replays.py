"""Small cases and scripted policies for tests of the replay."""

from collections.abc import Callable, Sequence

import numpy as np

from baseload.sim.case import Case, IntArray, Lead, SimPool, View, Wanted

STEP_SECONDS = 600.0


def pool(lead_steps: float = 1.0, **changes: object) -> SimPool:
    """A pool whose orders take `lead_steps` steps exactly."""
    seconds = lead_steps * STEP_SECONDS
    return SimPool(lead=Lead(seconds, seconds), **changes)  # type: ignore[arg-type]


def case(*demand: Sequence[float], pools: Sequence[SimPool] = (), penalty: float = 20.0, seed: int = 0) -> Case:
    """A case of 10-minute steps, one row of demand per serving."""
    world = np.array(demand, dtype=float)
    return Case(
        "test", STEP_SECONDS, world, world, pools=tuple(pools) or (pool(),), penalty=penalty, steps_per_day=4, seed=seed
    )


class Scripted:
    """A policy that answers from a script: what to order up to and what to keep after each step, per pool."""

    name = "scripted"

    def __init__(self, order: Sequence[object], keep: Sequence[object] | None = None) -> None:
        self._order, self._keep = order, order if keep is None else keep

    def begin(self, case: Case) -> None:
        """Nothing is remembered."""

    def decide(self, view: View) -> Wanted:
        """Answer for the step; a script that is too short repeats its last line."""
        shape = view.ready.shape
        order, keep = (script[min(view.step, len(script) - 1)] for script in (self._order, self._keep))
        return Wanted(_row(order, shape), _row(keep, shape))


class Following:
    """A policy that orders and keeps what a function of the newest demand says, in the first pool."""

    name = "following"

    def __init__(self, rule: Callable[[np.ndarray], np.ndarray]) -> None:
        self._rule = rule

    def begin(self, case: Case) -> None:
        """Nothing is remembered."""

    def decide(self, view: View) -> Wanted:
        """Answer from the newest demand."""
        wanted = np.zeros_like(view.ready)
        wanted[:, 0] = self._rule(np.nan_to_num(view.demand[:, -1]))
        return Wanted(wanted, wanted)


def _row(values: object, shape: tuple[int, ...]) -> IntArray:
    array = np.array(values, dtype=np.int64)
    return np.broadcast_to(array if array.ndim != 1 or array.shape[0] == shape[1] else array[:, None], shape).copy()
