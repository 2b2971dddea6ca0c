"""When nothing can be measured for long: how long is long, and what the policies ask for then."""

from math import ceil

from baseload.api.reasons import Reason
from baseload.plan.memory import Loss
from baseload.plan.signals import Missing
from baseload.plan.snapshot import LossPolicy, OnLoss, ServingState, TargetState

LOSS_SECONDS = 180.0
"""Shorter gaps are everyday life: a restart of Prometheus, a few failed scrapes. Kubernetes' own fallback of the HPA
(KEP-5679) waits as long at least."""

STEP_SHARE = 0.25
"""A step of ScaleUp as a share of the replicas there were when the loss began."""


def follow(loss: Loss | None, state: ServingState, target: TargetState, now: float) -> Loss | None:
    """Remember since when nothing is measured; None while something is."""
    if not _nothing_is_measured(state, target):
        return None
    return loss or Loss(now, target.wanted)


def _nothing_is_measured(state: ServingState, target: TargetState) -> bool:
    """No signal says how much is asked for; before the first replica is ready nothing can, which is no loss."""
    running, offered = state.signals.running, state.signals.offered_rps
    if not (isinstance(running, Missing) and isinstance(offered, Missing)):
        return False
    return running.reason is not Reason.NO_SERIES or target.ready > 0


def least_while_lost(loss: Loss, policy: OnLoss, start_up_seconds: float, now: float) -> int:
    """The number to go up to; 0 while the policy asks for nothing. It only depends on when the loss began."""
    lasted_seconds = now - loss.since
    if policy.policy is LossPolicy.HOLD or lasted_seconds < LOSS_SECONDS:
        return 0
    if policy.policy is LossPolicy.FALLBACK:
        return policy.replicas
    steps = int(lasted_seconds // max(LOSS_SECONDS, start_up_seconds))
    return loss.replicas + steps * ceil(STEP_SHARE * loss.replicas)
