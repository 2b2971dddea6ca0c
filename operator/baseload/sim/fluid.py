"""The fluid replay: work flows, replicas are whole; weeks of hundreds of servings, one Python iteration per step.

Step t is seen at its end. What a policy then gives back is gone in step t + 1; what it orders takes its lead and serves
from step t + 1 + lead on. Work that no replica takes in its step is lost and counted as unserved.
"""

from collections.abc import Callable
from time import process_time

import numpy as np

from baseload.sim.case import Case, FloatArray, Policy, Trajectory, View
from baseload.sim.world import World, make_world

Progress = Callable[[int, int], None]
"""Told how many steps of how many are done, about a hundred times."""


def simulate(case: Case, policy: Policy, progress: Progress | None = None) -> Trajectory:
    """Replay a case against a policy; the same case and policy give the same trajectory."""
    begun = process_time()
    servings, steps = case.world.shape
    world, told = make_world(case), _told(case)
    earlier = told.shape[1] - steps
    shape = (steps, servings, len(case.pools))
    ready, billed = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    unserved = np.empty((steps, servings))
    demand = np.ascontiguousarray(case.world.T)
    policy_seconds = -process_time()
    policy.begin(case)
    policy_seconds += process_time()
    for step in range(steps):
        world.begin(step)
        ready[step], billed[step] = world.ready, world.billed(step)
        unserved[step] = np.maximum(demand[step] - world.ready.sum(axis=1), 0.0)
        view = _view(world, step, told[:, : earlier + step + 1], unserved[step])
        asked = process_time()
        wanted = policy.decide(view)
        policy_seconds += process_time() - asked
        world.end(step, wanted)
        if progress is not None and (step + 1) % max(steps // 100, 1) == 0:
            progress(step + 1, steps)
    return Trajectory(
        case=case,
        policy=policy.name,
        ready=ready.transpose(1, 0, 2),
        billed=billed.transpose(1, 0, 2),
        unserved=unserved.T,
        policy_seconds=policy_seconds,
        simulator_seconds=process_time() - begun - policy_seconds,
    )


def _told(case: Case) -> FloatArray:
    """What policies may see of demand: earlier steps, then those of the case."""
    return case.demand if case.history is None else np.concatenate([case.history, case.demand], axis=1)


def _view(world: World, step: int, demand: FloatArray, unserved: FloatArray) -> View:
    return View(
        step=step,
        now_seconds=(step + 1) * world.case.step_seconds,
        demand=demand,
        ready=world.ready,
        pending=world.pending,
        unserved=unserved,
        # What nobody took still waits when the step ends; clients give up before the next one does.
        backlog=unserved,
    )
