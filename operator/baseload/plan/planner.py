"""`plan()`: from a snapshot to a decision for each serving. Where it is decided how many replicas."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from baseload.api.reasons import Reason
from baseload.plan import metrics_loss, rollout
from baseload.plan.ask import Ask, ask_of
from baseload.plan.capacity import Capacity, capacity_of
from baseload.plan.changes import note_change, standing
from baseload.plan.conditions import conditions_of, refused_conditions
from baseload.plan.decision import Considered, Decision, Limit, Observed
from baseload.plan.demand import look_back_seconds, remember
from baseload.plan.fleet import Share, share
from baseload.plan.guard import correct, guard
from baseload.plan.limiters import Asked, limit
from baseload.plan.memory import ServingMemory, Watched, Wish
from baseload.plan.placement.penalty import excess_misses, multiplier_after
from baseload.plan.placement.tick import pool_orders
from baseload.plan.pool_offer import Economics
from baseload.plan.replica_model import learn, learn_nothing
from baseload.plan.shortage import Outcome, place, shortage_of, waiting_of
from baseload.plan.signals import Missing, Signal, Value
from baseload.plan.sizing import Size, SizingInput, size
from baseload.plan.snapshot import LatencyTarget, Mode, PoolState, ServingState, Snapshot, TargetState

MOST_CONSIDERED = 8
"""Pools shown in a decision, those that may be used first."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one serving wants by its own rules (`allowed`), and what of it needs free accelerators (`ask`)."""

    snapshot: Snapshot
    state: ServingState
    target: TargetState
    wanted: Size
    allowed: int
    limits: tuple[Limit, ...]
    memory: ServingMemory
    capacity: Capacity | None
    ask: Ask | None


def plan(snapshot: Snapshot, rivals: Sequence[Ask] = ()) -> tuple[Decision, ...]:
    """Decide for each serving of the snapshot, in its order; pure, so the same snapshot gives the same answer.

    `rivals` are what servings outside the snapshot ask of the same free accelerators.
    """
    proposals = [propose(snapshot, state) for state in snapshot.servings]
    asks = [p.ask for p in proposals if isinstance(p, Proposal) and p.ask is not None]
    shares = share([*asks, *rivals], snapshot.free)
    return tuple(p if isinstance(p, Decision) else settle(p, shares.get(p.state.key)) for p in proposals)


def propose(snapshot: Snapshot, state: ServingState) -> Proposal | Decision:
    """What one serving wants: learn, size, guard, limit; a serving that must not be scaled is decided at once."""
    if state.refusal is not None or state.target is None:
        return _refused(snapshot, state)
    target = state.target
    given = _sizing_input(snapshot, state, target)
    memory = given.memory if _is_mixed(given, snapshot.now) else correct(given, snapshot.now)
    if memory is not given.memory:
        given = _with_memory(given, memory)
    wanted = guard(given, size(given), snapshot.now)
    memory = _remember(memory, state, wanted, target, snapshot.now)
    asked = Asked(snapshot, state, target, memory)
    allowed, limits = limit(asked, wanted.replicas)
    ask = ask_of(state, target, allowed, asked.inside, snapshot.now)
    return Proposal(snapshot, state, target, wanted, allowed, limits, memory, given.capacity, ask)


def settle(proposal: Proposal, given: Share | None) -> Decision:
    """The decision for one serving, now that its share of the free accelerators is known: cut, explain."""
    snapshot, state, target = proposal.snapshot, proposal.state, proposal.target
    wanted, capacity = proposal.wanted, proposal.capacity
    outcome = place(proposal.ask, given, state, proposal.allowed)
    final, limits = outcome.final, (*proposal.limits, *outcome.limits)
    write = state.spec.mode is Mode.ENFORCE and final != target.wanted
    memory = _settled_memory(proposal, given, outcome, write=write)
    reason, message = _why(wanted, limits, final, target)
    if state.spec.mode is Mode.RECOMMEND and final != target.wanted:
        limits = (*limits, Limit(Reason.RECOMMEND_ONLY, "spec.mode is Recommend", final, target.wanted))
    return Decision(
        key=state.key,
        generation=state.generation,
        time=snapshot.now,
        current=target.wanted,
        raw=wanted.replicas,
        final=final,
        write=write,
        reason=reason,
        message=message,
        observed=_observed(state),
        limited_by=limits,
        considered=_considered(state, snapshot.economics),
        conditions=conditions_of(state, limits, outcome.condition),
        memory=memory,
        capacity_rps_per_replica=capacity.rps_at(max(final, 1)) if capacity else None,
        start_up_seconds=state.start_up_seconds,
        breach_since=memory.breach_since if final > target.wanted else None,
        shortage=shortage_of(given, proposal.allowed, wanted.demand, capacity),
        ask=proposal.ask,
        outlook=wanted.outlook,
        pools=pool_orders(state, wanted.outlook, capacity),
    )


