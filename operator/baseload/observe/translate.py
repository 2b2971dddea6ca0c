"""From the API's objects to the plain values of the decision; what cannot be used becomes a Refusal in words."""

from dataclasses import dataclass
from math import inf

import orjson
from pydantic import ValidationError

from baseload.api.models import BurstPolicy, LatencyObjective, ModelServingSpec
from baseload.api.reasons import Reason
from baseload.observe.fleet import SignalRequest
from baseload.observe.objects import ServingObject, WorkloadKey
from baseload.observe.pool_rule import OWN_POOLS, PoolRule, rule_of
from baseload.observe.schedules import LocalSchedule, local_schedule
from baseload.observe.target_kinds import DEPLOYMENTS, KindRef
from baseload.observe.wrong_field import in_words
from baseload.plan.snapshot import LatencyTarget, LossPolicy, Mode, OnLoss, Refusal, ServingKey, ServingSpec


@dataclass(frozen=True, slots=True)
class Accepted:
    """A spec that can be used: the decision's part, the target, the metrics profile, the PriorityClass and the kind.

    `pool_rule` says which pools it may use.
    """

    spec: ServingSpec
    target: WorkloadKey
    profile: str
    priority_class: str | None = None
    kind: KindRef = DEPLOYMENTS
    schedules: tuple[LocalSchedule, ...] = ()
    pool_rule: PoolRule = OWN_POOLS

    def signal_request(self, key: ServingKey) -> SignalRequest:
        """What to ask Prometheus of this workload for the serving `key`."""
        first, between = self.spec.time_to_first_token, self.spec.inter_token_latency
        return SignalRequest(
            key=key,
            kind=self.target.kind,
            workload=self.target.name,
            profile=self.profile,
            ttft_target_seconds=None if first is None else first.seconds,
            itl_target_seconds=None if between is None else between.seconds,
        )


def accept(stored: ServingObject) -> Accepted | Refusal:
    """Read a ModelServing's spec; the API server refuses bad ones, but a CRD may be older than its objects."""
    try:
        given = ModelServingSpec.model_validate(orjson.loads(stored.spec))
    except ValidationError as error:
        return Refusal(Reason.INVALID_SPEC, in_words(error))
    target = given.target_ref
    down = given.behavior.scale_down
    spec = ServingSpec(
        time_to_first_token=_latency(given.objective.time_to_first_token),
        inter_token_latency=_latency(given.objective.inter_token_latency),
        min_replicas=given.replicas.min,
        max_replicas=given.replicas.max,
        stabilization_seconds=float(down.stabilization_seconds),
        max_step_percent=down.max_step_percent,
        mode=Mode(given.mode),
        on_loss=OnLoss(LossPolicy(given.on_metrics_loss.policy), given.on_metrics_loss.replicas or 0),
        may_rent=given.burst.policy is BurstPolicy.AUTO,
        max_rent_per_hour=inf if given.burst.max_hourly_cost is None else float(given.burst.max_hourly_cost),
    )
    kind = KindRef(target.api_version, target.kind)
    return Accepted(
        spec=spec,
        target=WorkloadKey(target.kind, stored.namespace, target.name, kind.group),
        profile=given.metrics_profile_name,
        priority_class=given.priority_class_name,
        kind=kind,
        schedules=tuple(local_schedule(schedule) for schedule in given.schedules),
        pool_rule=rule_of(given),
    )


def _latency(objective: LatencyObjective | None) -> LatencyTarget | None:
    if objective is None:
        return None
    return LatencyTarget(objective.target_milliseconds / 1000.0, objective.attainment_percent / 100.0)
