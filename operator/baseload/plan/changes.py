"""What a change of the number leaves behind: orders that may start in peace, and replicas that are leaving."""

from dataclasses import replace
from math import ceil

from baseload.plan.memory import Fall, Order, ServingMemory
from baseload.plan.snapshot import ServingState, TargetState

LATE_START_UPS = 1.5
"""An order that has not come after this many start-up times is late and may be cancelled."""

FALL_SEEN_SECONDS = 5.0
"""A listing of the pods that began this long after a step down shows what it made leave."""


def standing(orders: tuple[Order, ...], target: TargetState, start_up_seconds: float, now: float) -> tuple[Order, ...]:
    """The orders that have neither come nor are late."""
    late_seconds = LATE_START_UPS * start_up_seconds
    return tuple(o for o in orders if o.replicas > target.ready and now - o.time < late_seconds)


def note_change(
    memory: ServingMemory, state: ServingState, target: TargetState, *, raw: int, final: int, now: float
) -> ServingMemory:
    """Remember a written change: an order only as far as demand (`raw`) asked for it, a fall by its size."""
    if final < target.wanted:
        orders = tuple(replace(o, replicas=min(o.replicas, final)) for o in memory.orders if final > target.ready)
        return replace(memory, orders=orders, fall=Fall(now, target.wanted - final + _unseen(state, memory.fall)))
    ordered = min(raw, final)
    if ordered > max(target.wanted, target.ready):
        return replace(memory, orders=(*memory.orders, Order(now, ordered)))
    return memory


def leaving(state: ServingState, fall: Fall | None) -> int:
    """Replicas that still finish their requests; those of a step that no listing of the pods has shown yet too."""
    return state.draining_replicas + _unseen(state, fall)


def _unseen(state: ServingState, fall: Fall | None) -> int:
    if fall is None or state.pods_time >= fall.time + FALL_SEEN_SECONDS:
        return 0
    return fall.replicas


def may_go_now(there: int, leaving_now: int, percent: int) -> int:
    """How many more may go, so that those leaving at one time are at most `percent` of all that run."""
    return max(ceil((there + leaving_now) * percent / 100) - leaving_now, 0)
