"""The generated CRDs: fresh, small, and to the API conventions of Kubernetes, rule by rule."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import worlds
import yaml
from pydantic import BaseModel

from baseload.api.conditions import CONDITIONS
from baseload.api.crdgen import KINDS, custom_resource_definition, main, render
from baseload.api.reasons import Reason
from baseload.api.schema import structural_schema
from baseload.errors import ConfigError
from baseload.plan.conditions import refused_conditions
from baseload.plan.decision import Condition
from baseload.plan.planner import plan

ROOT = Path(__file__).parents[2]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def all_nodes() -> list[tuple[str, dict[str, Any]]]:
    """Every node of every kind of ours, but for what the API server owns."""
    found = []
    for kind in KINDS:
        (version,) = custom_resource_definition(kind)["spec"]["versions"]
        for path, node in nodes(version["schema"]["openAPIV3Schema"], kind.model.__name__):
            if path.split(".")[-1] not in ("apiVersion", "metadata") or "targetRef" in path:
                found.append((path, node))
    return [(p, n) for p, n in found if not p.endswith((".kind",)) or "targetRef" in p]


NODES = all_nodes()
IDS = [path for path, _ in NODES]


def test_the_files_are_fresh() -> None:
    """crds/ holds exactly what the models say."""
    assert main([str(ROOT / "crds"), "--check"]) == 0


def test_a_stale_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` fails on a missing or changed file and says which."""
    assert main([str(tmp_path), "--check"]) == 1
    assert "baseload.dev_modelservings.yaml" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0


def test_each_definition_fits_into_an_annotation() -> None:
    """`kubectl apply` keeps the whole object in an annotation of 262,144 bytes; ours stay far below."""
    for kind in KINDS:
        assert len(render(kind)) < 150_000


def test_no_scale_subresource_and_a_status_subresource() -> None:
    """Status is a subresource; scale is none, because `replicas` are bounds and not a number."""
    for kind in KINDS:
        (version,) = custom_resource_definition(kind)["spec"]["versions"]
        assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize(("path", "node"), NODES, ids=IDS)
def test_each_node_follows_the_conventions(path: str, node: dict[str, Any]) -> None:
    """Types are stated, numbers are bounded integers, texts and lists have a length, lists a list type."""
    assert node["type"] in ("object", "array", "integer", "string"), f"{path}: floats and bools are not for APIs"
    assert "nullable" not in node
    assert "$ref" not in node
    assert "anyOf" not in node
    if node["type"] == "integer":
        assert node["format"] in ("int32", "int64")
        assert "minimum" in node
        assert "maximum" in node or path.endswith(".observedGeneration")
    if node["type"] == "string":
        assert "maxLength" in node or "enum" in node
    if node["type"] == "array":
        assert "maxItems" in node
        assert "x-kubernetes-list-type" in node


@pytest.mark.parametrize(("path", "node"), [n for n in NODES if not n[0].endswith(("[]", "{}"))])
def test_each_field_is_described(path: str, node: dict[str, Any]) -> None:
    """`kubectl explain` says something about each field."""
    assert node.get("description", "").endswith("."), path


@pytest.mark.parametrize(("path", "node"), [n for n in NODES if n[1]["type"] == "object"])
def test_required_fields_have_no_default_and_list_keys_are_required(path: str, node: dict[str, Any]) -> None:
    """A default on a required field says two things at once; the key of a list map must be there."""
    required = node.get("required", [])
    for name, child in node.get("properties", {}).items():
        assert not (name in required and "default" in child), f"{path}.{name}"
        for key in child.get("x-kubernetes-list-map-keys", []):
            assert key in child["items"]["required"]


