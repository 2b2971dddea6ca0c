"""ModelServing: what a tenant asks for. Small on purpose: nothing of the admin's, no PodSpec, enums for free text."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ATOMIC_LIST, ApiModel, Money, ObjectName, rule, rules
from baseload.api.schedule import Schedule
from baseload.api.selector import PoolSelector
from baseload.api.status import ModelServingStatus


class TargetRef(ApiModel):
    """The workload whose replicas are scaled; it stays the user's own and is never copied."""

    api_version: Annotated[str, Field(min_length=1, max_length=64, pattern="^([a-z0-9.-]+/)?v[a-z0-9]+$")]
    """API group and version of the workload, for example apps/v1."""
    kind: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Z][A-Za-z0-9]*$")]
    """Kind of the workload, for example Deployment or StatefulSet."""
    name: ObjectName
    """Name of the workload, in the namespace of this object."""


class LatencyObjective(ApiModel):
    """A latency and the share of requests that must stay under it."""

    target_milliseconds: Annotated[int, Field(ge=1, le=600_000)]
    """The latency in milliseconds that requests must stay under."""
    attainment_percent: Annotated[int, Field(ge=50, le=99)] = 95
    """Share of requests in percent that must stay under the target; 95 when not set."""


class Objective(ApiModel):
    """The latency objective; a request is inside it when it keeps every part that is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.timeToFirstToken) || has(self.interTokenLatency)",
                "'`objective` is empty: set `timeToFirstToken`, `interTokenLatency` or both'",
            ),
            rule(
                "!has(self.timeToFirstToken) || !has(self.interTokenLatency) ||"
                " self.timeToFirstToken.targetMilliseconds >= self.interTokenLatency.targetMilliseconds",
                "'`timeToFirstToken.targetMilliseconds` is %d and must not be less than"
                " `interTokenLatency.targetMilliseconds`, which is %d; the two are likely swapped'"
                ".format([self.timeToFirstToken.targetMilliseconds, self.interTokenLatency.targetMilliseconds])",
            ),
        )
    )

    time_to_first_token: LatencyObjective | None = None
    """Time from the arrival of a request at the engine to its first token."""
    inter_token_latency: LatencyObjective | None = None
    """Mean time between the tokens of a request, its first token excluded."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        first, between = self.time_to_first_token, self.inter_token_latency
        if first is None and between is None:
            raise ValueError("`objective` is empty: set `timeToFirstToken`, `interTokenLatency` or both")
        if first and between and first.target_milliseconds < between.target_milliseconds:
            raise ValueError(
                f"`timeToFirstToken.targetMilliseconds` is {first.target_milliseconds} and must not be less than"
                f" `interTokenLatency.targetMilliseconds`, which is {between.target_milliseconds};"
                " the two are likely swapped"
            )
        return self


class ReplicaBounds(ApiModel):
    """Bounds of the replicas; Baseload never writes a number outside them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.max >= self.min",
                "'`replicas.max` is %d and must not be less than `replicas.min`, which is %d;"
                " raise `max` or lower `min`'.format([self.max, self.min])",
            )
        )
    )

    min: Annotated[int, Field(ge=1, le=10_000)]
    """Least replicas. At zero replicas no engine metric exists, so at least 1."""
    max: Annotated[int, Field(ge=1, le=10_000)]
    """Most replicas, whatever demand asks for."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise ValueError(
                f"`replicas.max` is {self.max} and must not be less than `replicas.min`, which is {self.min};"
                " raise `max` or lower `min`"
            )
        return self


class ScaleDown(ApiModel):
    """How replicas are given back."""

    stabilization_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    """Going down takes the highest number wanted within this many seconds; 300 when not set."""
    max_step_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Most replicas in percent that one step may take away, rounded up, at least one; 50 when not set."""


class Behavior(ApiModel):
    """How fast numbers may change. Going up is never held back."""

    scale_down: ScaleDown = ScaleDown()
    """How replicas are given back."""


class MetricsLossPolicy(StrEnum):
    """What to do while signals are missing."""

    HOLD = "Hold"
    SCALE_UP = "ScaleUp"
    FALLBACK = "Fallback"


class OnMetricsLoss(ApiModel):
    """What to do while signals are missing; a missing signal is never read as zero and never removes a replica."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(self.policy == 'Fallback') == has(self.replicas)",
                "has(self.replicas) ? '`onMetricsLoss.replicas` is %d and is read only with policy Fallback; remove it"
                " or set `policy: Fallback`'.format([self.replicas]) : '`onMetricsLoss.replicas` must be set with"
                " policy Fallback'",
            )
        )
    )

    policy: MetricsLossPolicy = MetricsLossPolicy.HOLD
    """Hold keeps the replicas that are there until the signals are back. When nothing could be measured for three
    minutes, ScaleUp adds a quarter of them, and again each three minutes (or each start-up time, if that is longer);
    Fallback goes up to `replicas`, and stays where it is when there are more."""
    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """With policy Fallback, and only then: replicas to go up to."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.policy is MetricsLossPolicy.FALLBACK and self.replicas is None:
            raise ValueError("`onMetricsLoss.replicas` must be set with policy Fallback")
        if self.policy is not MetricsLossPolicy.FALLBACK and self.replicas is not None:
            raise ValueError(
                f"`onMetricsLoss.replicas` is {self.replicas} and is read only with policy Fallback; remove it"
                " or set `policy: Fallback`"
            )
        return self


class BurstPolicy(StrEnum):
    """Whether capacity that is rented by use may serve."""

    NEVER = "Never"
    AUTO = "Auto"


class Burst(ApiModel):
    """The use of capacity that is rented by use."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.maxHourlyCost) || self.policy == 'Auto'",
                "'`burst.maxHourlyCost` is %s and is read only with policy Auto; remove it or set `policy: Auto`'"
                ".format([self.maxHourlyCost])",
            )
        )
    )

    policy: BurstPolicy = BurstPolicy.NEVER
    """Never (when not set) uses pools whose billing is Owned or Reserved only; Auto uses OnDemand and Spot ones as
    well."""
    max_hourly_cost: Money | None = None
    """With policy Auto, and only then: most that replicas in OnDemand and Spot pools may cost an hour together."""

    @model_validator(mode="after")
    def _is_read(self) -> Self:
        if self.max_hourly_cost is not None and self.policy is not BurstPolicy.AUTO:
            raise ValueError(
                f"`burst.maxHourlyCost` is {self.max_hourly_cost} and is read only with policy Auto; remove it or set"
                " `policy: Auto`"
            )
        return self


