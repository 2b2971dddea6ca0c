"""The status of a ModelServing: the last decision in numbers and words. No field ticks; times stand, ages do not."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from baseload.api.base import (
    ATOMIC_LIST,
    ATOMIC_MAP,
    ApiModel,
    Count,
    DecimalText,
    ObjectName,
    Seconds,
    ShortText,
    Text,
    Time,
)

STATE_VERSION = 1
"""Version of `replicaModel.state`; a state of another version is learned again."""


class ConditionStatus(StrEnum):
    """Value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ObjectCondition(ApiModel):
    """One aspect of the state of the object."""

    # One writer writes each as a whole; the server would note every field of each condition otherwise.
    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    type: Annotated[str, Field(max_length=64, pattern="^[A-Z][A-Za-z]*$")]
    """Name of the condition."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """Generation of the spec that the condition speaks of."""
    last_transition_time: Time
    """When the status of the condition last changed."""
    reason: ShortText
    """Why, in one word."""
    message: Text
    """Why, in a sentence."""


class ReplicaNumbers(ApiModel):
    """How the number came about."""

    current: Count
    """Replicas wanted by the target before the decision."""
    raw: Count
    """Replicas that demand asks for."""
    final: Count
    """Replicas after all limits."""


class ObservedSignal(ApiModel):
    """A signal the decision looked at."""

    signal: ShortText
    """Name of the signal."""
    unit: ShortText
    """Unit of value and target."""
    value: DecimalText | None = None
    """The value; absent when the signal was missing."""
    target: DecimalText | None = None
    """What the value should reach, if it has a target."""
    time: Time | None = None
    """Time of the newest sample behind the value."""
    missing: ShortText | None = None
    """Why there is no value."""


class AppliedLimit(ApiModel):
    """A limit that changed the number."""

    reason: ShortText
    """Which limit."""
    message: Text
    """What it says."""
    before: Count
    """The number before."""
    after: Count
    """The number after."""


class PoolOutcome(StrEnum):
    """Whether a pool can take more replicas."""

    CHOSEN = "Chosen"
    NOT_CHOSEN = "NotChosen"


class ConsideredPool(ApiModel):
    """A pool that was looked at."""

    pool: ObjectName
    """Name of the CapacityPool."""
    outcome: PoolOutcome
    """Whether the pool can take more replicas."""
    message: Text
    """Why, with numbers."""
    reason: ShortText | None = None
    """Why it may not be used at all, in one word; absent when it may."""


class Forecast(ApiModel):
    """What was foreseen, in output tokens per second of demand, at the horizon of an order."""

    answered_by: ShortText
    """Which way of planning answered: Mixture, LinearProgram, Rounded or Greedy."""
    horizon_seconds: Seconds
    """How far ahead: the time from an order to a replica that serves, in whole buckets, and one more."""
    quantile: DecimalText | None = None
    """Share of outcomes that `order` covers; absent where a rule without a forecast leads."""
    order: DecimalText
    """Demand that ready and ordered replicas together should carry."""
    low: DecimalText | None = None
    """Lower end of the band that held 95 of 100 outcomes before; absent while there was none."""
    median: DecimalText | None = None
    """Middle of the band."""
    high: DecimalText | None = None
    """Upper end of the band."""


class LastDecision(ApiModel):
    """The last decision that changed something, and how it came about."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    time: Time
    """When it was decided."""
    reason: ShortText
    """Why, in one word."""
    message: Text
    """Why, in a sentence with numbers."""
    replicas: ReplicaNumbers
    """How the number came about."""
    observed: Annotated[list[ObservedSignal], Field(max_length=8, json_schema_extra=ATOMIC_LIST, default_factory=list)]
    """The signals it looked at."""
    forecast: Forecast | None = None
    """The forecast that it followed; absent for a reactive decision, as without history."""
    limited_by: Annotated[list[AppliedLimit], Field(max_length=12, json_schema_extra=ATOMIC_LIST, default_factory=list)]
    """The limits that changed the number, in the order applied."""
    considered: Annotated[
        list[ConsideredPool], Field(max_length=8, json_schema_extra=ATOMIC_LIST, default_factory=list)
    ]
    """The pools looked at."""
    breach_time: Time | None = None
    """Time of the first sample that called for more replicas than were wanted."""


class HistoryEntry(ApiModel):
    """A past change of the number."""

    time: Time
    """When."""
    from_: Annotated[Count, Field(alias="from")]
    """Replicas before."""
    to: Count
    """Replicas after."""
    reason: ShortText
    """Why."""


class VariantStatus(ApiModel):
    """The replicas of one workload of the serving."""

    name: ShortText
    """Name of the variant; home is the workload of targetRef."""
    desired: Count
    """Replicas wanted."""
    ready: Count
    """Replicas ready."""
    pending: Count
    """Replicas wanted and not ready yet."""
    start_up_seconds: Seconds | None = None
    """Learned time from a pod bound to Ready."""


class ReplicaModelStatus(ApiModel):
    """What was learned of one replica; kept so that a restart need not learn it again."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    state_version: Annotated[int, Field(ge=0, le=1000)]
    """Version of the state; another version than the operator's is learned again."""
    state: Annotated[str, Field(max_length=1024)]
    """The learned sums, as JSON; not meant for people."""
    unloaded_inter_token_microseconds: Annotated[int, Field(ge=0, le=600_000_000)] | None = None
    """Time between tokens of a replica without load."""
    inter_token_microseconds_per_sequence: DecimalText | None = None
    """What each running sequence adds to it."""
    requests_per_second_per_replica: DecimalText | None = None
    """What one replica serves inside the objective."""


class Recommendation(ApiModel):
    """The number in Recommend mode."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    replicas: Count
    """Replicas that would be written in Enforce mode."""
    time: Time
    """When it was decided."""


class ShortageStatus(ApiModel):
    """What is missing while fewer accelerators are free than the wanted replicas need."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    replicas: Count
    """Wanted replicas that have no accelerator."""
    requests_per_second: DecimalText | None = None
    """Requests a second that the others cannot serve inside the objective; absent while rate or capacity is unknown."""


class Display(ApiModel):
    """Texts of the printed columns."""

    model_config = ConfigDict(json_schema_extra=ATOMIC_MAP)

    replicas: ShortText | None = None
    """Ready and wanted replicas, for example 4/6."""
    objective: ShortText | None = None
    """The objective in short, for example TTFT 1000ms ITL 50ms."""
    reason: ShortText | None = None
    """Reason of the last decision."""


class ModelServingStatus(ApiModel):
    """What Baseload saw and decided, and why; written only when a decision or a condition changes."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[
        list[ObjectCondition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            default_factory=list,
        ),
    ]
    """Aspects of the state; Ready sums the others up."""
    last_decision: LastDecision | None = None
    """The last decision that changed something, and how it came about."""
    history: Annotated[list[HistoryEntry], Field(max_length=5, json_schema_extra=ATOMIC_LIST, default_factory=list)]
    """The last five changes of the number, newest first."""
    variants: Annotated[list[VariantStatus], Field(max_length=8, json_schema_extra=ATOMIC_LIST, default_factory=list)]
    """The replicas by workload."""
    replica_model: ReplicaModelStatus | None = None
    """What was learned of one replica."""
    recommendation: Recommendation | None = None
    """The number in Recommend mode."""
    shortage: ShortageStatus | None = None
    """What is missing while accelerators are short; absent when every wanted replica has its place."""
    display: Display | None = None
    """Texts of the printed columns."""
