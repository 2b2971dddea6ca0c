"""Each field's wrong values, derived from the schema itself, against the real API server."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from baseload.api.models import CapacityPool, ModelServing
from baseload.api.schedule import ZONE_KNOWN
from baseload.api.schema import Schema, structural_schema
from baseload.errors import LabError
from baseload.lab.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
WORDS_OF_VALIDATOR = "Value error, "
REMOVED = object()
"""The wrong value of a required field: not there."""

FULL_SERVING: dict[str, Any] = {
    "apiVersion": "baseload.dev/v1alpha1",
    "kind": "ModelServing",
    "metadata": {"name": "full", "namespace": "default"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
        "objective": {
            "timeToFirstToken": {"targetMilliseconds": 800, "attainmentPercent": 99},
            "interTokenLatency": {"targetMilliseconds": 50, "attainmentPercent": 95},
        },
        "metricsProfileName": "vllm",
        "replicas": {"min": 2, "max": 64},
        "priorityClassName": "serving-critical",
        "behavior": {"scaleDown": {"stabilizationSeconds": 300, "maxStepPercent": 50}},
        "schedules": [
            {
                "timeZone": "Europe/Berlin",
                "days": ["Mon", "Tue"],
                "start": "07:00",
                "end": "01:00",
                "replicas": {"min": 8, "max": 32},
            }
        ],
        "onMetricsLoss": {"policy": "Fallback", "replicas": 8},
        "poolSelector": {
            "matchLabels": {"zone": "a"},
            "matchExpressions": [{"key": "region", "operator": "In", "values": ["eu"]}],
        },
        "burst": {"policy": "Auto", "maxHourlyCost": "400"},
        "mode": "Enforce",
    },
}

CONTRACT = {
    "nodes": 8,
    "startTime": "2027-01-01T00:00:00Z",
    "endTime": "2028-01-01T00:00:00Z",
    "hourly": "4.20",
    "takeOrPayPercent": 80,
}

FULL_POOL: dict[str, Any] = {
    "apiVersion": "baseload.dev/v1alpha1",
    "kind": "CapacityPool",
    "metadata": {"name": "full"},
    "spec": {
        "provider": {"static": {}},
        "billing": "Reserved",
        "ordering": "Queued",
        "unit": {"nodes": 2},
        "nodeSelector": {"zone": "a"},
        "accelerator": {"resource": "nvidia.com/gpu", "product": "H100", "perNode": 8},
        "limits": {"minNodes": 0, "maxNodes": 12},
        "cost": {
            "hourly": "6.88",
            "per": "Accelerator",
            "avoidableHourly": "1.10",
            "minBillingSeconds": 60,
            "egressPerGiB": "0.08",
        },
        "leadTime": {"p50Seconds": 420, "p95Seconds": 900},
        "hold": {"minimumSeconds": 300},
        "commitment": CONTRACT,
    },
}

FULL: dict[type[BaseModel], dict[str, Any]] = {ModelServing: FULL_SERVING, CapacityPool: FULL_POOL}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong value at a path below the object, and what the refusal must contain beside the path."""

    path: tuple[str, ...]
    value: object
    phrases: tuple[str, ...]

    def __str__(self) -> str:
        value = "removed" if self.value is REMOVED else f"{self.value!s:.24}"
        return f"{'.'.join(self.path)}={value}"


