"""All models of the API in one place to import from."""

from baseload.api.base import API_VERSION, GROUP, VERSION
from baseload.api.pool import CapacityPool, CapacityPoolSpec, CapacityPoolStatus
from baseload.api.selector import SelectorOperator
from baseload.api.serving import (
    BurstPolicy,
    LatencyObjective,
    MetricsLossPolicy,
    ModelServing,
    ModelServingSpec,
    ServingMode,
    TargetRef,
)
from baseload.api.status import STATE_VERSION, LastDecision, ModelServingStatus, ObjectCondition

__all__ = [
    "API_VERSION",
    "GROUP",
    "STATE_VERSION",
    "VERSION",
    "BurstPolicy",
    "CapacityPool",
    "CapacityPoolSpec",
    "CapacityPoolStatus",
    "LastDecision",
    "LatencyObjective",
    "MetricsLossPolicy",
    "ModelServing",
    "ModelServingSpec",
    "ModelServingStatus",
    "ObjectCondition",
    "SelectorOperator",
    "ServingMode",
    "TargetRef",
]
