"""Judge by the API server's audit log which leader wrote what, and whether an old one wrote over a new one.

Each operator process has a token of its own, whose id the server logs with every request. The order of the first lease
writes is the order of the leaders. Where the log holds the answers, resourceVersions give the order of writes;
otherwise a write counts as later only if it arrived after the other was done.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_WRITING: Final = frozenset({"create", "update", "patch", "delete"})
_LEASES: Final = "leases"

AUDIT_POLICY: Final[dict[str, Any]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": sorted(_WRITING),
            "users": ["system:serviceaccount:baseload-system:baseload-operator"],
        },
        {"level": "Metadata"},
    ],
}
"""Keeps the answers to the operator's writes, with their resourceVersions."""


@dataclass(frozen=True, slots=True)
class AuditedWrite:
    """A write: whose token, of which object, Unix times of arrival and end, and what the answer told.

    `code` is the server's answer: 409 for a version older than the object's, 504 when the client was gone before the
    server was done.
    """

    token: str
    resource: str
    subject: tuple[str, str, str]
    received: float
    done: float
    version: int | None
    code: int = 200
    replicas: int | None = None
    """The number that was written, in a scale or as the intent in a status; None where the answer was not kept."""

    @property
    def accepted(self) -> bool:
        """Whether it was carried out."""
        return 200 <= self.code < 300

    @property
    def is_lease(self) -> bool:
        """Whether it took, renewed or gave up the lease."""
        return self.resource == _LEASES

    def is_after(self, other: "AuditedWrite") -> bool:
        """Whether it was surely carried out after another."""
        if self.version is not None and other.version is not None:
            return self.version > other.version
        return self.received > other.done


@dataclass(frozen=True, slots=True)
class LateWrite:
    """A write of an old leader after another led, to an object that one had not written; when it was written over."""

    write: AuditedWrite
    corrected_seconds: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The leaders' tokens in their order, and their writes after a newer one had the lease.

    Accepted over a newer leader's write, accepted elsewhere, and not accepted.
    """

    leaders: tuple[str, ...]
    overwrites: tuple[AuditedWrite, ...]
    late: tuple[LateWrite, ...]
    refused: tuple[AuditedWrite, ...]


def token_id(token: str) -> str:
    """Return what the audit log calls a ServiceAccount token."""
    payload = token.split(".")[1]
    content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"JTI={content['jti']}"


def audited_writes(audit_log: Path, tokens: Sequence[str]) -> list[AuditedWrite]:
    """Return what these token ids wrote or tried to write, in the order of the log."""
    known = frozenset(tokens)
    found = []
    with audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if _CREDENTIAL not in line:
                continue
            write = _write(line, known)
            if write is not None:
                found.append(write)
    return found


def judge(writes: Sequence[AuditedWrite]) -> Judgement:
    """Find what old leaders wrote, or tried to, after a newer one had the lease."""
    acquired: dict[str, AuditedWrite] = {}
    for write in writes:
        if write.is_lease and write.accepted:
            acquired.setdefault(write.token, write)
    leaders = tuple(acquired)
    epoch = {token: number for number, token in enumerate(leaders)}
    ours = [write for write in writes if not write.is_lease and write.token in epoch]
    newer = {token: [acquired[later] for later in leaders[number + 1 :]] for token, number in epoch.items()}
    by_subject: dict[tuple[str, str, str], list[AuditedWrite]] = defaultdict(list)
    for write in ours:
        if write.accepted:
            by_subject[write.subject].append(write)
    overwrites: list[AuditedWrite] = []
    late: list[LateWrite] = []
    for same in by_subject.values():
        for write in same:
            others = [other for other in same if epoch[other.token] > epoch[write.token]]
            if any(write.is_after(other) for other in others):
                overwrites.append(write)
            elif _is_late(write, newer):
                after = [other.done - write.done for other in others if other.resource == write.resource]
                late.append(LateWrite(write, min(after, default=None)))
    refused = tuple(write for write in ours if not write.accepted and _is_late(write, newer))
    return Judgement(leaders, tuple(overwrites), tuple(late), refused)


def _is_late(write: AuditedWrite, newer: Mapping[str, Sequence[AuditedWrite]]) -> bool:
    return any(write.is_after(acquired) for acquired in newer[write.token])


def _write(line: str, tokens: frozenset[str]) -> AuditedWrite | None:
    try:
        entry = json.loads(line)
    except ValueError:
        # The last line may be half written.
        return None
    credential = entry.get("user", {}).get("extra", {}).get(_CREDENTIAL, [""])[0]
    code = int(entry.get("responseStatus", {}).get("code", 500))
    if credential not in tokens or entry.get("stage") != "ResponseComplete" or entry["verb"] not in _WRITING:
        return None
    where, answer = entry["objectRef"], entry.get("responseObject") or {}
    version = None if code >= 300 else answer.get("metadata", {}).get("resourceVersion")
    name = where.get("name") or answer.get("metadata", {}).get("name") or ""
    resource = "/".join(filter(None, (where["resource"], where.get("subresource"))))
    return AuditedWrite(
        token=credential,
        resource=resource,
        subject=(where["resource"], where.get("namespace", ""), name),
        received=_unix(entry["requestReceivedTimestamp"]),
        done=_unix(entry["stageTimestamp"]),
        version=None if version is None else int(version),
        code=code,
        replicas=_replicas(answer),
    )


def _replicas(answer: Mapping[str, Any]) -> int | None:
    if answer.get("kind") == "Scale":
        return int(answer["spec"].get("replicas", 0))
    variants = answer.get("status", {}).get("variants") if answer.get("kind") == "ModelServing" else None
    return None if not variants else variants[0].get("desired")


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
