"""From pydantic's JSON schema to the structural schema that the API server accepts.

The API server knows no `$ref`, null, const, discriminator, tuple or unformatted number; what cannot be expressed
raises, so that a model is changed rather than a rule lost.
"""

from typing import Any, Final

from pydantic import BaseModel

from baseload.errors import ConfigError

Schema = dict[str, Any]

INT32_LARGEST: Final = 2**31 - 1

DROPPED: Final = frozenset({"title", "$defs", "additionalProperties"})
"""Keys that are noise or forbidden; maps keep their `additionalProperties`."""

FORBIDDEN: Final = frozenset({"oneOf", "discriminator", "prefixItems", "uniqueItems", "not", "patternProperties"})


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model; raises ConfigError when a part of it cannot be expressed."""
    given = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(given, given.get("$defs", {}), model.__name__, ())


def _convert(node: Schema, definitions: dict[str, Schema], path: str, seen: tuple[str, ...]) -> Schema:
    node, seen = _inline(node, definitions, path, seen)
    node = _without_null(node, path)
    if "$ref" in node:
        return _convert(node, definitions, path, seen)
    bad = FORBIDDEN & node.keys()
    if bad:
        raise ConfigError(f"{path}: {', '.join(sorted(bad))} cannot stand in a structural schema")
    made = {key: value for key, value in node.items() if key not in DROPPED}
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if "default" in made:
        _clean_default(made)
    kind = made.get("type")
    if kind == "object":
        _convert_object(made, node, definitions, path, seen)
    elif kind == "array":
        made["items"] = _convert(node["items"], definitions, f"{path}[]", seen)
    elif kind == "integer":
        made.setdefault("format", "int32" if made.get("maximum", INT32_LARGEST + 1) <= INT32_LARGEST else "int64")
    elif kind not in ("string", "boolean"):
        raise ConfigError(f"{path}: type {kind!r} cannot stand in a structural schema; numbers are integers or text")
    return made


def _inline(
    node: Schema, definitions: dict[str, Schema], path: str, seen: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Put the definition in place of its reference; what stands beside the reference wins."""
    while "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        if name in seen:
            raise ConfigError(f"{path}: {name} contains itself, which no structural schema can")
        seen = (*seen, name)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        node = {**definitions[name], **beside}
    return node, seen


def _without_null(node: Schema, path: str) -> Schema:
    """Optional fields are simply not required: `anyOf: [X, null]` becomes X."""
    if "anyOf" not in node:
        return node
    members = [member for member in node["anyOf"] if member.get("type") != "null"]
    if len(members) != 1:
        raise ConfigError(f"{path}: a union of {len(members)} types cannot stand in a structural schema")
    beside = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
    return {**members[0], **beside}


def _clean_default(made: Schema) -> None:
    """Null or an empty list is no default: it would only stand in every stored object."""
    given = made["default"]
    if given is None or given == []:
        del made["default"]
    elif isinstance(given, dict):
        made["default"] = {key: value for key, value in given.items() if value is not None}


def _convert_object(
    made: Schema, node: Schema, definitions: dict[str, Schema], path: str, seen: tuple[str, ...]
) -> None:
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        made["additionalProperties"] = _convert(values, definitions, f"{path}{{}}", seen)
    if "properties" in node:
        made["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}", seen) for name, child in node["properties"].items()
        }
