"""Count one user's writes in the API server's audit log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from baseload.lab.demo_record import Writes

_WRITING: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Write:
    """One successful write: Unix time of its arrival, verb, and resource with subresource (`deployments/scale`)."""

    time: float
    verb: str
    resource: str


def writes_of(audit_log: Path, user: str, since: float, until: float) -> list[Write]:
    """Return the writes of `user` that arrived in [since, until] (Unix seconds) and succeeded, leases left out."""
    return sorted(
        (write for write in _writes(audit_log, user) if since <= write.time <= until), key=lambda write: write.time
    )


def count(writes: list[Write], started: float) -> Writes:
    """Sort writes into scale, status and events; times become seconds since `started`."""
    scales = [write for write in writes if write.resource.endswith("/scale")]
    return Writes(
        scale=len(scales),
        status=sum(write.resource.endswith("/status") for write in writes),
        events=sum(write.resource == "events" for write in writes),
        scale_times_seconds=tuple(write.time - started for write in scales),
    )


def answered(breaches: list[tuple[float, float]], scale_times: list[float]) -> tuple[float, ...]:
    """Return the seconds from each (breach, logged) to its scale write: the last one before the line was logged.

    All are Unix seconds.
    """
    delays = []
    for breach, logged in breaches:
        before = [time for time in scale_times if time <= logged]
        if before:
            delays.append(max(before[-1] - breach, 0.0))
    return tuple(delays)


def _writes(audit_log: Path, user: str) -> Iterator[Write]:
    needle = json.dumps(user)
    with audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            if needle not in line:
                continue
            entry = _parsed(line)
            if entry is None or entry.get("user", {}).get("username") != user or entry.get("verb") not in _WRITING:
                continue
            reference = entry.get("objectRef", {})
            code = entry.get("responseStatus", {}).get("code", 0)
            if entry.get("stage") != "ResponseComplete" or code >= 300 or reference.get("resource") == "leases":
                continue
            resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
            yield Write(_unix(entry["requestReceivedTimestamp"]), entry["verb"], resource)


def _parsed(line: str) -> dict[str, Any] | None:
    # The last line may be half written.
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return entry


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
