"""One tick of the operator in a replay: what is seen of every serving becomes a Snapshot, and `plan()` answers.

The replica model of a replay is exact and linear: one replica serves exactly one unit of demand, so that a replay
measures the decision and not the learning of capacity, which has tests of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isnan

import numpy as np

from baseload.api.reasons import Reason
from baseload.plan.capacity import capacity_of
from baseload.plan.decision import Decision
from baseload.plan.memory import ReplicaModel, ServingMemory
from baseload.plan.outlook import Outlook
from baseload.plan.planner import plan
from baseload.plan.signals import Missing, ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget, ServingKey, ServingSpec, ServingState, Snapshot, TargetState
from baseload.sim.case import FloatArray, IntArray

START_SECONDS = 1_000_000.0
"""The clock of a replay begins here: some rules read 0 as never."""

MOST_REPLICAS = 10_000
"""No replay needs more; the search for a number must end somewhere."""

_RUNNING = 20.0
_TOKEN_SECONDS = 0.05
_SAMPLES = 1000.0
_GAP = Missing(Reason.STALE, "the trace has a gap here")

SPEC = ServingSpec(
    time_to_first_token=None,
    # Half of all: at an attainment of 0.5 no margin is kept for chance, which a fluid replay does not have.
    inter_token_latency=LatencyTarget(_TOKEN_SECONDS, 0.5),
    min_replicas=0,
    max_replicas=MOST_REPLICAS,
    stabilization_seconds=0.0,
    max_step_percent=100,
)
"""The spec of the honest protocol: nothing but the decision keeps a replica."""

_MODEL = ReplicaModel(
    weight=_SAMPLES,
    sum_running=_SAMPLES * _RUNNING,
    sum_latency=_SAMPLES * _TOKEN_SECONDS,
    sum_running_squared=_SAMPLES * _RUNNING**2,
    sum_running_latency=_SAMPLES * _RUNNING * _TOKEN_SECONDS,
    sum_latency_squared=_SAMPLES * _TOKEN_SECONDS**2,
    tokens_per_request=100.0,
    updated_time=START_SECONDS,
)


def _tokens_of_a_replica() -> float:
    capacity = capacity_of(_MODEL, SPEC)
    assert capacity is not None
    return capacity.tokens_at(1)


REPLICA_TOKENS = _tokens_of_a_replica()
"""Output tokens per second that one replica serves: what levels in replicas are multiplied by."""

_REPLICA_RPS = REPLICA_TOKENS / (_MODEL.tokens_per_request or 1.0)


@dataclass(slots=True)
class OperatorTick:
    """The operator's view of `servings` servings and what it remembers of them between ticks."""

    servings: int
    start_up_seconds: float
    spec: ServingSpec = SPEC
    memories: list[ServingMemory] = field(init=False)
    _keys: list[ServingKey] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a learned replica model and nothing else."""
        self.memories = [ServingMemory(model=_MODEL)] * self.servings
        self._keys = [ServingKey("replay", str(number)) for number in range(self.servings)]

    def decide(
        self,
        now_seconds: float,
        demand: FloatArray,
        ready: IntArray,
        pending: IntArray,
        outlooks: Sequence[Outlook | None],
    ) -> tuple[Decision, ...]:
        """Ask `plan()` once; all arrays have the shape (servings,), demand in replicas, NaN where nothing is seen."""
        now = START_SECONDS + now_seconds
        # As if it had been learned until now: what nobody learns from for a while is trusted less, and carries less.
        model = replace(_MODEL, updated_time=now, load_factor_time=now)
        states = tuple(
            ServingState(
                key=self._keys[row],
                generation=1,
                spec=self.spec,
                target=TargetState("Deployment", self._keys[row].name, "uid", has + coming, has),
                signals=_signals(wants, has, now),
                memory=replace(self.memories[row], model=model),
                start_up_seconds=self.start_up_seconds,
                outlook=outlooks[row],
            )
            for row, (wants, has, coming) in enumerate(
                zip(demand.tolist(), ready.tolist(), pending.tolist(), strict=True)
            )
        )
        decisions = plan(Snapshot(now=now, warm_since=0.0, world_time=now, servings=states))
        self.memories = [decision.memory for decision in decisions]
        return decisions


def _signals(demand: float, ready: int, now: float) -> ServingSignals:
    if isnan(demand):
        return ServingSignals(offered_rps=_GAP, running=_GAP, waiting=_GAP)
    # What no replica took is lost at the end of its step, so nothing waits and no replica is above its limit.
    running = 0.999 * min(demand, ready) * _RUNNING
    return ServingSignals(
        offered_rps=Value(demand * _REPLICA_RPS, now), running=Value(running, now), waiting=Value(0.0, now)
    )


def wanted_of(decisions: Sequence[Decision]) -> IntArray:
    """The replicas each serving's target is scaled to, (servings,)."""
    return np.array([decision.final for decision in decisions], dtype=np.int64)
