"""ModelServings made from the CRD's schema: any that the server accepts, and any that it must refuse."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import ValidationError

from baseload.api.models import ModelServingSpec

CRD = Path(__file__).resolve().parents[2] / "crds" / "baseload.dev_modelservings.yaml"
FIXED: dict[str, Any] = {
    "spec.targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
    # The server asks its own time zone database, so only names that all of them have.
    "timeZone": "UTC",
}
KEYS = ("region", "example.com/chip")
"""Keys of maps, such as labels have."""
Spec = dict[str, Any]


@cache
def schema() -> Spec:
    """The schema of the spec as it is installed."""
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    found: Spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def any_value(node: Spec, path: str) -> st.SearchStrategy[Any]:
    """Whatever a node of the schema allows; rules across fields are left to `good`."""
    fixed = FIXED.get(path, FIXED.get(path.rsplit(".", 1)[-1]))
    if fixed is not None:
        return st.just(fixed)
    return st.sampled_from(node["enum"]) if "enum" in node else MAKERS[node["type"]](node, path)


def _any_object(node: Spec, path: str) -> st.SearchStrategy[Any]:
    if "properties" not in node:
        return st.dictionaries(st.sampled_from(KEYS), any_value(node["additionalProperties"], path), max_size=2)
    fields = {name: any_value(child, f"{path}.{name}") for name, child in node["properties"].items()}
    needed = node.get("required", [])
    optional = {name: strategy for name, strategy in fields.items() if name not in needed}
    return st.fixed_dictionaries({name: fields[name] for name in needed}, optional=optional)


def _any_list(node: Spec, path: str) -> st.SearchStrategy[Any]:
    unique = node.get("x-kubernetes-list-type") == "set"
    return st.lists(any_value(node["items"], path), min_size=node.get("minItems", 0), max_size=2, unique=unique)


def _any_number(node: Spec, _path: str) -> st.SearchStrategy[Any]:
    return st.integers(node["minimum"], node["maximum"])


def _any_text(node: Spec, _path: str) -> st.SearchStrategy[Any]:
    text = st.from_regex(re.compile(node["pattern"], re.ASCII), fullmatch=True)
    return text.filter(lambda value: node.get("minLength", 0) <= len(value) <= node["maxLength"])


MAKERS = {"object": _any_object, "array": _any_list, "integer": _any_number, "string": _any_text}


def refusal(spec: Spec) -> str | None:
    """What the models say against a spec."""
    try:
        ModelServingSpec.model_validate(spec)
    except ValidationError as error:
        return str(error)
    return None


def _in_order(spec: Spec) -> Spec:
    """Put right what rules across fields want, so that few examples are thrown away."""
    for replicas in (spec["replicas"], *(s["replicas"] for s in spec.get("schedules", ()))):
        if "min" in replicas and "max" in replicas:
            replicas["min"], replicas["max"] = sorted((replicas["min"], replicas["max"]))
    objective = spec["objective"]
    if not objective:
        objective["timeToFirstToken"] = {"targetMilliseconds": 800}
    if len(objective) == 2:
        first, between = objective["timeToFirstToken"], objective["interTokenLatency"]
        low, high = sorted((first["targetMilliseconds"], between["targetMilliseconds"]))
        first["targetMilliseconds"], between["targetMilliseconds"] = high, low
    if "maxHourlyCost" in spec.get("burst", {}):
        spec["burst"]["policy"] = "Auto"
    selector = spec.get("poolSelector", {"matchLabels": {}})
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        selector["matchLabels"] = {"region": "eu"}
    for row in selector.get("matchExpressions", ()):
        row["operator"] = "In" if row.get("values") else "Exists"
    return spec


any_spec = st.deferred(lambda: any_value(schema(), "spec"))
good = any_spec.map(_in_order).filter(lambda spec: refusal(spec) is None)
"""Specs that are accepted."""


@st.composite
def broken(draw: st.DrawFn) -> Spec:
    """A spec with one thing wrong: a bound, a type, a word, or something that is needed missing."""
    spec: Spec = draw(good)
    wrong = draw(st.sampled_from(["bound", "type", "word", "missing", "rule"]))
    match wrong:
        case "bound":
            spec["replicas"] = {"min": 0, "max": 3}
        case "type":
            spec["replicas"] = {"min": "two", "max": 3}
        case "word":
            spec["mode"] = "Perhaps"
        case "missing":
            del spec["objective"]
        case "rule":
            spec["replicas"] = {"min": 5, "max": 4}
    return spec
