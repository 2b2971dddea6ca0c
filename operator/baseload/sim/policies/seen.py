"""What the rivals read in a fluid world, said once, and where they order.

Their rules read requests, concurrency, tokens or rates of pods. Here all of these are one quantity, in replicas' worth
of work: one replica works at its objective's edge when it does 1.

- running = work that was served in the step, waiting = the backlog; *load* = running + waiting;
- utilisation of a replica = running / ready, so it never exceeds 1: what is beyond waits;
- a replica that is ordered is a pod without a node: it counts as a pod that is not ready and has no metrics;
- a step that is longer than a window or a sync period of a rule contains all of it at the step's mean;
- in a gap of the trace nothing was scraped, and every rule keeps what it has, those too that would read an empty
  answer as zero (KEDA's `ignoreNullValues`, Dynamo): a hole in a trace is not held against anybody;
- nobody goes below one replica (nothing holds requests for a fleet of none), except KEDA where it is told so.

With several pools a rival orders in the first one: none of them knows of pools, and the first is where a plain
Deployment lands.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import Case, FloatArray, IntArray, View, Wanted
from baseload.sim.leads import EDGE, steps_of

LEAST_REPLICAS = 1
"""minReplicas of an HPA by default, min_endpoint of Dynamo, and what this operator asks for too."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The first pool of each serving at the end of a step, arrays of shape (servings,); `load` is NaN in a gap.

    `running` and `waiting` add up to `load`, in replicas' worth of work; `ready` and `pending` are replicas.
    """

    running: FloatArray
    waiting: FloatArray
    ready: IntArray
    pending: IntArray

    @property
    def load(self) -> FloatArray:
        """Running and waiting work together."""
        return self.running + self.waiting

    @property
    def current(self) -> IntArray:
        """Replicas that the workload's spec names: ready and pending ones."""
        return self.ready + self.pending

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether there were metrics."""
        return ~np.isnan(self.load)


def look(view: View) -> Seen:
    """Read a view as a rival does."""
    return Seen(
        running=view.demand[:, -1] - view.unserved,
        waiting=view.backlog,
        ready=view.ready[:, 0],
        pending=view.pending[:, 0],
    )


def first_replicas(case: Case) -> IntArray:
    """Replicas of each serving when a replay starts: what the first step's demand needs."""
    return np.ceil(case.world[:, 0] - EDGE).astype(np.int64)


def most_replicas(case: Case) -> int | None:
    """What an admin sets as maxReplicas: the first pool's limit."""
    return case.pools[0].limit


def within_limits(replicas: IntArray, most: int | None) -> IntArray:
    """Replicas between the least and the most that a workload may have."""
    return np.asarray(np.clip(replicas, LEAST_REPLICAS, most))


def scale_to(view: View, replicas: IntArray, keep: IntArray | None = None) -> Wanted:
    """Set the replicas of the first pool, as a write to spec.replicas does; all other pools stay empty.

    `keep` are the ready ones that must stay, where a rule tells them apart from those it orders.
    """
    order = np.zeros_like(view.ready)
    order[:, 0] = replicas
    kept = order if keep is None else np.zeros_like(order)
    if keep is not None:
        kept[:, 0] = keep
    return Wanted(order=order, keep=kept)


def steps_within(seconds: float, step_seconds: float) -> int:
    """Steps, the newest included, whose ends are younger than `seconds`: a step at least."""
    return max(steps_of(seconds, step_seconds), 1)
