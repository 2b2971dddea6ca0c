"""Ask a policy step by step, with the state of its replicas given by hand, so that its arithmetic can be checked."""

from collections.abc import Sequence

import numpy as np

from baseload.sim.case import Case, Lead, Policy, SimPool, View

Row = tuple[float, int, int]
"""Load in replicas' worth of work (NaN: no metrics), ready and pending replicas at the end of a step."""


def steps_case(
    rows: Sequence[Row],
    *,
    step_seconds: float = 600.0,
    lead_steps: int = 1,
    limit: int | None = None,
    history: Sequence[float] | None = None,
    steps_per_day: int = 144,
) -> Case:
    """The case behind the rows: one serving, one pool."""
    demand = np.array([[row[0] for row in rows]])
    lead = Lead(lead_steps * step_seconds, lead_steps * step_seconds)
    return Case(
        "steps",
        step_seconds,
        demand,
        np.nan_to_num(demand),
        pools=(SimPool(lead=lead, limit=limit),),
        history=None if history is None else np.array([history], dtype=float),
        steps_per_day=steps_per_day,
    )


def view_of(case: Case, step: int, ready: int, pending: int = 0) -> View:
    """What is seen at the end of a step: work beyond the ready replicas waits."""
    known = case.demand[:, : step + 1]
    waiting = np.maximum(case.world[:, step] - ready, 0.0)
    return View(
        step=step,
        now_seconds=(step + 1) * case.step_seconds,
        demand=known if case.history is None else np.concatenate([case.history, known], axis=1),
        ready=np.array([[ready]]),
        pending=np.array([[pending]]),
        unserved=waiting,
        backlog=waiting,
    )


def answers(policy: Policy, case: Case, rows: Sequence[Row]) -> list[int]:
    """What the policy sets spec.replicas to after each row."""
    policy.begin(case)
    return [int(policy.decide(view_of(case, step, *row[1:])).order[0, 0]) for step, row in enumerate(rows)]


def sets(policy: Policy, rows: Sequence[Row], **case: object) -> list[int]:
    """The same with a case made of the rows."""
    return answers(policy, steps_case(rows, **case), rows)  # type: ignore[arg-type]