def test_names_are_camel_case_and_say_their_unit() -> None:
    """Names as the conventions want them: no underscore, no abbreviated unit, no Timestamp for Time."""
    names = {path.split(".")[-1].rstrip("[]{}") for path in IDS}
    assert not [name for name in names if "_" in name or name.endswith(("Ms", "Secs", "Sec", "Millis", "Timestamp"))]
    times = [path for path, node in NODES if node.get("format") == "date-time"]
    assert times
    assert all(path.lower().endswith("time") for path in times)


def test_patterns_are_anchored_and_read_alike_by_both_engines() -> None:
    """Digits are written `[0-9]`, which Rust and RE2 read alike; an open pattern accepts what it should refuse."""
    patterns = [node["pattern"] for _, node in NODES if "pattern" in node]
    assert len(patterns) >= 5
    assert all(p.startswith("^") and p.endswith("$") and "\\" not in p and "(?" not in p for p in patterns)


def test_numbers_of_replicas_have_no_default() -> None:
    """A defaulted replica number would show up as drift in every GitOps tool."""
    defaulted = [path for path, node in NODES if ".replicas" in path and "default" in node]
    assert not defaulted


def test_what_is_written_as_a_whole_is_atomic() -> None:
    """Only the conditions are merged by key; every other list, and each part with one writer, is one value."""
    merged = [path for path, node in NODES if node.get("x-kubernetes-list-type") == "map"]
    assert merged == ["ModelServing.status.conditions", "CapacityPool.status.conditions"]
    atomic = {path.split(".")[-1] for path, node in NODES if node.get("x-kubernetes-map-type") == "atomic"}
    assert atomic == {"conditions[]", "lastDecision", "replicaModel", "recommendation", "shortage", "display"}


def test_the_field_phase_does_not_exist() -> None:
    """Conditions replace phases."""
    assert not [path for path in IDS if path.endswith(".phase")]


def test_enums_are_camel_case() -> None:
    """Enum values begin with a capital."""
    for path, node in NODES:
        assert all(str(value)[0].isupper() for value in node.get("enum", [])), path


def test_cel_messages_quote_field_and_value() -> None:
    """Each CEL message names a field in back quotes."""
    rules = [rule for _, node in NODES for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) >= 6
    assert all("`" in rule["messageExpression"] for rule in rules)


def test_decided_conditions_are_the_documented_ones(states: list[tuple[Condition, ...]]) -> None:
    """Accepted and refused servings carry each documented condition once, in the documented order."""
    for conditions in states:
        assert [c.type for c in conditions] == [c.name for c in CONDITIONS]


@pytest.fixture
def states() -> list[tuple[Condition, ...]]:
    """The conditions of a serving that is scaled and of one that is refused."""
    scaled = plan(worlds.snapshot(worlds.state()))[0].conditions
    return [scaled, refused_conditions(Reason.TARGET_NOT_FOUND, "gone"), refused_conditions(Reason.FOREIGN_WRITER, "x")]


class _Floats(BaseModel):
    number: float


class _Union(BaseModel):
    either: int | str


class _Recursive(BaseModel):
    child: "_Recursive | None" = None


class _Constant(BaseModel):
    only: Literal["A"] = "A"


@pytest.mark.parametrize(
    ("model", "word"), [(_Floats, "number"), (_Union, "union"), (_Recursive, "itself")], ids=["float", "union", "loop"]
)
def test_what_a_schema_cannot_say_is_refused(model: type[BaseModel], word: str) -> None:
    """Floats, unions and recursion raise instead of giving a schema the API server would refuse."""
    with pytest.raises(ConfigError, match=word):
        structural_schema(model)


def test_a_constant_becomes_an_enum_of_one() -> None:
    """`const` does not exist in structural schemas."""
    only = structural_schema(_Constant)["properties"]["only"]
    assert only == {"default": "A", "enum": ["A"], "type": "string"}


def test_the_example_is_under_twenty_lines() -> None:
    """The example that the README shows is short."""
    text = (ROOT / "manifests/examples/modelserving.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 20
    assert yaml.safe_load(text)["kind"] == "ModelServing"
