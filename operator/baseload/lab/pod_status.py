"""What the node agent writes to the API about a pod, as a kubelet would."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from baseload.errors import ApiError, ConflictError, NotFoundError, UnavailableError
from baseload.lab.kube_client import STRATEGIC_MERGE, KubeClient
from baseload.lab.served_pod import ServedPod

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5


async def set_ready(
    api: KubeClient, pod: ServedPod, *, ready: bool, reason: str = "", message: str = "", restarts: int = 0
) -> None:
    """Set the pod's Ready and ContainersReady, however long the API server is away; nothing if the pod is gone."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = "True" if ready else "False"
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": reason or None,
            "message": message or None,
            "lastTransitionTime": now,
        }
        for kind in ("ContainersReady", "Ready")
    ]
    containers: list[dict[str, Any]] = []
    for number, container in enumerate(pod.raw["status"].get("containerStatuses") or []):
        count = restarts if number == 0 else container.get("restartCount", 0)
        containers.append({**container, "ready": ready, "started": ready, "restartCount": count})
    body = {
        "metadata": {"uid": pod.uid},
        "status": {"conditions": conditions, **({"containerStatuses": containers} if containers else {})},
    }
    await _insist(api, "PATCH", f"{pod.path}/status", body, STRATEGIC_MERGE)


async def remove(api: KubeClient, pod: ServedPod) -> None:
    """Delete the pod object at once, and no other of the same name; nothing if it is gone."""
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": pod.uid},
    }
    await _insist(api, "DELETE", pod.path, body, "application/json")


async def _insist(api: KubeClient, method: str, path: str, body: dict[str, Any], content_type: str) -> None:
    """Send a write until the API server has taken or refused it."""
    while True:
        try:
            await api.call(method, path, body=body, content_type=content_type)
        except (NotFoundError, ConflictError):
            # Gone, or another pod has its name now: nothing of ours is left to write to.
            return
        except UnavailableError as error:
            logger.warning("API server is away, will write again", extra={"path": path, "error": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
        except ApiError as error:
            logger.warning("API server refused a write", extra={"path": path, "error": str(error)})
            return
        else:
            return
