"""Events, de-duplicated: a repetition is counted into the event posted before, and each object has a budget."""

import asyncio
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from baseload.errors import ApiError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)

SERIES_SECONDS = 600.0
LEAST_SPACING_SECONDS = 10.0
OBJECTS_REMEMBERED = 20_000
NOTE_LIMIT = 1000
CONTROLLER = "baseload.dev/operator"
INSTANCE = f"{socket.gethostname()}-{os.getpid()}"[:128]


@dataclass(frozen=True, slots=True)
class Subject:
    """The object an event is about."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, in the words of the decision."""

    subject: Subject
    reason: str
    action: str
    note: str
    warning: bool = False


@dataclass(slots=True)
class _Series:
    """An event posted before; `version` None when it is not ours to change, since another operator wrote it."""

    name: str
    version: str | None
    count: int
    time: float
    sent_time: float


class EventWriter(Protocol):
    """The two calls of the writer that events need."""

    async def create_event(self, namespace: str, body: Mapping[str, Any]) -> str:
        """Post an event; its resourceVersion."""

    async def patch_event(self, namespace: str, name: str, body: Mapping[str, Any], resource_version: str) -> str:
        """Change an event; its new resourceVersion."""


class EventRecorder:
    """Posts notices one after another in the background; a full queue drops, since an event is only a courtesy."""

    def __init__(self, writer: EventWriter, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._clock = clock
        self._series: dict[tuple[str, str, str], _Series] = {}
        self._dropping = False
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(maxsize=1000)

    def record(self, notice: Notice) -> None:
        """Take a notice; never waits, never fails."""
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            # Said once for each time that the queue fills up: thousands may come with one change of the world.
            if not self._dropping:
                self._dropping = True
                logger.warning("events dropped", extra={"reason": notice.reason})
        else:
            self._dropping = False

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            notice = await self._queue.get()
            try:
                await self._post(notice)
            except ApiError as error:
                logger.warning("event not posted", extra={"reason": notice.reason, "error": str(error)})

    async def _post(self, notice: Notice) -> None:
        now = self._clock()
        key = (notice.subject.uid, notice.reason, notice.action)
        series = self._series.get(key)
        if series is None or now - series.time > SERIES_SECONDS:
            await self._create(key, notice, now)
            return
        series.count += 1
        series.time = now
        if series.version is None or now - series.sent_time < LEAST_SPACING_SECONDS:
            return
        series.sent_time = now
        # The API lets nothing but the series change; the newest words stand in the status.
        body = {"series": {"count": series.count, "lastObservedTime": micro_time(now)}}
        namespace = notice.subject.namespace
        try:
            series.version = await self._writer.patch_event(namespace, series.name, body, series.version)
        except ConflictError:
            series.version = None
        except NotFoundError:
            await self._create(key, notice, now)

    async def _create(self, key: tuple[str, str, str], notice: Notice, now: float) -> None:
        subject = notice.subject
        # The name follows from what is said and when: what a leader before us said already is not said again.
        said = f"{key}{int(now / SERIES_SECONDS)}"
        name = f"{subject.name[:230]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        if len(self._series) >= OBJECTS_REMEMBERED:
            self._series.pop(next(iter(self._series)))
        series = self._series[key] = _Series(name, None, 1, now, now)
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": subject.namespace},
            "eventTime": micro_time(now),
            "type": "Warning" if notice.warning else "Normal",
            "reason": notice.reason,
            "action": notice.action,
            "note": notice.note[:NOTE_LIMIT],
            "reportingController": CONTROLLER,
            "reportingInstance": INSTANCE,
            "regarding": {
                "apiVersion": "baseload.dev/v1alpha1",
                "kind": "ModelServing",
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
            },
        }
        try:
            series.version = await self._writer.create_event(subject.namespace, body)
        except ConflictError:
            logger.info("event was posted before", extra={"reason": notice.reason})
        except ApiError:
            del self._series[key]
            raise


def micro_time(seconds: float) -> str:
    """Unix seconds as the API's MicroTime."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
