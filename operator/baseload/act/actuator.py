"""Carrying out decisions: the intent into the status, then the number into the target's scale."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from baseload.act.publisher import StatusOrder, StatusPublisher
from baseload.act.victims import Choice, VictimMarker
from baseload.act.write_queue import WriteQueue
from baseload.act.writer import KubeWriter
from baseload.errors import ApiError, ConflictError
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

WORKERS = 16
FINISH_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ScaleOrder:
    """A number for a target: `expected` is what it was decided from, at `resource_version`.

    `collection` is the API path of the target's kind, such as `/apis/apps/v1/deployments`.
    `status` carries the intent and goes first; None when the intent stands in the API already. `choice` says how to
    choose the replicas that go, None where there is no choice.
    """

    key: ServingKey
    collection: str
    name: str
    replicas: int
    expected: int
    resource_version: str
    status: StatusOrder | None
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an order ended: `version` is the target's since our number stands there, or `error` says why not."""

    intent_published: bool
    version: str = ""
    error: ApiError | None = None


Concluded = Callable[[Outcome], None]
"""Told how an order ended."""


class Actuator:
    """Carries out scale orders in the background, many at once, each in its own order of writes.

    Nobody waits for a write but its own serving: while it is under way, no other order of the serving is taken.
    """

    def __init__(self, writer: KubeWriter, publisher: StatusPublisher, marker: VictimMarker | None = None) -> None:
        self._writer = writer
        self._publisher = publisher
        self._marker = marker
        self._queue: WriteQueue[tuple[ScaleOrder, Concluded]] = WriteQueue()
        publisher.stay_behind(self._queue.caught_up)

    def submit(self, order: ScaleOrder, concluded: Concluded) -> None:
        """Have an order carried out when its turn comes; a newer one of the same serving takes its place."""
        self._queue.put(order.key, (order, concluded))

    def withdraw(self, key: ServingKey) -> None:
        """Forget an order that waits: the number it would write is there, or no longer wanted."""
        self._queue.drop(key)

    def forget(self, key: ServingKey) -> None:
        """Drop what belongs to a serving that is gone."""
        self._queue.forget(key)

    def is_under_way(self, key: ServingKey) -> bool:
        """Whether a write for a serving is in progress."""
        return self._queue.is_under_way(key)

    async def run(self) -> None:
        """Carry out orders until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def finish(self) -> None:
        """Wait for the writes in progress; what waits is dropped."""
        self._queue.drop_all()
        while not self._queue.nothing_under_way:  # noqa: ASYNC110 - many workers make it true
            await asyncio.sleep(FINISH_POLL_SECONDS)

    async def _work(self) -> None:
        while True:
            await self._queue.wait()
            picked = self._queue.pick()
            if picked is None:
                continue
            key, (order, concluded) = picked
            outcome: Outcome | None = None
            try:
                outcome = await self.carry_out(order)
            except Exception:
                # A bug in one order must not end the worker, and with it the process.
                logger.exception("order failed", extra={"serving": str(key)})
            finally:
                error = None if outcome is None else outcome.error
                stale = error is not None and error.status == 409
                self._queue.done(key, failed=outcome is None or (error is not None and not stale))
            if outcome is not None:
                concluded(outcome)

    async def carry_out(self, order: ScaleOrder) -> Outcome:
        """The intent into the status, marks on the pods that should go, then the number into the target."""
        try:
            if order.status is not None:
                await self._publisher.now(order.status)
        except ApiError as error:
            return Outcome(intent_published=False, error=error)
        leaving = order.expected - order.replicas
        if self._marker is not None and order.choice is not None and leaving > 0:
            await self._marker.mark(order.key.namespace, order.name, leaving, order.choice)
        try:
            return Outcome(intent_published=True, version=await self._scale(order))
        except ApiError as error:
            return Outcome(intent_published=True, error=error)

    async def _scale(self, order: ScaleOrder) -> str:
        """Write the number; a stale version is fine as long as the number it was decided from still stands."""
        namespace, version = order.key.namespace, order.resource_version
        try:
            return await self._writer.scale(order.collection, namespace, order.name, order.replicas, version)
        except ConflictError:
            fresh, replicas = await self._writer.workload(order.collection, namespace, order.name)
            if replicas == order.replicas:
                return fresh
            if replicas != order.expected:
                raise
            return await self._writer.scale(order.collection, namespace, order.name, order.replicas, fresh)