def _settled_memory(proposal: Proposal, given: Share | None, outcome: Outcome, *, write: bool) -> ServingMemory:
    """Remember what waits for a place, and the change if one is written."""
    state, memory, now = proposal.state, proposal.memory, proposal.snapshot.now
    waiting = waiting_of(proposal.ask, given, state, now)
    if waiting is not memory.waiting:
        memory = replace(memory, waiting=waiting)
    if outcome.limits:
        # What a shortage holds back is no delay of ours; the sample that is answered later counts.
        memory = replace(memory, breach_since=None)
    if write:
        called_for = 0 if proposal.wanted.foreseen else proposal.wanted.replicas
        memory = note_change(memory, state, proposal.target, raw=called_for, final=outcome.final, now=now)
    return memory


def _sizing_input(snapshot: Snapshot, state: ServingState, target: TargetState) -> SizingInput:
    now, window = snapshot.now, snapshot.learning_window_seconds
    lead = state.start_up_seconds + snapshot.tick_seconds + snapshot.signal_lag_seconds
    memory = state.memory
    if memory.watched is not None and memory.watched.uid != target.uid:
        # Another workload of the same name: what was remembered of the old one says nothing of it.
        memory = ServingMemory(model=memory.model)
    # A fresh memory has seen no change, so what is ready counts as having been ready for long.
    since = memory.ready_since if memory.ready in (None, target.ready) else now
    progress = rollout.follow(memory.rollout, target, now)
    if rollout.makes_progress(progress, target, state.start_up_seconds, now):
        model = learn_nothing(memory.model, now)
    else:
        model = learn(memory.model, state.signals, now, window, settled=now - since >= 2 * window)
    memory = replace(
        memory,
        model=model,
        rates=remember(memory.rates, state.signals.offered_rps, look_back_seconds(lead)),
        ready=target.ready,
        ready_since=since,
        watched=memory.watched or Watched(target.uid, now),
        orders=standing(memory.orders, target, state.start_up_seconds, now),
        loss=metrics_loss.follow(memory.loss, state, target, now),
        rollout=progress,
        shortage_multiplier=multiplier_after(
            memory.shortage_multiplier, excess_misses(state.spec, state.signals), snapshot.tick_seconds / 3600.0
        ),
    )
    capacity: Capacity | None = capacity_of(model, state.spec, state.prior)
    return SizingInput(state=state, target=target, memory=memory, capacity=capacity, lead_seconds=lead, now=now)


def _with_memory(given: SizingInput, memory: ServingMemory) -> SizingInput:
    """The input after `correct`, which changes of the model only the capacity that is trusted."""
    capacity, factor = given.capacity, memory.model.load_factor
    if capacity is not None and capacity.load_factor != factor:
        capacity = replace(capacity, load_factor=factor)
    return replace(given, memory=memory, capacity=capacity)


def _is_mixed(given: SizingInput, now: float) -> bool:
    return rollout.makes_progress(given.memory.rollout, given.target, given.state.start_up_seconds, now)


