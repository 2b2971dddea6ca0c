"""What an admin installs, as the manifests say it: the one source of the rights and policies that are looked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

import baseload
from baseload.errors import ConfigError

Raw = dict[str, Any]

ACCOUNT: Final = "baseload-operator"
NAMESPACE: Final = "baseload-system"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; an empty `namespace` means all of them, an empty `name` every object."""

    group: str
    resource: str
    subresource: str
    verb: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        group = f".{self.group}" if self.group else ""
        name = f" '{self.name}'" if self.name else ""
        return f"{self.verb} {resource}{group}{name}"


def rights(operator_namespace: str = NAMESPACE) -> tuple[Right, ...]:
    """All rights that manifests/rbac.yaml gives the operator: cluster-wide ones, and those in its own namespace."""
    found: list[Right] = []
    for document in documents("rbac.yaml"):
        if document["kind"] in ("ClusterRole", "Role"):
            namespace = operator_namespace if document["kind"] == "Role" else ""
            for rule in document.get("rules") or ():
                found += _rights(rule, namespace)
    return tuple(sorted(set(found)))


def documents(name: str) -> tuple[Raw, ...]:
    """The documents of a file of manifests/, from the installed package or the checkout."""
    return tuple(yaml.safe_load_all(_text(name)))


@cache
def _text(name: str) -> str:
    packaged = files(baseload) / "manifests" / name
    checkout = Path(baseload.__file__).resolve().parents[2] / "manifests" / name
    for place in (packaged, checkout):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise ConfigError(f"manifests/{name} is neither in the package nor at {checkout}; install Baseload again")


def _rights(rule: Raw, namespace: str) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for full in rule["resources"]:
            resource, _, subresource = full.partition("/")
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames") or ("",):
                    yield Right(group, resource, subresource, verb, name, namespace)
