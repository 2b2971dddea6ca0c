"""The replica model in status and back: what must survive a restart. Unreadable means learn again."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

import orjson

from baseload.api.models import STATE_VERSION
from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import fit

FIELDS = tuple(field.name for field in fields(ReplicaModel))


def model_to_status(model: ReplicaModel, rps_per_replica: float | None) -> dict[str, Any]:
    """The learned sums as JSON text in the order of the fields, and three numbers for people (None removes one)."""
    law = fit(model)
    values = [None if value is None else float(f"{value:.10g}") for value in asdict(model).values()]
    return {
        "stateVersion": STATE_VERSION,
        "state": orjson.dumps(values).decode(),
        "unloadedInterTokenMicroseconds": None if law is None else max(round(law.alpha_seconds * 1e6), 0),
        "interTokenMicrosecondsPerSequence": None if law is None else f"{law.slope_seconds * 1e6:.1f}",
        "requestsPerSecondPerReplica": None if rps_per_replica is None else f"{rps_per_replica:.3f}",
    }


def model_from_status(status: Mapping[str, Any]) -> ReplicaModel:
    """The model of a status; another version or anything unreadable gives a fresh one."""
    if status.get("stateVersion") != STATE_VERSION:
        return ReplicaModel()
    try:
        values = orjson.loads(status.get("state", ""))
        if len(values) != len(FIELDS) or not all(v is None or isfinite(v) for v in values):
            return ReplicaModel()
        return ReplicaModel(**dict(zip(FIELDS, values, strict=True)))
    except (orjson.JSONDecodeError, TypeError):
        return ReplicaModel()
