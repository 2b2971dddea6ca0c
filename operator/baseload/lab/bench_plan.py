"""How long the decision takes for a whole fleet."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from baseload.plan.decision import Decision
from baseload.plan.memory import ServingMemory
from baseload.plan.planner import plan
from baseload.plan.signals import ReplicaSignals, ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget, ServingKey, ServingSpec, ServingState, Snapshot, TargetState
from baseload.sim.bench import Bench, Progress, best_seconds

_SERVINGS = 5000
_WARM_UP_TICKS = 40
_TICK_SECONDS = 5.0
_START = 1_000_000.0


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure a tick at 500 and 5,000 servings with learned models and full memories."""
    few = _tick_seconds(_SERVINGS // 10, progress)
    many = _tick_seconds(_SERVINGS, progress)
    return {
        "servings": _SERVINGS,
        "tick_seconds": round(many, 4),
        "microseconds_per_serving": round(1e6 * many / _SERVINGS, 1),
        "ratio_to_ten_times_a_tenth": round(many / (10 * few), 3),
    }


def _tick_seconds(servings: int, progress: Progress) -> float:
    progress(f"plan: {servings} servings")
    random = Random(servings)  # noqa: S311 (a reproducible load, no secret)
    memories = [ServingMemory()] * servings
    now = _START
    for _ in range(_WARM_UP_TICKS):
        decisions = plan(_snapshot(now, memories, random))
        memories = [decision.memory for decision in decisions]
        now += _TICK_SECONDS
    snapshot = _snapshot(now, memories, random)

    def tick() -> tuple[Decision, ...]:
        return plan(snapshot)

    return best_seconds(tick, 5)


def _snapshot(now: float, memories: list[ServingMemory], random: Random) -> Snapshot:
    states = tuple(_state(number, now, memory, random) for number, memory in enumerate(memories))
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
)

BENCH = Bench("plan", f"how long does one decision for {_SERVINGS:,} servings take?", _measure)
