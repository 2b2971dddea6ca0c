"""ModelServing: what a tenant asks for. Small on purpose: nothing of the admin's, no PodSpec, enums for free text."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ApiModel, ObjectName, rule, rules
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


class OnMetricsLoss(ApiModel):
    """What to do while signals are missing; a missing signal is never read as zero."""

    policy: MetricsLossPolicy = MetricsLossPolicy.HOLD
    """Hold keeps the replicas that are there until the signals are back."""


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
            )
        )
    )

    target_ref: TargetRef
    """The workload whose replicas are scaled."""
    objective: Objective
    """The latency objective to keep."""
    metrics_profile_name: Annotated[
        str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    ] = "vllm"
    """Which metrics the engine exposes: vllm (when not set), llamacpp, or a profile that the admin added."""
    replicas: ReplicaBounds
    """Bounds of the replicas."""
    priority_class_name: Annotated[
        str | None, Field(min_length=1, max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ] = None
    """PriorityClass that ranks it while accelerators are short; when not set that of its pods, else the default."""
    behavior: Behavior = Behavior()
    """How fast replicas may be given back."""
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


class ModelServing(ApiModel):
    """A served model that Baseload keeps inside its latency objective at the least cost."""

    spec: ModelServingSpec
    """What is served, inside which objective and within which bounds."""
    status: ModelServingStatus | None = None
    """What Baseload saw and decided, and why."""
