"""From the API's objects to the plain values of the decision; what cannot be used becomes a Refusal in words."""

from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from baseload.api.models import CapacityPoolSpec, LatencyObjective, ModelServingSpec
from baseload.api.reasons import Reason
from baseload.errors import ConfigError
from baseload.observe.accelerators import Pool
from baseload.observe.fleet import SignalRequest
from baseload.observe.objects import PoolObject, ServingObject, WorkloadKey
from baseload.observe.schedules import LocalSchedule, local_schedule
from baseload.observe.target_kinds import DEPLOYMENTS, KindRef
from baseload.plan.snapshot import LatencyTarget, LossPolicy, Mode, OnLoss, Refusal, ServingKey, ServingSpec


@dataclass(frozen=True, slots=True)
class Accepted:
    """A spec that can be used: the decision's part, the target, the metrics profile, the PriorityClass and the kind."""

    spec: ServingSpec
    target: WorkloadKey
    profile: str
    priority_class: str | None = None
    kind: KindRef = DEPLOYMENTS
    schedules: tuple[LocalSchedule, ...] = ()

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
        return Refusal(Reason.INVALID_SPEC, _in_words(error))
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
    )
    kind = KindRef(target.api_version, target.kind)
    return Accepted(
        spec=spec,
        target=WorkloadKey(target.kind, stored.namespace, target.name, kind.group),
        profile=given.metrics_profile_name,
        priority_class=given.priority_class_name,
        kind=kind,
        schedules=tuple(local_schedule(schedule) for schedule in given.schedules),
    )


def pool_of(stored: PoolObject) -> Pool:
    """Read a CapacityPool; raises ConfigError in words when it cannot be used."""
    try:
        given = CapacityPoolSpec.model_validate(orjson.loads(stored.spec))
    except ValidationError as error:
        raise ConfigError(f"CapacityPool '{stored.name}': {_in_words(error)}") from error
    return Pool(
        name=stored.name,
        node_selector=tuple(sorted(given.node_selector.items())),
        resource=given.accelerator.resource,
        product=given.accelerator.product,
        accelerators_per_node=given.accelerator.per_node,
        hourly=None if given.cost is None else float(given.cost.hourly),
        per_node_price=given.cost is not None and given.cost.per == "Node",
    )


def _latency(objective: LatencyObjective | None) -> LatencyTarget | None:
    if objective is None:
        return None
    return LatencyTarget(objective.target_milliseconds / 1000.0, objective.attainment_percent / 100.0)


def _in_words(error: ValidationError) -> str:
    """The first thing wrong: field, value and what is allowed."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"`spec.{field}` has value '{first['input']!s:.60}': {first['msg']}"
