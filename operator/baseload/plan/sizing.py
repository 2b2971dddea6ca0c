"""The wanted number of replicas, before any limiter: an ordered list of ways to know it.

Each way is tried in turn and the first that can answer does: what the planner foresees, no traffic, the offered rate,
running sequences, or, while nothing is known of the replica, one step at a time. A number from a rate never counts the
backlog that built up while replicas were starting as demand: who counts it overshoots.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from baseload.api.reasons import Reason
from baseload.plan.capacity import (
    Capacity,
    replicas_for_backlog,
    replicas_for_level,
    replicas_for_rate,
    replicas_for_running,
)
from baseload.plan.demand import Demand, expected
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Answer, Outlook
from baseload.plan.replica_model import QUEUE_SHARE
from baseload.plan.signals import Missing, ServingSignals, Signal, Value
from baseload.plan.snapshot import ServingState, TargetState

LEAST_DRAIN_SECONDS = 15.0
"""A backlog is worked off in one start-up time, but not asked to go faster than this."""

KEEP_BAND = 0.08
"""Demand must fall this much below what a smaller number serves before fewer are wanted: no flapping at the edge."""


@dataclass(frozen=True, slots=True)
class Size:
    """A wanted number with the reason and the sentence behind it; `demand` when a rate was known.

    `outlook` is the one it follows. What is `foreseen` is not called for by demand that is here: the next outlook may
    take it back before it has started.
    """

    replicas: int
    reason: Reason
    message: str
    demand: Demand | None = None
    outlook: Outlook | None = None
    foreseen: bool = False


@dataclass(frozen=True, slots=True)
class SizingInput:
    """What the ways of sizing look at."""

    state: ServingState
    target: TargetState
    memory: ServingMemory
    capacity: Capacity | None
    lead_seconds: float
    now: float

    @property
    def signals(self) -> ServingSignals:
        """The serving's signals."""
        return self.state.signals

    @property
    def most(self) -> int:
        """No way of sizing asks for more than the largest number allowed."""
        return self.state.spec.max_replicas

    @property
    def outlook(self) -> Outlook | None:
        """The planner's outlook, unless it is too old or no more than the rate now."""
        outlook = self.state.outlook
        if outlook is None or outlook.answered_by is Answer.REACTIVE or self.now > outlook.valid_until:
            return None
        return outlook


def number(signal: Signal) -> float:
    """The value, 0 for proven idleness or for a signal that is missing where only growth would matter."""
    return signal.value if isinstance(signal, Value) else 0.0


def size(given: SizingInput) -> Size:
    """Ask each way in turn; the last always answers."""
    for way in WAYS:
        answer = way(given)
        if answer is not None:
            return _with_age(given, answer)
    return Size(given.target.wanted, Reason.MODEL_UNKNOWN, "no signal to size on; the number stays")


