"""Every reason Baseload gives, each documented once.

A reason explains a changed number, a number that was held, a refusal or a condition. The same word stands
in `status.lastDecision`, the event, the log line, the metric label and the command line.
"""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a number is what it is, or why something was refused; `.text` is its documentation."""

    text: str

    def __new__(cls, value: str, text: str) -> Self:
        """Make a member that is its word and carries its documentation."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    # Why the planner wanted a number.
    DEMAND_COVERED = (
        "DemandCovered",
        "The replicas there are cover demand inside the objective; nothing to change.",
    )
    DEMAND_ROSE = "DemandRose", "Demand expected one start-up time ahead needs more replicas."
    DEMAND_FELL = "DemandFell", "Demand needs fewer replicas than there are."
    FORECAST_ROSE = "ForecastRose", "Demand foreseen at the lead time needs more replicas; they are ordered ahead."
    FORECAST_FELL = "ForecastFell", "Demand foreseen, and demand now, need fewer replicas than there are."
    FORECAST_BROKEN = (
        "ForecastBroken",
        "Demand is above the highest that was expected, so the rate now and its trend count as well.",
    )
    DEMAND_HOLDS = "DemandHolds", "Fewer replicas are foreseen to be enough, but demand now still needs these."
    BACKLOG = "Backlog", "Requests wait that no ready replica holds; more replicas work them off."
    OBJECTIVE_AT_RISK = (
        "ObjectiveAtRisk",
        "The reactive guard predicts that the objective will be missed soon.",
    )
    OBJECTIVE_MISSED = "ObjectiveMissed", "The reactive guard sees requests outside the objective now."
    NO_TRAFFIC = "NoTraffic", "The model is served but nobody asks it; the least allowed replicas are wanted."
    MODEL_UNKNOWN = (
        "ModelUnknown",
        "No capacity is known yet, so concurrency per replica is kept at what works now.",
    )

    # What changed or held a wanted number: the limiters, in the order they are applied.
    MIN_REPLICAS = "MinReplicas", "`spec.replicas.min` raised the number."
    MAX_REPLICAS = "MaxReplicas", "`spec.replicas.max` capped the number."
    SCHEDULED_MIN = "ScheduledMin", "A schedule that is in force, or soon will be, raised the number."
    SCHEDULED_MAX = "ScheduledMax", "A schedule that is in force capped the number."
    PAUSED = "Paused", "A pause annotation holds the number."
    METRICS_MISSING = "MetricsMissing", "Signals are missing, so the number is held; missing is never zero."
    LOSS_SCALE_UP = (
        "ScaleUpOnMetricsLoss",
        "Nothing could be measured for long, and `spec.onMetricsLoss` is ScaleUp: the number rises step by step.",
    )
    LOSS_FALLBACK = (
        "FallbackOnMetricsLoss",
        "Nothing could be measured for long, and `spec.onMetricsLoss` is Fallback: the number rose to its `replicas`.",
    )
    ROLLOUT_IN_PROGRESS = (
        "RolloutInProgress",
        "The target is replacing its replicas by a new revision; nothing goes down meanwhile.",
    )
    STABILIZATION = "Stabilization", "A higher number was wanted inside the scale-down window, so it stays."
    STARTING_UP = (
        "StartingUp",
        "Replicas that demand asked for have not had their time to start yet, so they are not cancelled.",
    )
    STEP_LIMITED = "StepLimited", "The change in one step is limited by `spec.behavior`."
    DRAINING = "Draining", "Replicas of the last step down are still finishing their requests."
    WARMING_UP = (
        "WarmingUp",
        "The operator has not watched this target for a full scale-down window yet; nothing goes down.",
    )
    SNAPSHOT_STALE = "SnapshotStale", "The cluster was not observed recently enough to decide."
    CAPACITY_SHORT = (
        "CapacityShort",
        "Fewer accelerators are free than the wanted replicas need; `status.shortage` says what is missing.",
    )
    RECOMMEND_ONLY = "RecommendOnly", "`spec.mode` is Recommend: the number is published and not written."

    # Why a signal is missing.
    NO_SERIES = "NoSeries", "Prometheus has no such series for this workload."
    STALE = "Stale", "The newest sample is too old to decide on."
    NOT_A_NUMBER = "NotANumber", "The sample is NaN or infinite."
    AMBIGUOUS = "Ambiguous", "Series cannot be told apart by workload; add the `baseload_workload` label."
    UNREACHABLE = "Unreachable", "Prometheus did not answer."
    PARTIAL = "Partial", "Prometheus answered with partial data."

    # Conditions and refusals.
    ACCEPTED = "Accepted", "The spec is valid and what it refers to exists."
    SCALING = "Scaling", "Metrics are readable and the intent is written."
    METRICS_FRESH = "MetricsFresh", "The signals needed to decide are there and fresh."
    NOT_OBSERVED = "NotObserved", "Not looked at yet."
    NOT_LIMITED = "NotLimited", "Nothing changed the wanted number."
    NOT_PAUSED = "NotPaused", "No pause annotation is set."
    NO_CONFLICT = "NoConflict", "Nobody else writes the replicas of the target."
    CAPACITY_AVAILABLE = "CapacityAvailable", "The free accelerators hold what is wanted."
    PODS_UNPLACED = (
        "PodsUnplaced",
        "Accelerators are free, but no node took the pods for a minute; `kubectl describe pod` says why.",
    )
    POOL_NOT_SELECTED = "PoolNotSelected", "`spec.poolSelector` does not select the pool."
    BURST_NOT_ALLOWED = (
        "BurstNotAllowed",
        "The pool is rented by use (OnDemand or Spot), and `spec.burst.policy` is Never.",
    )
    CAPACITY_UNKNOWN = "CapacityUnknown", "No CapacityPool describes the nodes this workload may run on."
    NO_NODES = "NoNodes", "No Ready, schedulable node carries the labels of the pool."
    INVALID_SPEC = "InvalidSpec", "The spec cannot be used; the message names field, value and remedy."
    TARGET_NOT_FOUND = "TargetNotFound", "`spec.targetRef` names an object that does not exist."
    TARGET_NOT_SCALABLE = "TargetNotScalable", "The kind of `spec.targetRef` has no scale subresource."
    TARGET_KIND_UNKNOWN = "TargetKindUnknown", "The API server does not serve the kind of `spec.targetRef`."
    TARGET_FORBIDDEN = (
        "TargetForbidden",
        "The operator lacks rights on the kind of `spec.targetRef`; an admin grants them by a labelled ClusterRole.",
    )
    PROFILE_NOT_FOUND = "ProfileNotFound", "`spec.metricsProfileName` names no known metrics profile."
    PRIORITY_CLASS_NOT_FOUND = "PriorityClassNotFound", "`spec.priorityClassName` names no PriorityClass."
    INVALID_PROFILE = "InvalidProfile", "`spec.metricsProfileName` names a profile of the admin that cannot be used."
    FOREIGN_AUTOSCALER = "ForeignAutoscaler", "Another autoscaler already scales the target."
    FOREIGN_WRITER = "ForeignWriter", "Somebody else keeps writing the replicas of the target."
    TARGET_CONFLICT = "TargetConflict", "An older ModelServing already scales the target."
    WRITE_FAILED = "WriteFailed", "The API server refused the write; the message says why."
