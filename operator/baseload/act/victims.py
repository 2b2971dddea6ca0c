"""Which replicas go first on the way down: the least busy ones, by the annotation that a Deployment's pods may carry.

A ReplicaSet takes away what is not ready first, then the lowest `pod-deletion-cost`, then the youngest. It reads the
annotation when it scales down, so it is set just before. A StatefulSet does not read it: its highest ordinal goes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from baseload.errors import ApiError, ConflictError, ForbiddenError, NotFoundError

logger = logging.getLogger(__name__)

COST = "controller.kubernetes.io/pod-deletion-cost"
MARK = "-1000000"
"""Our value of the annotation; any other one is somebody's own choice, which stands."""

MOST_MARKED = 100
"""A step that takes more away leaves the order of the rest to the controller."""

PATIENCE_SECONDS = 5.0
"""A step down does not wait longer for its marks: they are better, not needed."""

REFUSED_SECONDS = 600.0
"""Without the right to patch pods it is tried again this often."""

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known for the choice: which pods, by label selector, and the running sequences of each by name."""

    selector: str
    running: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that may go: `cost` is its annotation, None without one."""

    name: str
    resource_version: str
    ready: bool
    cost: str | None


class PodWriter(Protocol):
    """The two calls of the writer that the choice needs."""

    async def pods(self, namespace: str, selector: str) -> Sequence[Raw]:
        """The pods of a namespace by label selector."""

    async def annotate_pod(self, namespace: str, pod: Candidate, annotation: str, value: str | None) -> None:
        """Set an annotation of a pod, or take it away."""


class VictimMarker:
    """Marks the pods that should go first; whatever fails, the step down itself goes on."""

    def __init__(self, writer: PodWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._refused_until = -inf

    async def mark(self, namespace: str, deployment: str, leaving: int, choice: Choice) -> None:
        """Mark the `leaving` pods of a Deployment that should go; never raises ApiError."""
        if self._clock() < self._refused_until:
            return
        fields: dict[str, object] = {"namespace": namespace, "deployment": deployment}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = candidates(await self._writer.pods(namespace, choice.selector), deployment)
                for pod, value in changes(found, leaving, choice.running):
                    await self._annotate(namespace, pod, value)
        except ForbiddenError as error:
            self._refused_until = self._clock() + REFUSED_SECONDS
            remedy = "grant `patch pods`, or start the operator with --no-choose-victims"
            logger.warning("may not choose which replicas go", extra={**fields, "error": str(error), "remedy": remedy})
        except (ApiError, TimeoutError) as error:
            logger.info("replicas that go not chosen", extra={**fields, "error": str(error)})

    async def _annotate(self, namespace: str, pod: Candidate, value: str | None) -> None:
        try:
            await self._writer.annotate_pod(namespace, pod, COST, value)
        except (ConflictError, NotFoundError):
            # It changed or went meanwhile; another look is not worth the wait.
            return


def candidates(pods: Sequence[Raw], deployment: str) -> tuple[Candidate, ...]:
    """The pods of a Deployment that are not leaving already."""
    found = []
    for raw in pods:
        metadata = raw["metadata"]
        if "deletionTimestamp" in metadata or not _belongs(metadata, deployment):
            continue
        conditions = (raw.get("status") or {}).get("conditions") or ()
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        cost = (metadata.get("annotations") or {}).get(COST)
        found.append(Candidate(metadata["name"], metadata["resourceVersion"], ready, cost))
    return tuple(found)


def _belongs(metadata: Raw, deployment: str) -> bool:
    template = (metadata.get("labels") or {}).get("pod-template-hash", "")
    owners = metadata.get("ownerReferences") or ()
    return any(o["kind"] == "ReplicaSet" and o["name"] == f"{deployment}-{template}" for o in owners)


def changes(
    pods: Sequence[Candidate], leaving: int, running: Mapping[str, float]
) -> tuple[tuple[Candidate, str | None], ...]:
    """The annotations to change, marks first: what is not ready goes by itself, then the least busy.

    A pod whose running sequences are not known counts as the busiest; without any known nothing is chosen.
    """
    if any(pod.cost not in (None, MARK) for pod in pods) or not any(pod.name in running for pod in pods):
        return ()
    ready = sorted((p for p in pods if p.ready), key=lambda p: (running.get(p.name, inf), p.name))
    chosen = ready[: min(max(leaving - (len(pods) - len(ready)), 0), MOST_MARKED)]
    marked = tuple((pod, MARK) for pod in chosen if pod.cost is None)
    return (*marked, *((pod, None) for pod in pods if pod.cost == MARK and pod not in chosen))
