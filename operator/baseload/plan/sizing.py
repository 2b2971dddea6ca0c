"""The wanted number of replicas, before any limiter: an ordered list of ways to know it.

Each way is tried in turn and the first that can answer does: no traffic, the offered rate, running sequences,
or, while nothing is known of the replica, one step at a time. A number from a rate never counts the backlog that
built up while replicas were starting as demand: who counts it overshoots.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from baseload.api.reasons import Reason
from baseload.plan.capacity import Capacity, replicas_for_backlog, replicas_for_rate, replicas_for_running
from baseload.plan.demand import Demand, expected
from baseload.plan.memory import ServingMemory
from baseload.plan.replica_model import QUEUE_SHARE
from baseload.plan.signals import Missing, ServingSignals, Signal, Value
from baseload.plan.snapshot import ServingState, TargetState

LEAST_DRAIN_SECONDS = 15.0
"""A backlog is worked off in one start-up time, but not asked to go faster than this."""

KEEP_BAND = 0.08
"""Demand must fall this much below what a smaller number serves before fewer are wanted: no flapping at the edge."""


@dataclass(frozen=True, slots=True)
class Size:
    """A wanted number with the reason and the sentence behind it; `demand` when a rate was known."""

    replicas: int
    reason: Reason
    message: str
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class SizingInput:
    """What the ways of sizing look at."""

    state: ServingState
    target: TargetState
    memory: ServingMemory
    capacity: Capacity | None
    lead_seconds: float

    @property
    def signals(self) -> ServingSignals:
        """The serving's signals."""
        return self.state.signals

    @property
    def most(self) -> int:
        """No way of sizing asks for more than the largest number allowed."""
        return self.state.spec.max_replicas


def number(signal: Signal) -> float:
    """The value, 0 for proven idleness or for a signal that is missing where only growth would matter."""
    return signal.value if isinstance(signal, Value) else 0.0


def size(given: SizingInput) -> Size:
    """Ask each way in turn; the last always answers."""
    for way in WAYS:
        answer = way(given)
        if answer is not None:
            return answer
    return Size(given.target.wanted, Reason.MODEL_UNKNOWN, "no signal to size on; the number stays")


def by_silence(given: SizingInput) -> Size | None:
    """No requests arrive and none run: the least allowed is enough."""
    running, offered = given.signals.running, given.signals.offered_rps
    if isinstance(running, Missing) or number(running) > 0 or number(given.signals.waiting) > 0:
        return None
    if isinstance(offered, Value) and offered.value > 0:
        return None
    if isinstance(offered, Missing) and offered.reason is not Reason.NO_SERIES:
        return None
    return Size(given.state.spec.min_replicas, Reason.NO_TRAFFIC, "no request is running, waiting or arriving")


def by_rate(given: SizingInput) -> Size | None:
    """Offered rate one start-up time ahead over the capacity of one replica, plus what drains a backlog in time."""
    offered, capacity = given.signals.offered_rps, given.capacity
    if not isinstance(offered, Value) or capacity is None or capacity.work_seconds is None:
        return None
    demand = expected(given.memory.rates, offered, given.lead_seconds)
    wanted = replicas_for_rate(capacity, demand.ahead_rps, given.most)
    drain = max(given.lead_seconds, LEAST_DRAIN_SECONDS)
    for_backlog = replicas_for_backlog(capacity, demand.now_rps, _backlog(given, capacity), drain)
    wanted = max(wanted, min(ceil(for_backlog), given.most))
    current = given.target.wanted
    if wanted < current:
        # Going down must still be right with a little more demand, or the next wobble brings it back.
        wanted = min(current, replicas_for_rate(capacity, demand.ahead_rps * (1 + KEEP_BAND), given.most))
    return Size(wanted, _direction(wanted, current), _rate_words(demand, capacity, wanted), demand)


def _backlog(given: SizingInput, capacity: Capacity) -> float:
    """Requests beyond what the ready replicas hold inside the objective: waiting ones and too many running."""
    ready = given.target.ready
    # Without an inter-token objective a replica may hold any number, but none holds nothing.
    held = ready * capacity.running_at(ready) if ready else 0.0
    over = max(number(given.signals.running) - held, 0.0)
    return number(given.signals.waiting) + over


def by_running(given: SizingInput) -> Size | None:
    """Without an offered rate: running and waiting sequences over what one replica may hold.

    Sequences pile up while replicas start, so the number at most doubles what is ready until that has come.
    """
    running = given.signals.running
    if isinstance(running, Missing) or given.capacity is None:
        return None
    total = number(running) + number(given.signals.waiting)
    wanted = max(replicas_for_running(given.capacity, total, given.most), given.state.spec.min_replicas)
    current = given.target.wanted
    ceiling = max(2 * given.target.ready, current if given.target.ready < current else 1, 1)
    if wanted > current:
        wanted = max(current, min(wanted, ceiling))
    else:
        wanted = min(current, replicas_for_running(given.capacity, total * (1 + KEEP_BAND), given.most))
    per_replica = given.capacity.running_at(max(wanted, 1))
    message = f"{total:.0f} sequences run or wait; one replica holds {per_replica:.1f} inside the objective"
    return Size(wanted, _direction(wanted, current), message)


def by_queue(given: SizingInput) -> Size | None:
    """Nothing is known of the replica yet: grow by the share that waits, at most twofold, when all are ready."""
    running = given.signals.running
    if isinstance(running, Missing):
        return None
    current, waiting = given.target.wanted, number(given.signals.waiting)
    share = min(waiting / max(number(running), 1.0), 1.0)
    queued = share >= QUEUE_SHARE and given.target.ready >= current
    wanted = current + ceil(current * share) if queued else current
    message = f"capacity of a replica is not known yet; {waiting:.0f} requests wait"
    return Size(wanted, Reason.MODEL_UNKNOWN, message)


WAYS: tuple[Callable[[SizingInput], Size | None], ...] = (by_silence, by_rate, by_running, by_queue)


def _direction(wanted: int, current: int) -> Reason:
    if wanted > current:
        return Reason.DEMAND_ROSE
    return Reason.DEMAND_FELL if wanted < current else Reason.DEMAND_COVERED


def _rate_words(demand: Demand, capacity: Capacity, wanted: int) -> str:
    per_replica = capacity.rps_at(max(wanted, 1)) or 0.0
    return (
        f"{demand.now_rps:.1f} requests/s now, {demand.ahead_rps:.1f} expected in {demand.lead_seconds:.0f} s; "
        f"one replica serves {per_replica:.1f} inside the objective"
    )
