"""The reactive guard: a miss that is seen or certain opens capacity at once, whatever the forecast says.

It asks for one replica more than is ready, once per settling time, and expires as soon as the cause is gone: a
guard that is only a floor would ratchet. When the objective was missed although the
load was inside what the model allowed, the model was too hopeful and its capacity is cut by a tenth.
"""

from dataclasses import dataclass, replace

from baseload.api.reasons import Reason
from baseload.plan.capacity import Capacity
from baseload.plan.memory import ServingMemory
from baseload.plan.signals import Signal, Value
from baseload.plan.sizing import Size, SizingInput, number
from baseload.plan.snapshot import LatencyTarget

SETTLE_SECONDS = 30.0
"""The attainment window: misses older than the newest capacity are not evidence against it."""

CUT = 0.9
"""What a surprise takes off the capacity."""

LOWEST_FACTOR = 0.5
"""Below this the law itself must be wrong, and relearning corrects it instead."""

RECOVERY_PER_SECOND = 0.01 / 3600.0
"""How fast capacity lost to surprises comes back: a hundredth an hour."""

NOISE_SHARE = 0.02
"""Misses this far below the target are one unlucky request, not a breach."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An objective that is missed: which, how much is inside and how much should be."""

    name: str
    share: float
    target: float


def seen_breach(given: SizingInput) -> Breach | None:
    """The first objective whose measured attainment is below its target."""
    spec, signals = given.state.spec, given.signals
    first = _breach("time to first token", signals.time_to_first_token_attainment, spec.time_to_first_token)
    return first or _breach("inter-token latency", signals.inter_token_attainment, spec.inter_token_latency)


def _breach(name: str, signal: Signal, target: LatencyTarget | None) -> Breach | None:
    if target is None or not isinstance(signal, Value):
        return None
    if signal.value >= target.attainment - NOISE_SHARE:
        return None
    return Breach(name, signal.value, target.attainment)


def guard(given: SizingInput, wanted: Size, now: float) -> Size:
    """Raise `wanted` when the objective is or will be missed: one more replica, or none less while more are coming."""
    alarm = _alarm(given)
    current = given.target.wanted
    if alarm is None or wanted.replicas > current:
        return wanted
    settled = given.target.ready >= current and now - given.memory.ready_since >= SETTLE_SECONDS
    reason, message = alarm
    return replace(wanted, replicas=current + 1 if settled else current, reason=reason, message=message)


def _alarm(given: SizingInput) -> tuple[Reason, str] | None:
    """Why the guard speaks: a miss that is seen, or more sequences running than the objective allows."""
    breach = seen_breach(given)
    if breach is not None and _still_loaded(given):
        message = f"{breach.share:.1%} of requests inside {breach.name}, {breach.target:.1%} asked for"
        return Reason.OBJECTIVE_MISSED, message
    if given.capacity is not None and _per_replica(given) > given.capacity.running_limit:
        message = (
            f"{_per_replica(given):.1f} sequences run on a replica, {given.capacity.running_limit:.1f} are too many"
        )
        return Reason.OBJECTIVE_AT_RISK, message
    return None


def _per_replica(given: SizingInput) -> float:
    return number(given.signals.running) / max(given.target.ready, 1)


def _still_loaded(given: SizingInput) -> bool:
    """A breach in the window still matters only while the replicas are not already idle again."""
    if given.capacity is None:
        return True
    half = 0.5 * given.capacity.running_at(max(given.target.ready, 1))
    return number(given.signals.waiting) >= 1 or _per_replica(given) >= half


def correct(given: SizingInput, now: float) -> ServingMemory:
    """Cut the trusted capacity when the objective was missed inside it, give it back slowly when it holds.

    The miss is the model's fault only if, for as long as the attainment looks back, no more was running than the model
    allows, nothing waited, and no capacity that had been wanted was late.
    """
    memory, model, capacity = given.memory, given.memory.model, given.capacity
    if capacity is None or model.load_factor_time == 0.0:
        return replace(memory, model=replace(model, load_factor_time=model.load_factor_time or now))
    if _excuses(given, capacity):
        return replace(memory, excused_time=now)
    since = max(memory.ready_since, model.load_factor_time, memory.excused_time)
    if now - since < SETTLE_SECONDS:
        return memory
    if seen_breach(given) is not None:
        factor = max(model.load_factor * CUT, LOWEST_FACTOR)
        return replace(memory, model=replace(model, load_factor=factor, load_factor_time=now))
    if model.load_factor < 1.0:
        factor = min(model.load_factor + RECOVERY_PER_SECOND * (now - model.load_factor_time), 1.0)
        return replace(memory, model=replace(model, load_factor=factor, load_factor_time=now))
    return memory


def _excuses(given: SizingInput, capacity: Capacity) -> bool:
    """Whether something else than a hopeful model explains a miss: load beyond it, a queue, or late capacity."""
    beyond = _per_replica(given) > capacity.running_at(max(given.target.ready, 1))
    return beyond or number(given.signals.waiting) >= 1 or given.target.ready < given.target.wanted
