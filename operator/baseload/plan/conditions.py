"""The conditions of a ModelServing, decided from the same values as the number."""

from baseload.api.reasons import Reason
from baseload.plan.decision import Condition, Limit, Status
from baseload.plan.limiters import missing_signal
from baseload.plan.snapshot import ServingState

HELD = frozenset(
    {
        Reason.MIN_REPLICAS,
        Reason.SCHEDULED_MIN,
        Reason.STABILIZATION,
        Reason.STARTING_UP,
        Reason.STEP_LIMITED,
        Reason.DRAINING,
        Reason.WARMING_UP,
    }
)
"""Limits of everyday life, which come and go with each change and are no state worth a condition."""


VALID = Condition("Accepted", Status.TRUE, Reason.ACCEPTED, "the spec is valid and its target exists")
NOBODY_ELSE = Condition("Conflict", Status.FALSE, Reason.NO_CONFLICT, "nobody else writes the target's replicas")

NOTHING_STALLS = Condition("Stalled", Status.FALSE, Reason.ACCEPTED, "nothing waits for a person")
READY = Condition("Ready", Status.TRUE, Reason.SCALING, "metrics are readable and the intent is written")
FRESH = Condition("MetricsAvailable", Status.TRUE, Reason.METRICS_FRESH, "all signals needed are fresh")
NOT_LIMITED = Condition("ScalingLimited", Status.FALSE, Reason.NOT_LIMITED, "no bound holds the wanted number")
NOT_PAUSED = Condition("Paused", Status.FALSE, Reason.NOT_PAUSED, "no pause annotation is set")


def conditions_of(state: ServingState, limits: tuple[Limit, ...], capacity: Condition) -> tuple[Condition, ...]:
    """All conditions of a serving that is scaled, in the order they are shown; `capacity` is CapacityAvailable."""
    metrics = _metrics(state)
    return (
        _ready(metrics),
        VALID,
        metrics,
        capacity,
        _limited(limits),
        _paused(state),
        NOBODY_ELSE,
        NOTHING_STALLS,
    )


CONFLICTS = frozenset({Reason.FOREIGN_AUTOSCALER, Reason.FOREIGN_WRITER, Reason.TARGET_CONFLICT})


def refused_conditions(reason: Reason, message: str) -> tuple[Condition, ...]:
    """All conditions of a serving that must not be scaled at all; what is not looked at is Unknown."""
    conflict = reason in CONFLICTS
    accepted = Condition("Accepted", Status.FALSE, reason, message)
    fought = NOBODY_ELSE
    if conflict:
        accepted, fought = VALID, Condition("Conflict", Status.TRUE, reason, message)
    unknown = [
        Condition(name, Status.UNKNOWN, Reason.NOT_OBSERVED, "not looked at while nothing is scaled")
        for name in ("MetricsAvailable", "CapacityAvailable", "ScalingLimited", "Paused")
    ]
    return (
        Condition("Ready", Status.FALSE, reason, message),
        accepted,
        *unknown,
        fought,
        Condition("Stalled", Status.TRUE, reason, message),
    )


def _ready(metrics: Condition) -> Condition:
    if metrics.status is Status.TRUE:
        return READY
    return Condition("Ready", metrics.status, metrics.reason, metrics.message)


def _metrics(state: ServingState) -> Condition:
    gap = missing_signal(state)
    if gap is None:
        return FRESH
    name, missing = gap
    target = state.target
    if missing.reason is Reason.NO_SERIES and target is not None and target.ready == 0:
        message = f"{name}: no replica is ready yet, so nothing is measured"
        return Condition("MetricsAvailable", Status.UNKNOWN, Reason.NO_SERIES, message)
    return Condition("MetricsAvailable", Status.FALSE, missing.reason, f"{name}: {missing.message}")


def _limited(limits: tuple[Limit, ...]) -> Condition:
    lasting = [entry for entry in limits if entry.reason not in HELD]
    if not lasting:
        return NOT_LIMITED
    return Condition("ScalingLimited", Status.TRUE, lasting[-1].reason, lasting[-1].message)


def _paused(state: ServingState) -> Condition:
    pause = state.pause
    if pause.scale_in or pause.scale_out or pause.replicas is not None:
        return Condition("Paused", Status.TRUE, Reason.PAUSED, pause.why)
    return NOT_PAUSED
