"""The status of a CapacityPool: its nodes and accelerators, written only when they change."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baseload.act.status import rfc3339
from baseload.act.writer import KubeWriter
from baseload.api.reasons import Reason
from baseload.errors import ApiError, ConflictError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What is known of a pool: `refusal` says why it cannot be used, None when it can."""

    name: str
    uid: str
    resource_version: str
    generation: int
    status: Mapping[str, Any]
    nodes: int
    accelerators: int
    refusal: str | None = None


class PoolPublisher:
    """Writes pool statuses that changed; a pool is written once for what the watch has not shown yet."""

    def __init__(self, writer: KubeWriter) -> None:
        self._writer = writer
        self._written: dict[str, tuple[str, tuple[object, ...]]] = {}

    async def publish(self, report: PoolReport, now: float) -> None:
        """Write the status if it says something new; a failure is left to the next tick."""
        wished = _essence(build_pool_status(report, now))
        if wished == _essence(report.status):
            return
        if self._written.get(report.name) == (report.resource_version, wished):
            return
        try:
            await self._writer.pool_status(report.name, build_pool_status(report, now), report.resource_version)
            self._written[report.name] = (report.resource_version, wished)
        except ConflictError:
            logger.info("pool status is stale", extra={"pool": report.name})
        except ApiError as error:
            logger.warning("pool status not written", extra={"pool": report.name, "error": str(error)})


def build_pool_status(report: PoolReport, now: float) -> dict[str, Any]:
    """The whole status; the transition time stays while Ready stays."""
    reason, message = Reason.ACCEPTED, f"{report.nodes} usable nodes"
    if report.refusal is not None:
        reason, message = Reason.INVALID_SPEC, report.refusal
    elif report.nodes == 0:
        reason, message = Reason.NO_NODES, "no Ready, schedulable node carries the labels of `spec.nodeSelector`"
    value = "True" if reason is Reason.ACCEPTED else "False"
    before = next((c for c in report.status.get("conditions") or () if c["type"] == "Ready"), None)
    same = before is not None and before["status"] == value
    return {
        "observedGeneration": report.generation,
        "nodes": report.nodes,
        "accelerators": report.accelerators,
        "conditions": [
            {
                "type": "Ready",
                "status": value,
                "reason": str(reason),
                "message": message[:1024],
                "observedGeneration": report.generation,
                "lastTransitionTime": before["lastTransitionTime"] if before and same else rfc3339(now),
            }
        ],
    }


def _essence(status: Mapping[str, Any]) -> tuple[object, ...]:
    ready = [(c["status"], c["reason"]) for c in status.get("conditions") or () if c["type"] == "Ready"]
    return status.get("observedGeneration"), status.get("nodes"), status.get("accelerators"), tuple(ready)
