"""The models as a reader of files sees them: camelCase in, defaults filled, wrong values refused in words."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from baseload.api.models import CapacityPool, ModelServing, ModelServingSpec, ServingMode
from baseload.api.serving import MetricsLossPolicy

ROOT = Path(__file__).parents[2]


def example(name: str) -> dict[str, Any]:
    """An example manifest as plain data."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "manifests/examples" / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


def test_the_example_serving_is_read_and_defaults_are_filled() -> None:
    """What the user left out has the documented value."""
    spec = ModelServing.model_validate(example("modelserving")).spec
    assert spec.target_ref.name == "chat-8b"
    assert spec.objective.inter_token_latency is not None
    assert spec.objective.inter_token_latency.target_milliseconds == 50
    assert spec.metrics_profile_name == "vllm"
    assert (spec.behavior.scale_down.stabilization_seconds, spec.behavior.scale_down.max_step_percent) == (300, 50)
    assert spec.on_metrics_loss.policy is MetricsLossPolicy.HOLD
    assert spec.mode is ServingMode.ENFORCE


def test_the_example_pool_is_read() -> None:
    """Money stays a decimal text and the lead time keeps its odd names."""
    given = example("capacitypool")
    given["spec"]["leadTime"] = {"p50Seconds": 60, "p95Seconds": 90}
    spec = CapacityPool.model_validate(given).spec
    assert spec.provider.static is not None
    assert spec.cost is not None
    assert spec.cost.hourly == "0.87"
    assert spec.lead_time is not None
    assert spec.lead_time.p95_seconds == 90


def test_what_was_read_is_written_back_alike() -> None:
    """A round trip through the model keeps every field that was set, under its name in the API."""
    given = example("modelserving")["spec"]
    written = ModelServingSpec.model_validate(given).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == given


def test_unknown_fields_are_ignored() -> None:
    """An object of a newer version with more fields is still read."""
    given = example("modelserving")
    given["spec"]["variants"] = [{"name": "tpu"}]
    assert ModelServing.model_validate(given).spec.replicas.max == 12


def scheduled(**replicas: int) -> dict[str, Any]:
    """A schedule with these bounds."""
    hours = {"timeZone": "Europe/Berlin", "days": ["Mon"], "start": "07:00", "end": "01:00"}
    return {**hours, "replicas": replicas}


def contract(**changes: object) -> dict[str, Any]:
    """A commitment, right but for the changes."""
    times = {"startTime": "2027-01-01T00:00:00Z", "endTime": "2028-01-01T00:00:00Z"}
    return {"nodes": 3, "hourly": "1.9", **times, **changes}


SERVING_WRONG = [
    ("replicas", {"min": 13, "max": 12}, "`replicas.max` is 12 and must not be less than `replicas.min`, which is 13"),
    ("objective", {}, "`objective` is empty: set `timeToFirstToken`"),
    (
        "objective",
        {"timeToFirstToken": {"targetMilliseconds": 10}, "interTokenLatency": {"targetMilliseconds": 50}},
        "`timeToFirstToken.targetMilliseconds` is 10 and must not be less than",
    ),
    ("onMetricsLoss", {"policy": "Fallback"}, "`onMetricsLoss.replicas` must be set with policy Fallback"),
    ("onMetricsLoss", {"policy": "Hold", "replicas": 3}, "`onMetricsLoss.replicas` is 3 and is read only with"),
    ("onMetricsLoss", {"policy": "Fallback", "replicas": 13}, "is 13 and must not exceed `replicas.max`, which is 12"),
    ("schedules", [scheduled(min=13)], "`replicas.min` of a schedule is 13 and must not exceed `replicas.max`"),
    ("poolSelector", {}, "`poolSelector` is empty and would select every pool: leave it out"),
    (
        "poolSelector",
        {"matchExpressions": [{"key": "chip", "operator": "Exists", "values": ["a"]}]},
        "`values` of the label `chip` must be set with operator In or NotIn, and only then; the operator is Exists",
    ),
    ("burst", {"maxHourlyCost": "400"}, "`burst.maxHourlyCost` is 400 and is read only with policy Auto"),
]

POOL_WRONG = [
    ("provider", {}, "`provider` is empty: set `static: {}`"),
    ("nodeSelector", {}, "`nodeSelector` is empty and would take every node"),
    ("nodeSelector", {"zone": "a b"}, "should match pattern"),
    ("limits", {"minNodes": 3, "maxNodes": 2}, "`limits.maxNodes` is 2 and must not be less than `limits.minNodes`"),
    ("leadTime", {"p50Seconds": 90, "p95Seconds": 60}, "`leadTime.p95Seconds` is 60 and must not be less than"),
    ("cost", {"hourly": "2.5", "avoidableHourly": "10"}, "`cost.avoidableHourly` is 10 and must not exceed"),
    ("unit", {"nodes": 2}, "`limits.maxNodes` is 3 and must be a multiple of `unit.nodes`, which is 2"),
    ("commitment", contract(), "`commitment` is read only with `billing: Reserved`, and billing is Owned"),
    ("commitment", contract(endTime="2026-01-01T00:00:00Z"), "`commitment.endTime` is 2026-01-01T00:00:00Z and must"),
    ("commitment", contract(startTime="soon"), "`commitment.startTime` is soon and no time such as"),
]


@pytest.mark.parametrize(
    ("model", "base", "field", "value", "words"),
    [
        *((ModelServing, "modelserving", *row) for row in SERVING_WRONG),
        *((CapacityPool, "capacitypool", *row) for row in POOL_WRONG),
    ],
)
def test_rules_across_fields_hold_without_a_server(
    model: type[ModelServing | CapacityPool], base: str, field: str, value: object, words: str
) -> None:
    """A file that the API server would refuse is refused on reading too, in the same words."""
    given = copy.deepcopy(example(base))
    given["spec"][field] = value
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    assert words in str(caught.value)
