"""The input of the decision: everything known at one instant, as frozen values.

`plan()` sees nothing else. The observer builds it in the operator; tests build it by hand.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from baseload.api.reasons import Reason
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Outlook
from baseload.plan.pool_offer import NO_SETTINGS, UNPRICED, Economics, PoolOffer
from baseload.plan.replica_model import Prior
from baseload.plan.schedule import ScheduleWindow
from baseload.plan.signals import ServingSignals


class Mode(StrEnum):
    """Whether a decision is written to the target or only published."""

    ENFORCE = "Enforce"
    RECOMMEND = "Recommend"


@dataclass(frozen=True, slots=True)
class ServingKey:
    """Namespace and name of a ModelServing."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class LatencyTarget:
    """A latency that `attainment` (0..1) of requests must stay under, in seconds."""

    seconds: float
    attainment: float


class LossPolicy(StrEnum):
    """What to do when nothing can be measured for long."""

    HOLD = "Hold"
    SCALE_UP = "ScaleUp"
    FALLBACK = "Fallback"


@dataclass(frozen=True, slots=True)
class OnLoss:
    """The policy for lost metrics; `replicas` is what Fallback goes up to."""

    policy: LossPolicy = LossPolicy.HOLD
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class ServingSpec:
    """What the user asked for, in plan's units.

    `may_rent` says whether pools that are billed by use may serve, `max_rent_per_hour` what they may cost together.
    """

    time_to_first_token: LatencyTarget | None
    inter_token_latency: LatencyTarget | None
    min_replicas: int
    max_replicas: int
    stabilization_seconds: float = 300.0
    max_step_percent: int = 50
    mode: Mode = Mode.ENFORCE
    on_loss: OnLoss = OnLoss()
    may_rent: bool = False
    max_rent_per_hour: float = inf


@dataclass(frozen=True, slots=True)
class Pause:
    """Which directions the pause annotations hold; `replicas` pins the number, `why` names the annotation."""

    scale_in: bool = False
    scale_out: bool = False
    replicas: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Priority:
    """Who comes first while accelerators are short: the higher value; `name` is its PriorityClass, empty without."""

    value: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class TargetState:
    """The workload a ModelServing scales, as last seen.

    `wanted` is its spec.replicas, `ready` its ready replicas, `rolling_out` whether pods of two revisions are there,
    `updated` how many of them are of the new one, `rollout_failed` whether its controller has given the rollout up.
    """

    kind: str
    name: str
    uid: str
    wanted: int
    ready: int
    rolling_out: bool = False
    updated: int = 0
    rollout_failed: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a serving must not be scaled at all: `reason` and a message that says what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ScaledReplicas:
    """A serving's replicas in a pool that is ordered from: ready ones, and those `soon` to serve, before a fast order.

    `most` bounds ready and ordered ones together.
    """

    ready: int
    soon: int
    most: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """One CapacityPool as far as a serving may use it.

    `free_replicas` is how many more replicas of the serving fit on the free accelerators of its Ready nodes;
    None means unknown (nodes or pods not listed recently), which is never zero. `scaled` is what the serving has there,
    None where the pool's nodes are not ordered by Baseload: then nothing is ordered.
    """

    name: str
    accelerator: str
    nodes: int
    total_accelerators: int
    free_replicas: int | None
    cost_per_replica_hour: float | None
    offer: PoolOffer = UNPRICED
    scaled: ScaledReplicas | None = None


@dataclass(frozen=True, slots=True)
class BarredPool:
    """A CapacityPool that takes the serving's pods and that the serving may not use, and why."""

    name: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """The nodes that can take a serving's pods, as rows of `Snapshot.free`, and how many accelerators each pod holds.

    Servings whose pods are alike share one Reach: it is compared by identity.
    """

    rows: tuple[int, ...]
    each: int


@dataclass(frozen=True, slots=True)
class ServingState:
    """One serving at the instant of the snapshot: the spec, the target, its signals and what was learned.

    `target_seen_time` is when the target's kind was last known to be current, Unix seconds.
    `placed_replicas` counts its pods that have a node, `unplaced_replicas` those that no node has taken yet, those
    beyond what is wanted left out; `reach` None means that free accelerators are not known, which limits nothing.
    `draining_replicas` still finish their requests before they go, seen by the listing of pods that began at
    `pods_time`. `start_up_seconds` is pod bound to Ready. `windows` are its schedules around now.
    `outlook` is what the planner foresees, in output tokens per second; None while it has no history to learn from.
    `prior` is what is believed of its replicas before they were seen; None without configuration or sibling.
    """

    key: ServingKey
    generation: int
    spec: ServingSpec
    target: TargetState | None
    signals: ServingSignals
    memory: ServingMemory
    pause: Pause = Pause()
    refusal: Refusal | None = None
    pools: tuple[PoolState, ...] = ()
    barred_pools: tuple[BarredPool, ...] = ()
    priority: Priority = Priority()
    start_up_seconds: float = 120.0
    placed_replicas: int = 0
    unplaced_replicas: int = 0
    reach: Reach | None = None
    target_seen_time: float = inf
    draining_replicas: int = 0
    pods_time: float = inf
    windows: tuple[ScheduleWindow, ...] = ()
    outlook: Outlook | None = None
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `plan()` may look at: the time (Unix seconds) and the servings.

    `warm_since` is when this operator began to watch (start or takeover): nothing goes down before a serving's
    scale-down window has passed since. `world_time` is when the cluster state was last known to be current.
    `signal_lag_seconds` is how far a rate lags behind the world (half its window plus a scrape);
    `learning_window_seconds` is what one ReplicaSignals averages over. `free` are the free accelerators, node by node.
    `economics` are the admin's currency and shortage costs.
    """

    now: float
    warm_since: float
    world_time: float
    tick_seconds: float = 5.0
    signal_lag_seconds: float = 0.0
    learning_window_seconds: float = 15.0
    free: tuple[int, ...] = ()
    economics: Economics = NO_SETTINGS
    servings: tuple[ServingState, ...] = field(default=())
