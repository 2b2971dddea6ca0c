"""How long the decision takes for a whole fleet."""

import gc
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from baseload.plan.decision import Decision
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Answer, Band, Outlook
from baseload.plan.planner import plan
from baseload.plan.signals import ReplicaSignals, ServingSignals, Value
from baseload.plan.snapshot import (
    LatencyTarget,
    PoolState,
    ServingKey,
    ServingSpec,
    ServingState,
    Snapshot,
    TargetState,
)
from baseload.sim.bench import Bench, Progress, best_seconds

_SERVINGS = 5000
_WARM_UP_TICKS = 40
_TICK_SECONDS = 5.0
_START = 1_000_000.0


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure a tick at 500 and 5,000 servings with learned models and full memories, with outlooks and without."""
    few = _tick_seconds(_SERVINGS // 10, progress, with_outlooks=True)
    many = _tick_seconds(_SERVINGS, progress, with_outlooks=True)
    reactive = _tick_seconds(_SERVINGS, progress, with_outlooks=False)
    return {
        "servings": _SERVINGS,
        "tick_seconds": round(many, 4),
        "microseconds_per_serving": round(1e6 * many / _SERVINGS, 1),
        "ratio_to_ten_times_a_tenth": round(many / (10 * few), 3),
        "reactive_tick_seconds": round(reactive, 4),
    }


def _tick_seconds(servings: int, progress: Progress, *, with_outlooks: bool) -> float:
    progress(f"plan: {servings} servings {'with' if with_outlooks else 'without'} outlooks")
    random = Random(servings)  # noqa: S311 (a reproducible load, no secret)
    memories = [ServingMemory()] * servings
    now = _START
    for _ in range(_WARM_UP_TICKS):
        decisions = plan(_snapshot(now, memories, random, with_outlooks=with_outlooks))
        memories = [decision.memory for decision in decisions]
        now += _TICK_SECONDS
    snapshot = _snapshot(now, memories, random, with_outlooks=with_outlooks)

    def tick() -> tuple[Decision, ...]:
        return plan(snapshot)

    # As the operator does: what lives for long is not looked at by the garbage collector again and again.
    gc.collect()
    gc.freeze()
    try:
        return best_seconds(tick, 5)
    finally:
        gc.unfreeze()


def _snapshot(now: float, memories: list[ServingMemory], random: Random, *, with_outlooks: bool) -> Snapshot:
    states = tuple(_state(number, now, memory, random) for number, memory in enumerate(memories))
    if with_outlooks:
        states = tuple(replace(state, outlook=_outlook(state, now)) for state in states)
    return Snapshot(now=now, warm_since=_START - 1e6, world_time=now, servings=states)


def _state(number: int, now: float, memory: ServingMemory, random: Random) -> ServingState:
    replicas = 1 + number % 8
    running = 6.0 + 12.0 * random.random()
    signals = ServingSignals(
        offered_rps=Value(replicas * running / 7.0, now - 1),
        running=Value(replicas * running, now - 1),
        waiting=Value(0.0, now - 1),
        output_tokens_per_second=Value(replicas * running * 28.0, now - 1),
        output_tokens_per_request=Value(200.0, now - 1),
        time_to_first_token_attainment=Value(0.99, now - 1),
        inter_token_attainment=Value(1.0, now - 1),
        replicas=tuple(_replica(f"pod-{index}", now, running) for index in range(replicas)),
    )
    return replace(
        _BASE,
        key=ServingKey("bench", f"serving-{number}"),
        target=TargetState("Deployment", f"serving-{number}", str(number), replicas, replicas),
        signals=signals,
        memory=memory,
    )


def _outlook(state: ServingState, now: float) -> Outlook:
    """A tenth more than now is foreseen in a quarter of an hour."""
    offered = state.signals.output_tokens_per_second
    demand = offered.value if isinstance(offered, Value) else 0.0
    horizon_seconds = 900.0
    return Outlook(
        time=now,
        seen_until=now,
        order=1.1 * demand,
        keep=1.05 * demand,
        upper=1.4 * demand,
        horizon_seconds=horizon_seconds,
        quantile=0.9,
        band=Band(horizon_seconds, 0.8 * demand, demand, 1.3 * demand),
        answered_by=Answer.MIXTURE,
    )


def _replica(name: str, now: float, running: float) -> ReplicaSignals:
    return ReplicaSignals(name, now - 1, running, 0.022 + 0.0005 * running, 0.15, 0.2)


_BASE = ServingState(
    key=ServingKey("bench", "serving"),
    generation=1,
    spec=ServingSpec(
        time_to_first_token=LatencyTarget(1.0, 0.95),
        inter_token_latency=LatencyTarget(0.05, 0.95),
        min_replicas=1,
        max_replicas=16,
    ),
    target=None,
    signals=ServingSignals(),
    memory=ServingMemory(),
    pools=(PoolState("owned", "H100", 40, 320, 12, 2.5),),
)

BENCH = Bench("plan", f"how long does one decision for {_SERVINGS:,} servings take?", _measure)
