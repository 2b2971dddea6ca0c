"""Objects of our own kinds from files that a person wrote: file, line and column of what is wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from pydantic import ValidationError

from baseload.api.base import API_VERSION, ApiModel
from baseload.api.models import CapacityPool, ModelServing
from baseload.errors import ConfigError

Model = TypeVar("Model", bound=ApiModel)


class Mark(Protocol):
    """A place in a file, counted from 0."""

    line: int
    column: int


@dataclass(slots=True)
class Manifests:
    """What the files hold, in their order: pools and servings by name, and objects of other kinds as they are."""

    pools: dict[str, CapacityPool] = field(default_factory=dict)
    servings: dict[str, ModelServing] = field(default_factory=dict)
    others: list[dict[str, Any]] = field(default_factory=list)


def read_manifests(paths: Sequence[Path]) -> Manifests:
    """Read YAML files of one or more objects each; ConfigError names file, line, column, value and remedy."""
    found = Manifests()
    for path in paths:
        for node in _documents(path):
            _add(found, path, node)
    return found


def _documents(path: Path) -> Iterator[yaml.Node]:
    try:
        text = path.read_text(encoding="utf-8")
        yield from (node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise _wrong(path, error.problem_mark, f"this is no YAML: {problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is no YAML: {error}") from error


def _add(found: Manifests, path: Path, node: yaml.Node) -> None:
    loader = yaml.SafeLoader("")
    try:
        content = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _wrong(path, error.problem_mark, str(error.problem)) from error
    if not isinstance(content, dict):
        raise _wrong(path, node.start_mark, f"{content!r} is no object with apiVersion and kind")
    if content.get("apiVersion") != API_VERSION:
        found.others.append(content)
        return
    name = content.get("metadata", {}).get("name") if isinstance(content.get("metadata"), dict) else None
    if not isinstance(name, str) or not name:
        raise _wrong(path, node.start_mark, "metadata.name is missing; give the object a name")
    kind = content.get("kind")
    if kind == "CapacityPool":
        found.pools[name] = _model(CapacityPool, path, node, content)
    elif kind == "ModelServing":
        found.servings[name] = _model(ModelServing, path, node, content)
    else:
        raise _wrong(path, node.start_mark, f"kind {kind!r} is not CapacityPool or ModelServing")


def _model(model: type[Model], path: Path, node: yaml.Node, content: dict[str, Any]) -> Model:
    try:
        # The API server would drop a field that it does not know, or warn; here a slip must not pass unseen.
        given = {name: content[name] for name in ("spec", "status") if name in content}
        return model.model_validate(given, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        given = first["input"]
        value = "" if isinstance(given, dict | list) else f"{given!r}: "
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            problem = "there is no such field; docs/reference/api.md has all of them"
        raise _wrong(path, _mark(node, first["loc"]), f"{place}: {value}{problem}") from error


def _mark(node: yaml.Node, place: Sequence[int | str]) -> Mark:
    """Return where a field stands, or the nearest part around it that is there."""
    for part in place:
        children = node.value if isinstance(node, yaml.MappingNode | yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [value for key, value in children if key.value == part]
        elif isinstance(part, int):
            children = children[part : part + 1]
        if not children:
            break
        node = children[0]
    mark: Mark = node.start_mark
    return mark


def _wrong(path: Path, mark: Mark | None, what: str) -> ConfigError:
    place = "" if mark is None else f" line {mark.line + 1}, column {mark.column + 1}:"
    return ConfigError(f"{path}:{place} {what}")