def _with_age(given: SizingInput, answer: Size) -> Size:
    """Say that an outlook is too old to be followed."""
    outlook = given.state.outlook
    if outlook is None or given.now <= outlook.valid_until:
        return answer
    age_seconds = given.now - outlook.time
    return replace(answer, message=f"{answer.message}; the outlook of {age_seconds:.0f} s ago is too old to follow")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is foreseen beside what is asked for now: `live` output tokens per second, None while that is unknown."""

    given: SizingInput
    capacity: Capacity
    outlook: Outlook
    live: float | None

    def replicas_for(self, level: float) -> int:
        """Replicas for a level of demand in output tokens per second."""
        return replicas_for_level(self.capacity, level, self.given.most)


def by_outlook(given: SizingInput) -> Size | None:
    """What the planner foresees: replicas for the level to order up to, and ready ones kept for the level to keep.

    Live signals may ask for more, never for less.
    """
    outlook, capacity = given.outlook, given.capacity
    if outlook is None or capacity is None or capacity.work_seconds is None:
        return None
    tokens_per_request = capacity.work_seconds / capacity.law.slope_seconds
    offered = given.signals.offered_rps
    live = None if isinstance(offered, Missing) else number(offered) * tokens_per_request
    foreseen = Foreseen(given, capacity, outlook, live)
    wanted, ready = foreseen.replicas_for(outlook.order), given.target.ready
    if wanted < ready:
        wanted = max(wanted, min(ready, foreseen.replicas_for(outlook.keep)))
    demand = Demand(number(offered), outlook.order / tokens_per_request, outlook.horizon_seconds)
    message = _outlook_words(foreseen, capacity.tokens_at(wanted))
    answer = Size(wanted, _ahead(wanted, given.target.wanted), message, demand, outlook, foreseen=True)
    for floor in LIVE_FLOORS:
        answer = floor(foreseen, answer)
    return answer


def _agrees(foreseen: Foreseen, answer: Size) -> Size:
    """Going down stops at what demand needs now."""
    current = foreseen.given.target.wanted
    if foreseen.live is None or answer.replicas >= current:
        return answer
    needed = min(foreseen.replicas_for(foreseen.live), current)
    if needed <= answer.replicas:
        return answer
    message = f"demand now needs {needed}, later {answer.replicas} are enough: {answer.message}"
    return replace(answer, replicas=needed, reason=Reason.DEMAND_HOLDS, message=message)


def _drains(foreseen: Foreseen, answer: Size) -> Size:
    """A backlog, which nobody foresaw, is worked off in one start-up time."""
    given, capacity = foreseen.given, foreseen.capacity
    backlog = _backlog(given, capacity)
    if backlog <= 0:
        return answer
    wanted = min(ceil(_for_backlog(given, capacity, number(given.signals.offered_rps), backlog)), given.most)
    if wanted <= answer.replicas:
        return answer
    message = f"{backlog:.0f} requests beyond what the ready replicas hold are to be worked off: {answer.message}"
    return replace(answer, replicas=wanted, reason=Reason.BACKLOG, message=message, foreseen=False)


def _reacts(foreseen: Foreseen, answer: Size) -> Size:
    """Demand above the highest that was expected: the forecast is broken, so the rate and its trend count too."""
    live, upper = foreseen.live, foreseen.outlook.upper
    if live is None or live <= upper:
        return answer
    reactive = by_rate(foreseen.given)
    if reactive is None or reactive.replicas <= answer.replicas:
        return answer
    message = f"{live:.0f} tokens/s now, at most {upper:.0f} were expected: {reactive.message}"
    return replace(reactive, reason=Reason.FORECAST_BROKEN, message=message, outlook=answer.outlook)


LIVE_FLOORS: tuple[Callable[[Foreseen, Size], Size], ...] = (_agrees, _drains, _reacts)
"""What is asked for now may raise a number that was foreseen: up if any live signal says so, down only if all agree."""


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
    current = given.target.wanted
    wanted = replicas_for_rate(capacity, demand.ahead_rps, given.most, current)
    for_backlog = _for_backlog(given, capacity, demand.now_rps, _backlog(given, capacity))
    wanted = max(wanted, min(ceil(for_backlog), given.most))
    if wanted < current:
        # Going down must still be right with a little more demand, or the next wobble brings it back.
        wanted = min(current, replicas_for_rate(capacity, demand.ahead_rps * (1 + KEEP_BAND), given.most, wanted))
    return Size(wanted, _direction(wanted, current), _rate_words(demand, capacity, wanted), demand)


def _for_backlog(given: SizingInput, capacity: Capacity, rps: float, backlog: float) -> float:
    drain_seconds = max(given.lead_seconds, LEAST_DRAIN_SECONDS)
    return replicas_for_backlog(capacity, rps, backlog, drain_seconds)


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


WAYS: tuple[Callable[[SizingInput], Size | None], ...] = (by_outlook, by_silence, by_rate, by_running, by_queue)


def _direction(wanted: int, current: int) -> Reason:
    if wanted > current:
        return Reason.DEMAND_ROSE
    return Reason.DEMAND_FELL if wanted < current else Reason.DEMAND_COVERED


def _ahead(wanted: int, current: int) -> Reason:
    if wanted > current:
        return Reason.FORECAST_ROSE
    return Reason.FORECAST_FELL if wanted < current else Reason.DEMAND_COVERED


def _outlook_words(foreseen: Foreseen, per_replica: float) -> str:
    """The forecast with its quantile and horizon, what is asked for now, and what one replica serves."""
    outlook, live = foreseen.outlook, foreseen.live
    quantile = "" if outlook.quantile is None else f" ({outlook.quantile:.0%} quantile)"
    now = "unknown" if live is None else f"{live:.0f}"
    return (
        f"{outlook.order:.0f} tokens/s foreseen in {outlook.horizon_seconds:.0f} s{quantile}, {now} now;"
        f" one replica serves {per_replica:.0f} inside the objective"
    )


def _rate_words(demand: Demand, capacity: Capacity, wanted: int) -> str:
    per_replica = capacity.rps_at(max(wanted, 1)) or 0.0
    return (
        f"{demand.now_rps:.1f} requests/s now, {demand.ahead_rps:.1f} expected in {demand.lead_seconds:.0f} s; "
        f"one replica serves {per_replica:.1f} inside the objective"
    )