def _remember(
    memory: ServingMemory, state: ServingState, wanted: Size, target: TargetState, now: float
) -> ServingMemory:
    """Keep the wish for the scale-down window and the time since when more replicas have been called for."""
    wish = Wish(now, wanted.replicas)
    # Only wishes that nothing later outbids can be a future maximum: a short, falling sequence.
    horizon = now - state.spec.stabilization_seconds
    kept = tuple(w for w in memory.wishes if w.time >= horizon and w.time < now and w.replicas > wish.replicas)
    breach = None
    if min(wanted.replicas, state.spec.max_replicas) > target.wanted:
        breach = memory.breach_since or _sample_time(state, now)
    return replace(memory, wishes=(*kept, wish), breach_since=breach)


def _sample_time(state: ServingState, now: float) -> float:
    times = [s.time for s in (state.signals.offered_rps, state.signals.running) if isinstance(s, Value)]
    return max(times, default=now)


def _why(wanted: Size, limits: tuple[Limit, ...], final: int, target: TargetState) -> tuple[Reason, str]:
    """The sizing's reason, unless a limiter had the last word over whether and where the number moves."""
    if not limits or _direction(final, target) == _direction(wanted.replicas, target):
        return wanted.reason, wanted.message
    return limits[-1].reason, f"{limits[-1].message}; {wanted.message}"


def _direction(replicas: int, target: TargetState) -> int:
    return (replicas > target.wanted) - (replicas < target.wanted)


def _observed(state: ServingState) -> tuple[Observed, ...]:
    signals, spec = state.signals, state.spec
    first, between = spec.time_to_first_token, spec.inter_token_latency
    return (
        _seen("OfferedRate", "requests/s", signals.offered_rps, None),
        _seen("Running", "sequences", signals.running, None),
        _seen("Waiting", "requests", signals.waiting, None),
        *_share("TimeToFirstTokenAttainment", signals.time_to_first_token_attainment, first),
        *_share("InterTokenAttainment", signals.inter_token_attainment, between),
    )


def _share(name: str, signal: Signal, target: LatencyTarget | None) -> tuple[Observed, ...]:
    return () if target is None else (_seen(name, "share", signal, target.attainment),)


def _seen(name: str, unit: str, signal: Signal, target: float | None) -> Observed:
    if isinstance(signal, Missing):
        return Observed(name, unit, None, target, None, signal.reason)
    if isinstance(signal, Value):
        return Observed(name, unit, signal.value, target, signal.time)
    # No traffic means a rate of nothing, but no share of nothing.
    return Observed(name, unit, None if unit == "share" else 0.0, target, signal.time)


def _considered(state: ServingState, economics: Economics) -> tuple[Considered, ...]:
    """The pools looked at, at most `MOST_CONSIDERED`: those that may be used, then those that may not."""
    usable, barred = state.pools[:MOST_CONSIDERED], state.barred_pools[: max(MOST_CONSIDERED - len(state.pools), 0)]
    return (
        *[Considered(pool.name, bool(pool.free_replicas), _offer_words(pool, economics)) for pool in usable],
        *[Considered(pool.name, chosen=False, message=pool.message, reason=pool.reason) for pool in barred],
    )


def _offer_words(pool: PoolState, economics: Economics) -> str:
    """How many more fit into a pool, how it is billed and what a replica there costs; short, for there may be eight."""
    price, billing = pool.cost_per_replica_hour, pool.offer.billing
    terms = f"{billing}, not priced" if price is None else f"{billing} {economics.in_words(price)}/h"
    if pool.free_replicas is None:
        return f"free accelerators are unknown: nodes or pods were not listed; {terms}"
    return f"{pool.free_replicas} fit ({pool.total_accelerators} x {pool.accelerator}), {terms}"


def _refused(snapshot: Snapshot, state: ServingState) -> Decision:
    refusal = state.refusal
    reason = refusal.reason if refusal else Reason.TARGET_NOT_FOUND
    message = refusal.message if refusal else "`spec.targetRef` names an object that does not exist"
    current = state.target.wanted if state.target else 0
    return Decision(
        key=state.key,
        generation=state.generation,
        time=snapshot.now,
        current=current,
        raw=current,
        final=current,
        write=False,
        reason=reason,
        message=message,
        observed=(),
        limited_by=(),
        considered=(),
        conditions=refused_conditions(reason, message),
        # What happens meanwhile is not seen, so the watch of the target starts anew afterwards.
        memory=replace(state.memory, watched=None),
    )
