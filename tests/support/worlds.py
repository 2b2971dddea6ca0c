"""Hand-made inputs of the decision: states, signals and learned models with known numbers."""

from dataclasses import replace
from typing import Any

from baseload.api.reasons import Reason
from baseload.plan.memory import RateSample, ReplicaModel, ServingMemory, Watched
from baseload.plan.signals import Missing, ReplicaSignals, ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget, ServingKey, ServingSpec, ServingState, Snapshot, TargetState

NOW = 1_000_000.0
ALPHA_SECONDS = 0.022
SLOPE_SECONDS = 0.0005
TOKENS = 200.0


def learned_model(**changes: Any) -> ReplicaModel:
    """A model with plenty of samples exactly on the line ITL = 22 ms + 0.5 ms * B."""
    model = ReplicaModel(
        time_to_first_token_unloaded_seconds=0.1, imbalance=1.0, tokens_per_request=TOKENS, updated_time=NOW - 2.0
    )
    for running in (5.0, 10.0, 15.0, 20.0, 25.0, 30.0) * 10:
        latency = ALPHA_SECONDS + SLOPE_SECONDS * running
        model = replace(
            model,
            weight=model.weight + 1,
            sum_running=model.sum_running + running,
            sum_latency=model.sum_latency + latency,
            sum_running_squared=model.sum_running_squared + running**2,
            sum_running_latency=model.sum_running_latency + running * latency,
            sum_latency_squared=model.sum_latency_squared + latency**2,
        )
    return replace(model, **changes)


def spec(**changes: Any) -> ServingSpec:
    """One to sixteen replicas inside 1 s to the first token and 50 ms between tokens for 95 % of requests."""
    base = ServingSpec(
        time_to_first_token=LatencyTarget(1.0, 0.95),
        inter_token_latency=LatencyTarget(0.05, 0.95),
        min_replicas=1,
        max_replicas=16,
        stabilization_seconds=60.0,
    )
    return replace(base, **changes)


def signals(rps: float = 4.0, running: float = 20.0, waiting: float = 0.0, **changes: Any) -> ServingSignals:
    """Fresh signals of a serving that keeps its objective."""
    base = ServingSignals(
        offered_rps=Value(rps, NOW - 1),
        running=Value(running, NOW - 1),
        waiting=Value(waiting, NOW - 1),
        output_tokens_per_second=Value(rps * TOKENS, NOW - 1),
        output_tokens_per_request=Value(TOKENS, NOW - 1),
        time_to_first_token_attainment=Value(0.99, NOW - 1),
        inter_token_attainment=Value(0.99, NOW - 1),
    )
    return replace(base, **changes)


def steady(rps: float, seconds: float = 60.0) -> tuple[RateSample, ...]:
    """A rate that did not change over the last minute."""
    return tuple(RateSample(NOW - seconds + 3.0 * i, rps) for i in range(int(seconds / 3)))


def state(
    rps: float = 4.0, wanted: int = 2, ready: int | None = None, memory: ServingMemory | None = None, **changes: Any
) -> ServingState:
    """A serving with a learned model under a steady rate."""
    there = TargetState("Deployment", "chat", "uid", wanted, wanted if ready is None else ready)
    target: TargetState = changes.get("target") or there
    memory = memory or ServingMemory(
        model=learned_model(),
        rates=steady(rps),
        ready=target.ready,
        ready_since=NOW - 600,
        watched=Watched(target.uid, NOW - 3600),
    )
    base = ServingState(
        key=ServingKey("default", "chat"),
        generation=1,
        spec=spec(),
        target=target,
        signals=signals(rps, running=rps * 6),
        memory=memory,
        start_up_seconds=24.0,
    )
    return replace(base, **changes)


def snapshot(*states: ServingState, **changes: Any) -> Snapshot:
    """A warm operator that sees the given servings."""
    base = Snapshot(
        now=NOW, warm_since=NOW - 3600, world_time=NOW - 1, tick_seconds=2.0, signal_lag_seconds=6.0, servings=states
    )
    return replace(base, **changes)


def missing(reason: Reason = Reason.UNREACHABLE) -> Missing:
    """A gap."""
    return Missing(reason, "Prometheus did not answer")


def replica(running: float, inter_token_seconds: float | None, pod: str = "pod-0") -> ReplicaSignals:
    """One replica's window."""
    return ReplicaSignals(pod, NOW - 1, running, inter_token_seconds, 0.15, 0.1)
