"""What a share of the free accelerators does to a serving: the number, the condition, the shortage, in words."""

from dataclasses import dataclass

from baseload.api.reasons import Reason
from baseload.plan.ask import Ask
from baseload.plan.capacity import Capacity
from baseload.plan.decision import Condition, Limit, Shortage, Status
from baseload.plan.demand import Demand
from baseload.plan.fleet import Share
from baseload.plan.memory import Waiting
from baseload.plan.snapshot import ServingState

NAMED_POOLS = 3
"""Pools named in a message; more would hide the numbers."""

ENOUGH = Condition("CapacityAvailable", Status.TRUE, Reason.CAPACITY_AVAILABLE, "every wanted replica has its place")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The number that fits, what was cut (nothing or one limit) and the condition CapacityAvailable."""

    final: int
    limits: tuple[Limit, ...]
    condition: Condition


def place(ask: Ask | None, given: Share | None, state: ServingState, allowed: int) -> Outcome:
    """Cut the allowed number to what has a place; never below what was ordered, the minimum or a pinned number."""
    if ask is None or given is None:
        return Outcome(allowed, (), _without_ask(state, allowed))
    condition = _with_ask(ask, given, state)
    final = allowed
    if allowed > ask.ordered:
        final = max(ask.ordered + given.granted, min(allowed, ask.least))
    if final == allowed:
        return Outcome(final, (), condition)
    return Outcome(final, (Limit(Reason.CAPACITY_SHORT, condition.message, allowed, final),), condition)


def waiting_of(ask: Ask | None, given: Share | None, state: ServingState, now: float) -> Waiting | None:
    """Remember since when ordered replicas have had a free place and no node took them."""
    if ask is None or given is None or not given.fitting:
        return None
    before = state.memory.waiting
    if before is not None and (before.ordered, before.placed) == (ask.ordered, ask.placed):
        return before
    return Waiting(ask.ordered, ask.placed, now)


def shortage_of(given: Share | None, allowed: int, demand: Demand | None, capacity: Capacity | None) -> Shortage | None:
    """The replicas without a place, and the requests per second that the others cannot serve inside the objective."""
    if given is None or not given.missing:
        return None
    have = allowed - given.missing
    each = None if capacity is None else capacity.rps_at(max(have, 1))
    if demand is None or each is None:
        return Shortage(given.missing, None)
    return Shortage(given.missing, max(demand.ahead_rps - have * each, 0.0))


def _with_ask(ask: Ask, given: Share, state: ServingState) -> Condition:
    if given.missing:
        return _short(f"{given.missing} of {ask.wanted} wanted replicas have no place", given, state)
    if ask.claimed > given.fitting:
        return _short(f"{ask.claimed - given.fitting} pods beyond the wanted number wait for a place", given, state)
    if ask.stale:
        message = f"{ask.claimed} replicas wait for a node although accelerators are free for them; "
        message += "`kubectl describe pod` says what else they need"
        return Condition("CapacityAvailable", Status.FALSE, Reason.PODS_UNPLACED, message)
    return ENOUGH


def _short(what: str, given: Share, state: ServingState) -> Condition:
    """What is missing where, and who else waits for it."""
    names = [pool.name for pool in state.pools]
    more = f" and {len(names) - NAMED_POOLS} more" if len(names) > NAMED_POOLS else ""
    nodes, total = sum(p.nodes for p in state.pools), sum(p.total_accelerators for p in state.pools)
    plural = "" if nodes == 1 else "s"
    where = f"{nodes} node{plural} with {total} accelerators ({', '.join(names[:NAMED_POOLS]) or 'no pool'}{more})"
    rank = f"priority {state.priority.value}" + (f" ({state.priority.name})" if state.priority.name else "")
    message = f"{what} on {where}; at {rank}, others of higher priority miss {given.ahead} accelerators and others of"
    message += f" the same {given.beside}{_barred_words(state)}"
    return Condition("CapacityAvailable", Status.FALSE, Reason.CAPACITY_SHORT, message)


def _barred_words(state: ServingState) -> str:
    """The first pool that would take the pods and may not be used."""
    if not state.barred_pools:
        return ""
    barred = state.barred_pools[0]
    return f"; CapacityPool '{barred.name}' may not be used: {barred.message}"


def _without_ask(state: ServingState, allowed: int) -> Condition:
    """Nothing is asked for: because all is there, because nothing is written, or because nothing is known."""
    if state.reach is None:
        message = f"{_unknown(state)}; the number is not cut"
        return Condition("CapacityAvailable", Status.UNKNOWN, Reason.CAPACITY_UNKNOWN, message)
    free = sum(pool.free_replicas or 0 for pool in state.pools)
    missing = allowed - state.placed_replicas - free
    if missing > 0:
        message = f"{missing} of {allowed} recommended replicas would have no place; {free} more fit now"
        return Condition("CapacityAvailable", Status.FALSE, Reason.CAPACITY_SHORT, message)
    return ENOUGH


def _unknown(state: ServingState) -> str:
    """Why it is not known what is free for a serving."""
    if not state.pools and state.barred_pools:
        return f"no CapacityPool may be used{_barred_words(state)}"
    if not state.pools:
        return "no CapacityPool describes the nodes that this workload may run on"
    if any(pool.free_replicas is None for pool in state.pools):
        return "the pods on the nodes could not be listed, so free accelerators are unknown"
    if not any(pool.nodes for pool in state.pools):
        return f"no node of CapacityPool '{state.pools[0].name}' takes these pods"
    kind = "workload" if state.target is None else state.target.kind
    return f"the pods that belong to a replica of a {kind} are not counted"
