"""The operator's rights in manifests/rbac.yaml against what it asked for: what was denied, and what was never used."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATOR_USER = "system:serviceaccount:baseload-system:baseload-operator"
DISCOVERY = ("/api", "/apis", "/version", "/openapi")
"""What every authenticated user may read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the authorizer sees it; `resource` with its subresource."""

    verb: str
    group: str
    resource: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role."""

    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def allows(self, asked: Asked) -> bool:
        """Whether a request is covered."""
        named = not self.names or asked.name in self.names
        return asked.group in self.groups and asked.resource in self.resources and asked.verb in self.verbs and named

    def single(self) -> Iterator["Rule"]:
        """The same as rules of one group, one resource and one verb each."""
        for group in self.groups:
            for resource in self.resources:
                for verb in self.verbs:
                    yield Rule((group,), (resource,), (verb,), self.names)

    def __str__(self) -> str:
        return f"{'/'.join(self.verbs)} {', '.join(self.resources)} of '{', '.join(self.groups)}'"


def rules() -> list[Rule]:
    """Every rule that the operator's manifest grants; what an admin adds for other kinds is not among them."""
    documents = yaml.safe_load_all((REPOSITORY / "manifests" / "rbac.yaml").read_text())
    found = [rule for d in documents if d["kind"] in ("Role", "ClusterRole") for rule in d.get("rules") or ()]
    return [
        Rule(tuple(r["apiGroups"]), tuple(r["resources"]), tuple(r["verbs"]), tuple(r.get("resourceNames") or ()))
        for r in found
    ]


def unused(granted: Iterable[Rule], asked: Iterable[Asked]) -> list[Rule]:
    """The rules that no request needed."""
    seen = set(asked)
    return [rule for rule in granted if not any(rule.allows(request) for request in seen)]


def uncovered(granted: Iterable[Rule], asked: Iterable[Asked]) -> list[Asked]:
    """The requests that no rule allows."""
    known = list(granted)
    return [request for request in sorted(set(asked), key=str) if not any(rule.allows(request) for rule in known)]


def _rows_with(audit_log: Path, start: int, text: str) -> Iterator[Mapping[str, Any]]:
    with audit_log.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if text.encode() not in line:
                continue
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def rows_of(audit_log: Path, start: int = 0) -> Iterator[Mapping[str, Any]]:
    """The operator's requests in an audit log, from a byte on."""
    rows = _rows_with(audit_log, start, OPERATOR_USER)
    return (row for row in rows if row["user"]["username"] == OPERATOR_USER)


def role_changes(audit_log: Path, start: int = 0) -> list[float]:
    """When somebody changed the operator's own roles: what is denied right after is what the change asked for."""
    rows = _rows_with(audit_log, start, "rbac.authorization.k8s.io")
    return [
        time_of(row)
        for row in rows
        if (row.get("objectRef") or {}).get("name", "").startswith("baseload-operator")
        and row["verb"] in ("create", "update", "patch", "delete")
    ]


def asked_in(row: Mapping[str, Any]) -> Asked | None:
    """What a row asked for; None for discovery."""
    reference = row.get("objectRef")
    if reference is None or row["requestURI"].split("?")[0].rstrip("/") in DISCOVERY:
        return None
    resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
    return Asked(row["verb"], reference.get("apiGroup") or "", resource, reference.get("name") or "")


def is_denied(row: Mapping[str, Any]) -> bool:
    """Whether a request was refused for want of a right.

    Not for want of one: writes into a namespace that is going away, and what an API server that has just started says
    before it has read the roles.
    """
    answer = row.get("responseStatus") or {}
    why = row.get("annotations", {}).get("authorization.k8s.io/reason", "")
    still_starting = "not found" in why
    return answer.get("code") == 403 and "being terminated" not in answer.get("message", "") and not still_starting


def time_of(row: Mapping[str, Any]) -> float:
    """When a request arrived, in Unix seconds."""
    return datetime.fromisoformat(row["requestReceivedTimestamp"]).timestamp()
