"""Publishing statuses: what stands in the API already, and the background writer that keeps to a budget."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from baseload.act.status import Essence, essence_of, situation_of
from baseload.act.write_queue import WriteQueue
from baseload.act.writer import KubeWriter, TokenBucket
from baseload.errors import ApiError, ConflictError, NotFoundError
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

STATUSES_PER_SECOND = 50.0
WORKERS = 8
LONGEST_WAIT_SECONDS = 10.0
REFUSED_SECONDS = 60.0
"""A status that the API server finds invalid is not sent again for this long."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A ModelServing as the watch last showed it; `status` as JSON."""

    uid: str
    resource_version: str
    generation: int
    status: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """What stands in the API: the version to write against, and the status there."""

    resource_version: str
    essence: Essence
    situation: str | None
    status: bytes


@dataclass(frozen=True, slots=True)
class _Written:
    """Our own write until the watch shows it: `replaced` is the version the watch showed before."""

    uid: str
    replaced: str
    published: Published


@dataclass(frozen=True, slots=True)
class StatusOrder:
    """A status to write for a serving."""

    key: ServingKey
    stored: Stored
    status: Mapping[str, Any]
    essence: Essence


class StatusPublisher:
    """Writes statuses; those that carry an intent at once, the others in the background at 50 a second at most."""

    def __init__(self, writer: KubeWriter) -> None:
        self._writer = writer
        self._bucket = TokenBucket(STATUSES_PER_SECOND)
        self._queue: WriteQueue[StatusOrder] = WriteQueue()
        self._turn: asyncio.Event | None = None
        self._written: dict[ServingKey, _Written] = {}
        self._seen: dict[ServingKey, tuple[str, Published]] = {}
        self._refused: dict[ServingKey, tuple[Essence, float]] = {}

    def published(self, key: ServingKey, stored: Stored) -> Published:
        """What stands in the API now: our last write until the watch shows something newer."""
        own = self._written.get(key)
        if own is not None and own.uid == stored.uid and stored.resource_version == own.replaced:
            return own.published
        self._written.pop(key, None)
        seen = self._seen.get(key)
        if seen is None or seen[1].resource_version != stored.resource_version or seen[0] != stored.uid:
            status = orjson.loads(stored.status)
            seen = (
                stored.uid,
                Published(stored.resource_version, essence_of(status), situation_of(status), stored.status),
            )
            self._seen[key] = seen
        return seen[1]

    def later(self, order: StatusOrder) -> None:
        """Write a status when its turn comes; a newer one for the same serving replaces it."""
        refused = self._refused.get(order.key)
        if refused is not None and refused[0] == order.essence and time.monotonic() < refused[1]:
            return
        self._queue.put(order.key, order)

    async def now(self, order: StatusOrder) -> None:
        """Write a status before anything else; raises ApiError. A stale version is read again once."""
        self._queue.drop(order.key)
        stored = order.stored
        version = self.published(order.key, stored).resource_version
        key = order.key
        try:
            version = await self._writer.status(key.namespace, key.name, order.status, version)
        except ConflictError:
            uid, version, generation = await self._writer.serving_version(key.namespace, key.name)
            if uid != stored.uid or generation != stored.generation:
                raise
            version = await self._writer.status(key.namespace, key.name, order.status, version)
        published = Published(version, order.essence, situation_of(order.status), orjson.dumps(order.status))
        self._written[key] = _Written(stored.uid, stored.resource_version, published)

    def forget(self, key: ServingKey) -> None:
        """Drop what belongs to a serving that is gone."""
        self._queue.forget(key)
        for table in (self._written, self._seen, self._refused):
            table.pop(key, None)

    def stay_behind(self, turn: asyncio.Event) -> None:
        """Write in the background only while `turn` is set, for those in front of us have caught up."""
        self._turn = turn

    async def run(self) -> None:
        """Write what is pending until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._queue.wait()
            await self._bucket.take()
            await self._let_pass()
            picked = self._queue.pick()
            if picked is not None:
                await self._write(*picked)

    async def _let_pass(self) -> None:
        """Stay behind the writes that matter more, but not for ever."""
        if self._turn is not None and not self._turn.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                    await self._turn.wait()

    async def _write(self, key: ServingKey, order: StatusOrder) -> None:
        failed = True
        try:
            await self.now(order)
            failed = False
        except NotFoundError:
            logger.info("status of a deleted serving dropped", extra={"serving": str(key)})
        except ApiError as error:
            # The next tick sees that it is not published and orders it again.
            if 400 <= error.status < 500 and error.status not in (401, 409, 429):
                self._refused[key] = (order.essence, time.monotonic() + REFUSED_SECONDS)
            failed = error.status != 409
            logger.warning("status not written", extra={"serving": str(key), "error": str(error)})
        finally:
            self._queue.done(key, failed=failed)
