"""From a trace to a replay: demand in replicas' worth, scaled so that one replica is a share of the mean."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from baseload.errors import ConfigError
from baseload.sim.case import Case, FloatArray, SimPool
from baseload.sim.traces.trace import Trace

_DAY_SECONDS: Final = 86_400


def case_of(
    trace: Trace,
    replica_share: float = 0.05,
    *,
    pools: Sequence[SimPool] = (SimPool(),),
    penalty: float = 20.0,
    seed: int = 0,
) -> Case:
    """Return the replay of one serving whose mean demand is worth 1 / `replica_share` replicas.

    ConfigError if there is no demand to scale.
    """
    return cases_of([trace], replica_share, pools=pools, penalty=penalty, seed=seed)


def cases_of(
    traces: Sequence[Trace],
    replica_share: float = 0.05,
    *,
    pools: Sequence[SimPool] = (SimPool(),),
    penalty: float = 20.0,
    seed: int = 0,
) -> Case:
    """Return the replay of several servings at once, each scaled by itself; all must have the same steps."""
    shapes = {(len(trace.work), trace.step_seconds) for trace in traces}
    if len(shapes) != 1:
        raise ConfigError(f"the traces have different steps: {sorted(shapes)} (steps, seconds); cut them alike")
    (_, step_seconds), *_ = shapes
    demand = np.stack([_in_replicas(trace, replica_share) for trace in traces])
    world = np.stack([interpolated(row) for row in demand])
    return Case(
        name=", ".join(trace.name for trace in traces),
        step_seconds=step_seconds,
        demand=demand,
        world=world,
        pools=tuple(pools),
        penalty=penalty,
        steps_per_day=max(round(_DAY_SECONDS / step_seconds), 1),
        seed=seed,
    )


def interpolated(values: FloatArray) -> FloatArray:
    """Return values of shape (steps,) with straight lines over the gaps, and the nearest value at the ends."""
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known])


def _in_replicas(trace: Trace, replica_share: float) -> FloatArray:
    mean = float(interpolated(trace.work).mean()) if np.nansum(trace.work) > 0 else 0.0
    if mean <= 0:
        raise ConfigError(f"{trace.name}: there is no demand in it; use another part or file")
    return trace.work / (mean * replica_share)