def wrong_values(node: Schema, path: tuple[str, ...]) -> Iterator[Wrong]:
    """What the schema of a field says is wrong for it and for the fields below it."""
    if node["type"] == "integer":
        below, above = node["minimum"] - 1, node["maximum"] + 1
        yield Wrong(path, below, (f"{below}: ", f"greater than or equal to {node['minimum']}"))
        yield Wrong(path, above, (f"{above}: ", f"less than or equal to {node['maximum']}"))
        yield Wrong(path, "three", ("integer",))
        yield Wrong(path, 1.5, ("integer",))
    elif node["type"] == "string":
        # What ought to be a time is read as one before its type is told.
        yield Wrong(path, 7, ("Invalid value",) if node.get("format") == "date-time" else ("string",))
        yield from _wrong_texts(node, path)
    elif node["type"] == "array":
        yield from wrong_values(node["items"], (*path, "0"))
        if node.get("minItems"):
            yield Wrong(path, [], (f"at least {node['minItems']}",))
    elif "additionalProperties" in node:
        yield from wrong_values(node["additionalProperties"], (*path, "zone"))
        many = {f"label-{number}": "x" for number in range(node["maxProperties"] + 1)}
        yield Wrong(path, many, (f"at most {node['maxProperties']}",))
    else:
        yield Wrong(path, "text", ("object",))
        for name in node.get("required", []):
            yield Wrong((*path, name), REMOVED, ("Required value",))
        for name, child in node["properties"].items():
            yield from wrong_values(child, (*path, name))


def _wrong_texts(node: Schema, path: tuple[str, ...]) -> Iterator[Wrong]:
    if "enum" in node:
        allowed = tuple(f'"{value}"' for value in node["enum"])
        yield Wrong(path, "Wrong", ('Unsupported value: "Wrong"', *allowed))
        return
    longest = node["maxLength"]
    yield Wrong(path, "x" * (longest + 1), (f"may not be more than {longest}",))
    if node.get("minLength"):
        yield Wrong(path, "", ("at least 1",))
    if "pattern" in node:
        yield Wrong(path, "~ ~", ('"~ ~"', "should match"))


def cases() -> list[Any]:
    """All wrong values of both kinds."""
    found: list[Any] = []
    for model in FULL:
        spec = structural_schema(model)["properties"]["spec"]
        wrongs = wrong_values(spec, ("spec",))
        found += [pytest.param(model, wrong, id=f"{model.__name__}:{wrong}") for wrong in wrongs]
    return found