class ServingMode(StrEnum):
    """Whether decisions are carried out."""

    ENFORCE = "Enforce"
    RECOMMEND = "Recommend"


class ModelServingSpec(ApiModel):
    """What is served, inside which objective and within which bounds."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
                "'`priorityClassName` is `%s`, and system- classes are for the pods of the cluster itself;"
                " name another'.format([self.priorityClassName])",
            ),
            rule(
                "!has(self.schedules) ||"
                " self.schedules.all(s, !has(s.replicas.min) || s.replicas.min <= self.replicas.max)",
                "'`replicas.min` of a schedule is %d and must not exceed `replicas.max` of the spec, which is %d;"
                " lower the one or raise the other'.format([self.schedules.filter(s, has(s.replicas.min) &&"
                " s.replicas.min > self.replicas.max)[0].replicas.min, self.replicas.max])",
            ),
            rule(
                "!has(self.schedules) ||"
                " self.schedules.all(s, !has(s.replicas.max) || s.replicas.max >= self.replicas.min)",
                "'`replicas.max` of a schedule is %d and must not be less than `replicas.min` of the spec, which is %d;"
                " raise the one or lower the other'.format([self.schedules.filter(s, has(s.replicas.max) &&"
                " s.replicas.max < self.replicas.min)[0].replicas.max, self.replicas.min])",
            ),
            rule(
                "!has(self.onMetricsLoss.replicas) || self.onMetricsLoss.replicas <= self.replicas.max",
                "'`onMetricsLoss.replicas` is %d and must not exceed `replicas.max`, which is %d;"
                " lower the one or raise the other'.format([self.onMetricsLoss.replicas, self.replicas.max])",
            ),
        )
    )

    target_ref: TargetRef
    """The workload whose replicas are scaled."""
    objective: Objective
    """The latency objective to keep."""
    metrics_profile_name: Annotated[
        str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    ] = "vllm"
    """Which metrics to read: vllm (when not set), sglang, trtllm, triton-trtllm or llamacpp of an engine, epp or
    dynamo of a gateway before it, or a profile that the admin added."""
    replicas: ReplicaBounds
    """Bounds of the replicas."""
    pool_selector: PoolSelector | None = None
    """Which CapacityPools may be used, by their labels; when not set every pool whose nodes accept the pods."""
    burst: Burst = Burst()
    """The use of capacity that is rented by use."""
    priority_class_name: Annotated[
        str | None, Field(min_length=1, max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ] = None
    """PriorityClass that ranks it while accelerators are short; when not set that of its pods, else the default."""
    behavior: Behavior = Behavior()
    """How fast replicas may be given back."""
    schedules: Annotated[tuple[Schedule, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """Bounds of the replicas at certain hours, inside `replicas`; none when not set."""
    on_metrics_loss: OnMetricsLoss = OnMetricsLoss()
    """What to do while signals are missing."""
    mode: ServingMode = ServingMode.ENFORCE
    """Enforce writes the replicas of the target; Recommend only publishes the number in the status."""

    @model_validator(mode="after")
    def _ranks_below_the_cluster(self) -> Self:
        name = self.priority_class_name
        if name is not None and name.startswith("system-"):
            raise ValueError(
                f"`priorityClassName` is `{name}`, and system- classes are for the pods of the cluster itself;"
                " name another"
            )
        return self

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        least, most = self.replicas.min, self.replicas.max
        for given in (schedule.replicas for schedule in self.schedules):
            if given.min is not None and given.min > most:
                raise ValueError(
                    f"`replicas.min` of a schedule is {given.min} and must not exceed `replicas.max` of the spec,"
                    f" which is {most}; lower the one or raise the other"
                )
            if given.max is not None and given.max < least:
                raise ValueError(
                    f"`replicas.max` of a schedule is {given.max} and must not be less than `replicas.min` of the spec,"
                    f" which is {least}; raise the one or lower the other"
                )
        fallback = self.on_metrics_loss.replicas
        if fallback is not None and fallback > most:
            raise ValueError(
                f"`onMetricsLoss.replicas` is {fallback} and must not exceed `replicas.max`, which is {most};"
                " lower the one or raise the other"
            )
        return self


class ModelServing(ApiModel):
    """A served model that Baseload keeps inside its latency objective at the least cost."""

    spec: ModelServingSpec
    """What is served, inside which objective and within which bounds."""
    status: ModelServingStatus | None = None
    """What Baseload saw and decided, and why."""
