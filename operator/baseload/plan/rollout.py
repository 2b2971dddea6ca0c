"""Rollouts: while one makes progress its mixture of revisions is neither a lesson nor a reason to go down."""

from baseload.plan.memory import RolloutProgress
from baseload.plan.snapshot import TargetState

PATIENCE_SECONDS = 600.0
"""A rollout that replaced nothing for this long hangs; Kubernetes' own default of `progressDeadlineSeconds`."""

PATIENCE_START_UPS = 3.0
"""Or for this many start-up times, if that is longer: a large model may take its time."""


def follow(progress: RolloutProgress | None, target: TargetState, now: float) -> RolloutProgress | None:
    """Remember since when the rollout has brought as many replicas as now to the new revision; None without one."""
    if not target.rolling_out:
        return None
    if progress is None or progress.updated != target.updated:
        return RolloutProgress(target.updated, now)
    return progress


def makes_progress(progress: RolloutProgress | None, target: TargetState, start_up_seconds: float, now: float) -> bool:
    """Whether a rollout is in progress and does not hang: a hanging one must not hold the number for ever."""
    if progress is None or target.rollout_failed:
        return False
    return now - progress.since < max(PATIENCE_SECONDS, PATIENCE_START_UPS * start_up_seconds)