def spoiled(model: type[BaseModel], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """The full object with one value changed or taken out."""
    made = copy.deepcopy(FULL[model])
    at: Any = made
    for name in path[:-1]:
        at = at[int(name)] if isinstance(at, list) else at[name]
    if isinstance(at, list):
        at[int(path[-1])] = value
    elif value is REMOVED:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


def as_server_writes(path: tuple[str, ...]) -> str:
    """A path as the API server names it: list items by their number in brackets."""
    return "".join(f"[{name}]" if name.isdecimal() else f".{name}" for name in path)[1:]


@pytest.fixture(scope="module", autouse=True)
def definitions(cluster: Kubectl) -> None:
    """Our CRDs, established."""
    cluster.apply(ROOT / "crds")
    cluster("wait", "--for=condition=Established", "crd/modelservings.baseload.dev", "crd/capacitypools.baseload.dev")


def create(cluster: Kubectl, what: dict[str, Any]) -> str:
    """Create on the server without keeping."""
    return cluster("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(what))


@pytest.mark.parametrize("model", list(FULL))
def test_the_full_object_is_right(cluster: Kubectl, model: type[BaseModel]) -> None:
    """An object with every field set is accepted, so that what follows is refused for the one wrong value."""
    assert "created" in create(cluster, FULL[model])
    assert set(FULL[model]["spec"]) == set(structural_schema(model)["properties"]["spec"]["properties"])


@pytest.mark.parametrize(("model", "wrong"), cases())
def test_a_wrong_value_is_refused_by_its_path(cluster: Kubectl, model: type[BaseModel], wrong: Wrong) -> None:
    """The refusal names the path of the field and says what is allowed."""
    with pytest.raises(LabError) as refusal:
        create(cluster, spoiled(model, wrong.path, wrong.value))
    assert as_server_writes(wrong.path) in str(refusal.value)
    assert all(phrase in str(refusal.value) for phrase in wrong.phrases), refusal.value


ACROSS_FIELDS = [
    (ModelServing, ("spec", "objective"), {}),
    (ModelServing, ("spec", "objective", "timeToFirstToken", "targetMilliseconds"), 49),
    (ModelServing, ("spec", "replicas"), {"min": 65, "max": 64}),
    (ModelServing, ("spec", "priorityClassName"), "system-node-critical"),
    (ModelServing, ("spec", "schedules", "0", "replicas"), {}),
    (ModelServing, ("spec", "schedules", "0", "replicas"), {"min": 9, "max": 8}),
    (ModelServing, ("spec", "schedules", "0", "replicas"), {"min": 65}),
    (ModelServing, ("spec", "schedules", "0", "replicas"), {"max": 1}),
    (ModelServing, ("spec", "onMetricsLoss"), {"policy": "Fallback"}),
    (ModelServing, ("spec", "onMetricsLoss"), {"policy": "Fallback", "replicas": 65}),
    (ModelServing, ("spec", "poolSelector"), {}),
    (ModelServing, ("spec", "poolSelector", "matchExpressions", "0"), {"key": "region", "operator": "In"}),
    (ModelServing, ("spec", "burst"), {"policy": "Never", "maxHourlyCost": "400"}),
    (CapacityPool, ("spec", "provider"), {}),
    (CapacityPool, ("spec", "nodeSelector"), {}),
    (CapacityPool, ("spec", "limits"), {"minNodes": 14, "maxNodes": 12}),
    (CapacityPool, ("spec", "limits"), {"minNodes": 0, "maxNodes": 13}),
    (CapacityPool, ("spec", "limits"), {"minNodes": 1, "maxNodes": 12}),
    (CapacityPool, ("spec", "leadTime"), {"p50Seconds": 901, "p95Seconds": 900}),
    (CapacityPool, ("spec", "cost", "avoidableHourly"), "7"),
    (CapacityPool, ("spec", "billing"), "OnDemand"),
    (CapacityPool, ("spec", "commitment", "nodes"), 14),
    (CapacityPool, ("spec", "commitment"), {**CONTRACT, "endTime": "2026-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("model", "path", "value"), ACROSS_FIELDS)
def test_server_and_models_refuse_in_the_same_words(
    cluster: Kubectl, model: type[BaseModel], path: tuple[str, ...], value: object
) -> None:
    """A rule across fields says the same whether the API server or the model checks it."""
    given = spoiled(model, path, value)
    with pytest.raises(ValidationError) as local:
        model.model_validate(given)
    (error,) = local.value.errors()
    with pytest.raises(LabError) as remote:
        create(cluster, given)
    assert error["msg"].removeprefix(WORDS_OF_VALIDATOR) in str(remote.value)


def test_server_and_models_know_the_same_time_zones(cluster: Kubectl) -> None:
    """An unknown zone is refused by both; on the server its own function fails and says why."""
    given = spoiled(ModelServing, ("spec", "schedules", "0", "timeZone"), "Mars/Base")
    with pytest.raises(ValidationError, match="unknown time zone Mars/Base; use a name"):
        ModelServing.model_validate(given)
    with pytest.raises(LabError, match=r"spec\.schedules\[0\]\.timeZone: .*unknown time zone Mars/Base"):
        create(cluster, given)


def test_every_rule_across_fields_is_tried() -> None:
    """A new CEL rule needs a row above; that of the time zone has a test of its own."""

    def count(node: Schema) -> int:
        below = sum(count(child) for child in (*node.get("properties", {}).values(), *_items(node)))
        rules = [r for r in node.get("x-kubernetes-validations", []) if r != ZONE_KNOWN]
        return below + len(rules)

    assert sum(count(structural_schema(model)["properties"]["spec"]) for model in FULL) == len(ACROSS_FIELDS)


def _items(node: Schema) -> tuple[Schema, ...]:
    return (node["items"],) if "items" in node else ()
